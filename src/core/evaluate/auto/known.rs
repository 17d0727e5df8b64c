//! All that is known of one user when a list is made (the history over all kinds, what stays out of the list, what was begun), and the
//! sources it comes from: rows of a file, or profiles of a server.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::base::ItemId;
use crate::recommend::ensemble::{Act, Begun, Context, Histories, Interaction, KindColumn, KindModels};

use super::held_out::{HeldOut, items, newest_first};

/// Source of the cases. The blend is chosen on what a source knows, so a source must know what a list will be made of.
pub trait Source: Sync {
    /// Knowledge of the user of a case; with `columns` also the columns that the source brings along.
    fn known(&self, case: &HeldOut, columns: bool) -> Known<'_>;

    /// Columns of kinds that it brings along, after all other members.
    fn kind_columns(&self) -> &[KindColumn];
}

/// Input of a list.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// Newest first.
    pub history: Vec<(ItemId, f32)>,
    /// Day of the newest interaction.
    pub last_day: Option<f64>,
    /// Items that stay out of the list.
    pub seen: Cow<'a, HashSet<u32>>,
    /// Items that the list is made of; `None` = all.
    pub among: Option<&'a HashSet<u32>>,
    /// Columns brought along.
    pub beside: Vec<f32>,
    /// The continue list.
    pub begun: Vec<ItemId>,
    /// Of the begun items.
    pub values: Vec<f32>,
    /// Width of the columns brought along; 0 = that of the models.
    pub width: usize,
}

impl Known<'_> {
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            history: &self.history,
            last_day: self.last_day,
            beside: &self.beside,
            begun: Begun { items: &self.begun, values: &self.values },
            width: self.width,
            universe: None,
        }
    }

    /// The same of each item below `width`: asked of all of them, looking up each takes as long as scoring.
    pub(super) fn open(&self, width: usize) -> Vec<bool> {
        let mut open = vec![self.among.is_none(); width];
        for (items, is_open) in [(self.among, true), (Some(self.seen.as_ref()), false)] {
            for item in items.into_iter().flatten() {
                open.get_mut(*item as usize).into_iter().for_each(|slot| *slot = is_open);
            }
        }
        open
    }

    /// Returns whether an item may be in the list.
    pub(super) fn allows(&self, item: ItemId) -> bool {
        !self.seen.contains(&item.0) && self.among.is_none_or(|among| among.contains(&item.0))
    }
}

/// The kinds of behaviour beside histories: their models, and the acts of each row.
#[derive(Clone, Copy)]
pub struct Kinds<'a> {
    /// Fitted without what is held out.
    pub models: &'a KindModels,
    /// By row of the histories, oldest first.
    pub acts: &'a [Vec<Act>],
}

/// Rows of a file.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// By row.
    pub histories: Histories<'a>,
    /// Of a file with kinds.
    pub kinds: Option<Kinds<'a>>,
}

impl Source for Rows<'_> {
    fn known(&self, case: &HeldOut, columns: bool) -> Known<'_> {
        let history = case.history(&self.histories);
        let acts = self.kinds.and_then(|kinds| kinds.acts.get(case.row)).map_or(&[][..], Vec::as_slice);
        of_row(history, self.kinds.map(|kinds| kinds.models), acts, columns)
    }

    fn kind_columns(&self) -> &[KindColumn] {
        self.kinds.map_or(&[], |kinds| kinds.models.columns())
    }
}

/// Of a history and, with models of the kinds, of the acts behind it, both oldest first.
pub(super) fn of_row(
    history: &[Interaction],
    kinds: Option<&KindModels>,
    acts: &[Act],
    columns: bool,
) -> Known<'static> {
    let of_kinds = kinds.filter(|_| columns).map(|kinds| kinds.columns_of(acts)).unwrap_or_default();
    Known {
        history: newest_first(history),
        last_day: history.last().map(|one| one.day),
        seen: Cow::Owned(kinds.map_or_else(|| items(history), |kinds| kinds.seen(acts))),
        among: None,
        beside: of_kinds.beside,
        begun: of_kinds.begun,
        values: of_kinds.values,
        width: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_what_is_allowed() {
        let (among, seen) = (HashSet::from([0, 2, 3, 9]), HashSet::from([2, 4, 7]));
        for among in [None, Some(&among)] {
            let known = Known { seen: Cow::Borrowed(&seen), among, ..Known::default() };
            let open = known.open(6);
            assert_eq!(open, (0..6).map(|item| known.allows(ItemId(item))).collect::<Vec<_>>());
            assert!(open[3], "{among:?}");
        }
    }
}
