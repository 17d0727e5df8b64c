//! One item as recommending needs it.

use std::collections::BTreeMap;

use super::prices::Currency;
use super::wire::NewItem;
use crate::base::{ExternalId, ItemId, Timestamp};

/// Amount that the catalogue says of an item; the more, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Only its id, which events have named.
    Named,
    /// Something that the shop says of it, such as a category, but no title.
    Described,
    /// A title.
    Titled,
}

/// One item as recommending needs it. Items that only events have named carry no title.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Dense id.
    pub id: ItemId,
    /// The shop's id.
    pub external_id: ExternalId,
    /// Human title; `None` until the catalogue says one.
    pub title: Option<String>,
    /// Category path from general to special, e.g. `["Watches", "Dive watches"]`.
    pub category: Vec<String>,
    /// Free tags.
    pub tags: Vec<String>,
    /// Price in major units of `currency`, ≥ 0.
    pub price: Option<f64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Units on hand; `None` = not tracked (always available), 0 = out of stock.
    pub stock: Option<i32>,
    /// Product page.
    pub url: Option<String>,
    /// Picture.
    pub image_url: Option<String>,
    /// Anything else, e.g. brand or colour.
    pub attributes: BTreeMap<String, String>,
    /// Bought again and again (food, cosmetics): a purchase does not hide it.
    pub consumable: bool,
    /// Moment the shop first named the item.
    pub created_at: Timestamp,
}

impl Item {
    /// An item of which nothing but its id is known.
    pub fn named(id: ItemId, external_id: ExternalId, created_at: Timestamp) -> Self {
        Self {
            id,
            external_id,
            title: None,
            category: Vec::new(),
            tags: Vec::new(),
            price: None,
            currency: None,
            stock: None,
            url: None,
            image_url: None,
            attributes: BTreeMap::new(),
            consumable: false,
            created_at,
        }
    }

    /// An item that there was nothing of before.
    pub fn made(id: ItemId, said: &NewItem, created_at: Timestamp) -> Self {
        Self {
            title: said.title.clone(),
            category: said.category.clone().unwrap_or_default(),
            tags: said.tags.clone().unwrap_or_default(),
            price: said.price,
            currency: said.currency.clone(),
            stock: said.stock,
            url: said.url.clone(),
            image_url: said.image_url.clone(),
            attributes: said.attributes.clone().unwrap_or_default(),
            consumable: said.consumable.unwrap_or(false),
            ..Self::named(id, said.item_id.clone(), created_at)
        }
    }

    /// The title, or the id when there is none.
    pub fn name(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.external_id.to_string())
    }

    /// Amount that the catalogue says of it. A price alone says nothing: purchases name one too.
    pub fn standing(&self) -> Standing {
        let is_described = !self.category.is_empty()
            || !self.tags.is_empty()
            || !self.attributes.is_empty()
            || self.stock.is_some()
            || self.url.is_some()
            || self.image_url.is_some();
        match &self.title {
            Some(title) if !title.trim().is_empty() => Standing::Titled,
            _ if is_described => Standing::Described,
            _ => Standing::Named,
        }
    }

    /// Whether the item can be bought now.
    pub fn in_stock(&self) -> bool {
        self.stock.is_none_or(|units| units > 0)
    }

    /// Currency of the price, where it is one.
    pub fn money_currency(&self) -> Option<Currency> {
        self.currency.as_deref().and_then(Currency::parse)
    }
}
