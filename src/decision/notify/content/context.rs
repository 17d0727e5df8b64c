//! Variables of message templates: [`TemplateContext`], built the same way for a message, a dry run and a preview.
//!
//! What a template can count on follows from its trigger's condition: a price drop has an item with two prices, a login has a
//! list that may be empty, a request of the shop has an `event` and, without `item_id`, no item at all.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::notify::triggers::Trigger;
use tidings_core::base::{ExternalId, ItemId, Timestamp};
use tidings_core::catalogue::{Catalogue, Item, Shown};
use tidings_core::profile::{Attributes, SegmentId};

use super::item_language::ItemLanguage;

/// Most items that a template can list; `count` counts all.
pub const MAX_ITEMS: usize = 10;
/// Language of a reader who has not chosen one.
pub(super) const DEFAULT_LOCALE: &str = "en";

/// Everything that a template may read. Serialises to the names that templates use. What is missing is left out, so that a
/// template finds it undefined: written as nothing, false in `{% if %}`, replaced by the filter `default`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TemplateContext {
    /// The reader.
    pub user: UserVariables,
    /// The item that the message is about; `None` for lists and for requests without `item_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemVariables>,
    /// The listed items, best first, at most [`MAX_ITEMS`].
    pub items: Vec<ItemVariables>,
    /// Number of items of the message, those beyond [`MAX_ITEMS`] included.
    pub count: usize,
    /// Price of `item` before it changed, major units of its currency; `None` unless a price change fired the trigger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_before: Option<f64>,
    /// The `event` object of `POST /v1/triggers/{name}`; `None` for other causes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Arc<Value>>,
    /// BCP 47 tag of the reader; decides plural forms and formats.
    pub locale: String,
    /// IANA name of the reader's time zone; `None` means UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Time of rendering.
    pub now: Timestamp,
}

/// `user` of a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserVariables {
    /// The shop's id.
    pub user_id: ExternalId,
    /// Letter A…Z; `None` before the first training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Attributes that the shop has set, by name; an object, so that one that is missing is undefined.
    pub attributes: Value,
}

/// `item` and each of `items` of a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemVariables {
    /// The shop's id.
    pub item_id: ExternalId,
    /// Title, or the id where the catalogue has none; never empty.
    pub title: String,
    /// Price in major units of `currency`, ≥ 0; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217 code; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Top-level category; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The attribute `brand`; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// Product page; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Units on hand; `None` if stock is not tracked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<i32>,
}

/// Fields of `user`, in the order of [`UserVariables`].
pub(super) const USER_FIELDS: [&str; 3] = ["user_id", "segment", "attributes"];
/// Fields of an item, in the order of [`ItemVariables`].
pub(super) const ITEM_FIELDS: [&str; 8] =
    ["item_id", "title", "price", "currency", "category", "brand", "url", "stock"];
/// Top-level names, in the order of [`TemplateContext`].
pub(super) const VARIABLES: [&str; 9] =
    ["user", "item", "items", "count", "price_before", "event", "locale", "time_zone", "now"];

impl From<&Item> for ItemVariables {
    fn from(item: &Item) -> Self {
        Self::shown(item, None)
    }
}

impl ItemVariables {
    /// The item in one of its languages.
    fn shown(item: &Item, language: Option<&str>) -> Self {
        let Shown { title, category, url, price, currency, .. } = item.shown(language, None);
        let title = title.filter(|title| !title.trim().is_empty());
        Self {
            item_id: item.external_id.clone(),
            title: title.map_or_else(|| item.external_id.to_string(), str::to_owned),
            price,
            currency: currency.map(str::to_owned),
            category: category.map(str::to_owned),
            brand: item.attributes.get("brand").cloned(),
            url: url.map(str::to_owned),
            stock: item.stock,
        }
    }
}

/// The reader of a message.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The shop's id.
    pub user_id: &'a ExternalId,
    /// Segment of the last training.
    pub segment: Option<SegmentId>,
    /// Attributes that the shop has set.
    pub attributes: &'a Attributes,
    /// BCP 47 tag; `None` = English.
    pub locale: Option<&'a str>,
    /// IANA name; `None` = UTC.
    pub time_zone: Option<&'a str>,
}

