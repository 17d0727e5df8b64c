//! Conditions on items, as a request or a placement names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::{ExternalId, ItemId, Timestamp};
use crate::catalogue::{Catalogue, Currency, Facts, Marks, category_path};

use super::removed::Filter;

/// Most items, tags, attributes and values of an attribute that a filter names.
const MAX_NAMED: usize = 200;
/// Longest text of a filter, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// One value, or several of which any will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OneOrMany {
    /// The only value.
    One(String),
    /// Alternatives.
    Many(Vec<String>),
}

impl OneOrMany {
    fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// Conditions on an item; all that are named must hold. The empty filter lets every item pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ItemFilter {
    /// Only these items; empty = any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ExternalId>,
    /// Beginning of the category path.
    #[serde(deserialize_with = "category_path", skip_serializing_if = "Option::is_none")]
    pub category: Option<Vec<String>>,
    /// Lowest price, major units of `currency`, else of the item's own; an item without a price does not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_price: Option<f64>,
    /// Highest price, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<f64>,
    /// ISO 4217 code of the price; an item passes that has one in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Tags of which the item has at least one; empty = any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Attributes by name, each with the value or values of which one must be the item's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, OneOrMany>,
    /// Most days since the shop first named the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_days: Option<u32>,
}

/// A bound of a filter that is not kept to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FilterError {
    /// Field at fault.
    pub field: &'static str,
    /// Description of a valid value.
    pub message: String,
}

impl ItemFilter {
    /// Lets everything pass.
    pub const NONE: Self = Self {
        items: Vec::new(),
        category: None,
        min_price: None,
        max_price: None,
        currency: None,
        tags: Vec::new(),
        attributes: BTreeMap::new(),
        new_days: None,
    };

    /// Returns whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Checks every bound.
    pub fn validate(&self) -> Result<(), FilterError> {
        let fail = |field, message: String| Err(FilterError { field, message });
        for (field, price) in [("min_price", self.min_price), ("max_price", self.max_price)] {
            if let Some(price) = price.filter(|price| !(price.is_finite() && (0.0..=1e9).contains(price))) {
                return fail(field, format!("must be between 0 and 1e9, is {price}"));
            }
        }
        if let (Some(low), Some(high)) = (self.min_price, self.max_price)
            && low > high
        {
            return fail("min_price", format!("must not be above max_price {high}, is {low}"));
        }
        let is_code = |code: &String| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        if self.currency.as_ref().is_some_and(|code| !is_code(code)) {
            return fail("currency", "must be an ISO 4217 code such as EUR".to_owned());
        }
        let values: usize = self.attributes.values().map(|values| values.values().len()).sum();
        for (field, n) in [("items", self.items.len()), ("tags", self.tags.len()), ("attributes", values)] {
            if n > MAX_NAMED {
                return fail(field, format!("at most {MAX_NAMED}, has {n}"));
            }
        }
        if self.attributes.values().any(|values| values.values().is_empty()) {
            return fail("attributes", "each needs a value".to_owned());
        }
        let is_text = |text: &String| !text.is_empty() && text.len() <= MAX_TEXT_BYTES;
        let category = self.category.iter().flatten();
        let names =
            self.attributes.iter().flat_map(|(name, values)| [name].into_iter().chain(values.values()));
        let texts = [
            ("category", category.clone().all(is_text) && category.count() <= 32),
            ("tags", self.tags.iter().all(is_text)),
            ("attributes", names.into_iter().all(is_text)),
        ];
        match texts.iter().find(|(_, valid)| !valid) {
            Some((field, _)) => fail(*field, format!("texts have 1…{MAX_TEXT_BYTES} bytes")),
            None if self.category.as_ref().is_some_and(Vec::is_empty) => {
                fail("category", "must name at least one level".to_owned())
            }
            None => Ok(()),
        }
    }

    /// For one catalogue, at one moment.
    pub(super) fn compile<'a>(&'a self, catalogue: &'a Catalogue, now: Timestamp) -> Compiled<'a> {
        let inner = |id: &ExternalId| catalogue.find(id).map(|item| item.id);
        let mut items: Vec<ItemId> = self.items.iter().filter_map(inner).collect();
        items.sort_unstable();
        Compiled {
            filter: self,
            catalogue,
            items,
            paths: self.category.as_deref().map(|prefix| catalogue.paths_below(prefix)),
            currency: self.currency.as_deref().and_then(Currency::parse),
            since: self.new_days.map(|days| now.plus_days(-f64::from(days))),
            tags: self.tags.iter().map(|tag| Marks::tag(tag)).collect(),
            attributes: self.attributes.iter().map(marks).collect(),
        }
    }
}

/// A filter with everything looked up that is the same for all items.
#[derive(Debug)]
pub(super) struct Compiled<'a> {
    filter: &'a ItemFilter,
    catalogue: &'a Catalogue,
    /// Sorted.
    items: Vec<ItemId>,
    /// By path, whether it is below the category.
    paths: Option<Vec<bool>>,
    currency: Option<Currency>,
    since: Option<Timestamp>,
    /// Of each tag.
    tags: Vec<Marks>,
    /// Of each attribute, those of its values.
    attributes: Vec<Vec<Marks>>,
}

/// Of the values of an attribute.
fn marks((name, values): (&String, &OneOrMany)) -> Vec<Marks> {
    values.values().iter().map(|value| Marks::attribute(name, value)).collect()
}

