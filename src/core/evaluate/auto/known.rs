//! All that is known of one user when a list is made: the history over all kinds, what stays out of the list, what was begun.

use std::collections::HashSet;

use crate::base::ItemId;
use crate::recommend::ensemble::{Act, Begun, Context, Histories, Interaction, KindModels};

use super::held_out::{items, newest_first};

/// The kinds of behaviour beside histories: their models, and the acts of each row.
#[derive(Clone, Copy)]
pub struct Kinds<'a> {
    /// Fitted without what is held out.
    pub models: &'a KindModels,
    /// By row of the histories, oldest first.
    pub acts: &'a [Vec<Act>],
}

/// Input of a list.
pub(super) struct Known {
    history: Vec<(ItemId, f32)>,
    last_day: Option<f64>,
    /// Items that stay out of the list.
    pub(super) seen: HashSet<u32>,
    beside: Vec<f32>,
    begun: Vec<ItemId>,
    /// Of the begun items.
    values: Vec<f32>,
}

impl Known {
    /// Of a row of the histories.
    pub(super) fn of_row(histories: &Histories<'_>, kinds: Option<&Kinds<'_>>, row: usize) -> Self {
        let history = histories.rows.get(row).map_or(&[][..], Vec::as_slice);
        let acts = kinds.and_then(|kinds| kinds.acts.get(row)).map_or(&[][..], Vec::as_slice);
        Self::new(history, kinds.map(|kinds| kinds.models), acts)
    }

    /// Items of a row that stay out of its list.
    pub(super) fn seen_in(histories: &Histories<'_>, kinds: Option<&Kinds<'_>>, row: usize) -> HashSet<u32> {
        match kinds {
            Some(kinds) => kinds.models.seen(kinds.acts.get(row).map_or(&[], Vec::as_slice)),
            None => items(histories.rows.get(row).map_or(&[], Vec::as_slice)),
        }
    }

    /// Of a history and, with models of the kinds, of the acts behind it, both oldest first.
    pub(super) fn new(history: &[Interaction], kinds: Option<&KindModels>, acts: &[Act]) -> Self {
        let of_kinds = kinds.map(|kinds| kinds.columns_of(acts)).unwrap_or_default();
        Self {
            history: newest_first(history),
            last_day: history.last().map(|one| one.day),
            seen: kinds.map_or_else(|| items(history), |kinds| kinds.seen(acts)),
            beside: of_kinds.beside,
            begun: of_kinds.begun,
            values: of_kinds.values,
        }
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context {
            history: &self.history,
            last_day: self.last_day,
            beside: &self.beside,
            begun: Begun { items: &self.begun, values: &self.values },
            width: 0,
        }
    }

    /// Whether an item may be in the list.
    pub(super) fn allows(&self, item: ItemId) -> bool {
        !self.seen.contains(&item.0)
    }
}

/// The history over all kinds: each item once, at its newest act, all alike. What a kind is worth is learnt, not set here.
pub(super) fn merged(acts: &[Act]) -> Vec<Interaction> {
    let mut seen = HashSet::new();
    let newest = acts.iter().rev().filter(|act| seen.insert(act.item));
    let mut history: Vec<Interaction> =
        newest.map(|act| Interaction { item: act.item, day: act.day, weight: 1.0 }).collect();
    history.reverse();
    history
}
