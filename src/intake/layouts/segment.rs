//! Segment: `track` calls of its e-commerce specification (version 2, and the names of version 1), one JSON object each, as its S3
//! archive, its webhooks and RudderStack write them. `Order Completed`, `Order Cancelled` and `Order Refunded` have a line for each of
//! `products[]`; a return that names only its order is one of all its lines ([`Orders`]).

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};
use tidings_core::event::EventKind;

use super::translated::{Translated, Translation, first, object, objects, scalar};
use crate::fields::squeeze;
use crate::mapping::Field;

/// Kind of a track call, by its name without case and blanks.
fn kind(event: &str) -> Option<EventKind> {
    Some(match event {
        "productviewed" | "viewedproduct" | "productclicked" | "clickedproduct" => EventKind::View,
        "productssearched" | "searchedproducts" => EventKind::Search,
        "productadded" | "addedproduct" => EventKind::AddToCart,
        "productremoved" | "removedproduct" => EventKind::RemoveFromCart,
        "productaddedtowishlist" => EventKind::Like,
        "productreviewed" => EventKind::Rate,
        "ordercompleted" | "completedorder" => EventKind::Purchase,
        "orderrefunded" | "refundedorder" | "ordercancelled" | "ordercanceled" | "cancelledorder" => {
            EventKind::Return
        }
        _ => return None,
    })
}

/// Orders that are remembered, the latest ones: some 60 MB.
const MOST_ORDERS: usize = 200_000;

/// An order as far as a return of it needs it.
#[derive(Clone, Debug)]
struct Order {
    user: String,
    /// Item, price of a unit, quantity and currency of each line; empty once they went back.
    lines: Vec<[String; 4]>,
}

/// Reads calls in their order, and knows the orders among them, so that a return may name an order instead of products.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    orders: HashMap<String, Order>,
    /// Their ids, the oldest first.
    ids: VecDeque<String>,
    /// Orders that went back as a whole, since the return named no products.
    pub taken_back: u64,
}

impl Orders {
    /// Rows of one call; the error says what is missing.
    pub fn translate(&mut self, record: &Map<String, Value>) -> Result<Translation, String> {
        let properties = object(record, "properties");
        let order = properties.and_then(|properties| first(properties, &ORDER_ID));
        let Some(order) = order else { return translate(record) };
        let event = first(record, &["event"]).unwrap_or_default();
        let products = properties.map_or(0, |properties| objects(properties, "products").count());
        match kind(&squeeze(&event)) {
            Some(EventKind::Return) if products == 0 => self.whole(record, &event, &order),
            Some(EventKind::Purchase) => {
                let translation = translate(record)?;
                if let Translation::Rows(rows) = &translation {
                    self.remember(order, rows);
                }
                Ok(translation)
            }
            _ => translate(record),
        }
    }

    fn remember(&mut self, id: String, rows: &[Translated]) {
        let text = |row: &Translated, field: Field| row.fields.get(&field).cloned().unwrap_or_default();
        let line = |row: &Translated| {
            [Field::ItemId, Field::UnitPrice, Field::Quantity, Field::Currency].map(|field| text(row, field))
        };
        let user = rows.first().map(|row| text(row, Field::UserId)).unwrap_or_default();
        let order = Order { user, lines: rows.iter().map(line).collect() };
        if self.orders.insert(id.clone(), order).is_none() {
            self.ids.push_back(id);
        }
        if self.ids.len() > MOST_ORDERS
            && let Some(oldest) = self.ids.pop_front()
        {
            self.orders.remove(&oldest);
        }
    }

    /// Rows of a return that names its order only.
    fn whole(&mut self, record: &Map<String, Value>, event: &str, id: &str) -> Result<Translation, String> {
        let unknown =
            || format!("{event} names no products, and its order {id:?} is not among the records before it");
        let order = self.orders.get_mut(id).ok_or_else(unknown)?;
        let lines = std::mem::take(&mut order.lines);
        if lines.is_empty() {
            return Ok(Translation::Unused(format!("{event} of an order that had gone back")));
        }
        let product = |[item, price, quantity, currency]: [String; 4]| json!({"product_id": item, "price": price, "quantity": quantity, "currency": currency});
        let mut whole = record.clone();
        if let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("products".to_owned(), lines.into_iter().map(product).collect());
        }
        let mut translation = translate(&whole)?;
        if let Translation::Rows(rows) = &mut translation {
            self.taken_back += 1;
            for row in rows.iter_mut().filter(|row| !row.fields.contains_key(&Field::UserId)) {
                row.set(Field::UserId, &order.user);
            }
        }
        Ok(translation)
    }
}

