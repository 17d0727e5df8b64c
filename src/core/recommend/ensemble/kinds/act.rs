//! Acts of a user with their kind, and what of one kind a user had to do with each item.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::recommend::ensemble::histories::Interaction;

/// The kind that is to be predicted.
pub const TARGET: u8 = 0;

/// One act of a user on an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Act {
    /// Inner id of the item.
    pub item: u32,
    /// Number of the kind; [`TARGET`] is the one to be predicted.
    pub kind: u8,
    /// Time, in days since 1970.
    pub day: f64,
}

/// Items in `acts` that stay out of lists; `masked` says of each kind whether what was touched does.
pub fn masked_items(acts: &[Act], masked: &[bool]) -> HashSet<u32> {
    let is_masked = |act: &&Act| masked.get(usize::from(act.kind)).is_some_and(|masked| *masked);
    acts.iter().filter(is_masked).map(|act| act.item).collect()
}

/// The history over all kinds: each item once, at its newest act, all alike. What a kind is worth is learnt, not set here.
pub fn merged(acts: &[Act]) -> Vec<Interaction> {
    let mut seen = HashSet::new();
    let newest = acts.iter().rev().filter(|act| seen.insert(act.item));
    let mut history: Vec<Interaction> =
        newest.map(|act| Interaction { item: act.item, day: act.day, weight: 1.0 }).collect();
    history.reverse();
    history
}

/// All acts of one kind of a user on one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Touch {
    pub(super) item: u32,
    /// Number of acts.
    pub(super) count: u32,
    /// Day of the newest.
    pub(super) day: f64,
}

/// The items of one kind in `acts` (oldest first), by their newest act, newest first; at most `most` of them.
pub(super) fn touches(acts: &[Act], kind: u8, most: usize) -> Vec<Touch> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut list: Vec<Touch> = Vec::new();
    for act in acts.iter().rev().filter(|act| act.kind == kind) {
        match places.entry(act.item) {
            Entry::Occupied(place) => {
                if let Some(touch) = list.get_mut(*place.get()) {
                    touch.count += 1;
                }
            }
            Entry::Vacant(place) if list.len() < most => {
                place.insert(list.len());
                list.push(Touch { item: act.item, count: 1, day: act.day });
            }
            Entry::Vacant(_) => {}
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touches_are_counted_by_item_newest_first() {
        let act = |item, kind, day| Act { item, kind, day };
        let acts = [act(7, 1, 1.0), act(8, 1, 2.0), act(7, 0, 3.0), act(7, 1, 4.0), act(9, 1, 4.0)];
        let touch = |item, count, day| Touch { item, count, day };
        assert_eq!(touches(&acts, 1, 9), [touch(9, 1, 4.0), touch(7, 2, 4.0), touch(8, 1, 2.0)]);
        assert_eq!(touches(&acts, 1, 2), [touch(9, 1, 4.0), touch(7, 2, 4.0)]);
        assert_eq!(touches(&acts, TARGET, 9), [touch(7, 1, 3.0)]);
        assert!(touches(&acts, 5, 9).is_empty());
    }
}
