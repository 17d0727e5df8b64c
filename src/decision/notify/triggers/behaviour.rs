//! Looks at the same item, counted: folded from the same events live and from the tables.

use tidings_core::base::{ItemId, Millis, Timestamp};
use tidings_core::event::{Event, EventKind};

/// Items counted at once; the one looked at longest ago makes room.
const MAX_ITEMS: usize = 16;
/// Looks remembered an item.
const MAX_LOOKS: usize = 20;

/// The latest looks at the latest items: at most 16 items of 20 moments, 3 KB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Views {
    /// The item looked at last comes last.
    items: Vec<(ItemId, Vec<Timestamp>)>,
}

impl Views {
    /// Folds one event in. A purchase ends the counting of its item. O(items).
    pub fn apply(&mut self, event: &Event) {
        let Some(item) = event.item else { return };
        let place = self.items.iter().position(|(known, _)| *known == item);
        match event.kind {
            EventKind::View => {
                let mut looks = place.map(|place| self.items.remove(place).1).unwrap_or_default();
                if looks.len() >= MAX_LOOKS {
                    looks.remove(0);
                }
                looks.push(event.occurred_at);
                if self.items.len() >= MAX_ITEMS {
                    self.items.remove(0);
                }
                self.items.push((item, looks));
            }
            EventKind::Purchase | EventKind::PurchaseClaim => {
                if let Some(place) = place {
                    self.items.remove(place);
                }
            }
            _ => {}
        }
    }

    /// Looks at the item within the window that ends now.
    pub fn count(&self, item: ItemId, within: Millis, now: Timestamp) -> usize {
        let since = now - within;
        self.items
            .iter()
            .find(|(known, _)| *known == item)
            .map_or(0, |(_, looks)| looks.iter().filter(|at| **at > since).count())
    }
}
