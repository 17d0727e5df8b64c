//! The wire form of an item and its bounds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::item_field::{Cleared, ItemField};
use crate::base::ExternalId;

/// Longest title, url and image url, in bytes.
const MAX_TEXT_BYTES: usize = 2_048;
/// Most tags and most levels of the category path.
const MAX_LIST: usize = 32;
/// Most attributes.
const MAX_ATTRIBUTES: usize = 64;
/// Longest tag, category level, attribute name or value, in bytes.
const MAX_WORD_BYTES: usize = 256;

/// An item as the shop sends it. Absent fields keep what is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewItem {
    /// The shop's id.
    pub item_id: ExternalId,
    /// Human title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Category path, general to special. A string is split at `/` and `>`.
    #[serde(default, deserialize_with = "category_path", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = serde_json::Value, required = false))]
    pub category: Option<Vec<String>>,
    /// Free tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Price in major units, ≥ 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217 code, three capital letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Units on hand, ≥ 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<i32>,
    /// Product page: `http(s)://…` or a path `/…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Picture, as `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// Anything else, text by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
    /// Bought again and again?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumable: Option<bool>,
    /// Fields to clear; what is given beside is kept.
    #[serde(skip_deserializing, skip_serializing_if = "Cleared::is_empty")]
    #[cfg_attr(feature = "schema", schema(ignore))]
    pub cleared: Cleared,
}

/// Validation error of an item.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ItemError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// The field at fault.
    pub field: Cow<'static, str>,
    /// Description of a valid value.
    pub message: String,
}

impl ItemError {
    pub(super) fn new(
        code: &'static str,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }

    /// An item with more in it than any item has, which is not read.
    pub fn too_complex() -> Self {
        let message = format!("an item has at most {MAX_ATTRIBUTES} attributes, {MAX_LIST} tags and levels");
        Self::new("too_complex", "item", message)
    }
}

impl NewItem {
    /// Only the id, everything else absent.
    pub fn new(item_id: ExternalId) -> Self {
        Self {
            item_id,
            title: None,
            category: None,
            tags: None,
            price: None,
            currency: None,
            stock: None,
            url: None,
            image_url: None,
            attributes: None,
            consumable: None,
            cleared: Cleared::new(),
        }
    }

    /// Takes what a later word on the same item says: a field that it gives or clears is as there, the rest stays.
    pub fn overlay(&mut self, later: Self) {
        fn put<T>(
            field: ItemField,
            slot: &mut Option<T>,
            value: Option<T>,
            cleared: &mut Cleared,
            later: &Cleared,
        ) {
            if value.is_some() {
                cleared.remove(&field);
                *slot = value;
            } else if later.contains(&field) {
                cleared.insert(field);
                *slot = None;
            }
        }
        let (cleared, clears) = (&mut self.cleared, &later.cleared);
        put(ItemField::Title, &mut self.title, later.title, cleared, clears);
        put(ItemField::Category, &mut self.category, later.category, cleared, clears);
        put(ItemField::Tags, &mut self.tags, later.tags, cleared, clears);
        put(ItemField::Price, &mut self.price, later.price, cleared, clears);
        put(ItemField::Currency, &mut self.currency, later.currency, cleared, clears);
        put(ItemField::Stock, &mut self.stock, later.stock, cleared, clears);
        put(ItemField::Url, &mut self.url, later.url, cleared, clears);
        put(ItemField::ImageUrl, &mut self.image_url, later.image_url, cleared, clears);
        put(ItemField::Attributes, &mut self.attributes, later.attributes, cleared, clears);
        put(ItemField::Consumable, &mut self.consumable, later.consumable, cleared, clears);
    }

    /// One item an id, in order of the first word on each; see [`NewItem::overlay`].
    pub fn merged(items: &[Self]) -> Vec<Cow<'_, Self>> {
        let mut merged: Vec<Cow<'_, Self>> = Vec::with_capacity(items.len());
        let mut places: HashMap<&ExternalId, usize> = HashMap::with_capacity(items.len());
        for item in items {
            let place = *places.entry(&item.item_id).or_insert(merged.len());
            match merged.get_mut(place) {
                Some(known) => known.to_mut().overlay(item.clone()),
                None => merged.push(Cow::Borrowed(item)),
            }
        }
        merged
    }

