//! Transitions between clicks: counts of (item, later item) pairs within sessions, each fading with the steps between them. One
//! step: first-order Markov chain; more: sequential rules; both directions, all alike: association rules.
//! Kamehkhosh, Jannach & Ludewig 2017.
//!
//! Counts only add up: a model that learnt sessions one by one is the model fitted on all of them. Time: O(clicks ·
//! steps · log row). Memory: 8 bytes a pair.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::memory::Click;
use super::sparse_scores::SparseScores;

/// Parameters that select the pairs of clicks that count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransitionParameters {
    /// Most steps from one click to the other.
    pub steps: usize,
    /// A pair n steps apart counts n^−power.
    pub power: f32,
    /// Count pairs in both orders.
    pub both_ways: bool,
    /// A pair counts half after this many days; infinite = never. Counted from `since`, so that counts only add up.
    pub half_life_days: f32,
}

impl TransitionParameters {
    /// From each click to the next.
    pub fn markov() -> Self {
        Self { steps: 1, power: 1.0, both_ways: false, half_life_days: f32::INFINITY }
    }

    /// From each click to the later ones, 1 / steps.
    pub fn sequential() -> Self {
        Self { steps: 10, ..Self::markov() }
    }

    /// All pairs of a session.
    pub fn association() -> Self {
        Self { steps: usize::MAX, power: 0.0, both_ways: true, half_life_days: f32::INFINITY }
    }
}

/// Counts of (item, later item) pairs within sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transitions {
    parameters: TransitionParameters,
    /// Seconds since 1970 of weight 1.
    since: i64,
    /// By item: what follows and how much, by item.
    rows: Vec<Vec<(u32, f32)>>,
}

impl Transitions {
    /// Knows nothing; a click at `since` counts 1.
    pub fn new(parameters: TransitionParameters, since: i64) -> Self {
        Self { parameters, since, rows: Vec::new() }
    }

    /// From sessions, oldest click first.
    pub fn fit<'a>(
        sessions: impl IntoIterator<Item = &'a [Click]>,
        parameters: TransitionParameters,
        since: i64,
    ) -> Self {
        let mut model = Self::new(parameters, since);
        for clicks in sessions {
            model.observe(clicks);
        }
        model
    }

    /// Learns a finished session.
    pub fn observe(&mut self, clicks: &[Click]) {
        for (place, later) in clicks.iter().enumerate() {
            let fresh = self.freshness(later);
            let first = place.saturating_sub(self.parameters.steps);
            for (distance, earlier) in (1u32..).zip(clicks.get(first..place).unwrap_or_default().iter().rev())
            {
                let weight = fresh * (distance as f32).powf(-self.parameters.power);
                self.add(earlier.item, later.item, weight);
                if self.parameters.both_ways {
                    self.add(later.item, earlier.item, weight);
                }
            }
        }
    }

    /// Gives back the room that rows have to grow.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rows.iter_mut().for_each(Vec::shrink_to_fit);
    }

    fn freshness(&self, click: &Click) -> f32 {
        let half_life = self.parameters.half_life_days;
        if half_life.is_finite() && half_life > 0.0 {
            let days = (click.at.as_seconds() - self.since) as f32 / 86_400.0;
            (days / half_life).clamp(-60.0, 60.0).exp2()
        } else {
            1.0
        }
    }

    fn add(&mut self, from: ItemId, to: ItemId, weight: f32) {
        if from.index() >= self.rows.len() {
            self.rows.resize_with(from.index() + 1, Vec::new);
        }
        let Some(row) = self.rows.get_mut(from.index()) else { return };
        match row.binary_search_by_key(&to.0, |(item, _)| *item) {
            Ok(place) => {
                if let Some((_, known)) = row.get_mut(place) {
                    *known += weight;
                }
            }
            Err(place) => row.insert(place, (to.0, weight)),
        }
    }

    /// Items that follow an item, each with its weight, by item; empty for an unknown one. O(1).
    pub fn after(&self, item: ItemId) -> &[(u32, f32)] {
        self.rows.get(item.index()).map_or(&[], Vec::as_slice)
    }

    /// Sum of an item's row; 0 for an unknown one. O(row).
    pub fn total(&self, item: ItemId) -> f32 {
        self.after(item).iter().map(|(_, count)| count).sum()
    }

    /// Adds `weight` · the row of `item` to `scores`. O(row).
    pub fn add_scores(&self, item: ItemId, weight: f32, scores: &mut SparseScores) {
        for (other, count) in self.after(item) {
            scores.add(*other, weight * count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::session::memory::tests::clicks;

    fn fit(parameters: TransitionParameters) -> Transitions {
        let sessions = [clicks(0, &[1, 2, 3, 2]), clicks(0, &[1, 2, 2])];
        Transitions::fit(sessions.iter().map(Vec::as_slice), parameters, 0)
    }

    #[test]
    fn counts_are_those_counted_by_hand() {
        let markov = fit(TransitionParameters::markov());
        assert_eq!(markov.after(ItemId(1)), [(2, 2.0)]);
        assert_eq!(markov.after(ItemId(2)), [(2, 1.0), (3, 1.0)]);
        assert_eq!(markov.after(ItemId(3)), [(2, 1.0)]);
        assert!(markov.after(ItemId(9)).is_empty());
        // 1 → 2: 1 + 1/3 in the first session, 1 + 1/2 in the second.
        let sequential = fit(TransitionParameters::sequential());
        let row = sequential.after(ItemId(1));
        assert!((row[0].1 - (1.0 + 1.0 / 3.0 + 1.0 + 0.5)).abs() < 1e-6 && (row[1].1 - 0.5).abs() < 1e-6);
        assert!((sequential.total(ItemId(1)) - 10.0 / 3.0).abs() < 1e-6);
        let association = fit(TransitionParameters::association());
        assert_eq!(association.after(ItemId(3)), [(1, 1.0), (2, 2.0)]);
    }

    #[test]
    fn older_clicks_fade_and_no_clicks_teach_nothing() {
        let fading = TransitionParameters { half_life_days: 1.0, ..TransitionParameters::markov() };
        let mut model = Transitions::new(fading, 2 * 86_400 + 60);
        model.observe(&[]);
        model.observe(&clicks(1_440, &[1, 2]));
        assert!((model.after(ItemId(1))[0].1 - 0.5).abs() < 1e-3);
    }
}
