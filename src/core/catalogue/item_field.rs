//! Fields of an item that an update may clear.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

/// A field that can be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemField {
    /// Human title.
    Title,
    /// Category path.
    Category,
    /// Free tags.
    Tags,
    /// Price.
    Price,
    /// Its currency.
    Currency,
    /// Units on hand.
    Stock,
    /// Product page.
    Url,
    /// Picture.
    ImageUrl,
    /// Anything else.
    Attributes,
    /// Bought again and again.
    Consumable,
    /// Vector of a text or picture model.
    Embedding,
    /// Words in other languages.
    Translations,
    /// Prices in other currencies.
    Prices,
}

impl ItemField {
    /// Every field.
    pub const ALL: [Self; 13] = [
        Self::Title,
        Self::Category,
        Self::Tags,
        Self::Price,
        Self::Currency,
        Self::Stock,
        Self::Url,
        Self::ImageUrl,
        Self::Attributes,
        Self::Consumable,
        Self::Embedding,
        Self::Translations,
        Self::Prices,
    ];

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Category => "category",
            Self::Tags => "tags",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::Stock => "stock",
            Self::Url => "url",
            Self::ImageUrl => "image_url",
            Self::Attributes => "attributes",
            Self::Consumable => "consumable",
            Self::Embedding => "embedding",
            Self::Translations => "translations",
            Self::Prices => "prices",
        }
    }
}

impl Serialize for ItemField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Fields that an update clears.
pub type Cleared = BTreeSet<ItemField>;
