//! Events and items as a file's rows were understood, a line each, for people.

use super::text::printable;
use tidings_core::catalogue::NewItem;
use tidings_core::event::NewEvent;

/// An event; `line` is where it stands, 0 if not told.
pub fn event(event: &NewEvent, line: u64) -> String {
    let mut words = Vec::new();
    if line > 0 {
        words.push(format!("line {line}:"));
    }
    words.push(event.kind.name().to_owned());
    words.extend(event.user.as_ref().map(|user| format!("user {user}")));
    words.extend(event.item.as_ref().map(|item| format!("item {item}")));
    words.push(event.occurred_at.to_string());
    if event.quantity != 1.0 {
        words.push(format!("quantity {}", event.quantity));
    }
    words.extend(event.value.map(|value| format!("value {value}")));
    words.extend(event.currency.clone());
    words.extend(event.dwell_ms.map(|dwell| format!("dwell {dwell} ms")));
    words.extend(event.query.as_ref().map(|query| format!("query {query:?}")));
    words.extend(event.basket.map(|_| "in a basket".to_owned()));
    printable(&words.join(" "))
}

/// An item.
pub fn item(item: &NewItem) -> String {
    let mut words = vec![format!("item {}:", item.item_id)];
    words.extend(item.title.as_ref().map(|title| format!("title {title:?}")));
    words.extend(item.category.as_ref().map(|path| format!("category {:?}", path.join(" > "))));
    words.extend(item.price.map(|price| format!("price {price}")));
    words.extend(item.currency.clone());
    words.extend(item.stock.map(|stock| format!("stock {stock}")));
    words.extend(item.tags.as_ref().map(|tags| format!("tags {:?}", tags.join(", "))));
    words.extend(item.image_url.as_ref().map(|url| format!("image {url}")));
    printable(&words.join(" "))
}
