//! Kinds of events of the shop's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// Most kinds: their codes are 100…199.
const MAX_KINDS: usize = 100;
const MAX_NAME_BYTES: usize = 32;
/// Names that are taken; a test of the kinds compares them.
pub(crate) const BUILT_IN: [&str; 10] = [
    "view",
    "search",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "return",
    "like",
    "rate",
    "purchase_claim",
    "return_claim",
];

/// Kinds of the shop's own, by name.
pub type Kinds = BTreeMap<String, KindSetting>;

/// One kind: its weight, or a table of weight and `item`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KindSetting {
    /// Weight of a kind whose events name an item.
    Weight(f32),
    /// The same, and whether they do.
    Full(KindTable),
}

/// A kind as a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindTable {
    /// Strength as a sign of interest; a purchase is 1, below 0 takes interest away.
    pub weight: f32,
    /// An event names an item.
    #[serde(default = "yes")]
    pub item: bool,
}

fn yes() -> bool {
    true
}

impl KindSetting {
    /// Strength as a sign of interest, −1…1.
    pub fn weight(&self) -> f32 {
        match self {
            Self::Weight(weight) => *weight,
            Self::Full(table) => table.weight,
        }
    }

    /// Returns whether an event names an item.
    pub fn needs_item(&self) -> bool {
        match self {
            Self::Weight(_) => true,
            Self::Full(table) => table.item,
        }
    }
}

/// Checks names and weights.
pub(super) fn validate(kinds: &Kinds) -> Result<(), ConfigError> {
    within("event.kinds", kinds.len(), 0, MAX_KINDS)?;
    for (name, kind) in kinds {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_word) {
            return invalid(
                "event.kinds",
                format!("names are 1…{MAX_NAME_BYTES} of a-z, 0-9 and _, one is \"{name}\""),
            );
        }
        if BUILT_IN.contains(&name.as_str()) {
            return invalid("event.kinds", format!("{name} is a kind already"));
        }
        if !(-1.0..=1.0).contains(&kind.weight()) {
            return invalid(
                "event.kinds",
                format!("the weight of {name} must be -1…1, is {}", kind.weight()),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Kinds {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_kind_is_a_weight_or_a_table_and_its_name_is_new() {
        let good = kinds("wishlist = 0.5\nlike_less = -1\nquiz = { weight = 0, item = false }\n");
        assert_eq!(validate(&good), Ok(()));
        let of = |name: &str| (good[name].weight(), good[name].needs_item());
        assert_eq!((of("wishlist"), of("like_less"), of("quiz")), ((0.5, true), (-1.0, true), (0.0, false)));
        for bad in ["view = 0.5", "Wish = 0.5", "wish = 1.5", "wish = nan", "\"\" = 0.1"] {
            assert!(validate(&kinds(bad)).is_err(), "{bad}");
        }
        assert!(toml::from_str::<Kinds>("wish = { weight = 1, items = true }").is_err());
    }
}
