//! Items that were changed in memory while something was under way that had read them from the store, or had stored them: of
//! these it has not the last word.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use tidings_core::base::ItemId;

/// Changes of items, as long as anybody watches. At most an entry an item.
#[derive(Default)]
pub struct ChangedItems {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Of the last change.
    number: u64,
    /// Number of the last change of each item.
    changed: HashMap<ItemId, u64>,
    /// Number of those who watch, by the number of the last change that they do not see.
    watching: BTreeMap<u64, usize>,
}

impl Known {
    /// Forgets what everybody who watches has seen.
    fn leave(&mut self, since: u64) {
        let oldest = self.watching.keys().next().copied();
        if let Some(n) = self.watching.get_mut(&since) {
            *n -= 1;
            if *n == 0 {
                self.watching.remove(&since);
            }
        }
        match self.watching.keys().next().copied() {
            None => self.changed = HashMap::new(),
            Some(next) if oldest != Some(next) => self.changed.retain(|_, number| *number > next),
            Some(_) => {}
        }
    }
}

impl ChangedItems {
    /// Watches from now on.
    pub fn watch(self: &Arc<Self>) -> Watch {
        let mut known = self.known.lock();
        let since = known.number;
        *known.watching.entry(since).or_default() += 1;
        Watch { items: Arc::clone(self), since: Mutex::new(since) }
    }

    /// Notes that these were changed. Readers see the change already.
    pub fn note(&self, items: &[ItemId]) {
        let mut known = self.known.lock();
        if items.is_empty() || known.watching.is_empty() {
            return;
        }
        known.number += 1;
        let number = known.number;
        known.changed.extend(items.iter().map(|item| (*item, number)));
    }
}

/// Knows what was changed since it began.
pub struct Watch {
    items: Arc<ChangedItems>,
    since: Mutex<u64>,
}

impl Watch {
    /// Returns whether an item was changed.
    pub fn has(&self, item: ItemId) -> bool {
        let since = *self.since.lock();
        self.items.known.lock().changed.get(&item).is_some_and(|number| *number > since)
    }

    /// Items that were changed since it began, or since this was asked last, by id.
    pub fn take(&self) -> Vec<ItemId> {
        let mut since = self.since.lock();
        let mut known = self.items.known.lock();
        let changed = known.changed.iter().filter(|(_, number)| **number > *since);
        let mut items: Vec<ItemId> = changed.map(|(item, _)| *item).collect();
        let now = known.number;
        *known.watching.entry(now).or_default() += 1;
        known.leave(std::mem::replace(&mut *since, now));
        items.sort_unstable();
        items
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.items.known.lock().leave(*self.since.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u32]) -> Vec<ItemId> {
        ids.iter().copied().map(ItemId).collect()
    }

    #[test]
    fn each_sees_what_was_changed_since_it_began_or_asked() {
        let items = Arc::new(ChangedItems::default());
        items.note(&ids(&[1]));
        let first = items.watch();
        items.note(&ids(&[2, 3]));
        let second = items.watch();
        items.note(&ids(&[3]));
        assert!(
            !first.has(ItemId(1)) && first.has(ItemId(2)) && !second.has(ItemId(2)) && second.has(ItemId(3))
        );
        assert_eq!((first.take(), first.take()), (ids(&[2, 3]), Vec::new()));
        items.note(&ids(&[2]));
        assert_eq!((first.take(), second.take()), (ids(&[2]), ids(&[2, 3])));
    }

    #[test]
    fn nothing_is_kept_that_nobody_watches() {
        let items = Arc::new(ChangedItems::default());
        let kept = |items: &ChangedItems| items.known.lock().changed.len();
        let first = items.watch();
        items.note(&ids(&[1, 2]));
        let second = items.watch();
        items.note(&ids(&[2, 3]));
        drop(first);
        assert_eq!(kept(&items), 2);
        drop(second);
        items.note(&ids(&[4]));
        assert_eq!((kept(&items), items.known.lock().watching.len()), (0, 0));
    }
}
