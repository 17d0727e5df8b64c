//! The few facts of an item that filters read, kept beside each other: a list of 1,000,000 items is filtered without following
//! a pointer.

use crate::base::Timestamp;

use super::categories::PathId;
use super::item::{Item, Standing};
use super::prices::Currency;

/// Facts of one item. 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// Major units of `currency`; NaN = none.
    pub(super) price: f64,
    /// Moment the shop first named the item.
    pub created_at: Timestamp,
    /// Category path.
    pub path: Option<PathId>,
    /// ISO 4217 code.
    pub currency: Option<Currency>,
    /// Can be bought now.
    pub in_stock: bool,
    /// Amount that the catalogue says of it.
    pub standing: Standing,
    /// Marks of its tags and attributes.
    pub marks: Marks,
    /// It has prices in other currencies.
    pub(super) is_priced_elsewhere: bool,
}

/// A few bits for each tag and each attribute of an item: where a bit is missing, the item has no such tag or attribute; where all
/// are there it may. So a filter looks at the few items that may pass, and at no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// Of a tag.
    pub fn tag(tag: &str) -> Self {
        Self::of("", tag)
    }

    /// Of an attribute with a value.
    pub fn attribute(name: &str, value: &str) -> Self {
        Self::of(name, value)
    }

    /// Two bits of 64. FNV-1a; a tag is an attribute without a name.
    fn of(name: &str, value: &str) -> Self {
        let bytes = name.bytes().chain(std::iter::once(0)).chain(value.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(1 << (hash >> 58) | 1 << (hash >> 52 & 63))
    }

    fn of_item(item: &Item) -> Self {
        let tags = item.tags.iter().map(|tag| Self::tag(tag));
        let attributes = item.attributes.iter().map(|(name, value)| Self::attribute(name, value));
        Self(tags.chain(attributes).fold(0, |all, marks| all | marks.0))
    }

    /// Returns whether all marks of `other` are among these.
    pub fn may_have(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            price: f64::NAN,
            created_at: Timestamp(0),
            path: None,
            currency: None,
            in_stock: false,
            standing: Standing::Named,
            marks: Marks::default(),
            is_priced_elsewhere: false,
        }
    }
}

impl Facts {
    pub(super) fn of(item: &Item, path: Option<PathId>) -> Self {
        Self {
            price: item.price.unwrap_or(f64::NAN),
            created_at: item.created_at,
            path,
            currency: item.money_currency(),
            in_stock: item.in_stock(),
            standing: item.standing(),
            marks: Marks::of_item(item),
            is_priced_elsewhere: item.local.as_ref().is_some_and(|local| !local.prices.is_empty()),
        }
    }

    /// Returns whether the item has prices in other currencies.
    pub fn is_priced_elsewhere(&self) -> bool {
        self.is_priced_elsewhere
    }

    /// Price in major units; `None` where there is none.
    pub fn price(&self) -> Option<f64> {
        self.price.is_finite().then_some(self.price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::fixtures::item;

    #[test]
    fn what_an_item_has_is_marked_and_little_of_what_it_has_not() {
        let words: Vec<String> = (0..400).map(|n| format!("word {n}")).collect();
        let mut marked = item(0, "Mug", "Kitchen");
        marked.tags = words[..4].to_vec();
        marked.attributes = words[4..8].iter().map(|word| ("colour".to_owned(), word.clone())).collect();
        marked.attributes.insert("size".to_owned(), "4".to_owned());
        let marks = Facts::of(&marked, None).marks;
        assert!(marked.tags.iter().all(|tag| marks.may_have(Marks::tag(tag))));
        assert!(marked.attributes.iter().all(|(name, value)| marks.may_have(Marks::attribute(name, value))));
        let wrong = words[8..].iter().filter(|word| marks.may_have(Marks::tag(word))).count();
        assert!(wrong < 40, "{wrong} of 392");
        assert!(marks.may_have(Marks::default()) && !Marks::default().may_have(Marks::tag("a")));
    }
}