/// Names of the id of an order.
const ORDER_ID: [&str; 2] = ["order_id", "orderId"];

/// Rows of one call by itself; the error says what is missing.
pub fn translate(record: &Map<String, Value>) -> Result<Translation, String> {
    let call = first(record, &["type"]).unwrap_or_else(|| "track".to_owned());
    let event = first(record, &["event"]).unwrap_or_default();
    let Some(kind) = Some(&call).filter(|call| *call == "track").and_then(|_| kind(&squeeze(&event))) else {
        return Ok(Translation::Unused(if event.is_empty() { call } else { event }));
    };
    let none = Map::new();
    let properties = object(record, "properties").unwrap_or(&none);
    let products: Vec<&Map<String, Value>> = objects(properties, "products").collect();
    let lines = match kind {
        EventKind::Purchase | EventKind::Return if products.is_empty() => {
            return Err(format!("{event} names no products"));
        }
        EventKind::Purchase | EventKind::Return => products,
        _ => vec![properties],
    };
    let is_single = lines.len() == 1;
    let message = first(record, &["messageId", "message_id"]);
    let rows = lines.into_iter().enumerate().map(|(place, line)| {
        let mut row = product(line);
        row.set(Field::Kind, kind.name());
        let who = first(record, &["userId", "user_id", "anonymousId", "anonymous_id"]);
        row.set(Field::UserId, who.unwrap_or_default());
        let when =
            first(record, &["timestamp", "originalTimestamp", "original_timestamp", "sentAt", "receivedAt"]);
        row.set(Field::OccurredAt, when.unwrap_or_default());
        if let Some(message) = &message {
            row.set(Field::EventId, if is_single { message.clone() } else { format!("{message}/{place}") });
        }
        row.set(Field::BasketId, first(properties, &["order_id", "orderId", "cart_id"]).unwrap_or_default());
        if !row.fields.contains_key(&Field::Currency) {
            row.set_json(Field::Currency, properties.get("currency"));
        }
        match kind {
            EventKind::Search => row.set_json(Field::Query, properties.get("query")),
            EventKind::Rate => row.set_json(Field::Value, properties.get("rating")),
            EventKind::Purchase | EventKind::Return | EventKind::AddToCart => {
                row.set_json(Field::UnitPrice, line.get("price"));
                row.set_json(Field::Quantity, line.get("quantity"));
            }
            _ => {}
        }
        row
    });
    Ok(Translation::Rows(rows.collect()))
}

