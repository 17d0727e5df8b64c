//! One item as recommending needs it.

use std::collections::BTreeMap;

use super::local::{Local, Translation};
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
    /// Words and prices for other languages and currencies; `None` = there are none.
    pub local: Option<Box<Local>>,
    /// Moment the shop first named the item.
    pub created_at: Timestamp,
}

/// An item as it is shown in a language and a currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown<'a> {
    /// Human title; `None` = the id stands for it.
    pub title: Option<&'a str>,
    /// Top-level category.
    pub category: Option<&'a str>,
    /// Product page.
    pub url: Option<&'a str>,
    /// Picture.
    pub image_url: Option<&'a str>,
    /// Major units of `currency`.
    pub price: Option<f64>,
    /// ISO 4217.
    pub currency: Option<&'a str>,
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
            local: None,
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
            local: Local::of(
                said.translations.clone().unwrap_or_default(),
                said.prices.clone().unwrap_or_default(),
            ),
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

    /// Returns whether the item can be bought now.
    pub fn in_stock(&self) -> bool {
        self.stock.is_none_or(|units| units > 0)
    }

    /// Currency of the price, where it is one.
    pub fn money_currency(&self) -> Option<Currency> {
        self.currency.as_deref().and_then(Currency::parse)
    }

    /// Tags of the languages that it has words in, beside its own.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.local.iter().flat_map(|local| local.translations.keys().map(String::as_str))
    }

    /// Price in a currency: its own, else that of its prices by currency.
    pub fn price_in(&self, currency: &str) -> Option<f64> {
        match &self.currency {
            Some(own) if own == currency => self.price,
            _ => self.local.as_ref()?.prices.get(currency).copied(),
        }
    }

    /// The item in one of its languages and in a currency; in its own where it has none of them.
    pub fn shown<'a>(&'a self, language: Option<&str>, currency: Option<&'a str>) -> Shown<'a> {
        let local = self.local.as_deref();
        let words = local.zip(language).and_then(|(local, language)| local.translations.get(language));
        let text = |of: fn(&Translation) -> Option<&str>, own: Option<&'a str>| words.and_then(of).or(own);
        let there = currency.and_then(|currency| Some((self.price_in(currency)?, currency)));
        Shown {
            title: text(|words| words.title.as_deref(), self.title.as_deref()),
            category: text(
                |words| words.category.as_ref()?.first().map(String::as_str),
                self.category.first().map(String::as_str),
            ),
            url: text(|words| words.url.as_deref(), self.url.as_deref()),
            image_url: text(|words| words.image_url.as_deref(), self.image_url.as_deref()),
            price: there.map_or(self.price, |(price, _)| Some(price)),
            currency: there.map_or(self.currency.as_deref(), |(_, currency)| Some(currency)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{LocalPrices, Translations};
    use crate::recommend::fixtures::item;

    fn mug() -> Item {
        let german = Translation {
            title: Some("Becher".into()),
            category: Some(vec!["Küche".into(), "Becher".into()]),
            ..Translation::default()
        };
        Item {
            price: Some(10.0),
            currency: Some("EUR".into()),
            url: Some("/mug".into()),
            local: Local::of([("de".to_owned(), german)].into(), [("CHF".to_owned(), 11.0)].into()),
            ..item(0, "Mug", "Kitchen")
        }
    }

    #[test]
    fn what_a_language_lacks_is_as_in_the_own_one() {
        let mug = mug();
        let shown = mug.shown(Some("de"), Some("CHF"));
        assert_eq!((shown.title, shown.category, shown.url), (Some("Becher"), Some("Küche"), Some("/mug")));
        assert_eq!((shown.price, shown.currency), (Some(11.0), Some("CHF")));
        let own = mug.shown(Some("fr"), Some("USD"));
        assert_eq!((own.title, own.price, own.currency), (Some("Mug"), Some(10.0), Some("EUR")));
        assert_eq!(
            (mug.price_in("EUR"), mug.price_in("CHF"), mug.price_in("USD")),
            (Some(10.0), Some(11.0), None)
        );
        assert_eq!(mug.languages().collect::<Vec<_>>(), ["de"]);
        assert_eq!(Local::of(Translations::new(), LocalPrices::new()), None);
    }
}