impl Compiled<'_> {
    /// The first condition that an item does not meet; `None` for one that passes. Looks at the item itself for tags and
    /// attributes only, where the marks of its facts say that it may have them.
    pub(super) fn refuses(&self, id: ItemId, facts: &Facts) -> Option<Filter> {
        let filter = self.filter;
        if !filter.items.is_empty() && self.items.binary_search(&id).is_err() {
            return Some(Filter::Items);
        }
        if let Some(paths) = &self.paths
            && !facts.path.and_then(|path| paths.get(path.0 as usize)).is_some_and(|below| *below)
        {
            return Some(Filter::Category);
        }
        let price = match self.currency {
            Some(wanted) if facts.currency != Some(wanted) => match self.price_elsewhere(id, facts) {
                None => return Some(Filter::Currency),
                price => price,
            },
            _ => facts.price(),
        };
        let too_low = filter.min_price.is_some_and(|low| price.is_none_or(|price| price < low));
        let too_high = filter.max_price.is_some_and(|high| price.is_none_or(|price| price > high));
        if too_low || too_high {
            return Some(Filter::Price);
        }
        if self.since.is_some_and(|since| facts.created_at < since) {
            return Some(Filter::Age);
        }
        if filter.tags.is_empty() && filter.attributes.is_empty() {
            return None;
        }
        let may_have = |any: &[Marks]| any.iter().any(|marks| facts.marks.may_have(*marks));
        if !self.tags.is_empty() && !may_have(&self.tags) {
            return Some(Filter::Tags);
        }
        if self.tags.is_empty() && !self.attributes.iter().all(|values| may_have(values)) {
            return Some(Filter::Attributes);
        }
        let Some(item) = self.catalogue.get(id) else { return Some(Filter::Attributes) };
        if !filter.tags.is_empty() && !filter.tags.iter().any(|tag| item.tags.contains(tag)) {
            return Some(Filter::Tags);
        }
        let has = |(name, values): (&String, &OneOrMany)| {
            item.attributes.get(name).is_some_and(|value| values.values().contains(value))
        };
        (!filter.attributes.iter().all(has)).then_some(Filter::Attributes)
    }

    /// Price in the currency of the filter, where it is another than the item's own.
    fn price_elsewhere(&self, id: ItemId, facts: &Facts) -> Option<f64> {
        let currency = self.filter.currency.as_deref().filter(|_| facts.is_priced_elsewhere())?;
        self.catalogue.get(id)?.price_in(currency)
    }

    /// Returns whether it names the items that pass.
    pub(super) fn names_items(&self) -> bool {
        !self.filter.items.is_empty()
    }

    /// Returns whether an item of the catalogue passes.
    pub(super) fn admits(&self, id: ItemId) -> bool {
        self.catalogue.facts_of(id).is_some_and(|facts| self.refuses(id, facts).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Item;
    use crate::recommend::fixtures::{START, item};

    fn filter(json: &str) -> ItemFilter {
        serde_json::from_str(json).unwrap()
    }

    fn shop() -> Catalogue {
        let mug = Item {
            category: vec!["Kitchen".into(), "Mugs".into()],
            tags: vec!["gift".into()],
            price: Some(19.99),
            currency: Some("EUR".into()),
            attributes: [("colour".to_owned(), "red".to_owned())].into(),
            ..item(0, "Mug", "")
        };
        Catalogue::from_items([
            mug,
            Item { price: Some(3.0), ..item(1, "Spoon", "Kitchen") },
            item(2, "Watch", "Watches"),
        ])
    }

    #[test]
    fn each_condition_is_obeyed_and_named() {
        let (shop, now) = (shop(), Timestamp::from_seconds(START).plus_days(2.0));
        for (json, passing, refused) in [
            ("{}", vec![0, 1, 2], None),
            (r#"{"category":"Kitchen"}"#, vec![0, 1], Some(Filter::Category)),
            (r#"{"category":["Kitchen","Mugs"]}"#, vec![0], Some(Filter::Category)),
            (r#"{"category":"Kitchen > Plates"}"#, vec![], Some(Filter::Category)),
            (r#"{"min_price":19.99}"#, vec![0], Some(Filter::Price)),
            (r#"{"max_price":3}"#, vec![1], Some(Filter::Price)),
            (r#"{"currency":"EUR"}"#, vec![0], Some(Filter::Currency)),
            (r#"{"tags":["sale","gift"]}"#, vec![0], Some(Filter::Tags)),
            (r#"{"attributes":{"colour":"red"}}"#, vec![0], Some(Filter::Attributes)),
            (r#"{"attributes":{"colour":["blue","red"]}}"#, vec![0], Some(Filter::Attributes)),
            (r#"{"attributes":{"colour":"blue"}}"#, vec![], Some(Filter::Attributes)),
            (r#"{"items":[2,77]}"#, vec![2], Some(Filter::Items)),
            (r#"{"new_days":1}"#, vec![], Some(Filter::Age)),
        ] {
            let filter = filter(json);
            filter.validate().unwrap();
            let compiled = filter.compile(&shop, now);
            let open: Vec<u32> = (0..3).filter(|id| compiled.admits(ItemId(*id))).collect();
            assert_eq!(open, passing, "{json}");
            let first = shop.facts().find_map(|(id, facts)| compiled.refuses(id, facts));
            assert_eq!(first, refused, "{json}");
        }
    }

    #[test]
    fn a_filter_out_of_bounds_is_refused() {
        for (json, field) in [
            (r#"{"min_price":-1}"#, "min_price"),
            (r#"{"max_price":1e12}"#, "max_price"),
            (r#"{"min_price":3,"max_price":2}"#, "min_price"),
            (r#"{"currency":"euro"}"#, "currency"),
            (r#"{"category":[]}"#, "category"),
            (r#"{"tags":[""]}"#, "tags"),
            (r#"{"attributes":{"colour":[]}}"#, "attributes"),
        ] {
            assert_eq!(filter(json).validate().unwrap_err().field, field, "{json}");
        }
        assert!(serde_json::from_str::<ItemFilter>(r#"{"catgory":"A"}"#).is_err());
    }
}