/// The product of a line: what it is, apart from what was done with it.
fn product(line: &Map<String, Value>) -> Translated {
    let mut row = Translated::default();
    row.set(Field::ItemId, first(line, &["product_id", "productId", "sku", "id"]).unwrap_or_default());
    row.set_json(Field::Title, line.get("name"));
    row.set_json(Field::Category, line.get("category"));
    row.set_json(Field::Price, line.get("price"));
    row.set_json(Field::Currency, line.get("currency"));
    row.set_json(Field::Url, line.get("url"));
    row.set(Field::ImageUrl, first(line, &["image_url", "imageUrl"]).unwrap_or_default());
    row.attribute("brand", scalar(line.get("brand")).as_deref());
    row.attribute("variant", scalar(line.get("variant")).as_deref());
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Entry, RecordOptions, RecordReader};
    use serde_json::json;

    fn rows(record: Value) -> Vec<Translated> {
        match translate(record.as_object().unwrap()).unwrap() {
            Translation::Rows(rows) => rows,
            Translation::Unused(name) => panic!("{name} is not used"),
        }
    }

    #[test]
    fn an_order_is_a_line_for_each_product() {
        let rows = rows(json!({
            "type": "track", "event": "Order Completed", "messageId": "m-1", "userId": "ann",
            "timestamp": "2026-01-31T12:00:00Z",
            "properties": {"order_id": "o-1", "currency": "EUR", "revenue": 25.0, "products": [
                {"product_id": "A1", "sku": "S1", "name": "Watch", "price": 9.5, "quantity": 2, "category": "Watches", "brand": "Tide"},
                {"product_id": 7, "name": "Strap", "price": 6, "quantity": 1},
            ]},
        }));
        let mut records = RecordReader::new(RecordOptions::default());
        let entries: Vec<Entry> = rows.iter().flat_map(|row| row.entries(&mut records).unwrap()).collect();
        let events = entries.iter().filter_map(|entry| match entry {
            Entry::Event(event) => {
                Some((event.kind, event.value, event.quantity, event.event_id.clone().unwrap()))
            }
            _ => None,
        });
        let events: Vec<_> = events.collect();
        assert_eq!(
            events,
            [
                (EventKind::Purchase, Some(19.0), 2.0, "m-1/0".to_owned()),
                (EventKind::Purchase, Some(6.0), 1.0, "m-1/1".to_owned()),
            ]
        );
        let Some(Entry::Item(item)) = entries.first() else { panic!("{entries:?}") };
        assert_eq!(
            (item.title.as_deref(), item.price, item.currency.as_deref()),
            (Some("Watch"), Some(9.5), Some("EUR"))
        );
        assert_eq!(item.attributes.as_ref().unwrap()["brand"], "Tide");
    }

    #[test]
    fn a_return_that_names_only_its_order_takes_all_of_it_back_once() {
        let mut orders = Orders::default();
        let mut call = |event: &str, properties: Value| {
            let record = json!({"type": "track", "event": event, "messageId": "m", "userId": "ann",
                "timestamp": "2026-01-31T12:00:00Z", "properties": properties});
            orders.translate(record.as_object().unwrap())
        };
        let order = json!({"order_id": "o-1", "currency": "EUR", "products": [
            {"product_id": "A1", "price": 9.5, "quantity": 2}, {"product_id": 7, "price": 6, "quantity": 1}]});
        let alone = json!({"order_id": "o-1"});
        let early = call("Order Cancelled", alone.clone()).unwrap_err();
        assert!(early.contains("\"o-1\"") && early.contains("before it"), "{early}");
        call("Order Completed", order).unwrap();
        let Translation::Rows(rows) = call("Order Refunded", alone.clone()).unwrap() else { panic!() };
        let mut records = RecordReader::new(RecordOptions::default());
        let entries = rows.iter().flat_map(|row| row.entries(&mut records).unwrap());
        let events: Vec<_> = entries
            .filter_map(|entry| match entry {
                Entry::Event(event) => Some((
                    event.kind,
                    event.item.unwrap().to_string(),
                    event.value,
                    event.quantity,
                    event.basket.unwrap().to_string(),
                )),
                _ => None,
            })
            .collect();
        let back = |item: &str, value, quantity| {
            (EventKind::Return, item.to_owned(), Some(value), quantity, "o-1".to_owned())
        };
        assert_eq!(events, [back("A1", 19.0, 2.0), back("7", 6.0, 1.0)]);
        assert!(matches!(call("Order Cancelled", alone), Ok(Translation::Unused(_))));
        assert_eq!(orders.taken_back, 1);
    }

    #[test]
    fn single_events_keep_their_id_and_other_calls_are_named() {
        let rows =
            rows(json!({"type": "track", "event": "Product Added", "messageId": "m-2", "anonymousId": "a-1",
            "timestamp": "2026-01-31T12:00:00Z", "properties": {"product_id": "A1", "quantity": 1}}));
        assert_eq!(rows[0].fields[&Field::EventId], "m-2");
        assert_eq!(
            (rows[0].fields[&Field::UserId].as_str(), rows[0].fields[&Field::Kind].as_str()),
            ("a-1", "add_to_cart")
        );
        let unused = |record: Value| translate(record.as_object().unwrap());
        assert_eq!(unused(json!({"type": "page", "name": "Home"})), Ok(Translation::Unused("page".into())));
        assert_eq!(
            unused(json!({"type": "track", "event": "Cart Viewed"})),
            Ok(Translation::Unused("Cart Viewed".into()))
        );
        assert!(unused(json!({"type": "track", "event": "Order Completed"})).is_err());
    }
}
