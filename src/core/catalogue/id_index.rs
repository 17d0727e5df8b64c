//! The shop's ids → inner ids, in shared pages: a copy shares all pages, a change copies one. Holds hashes only; the catalogue
//! compares the ids themselves. 8 bytes an item.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::base::{ExternalId, ItemId};

/// Mean entries of a page from which there are twice as many pages.
const PAGE: usize = 128;

/// Index from the shop's ids to inner ids, in pages that copies share.
#[derive(Clone, Debug, Default)]
pub(super) struct IdIndex {
    /// A power of two, or none; the page of a hash is its lowest bits.
    pages: Vec<Arc<Vec<(u32, ItemId)>>>,
    len: usize,
}

/// The same in every process: the hasher's keys are fixed.
fn hash(id: &ExternalId) -> u32 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

impl IdIndex {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn place(&self, hash: u32) -> usize {
        hash as usize & self.pages.len().wrapping_sub(1)
    }

    /// Inner ids whose outer id has the hash of this one: nearly always one or none.
    pub(super) fn candidates(&self, id: &ExternalId) -> impl Iterator<Item = ItemId> {
        let wanted = hash(id);
        let page = self.pages.get(self.place(wanted)).map(AsRef::as_ref);
        page.into_iter().flatten().filter(move |(known, _)| *known == wanted).map(|(_, item)| *item)
    }

    /// Adds an id that is not there.
    pub(super) fn insert(&mut self, id: &ExternalId, item: ItemId) {
        if self.len >= PAGE * self.pages.len() {
            self.double();
        }
        let (hash, place) = (hash(id), self.place(hash(id)));
        if let Some(page) = self.pages.get_mut(place) {
            Arc::make_mut(page).push((hash, item));
            self.len += 1;
        }
    }

    /// Lets an id lead to another item.
    pub(super) fn replace(&mut self, id: &ExternalId, before: ItemId, after: ItemId) {
        let (hash, place) = (hash(id), self.place(hash(id)));
        let Some(page) = self.pages.get_mut(place) else { return };
        if let Some(entry) = Arc::make_mut(page).iter_mut().find(|entry| **entry == (hash, before)) {
            entry.1 = after;
        }
    }

    /// Removes an id.
    pub(super) fn remove(&mut self, id: &ExternalId, item: ItemId) {
        let (hash, place) = (hash(id), self.place(hash(id)));
        let Some(page) = self.pages.get_mut(place) else { return };
        if let Some(at) = page.iter().position(|entry| *entry == (hash, item)) {
            Arc::make_mut(page).swap_remove(at);
            self.len -= 1;
        }
    }

    /// Each page becomes two, by the next bit. O(entries), once for each doubling of the catalogue.
    fn double(&mut self) {
        let n = self.pages.len();
        let before = std::mem::take(&mut self.pages);
        if n == 0 {
            self.pages = vec![Arc::default()];
            return;
        }
        let (mut low, mut high) = (Vec::with_capacity(2 * n), Vec::with_capacity(n));
        for page in before {
            let (right, left): (Vec<_>, Vec<_>) =
                page.iter().copied().partition(|(hash, _)| *hash as usize & n != 0);
            low.push(Arc::new(left));
            high.push(Arc::new(right));
        }
        low.append(&mut high);
        self.pages = low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_while_the_pages_double() {
        let id = |n: u32| ExternalId::Integer(i64::from(n) * 7 + 3);
        let mut index = IdIndex::default();
        for n in 0..5_000 {
            index.insert(&id(n), ItemId(n));
        }
        assert_eq!(index.len(), 5_000);
        assert!((0..5_000).all(|n| index.candidates(&id(n)).any(|item| item == ItemId(n))));
        let copy = index.clone();
        index.remove(&id(17), ItemId(17));
        index.replace(&id(18), ItemId(18), ItemId(9_018));
        assert!(!index.candidates(&id(17)).any(|item| item == ItemId(17)));
        assert!(index.candidates(&id(18)).any(|item| item == ItemId(9_018)));
        assert!(copy.candidates(&id(17)).any(|item| item == ItemId(17)));
        assert_eq!((index.len(), copy.len()), (4_999, 5_000));
    }
}