    /// Checks every bound; the item itself is unchanged.
    pub fn validate(&self) -> Result<(), ItemError> {
        let fail = |field: &'static str, message: String| Err(ItemError::new("bad_item", field, message));
        if let Some(price) = self.price
            && !(price.is_finite() && (0.0..=1e9).contains(&price))
        {
            return fail("price", format!("must be between 0 and 1e9, is {price}"));
        }
        if let Some(currency) = &self.currency
            && !(currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return fail("currency", "must be an ISO 4217 code such as EUR".into());
        }
        if let Some(stock) = self.stock
            && stock < 0
        {
            return fail("stock", format!("must be ≥ 0, is {stock}"));
        }
        for (field, text) in [("title", &self.title), ("url", &self.url), ("image_url", &self.image_url)] {
            let Some(text) = text else { continue };
            if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
                return fail(field, format!("at most {MAX_TEXT_BYTES} bytes, no control characters"));
            }
        }
        for (field, url) in [("url", &self.url), ("image_url", &self.image_url)] {
            let Some(url) = url else { continue };
            // Anything else (javascript:, data:) would run or hide things in a page that shows the item.
            let safe = url.starts_with("https://")
                || url.starts_with("http://")
                || (url.starts_with('/') && !url.starts_with("//"));
            if !safe {
                return fail(field, "must start with https://, http:// or /".into());
            }
        }
        for (field, list) in [("category", &self.category), ("tags", &self.tags)] {
            let Some(list) = list else { continue };
            if list.len() > MAX_LIST {
                return fail(field, format!("at most {MAX_LIST} entries, has {}", list.len()));
            }
            if list.iter().any(|word| !word_is_valid(word)) {
                return fail(field, format!("entries have 1…{MAX_WORD_BYTES} bytes, no control characters"));
            }
        }
        if let Some(attributes) = &self.attributes {
            if attributes.len() > MAX_ATTRIBUTES {
                return fail("attributes", format!("at most {MAX_ATTRIBUTES}, has {}", attributes.len()));
            }
            if attributes.iter().any(|(name, value)| !word_is_valid(name) || !word_is_valid(value)) {
                return fail(
                    "attributes",
                    format!("names and values have 1…{MAX_WORD_BYTES} bytes, no control characters"),
                );
            }
        }
        Ok(())
    }
}

fn word_is_valid(word: &str) -> bool {
    !word.is_empty() && word.len() <= MAX_WORD_BYTES && !word.chars().any(char::is_control)
}

/// A category path: `["A", "B"]`, `"A/B"` and `"A > B"`.
pub(super) fn path_of(value: Value) -> Result<Vec<String>, serde_json::Error> {
    category_path(value).map(Option::unwrap_or_default)
}

/// Levels of a category path: `"A/B"` and `"A > B"`.
pub fn category_levels(text: &str) -> Vec<String> {
    let levels = text.split(['/', '>']).map(|level| level.trim().to_owned());
    levels.filter(|level| !level.is_empty()).collect()
}

/// Accepts `["A", "B"]`, `"A/B"` and `"A > B"`.
pub(crate) fn category_path<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a category is a path such as \"A > B\" or an array of texts")]
    enum Path {
        List(Vec<String>),
        Text(String),
    }
    Ok(Option::<Path>::deserialize(deserializer)?.map(|path| match path {
        Path::List(list) => list,
        Path::Text(text) => category_levels(&text),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> NewItem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_category_is_a_list_or_a_path() {
        for json in [r#"["Watches","Dive"]"#, r#""Watches/Dive""#, r#""Watches > Dive""#] {
            let item = item(&format!(r#"{{"item_id":1,"category":{json}}}"#));
            assert_eq!(item.category.unwrap(), ["Watches", "Dive"]);
        }
    }

    #[test]
    fn a_bad_field_is_named() {
        for (json, field) in [
            (r#"{"item_id":1,"price":-1}"#, "price"),
            (r#"{"item_id":1,"currency":"euro"}"#, "currency"),
            (r#"{"item_id":1,"stock":-1}"#, "stock"),
            (r#"{"item_id":1,"url":"javascript:alert(1)"}"#, "url"),
            (r#"{"item_id":1,"image_url":"//evil"}"#, "image_url"),
            (r#"{"item_id":1,"tags":[""]}"#, "tags"),
            (r#"{"item_id":1,"attributes":{"":"x"}}"#, "attributes"),
        ] {
            assert_eq!(&*item(json).validate().unwrap_err().field, field, "{json}");
        }
        assert_eq!(item(r#"{"item_id":1,"price":9.5,"url":"/p/1","tags":["a"]}"#).validate(), Ok(()));
    }
}