impl TemplateContext {
    /// The context of one message. `items` are those of the decision, best first; what the catalogue no longer has is not
    /// listed. A trigger about one item lists that item, and a request of the shop without an item lists none, whatever
    /// `items` says: see [`carried_items`].
    pub fn new(
        reader: Reader<'_>,
        trigger: &Trigger,
        items: &[ItemId],
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Self {
        let items = carried_items(trigger, items);
        let language = ItemLanguage::of(reader.locale);
        let variables =
            |item: ItemId| catalogue.get(item).map(|item| ItemVariables::shown(item, language.choose(item)));
        Self {
            user: UserVariables {
                user_id: reader.user_id.clone(),
                segment: reader.segment.map(|segment| segment.to_string()),
                attributes: reader.attributes.to_plain(),
            },
            item: trigger.item.and_then(variables),
            items: items.iter().take(MAX_ITEMS).copied().filter_map(variables).collect(),
            count: items.len(),
            price_before: trigger.price_before,
            event: trigger.event.clone(),
            locale: reader.locale.unwrap_or(DEFAULT_LOCALE).to_owned(),
            time_zone: reader.time_zone.map(str::to_owned),
            now,
        }
    }
}

impl TemplateContext {
    /// Adds titles of collected messages of the shop, before the items: a text that names only the first and a count must
    /// not hide them.
    #[must_use]
    pub fn mentioning(mut self, titles: &[String]) -> Self {
        self.count += titles.len();
        self.items.splice(0..0, titles.iter().map(|title| ItemVariables::titled(title)));
        self.items.truncate(MAX_ITEMS);
        self
    }
}

impl ItemVariables {
    /// A line of a list that is no item of the catalogue.
    fn titled(title: &str) -> Self {
        Self {
            item_id: ExternalId::Text(title.into()),
            title: title.to_owned(),
            price: None,
            currency: None,
            category: None,
            brand: None,
            url: None,
            stock: None,
        }
    }
}

/// The items that a message of this trigger carries: its one item, none for a request of the shop without one, else the list.
pub fn carried_items<'a>(trigger: &'a Trigger, list: &'a [ItemId]) -> &'a [ItemId] {
    match &trigger.item {
        Some(item) if trigger.is_about_item() => std::slice::from_ref(item),
        _ if trigger.is_said_by_shop() => &[],
        _ => list,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notify::triggers::{Condition, Definition};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn item(id: u32) -> Item {
        Item {
            id: ItemId(id),
            external_id: ExternalId::Integer(i64::from(id)),
            title: Some(format!("item {id}")),
            category: vec!["Watches".into(), "Dive".into()],
            tags: Vec::new(),
            price: Some(9.5),
            currency: Some("EUR".into()),
            stock: Some(4),
            url: Some("/i".into()),
            image_url: None,
            attributes: [("brand".to_owned(), "Casio".to_owned())].into(),
            consumable: false,
            local: None,
            created_at: NOW,
        }
    }

    fn context(when: Condition, about: Option<u32>, list: &[u32]) -> TemplateContext {
        let trigger = Trigger::of(&Arc::new(Definition::plain(when)), about.map(ItemId));
        let list: Vec<ItemId> = list.iter().copied().map(ItemId).collect();
        let catalogue = Catalogue::from_items((1..=20).map(item));
        let reader = Reader {
            user_id: &ExternalId::Integer(7),
            segment: Some(SegmentId(1)),
            attributes: &Attributes::from_stored(
                &json!({"first_name": "Ann", "since": {"date": "2024-02-29"}}),
            ),
            locale: None,
            time_zone: Some("Europe/Berlin"),
        };
        TemplateContext::new(reader, &trigger, &list, &catalogue, NOW)
    }

    #[test]
    fn a_context_serialises_to_the_names_that_templates_use() {
        let context = TemplateContext {
            price_before: Some(12.0),
            event: Some(Arc::new(json!({"at": "noon"}))),
            ..context(Condition::View, Some(3), &[1, 99])
        };
        let words = serde_json::to_value(context).unwrap();
        let one = |id: u32| {
            json!({"item_id": id, "title": format!("item {id}"), "price": 9.5, "currency": "EUR",
                   "category": "Watches", "brand": "Casio", "url": "/i", "stock": 4})
        };
        let expected = json!({
            "user": {"user_id": 7, "segment": "B", "attributes": {"first_name": "Ann", "since": "2024-02-29"}},
            "item": one(3), "items": [one(1)], "count": 2, "price_before": 12.0,
            "event": {"at": "noon"}, "locale": "en", "time_zone": "Europe/Berlin", "now": NOW,
        });
        assert_eq!(words, expected);
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let sorted = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&words), sorted(&VARIABLES));
        assert_eq!(names(&words["user"]), sorted(&USER_FIELDS));
        assert_eq!(names(&words["item"]), sorted(&ITEM_FIELDS));
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let words = serde_json::to_value(context(Condition::Api, None, &[])).unwrap();
        assert!(["item", "price_before", "event"].iter().all(|name| words.get(name).is_none()), "{words}");
    }

    #[test]
    fn the_trigger_decides_which_items_a_message_carries() {
        let count = |when, about, list: &[u32]| {
            let context = context(when, about, list);
            (context.item.is_some(), context.items.len(), context.count)
        };
        assert_eq!(
            count(Condition::Api, None, &[1, 2]),
            (false, 0, 0),
            "a request names its own item or none"
        );
        assert_eq!(count(Condition::OrderStatus, Some(3), &[1, 2]), (true, 1, 1));
        assert_eq!(count(Condition::BackInStock, Some(3), &[1, 2]), (true, 1, 1));
        assert_eq!(count(Condition::View, Some(3), &[1, 2]), (true, 2, 2));
        assert_eq!(count(Condition::Login, None, &[]), (false, 0, 0));
        let long: Vec<u32> = (1..=14).collect();
        assert_eq!(count(Condition::Digest, None, &long), (false, 10, 14));
    }

    #[test]
    fn an_item_with_a_blank_title_goes_by_its_id() {
        let blank = Item { title: Some("  ".into()), ..item(5) };
        assert_eq!(ItemVariables::from(&blank).title, "5");
    }
}
