//! Input of the fit: one history a user.

use crate::recommend::models::interactions::{Entry, Matrix};

/// Newest items of one history that count in similarities.
const HISTORY_CAP: usize = 1_000;

/// One item of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// Inner id of the item, below `n_items`.
    pub item: u32,
    /// Time of the interaction, in days since 1970.
    pub day: f64,
    /// Interest, > 0.
    pub weight: f32,
}

/// Histories, each oldest first, no item twice.
#[derive(Clone, Copy, Debug)]
pub struct Histories<'a> {
    /// By user.
    pub rows: &'a [Vec<Interaction>],
    /// One more than the largest item.
    pub n_items: usize,
}

impl Histories<'_> {
    /// The interaction matrix.
    pub fn matrix(&self) -> Matrix {
        let newest = self.newest();
        let entry = |one: &Interaction| Entry {
            item: one.item,
            weight: one.weight,
            age_days: (newest - one.day) as f32,
            bought: true,
        };
        Matrix::from_entries(
            self.rows.iter().map(|row| row.iter().rev().take(HISTORY_CAP).map(entry).collect()),
            self.n_items,
        )
    }

    /// Returns whether any history has an order in time: two of its items of different moments.
    pub fn are_ordered(&self) -> bool {
        self.rows.iter().any(|row| row.windows(2).any(|pair| matches!(pair, [a, b] if a.day < b.day)))
    }

    pub(super) fn newest(&self) -> f64 {
        self.rows.iter().flatten().map(|one| one.day).fold(0.0, f64::max)
    }
}
