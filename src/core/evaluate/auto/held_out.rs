//! Held-out interactions and the histories they belong to.

use std::collections::HashSet;

use crate::base::ItemId;
use crate::recommend::ensemble::{Histories, Interaction};

/// Later interactions of a user, held out.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Row of the histories, or place among the cases of a server.
    pub row: usize,
    /// Items that are to be found, not in the history.
    pub relevant: HashSet<u32>,
}

impl HeldOut {
    /// The history it was held out of, oldest first.
    pub(super) fn history<'a>(&self, histories: &Histories<'a>) -> &'a [Interaction] {
        histories.rows.get(self.row).map_or(&[][..], Vec::as_slice)
    }
}

/// A history as the models want it: newest first.
pub fn newest_first(history: &[Interaction]) -> Vec<(ItemId, f32)> {
    history.iter().rev().map(|one| (ItemId(one.item), one.weight)).collect()
}

/// Items of the history: never recommended here.
pub(super) fn items(history: &[Interaction]) -> HashSet<u32> {
    history.iter().map(|one| one.item).collect()
}

/// At most `most` cases, evenly over all of them.
pub(super) fn spread(cases: &[HeldOut], most: usize) -> Vec<HeldOut> {
    let step = (cases.len() as f64 / most.max(1) as f64).max(1.0);
    (0..most).map_while(|index| cases.get((index as f64 * step) as usize)).cloned().collect()
}
