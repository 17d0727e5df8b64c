//! Seasonal popularity, of the time when a user was last active: by span of days, faded. Memory: 4 bytes · items · spans,
//! bounded.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops; each index is bounded by n_items where it is made"
)]

use serde::{Deserialize, Serialize};

use super::histories::Histories;

/// Bytes of the table of seasons.
const SEASON_BYTES: usize = 16 << 20;
/// Fewer seasons than this say nothing.
const FEWEST_SEASONS: usize = 30;

/// Popularity as of the end of each span of days, faded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seasons {
    pub(super) half_life: f32,
    first_day: f64,
    days: f64,
    /// Span after span, an item each.
    faded: Vec<f32>,
}

impl Seasons {
    /// `None` where the span is too short, or there are too many items for a table.
    pub(super) fn new(histories: &Histories<'_>, half_life: f32) -> Option<Self> {
        let n = histories.n_items;
        let days = histories.rows.iter().flatten().map(|one| one.day);
        let first_day = days.fold(f64::INFINITY, f64::min).floor();
        let span = histories.newest() - first_day + 1.0;
        let most = SEASON_BYTES / 4 / n.max(1);
        let n_seasons = (span.ceil() as usize).min(most);
        if !span.is_finite() || n_seasons < FEWEST_SEASONS {
            return None;
        }
        let days = span / n_seasons as f64;
        let mut season = Self { half_life, first_day, days, faded: vec![0f32; n_seasons * n] };
        for one in histories.rows.iter().flatten() {
            let place = season.place(one.day, n) + one.item as usize;
            season.faded[place] += 1.0;
        }
        let fade = (-days / f64::from(half_life)).exp2() as f32;
        for later in 1..n_seasons {
            let (before, own) = season.faded.split_at_mut(later * n);
            let before = &before[(later - 1) * n..];
            own[..n].iter_mut().zip(before).for_each(|(own, before)| *own += fade * before);
        }
        Some(season)
    }

    fn place(&self, day: f64, n: usize) -> usize {
        let last = (self.faded.len() / n.max(1)).saturating_sub(1);
        (((day - self.first_day) / self.days).max(0.0) as usize).min(last) * n
    }

    pub(super) fn at(&self, day: f64, n: usize) -> &[f32] {
        let from = self.place(day, n);
        &self.faded[from..from + n]
    }

    pub(super) fn is_sound(&self, n: usize) -> bool {
        n > 0
            && !self.faded.is_empty()
            && self.faded.len().is_multiple_of(n)
            && self.days > 0.0
            && self.first_day.is_finite()
            && self.faded.iter().all(|value| value.is_finite())
    }
}
