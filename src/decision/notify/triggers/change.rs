//! Changes of an item that can fire triggers.

use tidings_core::base::ItemId;
use tidings_core::catalogue::Item;

/// Change of an item by an update of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// It costs less.
    Cheaper {
        /// Item that became cheaper.
        item: ItemId,
        /// Price before the change.
        before: f64,
        /// Price after the change.
        after: f64,
    },
    /// It can be bought again.
    BackInStock(ItemId),
    /// It was not there before.
    New(ItemId),
}

impl Change {
    /// The changes from one state of an item to the next, if any.
    pub fn between(before: Option<&Item>, after: &Item) -> Vec<Self> {
        // An item that an event named first becomes new when the catalogue tells its title.
        let Some(before) = before.filter(|before| before.title.is_some()) else {
            return if after.title.is_some() && after.in_stock() {
                vec![Self::New(after.id)]
            } else {
                Vec::new()
            };
        };
        let mut changes = Vec::new();
        if let (Some(was), Some(is)) = (before.price, after.price)
            && is < was
            && before.currency == after.currency
        {
            changes.push(Self::Cheaper { item: after.id, before: was, after: is });
        }
        if !before.in_stock() && after.in_stock() {
            changes.push(Self::BackInStock(after.id));
        }
        changes
    }

    /// Item that changed.
    pub fn item(self) -> ItemId {
        match self {
            Self::Cheaper { item, .. } | Self::BackInStock(item) | Self::New(item) => item,
        }
    }
}
