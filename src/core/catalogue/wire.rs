//! The wire form of an item and its bounds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::bounds::{
    MAX_ATTRIBUTES, MAX_WORD_BYTES, category_path, check_link, check_text, check_words, word_is_valid,
};
use super::embeddings::Embedding;
use super::item_field::{Cleared, ItemField};
use super::local::{LocalPrices, Translations, check_prices, check_translations};
use crate::base::{ExternalId, FieldError};

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
    /// True if it is bought again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumable: Option<bool>,
    /// Vector of a text or picture model, 1…1,024 numbers, as many for every item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
    /// Words in other languages, by BCP 47 tag, at most 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<BTreeMap<String, super::local::Translation>>))]
    pub translations: Option<Translations>,
    /// Prices in other currencies than `currency`, major units by ISO 4217 code, at most 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<BTreeMap<String, f64>>))]
    pub prices: Option<LocalPrices>,
    /// Fields to clear; what is given beside is kept.
    #[serde(skip_deserializing, skip_serializing_if = "Cleared::is_empty")]
    #[cfg_attr(feature = "schema", schema(ignore))]
    pub cleared: Cleared,
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
            embedding: None,
            translations: None,
            prices: None,
            cleared: Cleared::new(),
        }
    }

    /// Direction that the item gets: `None` = it keeps what it has, `Some(None)` = it has none from now on.
    pub fn new_direction(&self) -> Option<Option<Embedding>> {
        match &self.embedding {
            Some(vector) => Some(Embedding::of(vector)),
            None => self.cleared.contains(&ItemField::Embedding).then_some(None),
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
        put(ItemField::Embedding, &mut self.embedding, later.embedding, cleared, clears);
        put(ItemField::Translations, &mut self.translations, later.translations, cleared, clears);
        put(ItemField::Prices, &mut self.prices, later.prices, cleared, clears);
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
    pub fn validate(&self) -> Result<(), FieldError> {
        let fail = |field: &'static str, message: String| Err(FieldError::new("bad_item", field, message));
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
        check_text("title", self.title.as_deref())?;
        check_link("url", self.url.as_deref())?;
        check_link("image_url", self.image_url.as_deref())?;
        check_words("category", self.category.as_deref())?;
        check_words("tags", self.tags.as_deref())?;
        self.translations.as_ref().map_or(Ok(()), check_translations)?;
        self.prices.as_ref().map_or(Ok(()), check_prices)?;
        if let Some(embedding) = &self.embedding {
            Embedding::check(embedding).or_else(|message| fail("embedding", message))?;
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
