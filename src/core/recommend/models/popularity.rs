//! Current popularity: summed interest by item, halving with age; overall, by top-level category and by segment.
//! The fallback for users nobody knows yet, and a column of the blend.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::catalogue::Catalogue;
use crate::profile::SegmentId;

use super::interactions::Matrix;

/// Items kept overall, and in each category and segment.
const TOP_OVERALL: usize = 500;
const TOP_GROUP: usize = 100;

/// Most that one user adds to an item: three times the interest of a first purchase, where no purchase stands behind it. Whoever has a
/// token of a user may like an item as often as they want, and makes it no more popular than a few people would.
const MOST_OF_ONE: f32 = 3.0;
/// The same where one does, which only the shop reports: 63 of them.
const MOST_OF_BUYER: f32 = 6.0;

/// Items with their popularity, best first, ties by id.
type Ranking = Vec<(ItemId, f32)>;

/// Popularity 0…1: `ln(1 + sum) / ln(1 + largest sum)`, since sums are heavy-tailed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Popularity {
    /// By item, dense.
    scores: Vec<f32>,
    /// The sum that scores 1.
    largest: f32,
    top: Ranking,
    /// By category *name*: the ids are those of one process.
    by_category: BTreeMap<String, Ranking>,
    /// By segment, scaled to the segment's most popular item.
    by_segment: Vec<Ranking>,
}

impl Popularity {
    /// From the interaction matrix. `segment_of(row)` tells a user's segment. O(entries + items log items).
    pub fn fit(
        matrix: &Matrix,
        catalogue: &Catalogue,
        half_life_days: f64,
        n_segments: usize,
        segment_of: impl Fn(usize) -> Option<SegmentId>,
    ) -> Self {
        let width = matrix.n_items();
        let mut sums = vec![0f32; width];
        let mut segment_sums = vec![vec![0f32; width]; n_segments];
        for (row, entries) in matrix.rows().enumerate() {
            let mut segment = segment_of(row).and_then(|id| segment_sums.get_mut(usize::from(id.0)));
            for entry in entries {
                let fresh = if half_life_days.is_finite() && half_life_days > 0.0 {
                    (-f64::from(entry.age_days) / half_life_days).exp2() as f32
                } else {
                    1.0
                };
                let most = if entry.bought { MOST_OF_BUYER } else { MOST_OF_ONE };
                let weight = entry.weight.min(most) * fresh;
                let index = entry.item as usize;
                if let Some(sum) = sums.get_mut(index) {
                    *sum += weight;
                }
                if let Some(sum) = segment.as_mut().and_then(|sums| sums.get_mut(index)) {
                    *sum += weight;
                }
            }
        }
        let scores = log_scaled(&sums);
        let largest = sums.iter().copied().fold(0.0, f32::max);
        let mut groups: BTreeMap<String, Ranking> = BTreeMap::new();
        for (item, score) in (0u32..).map(ItemId).zip(&scores).filter(|(_, score)| **score > 0.0) {
            if let Some(name) = catalogue.category_of(item).and_then(|id| catalogue.category_name(id)) {
                groups.entry(name.to_owned()).or_default().push((item, *score));
            }
        }
        for ranking in groups.values_mut() {
            keep_best(ranking, TOP_GROUP);
        }
        let ranked = |scores: &[f32], n: usize| {
            let mut ranking: Ranking =
                (0u32..).map(ItemId).zip(scores.iter().copied()).filter(|(_, score)| *score > 0.0).collect();
            keep_best(&mut ranking, n);
            ranking
        };
        Self {
            top: ranked(&scores, TOP_OVERALL),
            by_category: groups,
            by_segment: segment_sums.iter().map(|sums| ranked(&log_scaled(sums), TOP_GROUP)).collect(),
            scores,
            largest,
        }
    }

    /// 0…1; 0 for an unknown item.
    pub fn score(&self, item: ItemId) -> f32 {
        self.scores.get(item.index()).copied().unwrap_or(0.0)
    }

    /// All of them, by item.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The same with interest shown since training: what training again would say, but for the ageing of the rest. May pass 1
    /// by a little where an item overtakes all others. O(1).
    pub fn score_with(&self, item: ItemId, interest: f32) -> f32 {
        let whole = self.largest.max(1.0).ln_1p();
        let before = (self.score(item) * self.largest.ln_1p()).exp_m1();
        let score = (before + interest.max(0.0)).ln_1p() / whole;
        if score.is_finite() { score } else { self.score(item) }
    }

    /// One more than the largest item known.
    pub fn width(&self) -> usize {
        self.scores.len()
    }

    /// Every score a number? Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        let rankings = self.by_category.values().chain(&self.by_segment).chain([&self.top]);
        self.largest.is_finite()
            && self.scores.iter().all(|score| score.is_finite())
            && rankings.flatten().all(|(_, score)| score.is_finite())
    }

    /// Most popular overall.
    pub fn top(&self) -> &[(ItemId, f32)] {
        &self.top
    }

    /// Most popular in a category, by its name; empty for an unknown one.
    #[cfg(test)]
    fn in_category(&self, name: &str) -> &[(ItemId, f32)] {
        self.by_category.get(name).map_or(&[], Vec::as_slice)
    }

    /// Most popular in a segment; empty for an unknown one.
    pub fn in_segment(&self, segment: SegmentId) -> &[(ItemId, f32)] {
        self.by_segment.get(usize::from(segment.0)).map_or(&[], Vec::as_slice)
    }
}

fn log_scaled(sums: &[f32]) -> Vec<f32> {
    let largest = sums.iter().copied().fold(0.0, f32::max);
    if largest <= 0.0 {
        return vec![0.0; sums.len()];
    }
    sums.iter().map(|sum| (sum.max(0.0).ln_1p() / largest.ln_1p()).clamp(0.0, 1.0)).collect()
}

fn keep_best(ranking: &mut Ranking, n: usize) {
    ranking.sort_by(|(a_id, a), (b_id, b)| b.total_cmp(a).then(a_id.cmp(b_id)));
    ranking.truncate(n);
    ranking.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::event::{Event, EventKind};
    use crate::recommend::fixtures::{event, shop};
    use crate::recommend::models::interactions::Weighting;

    fn fit(events: &[Event], half_life_days: f64) -> Popularity {
        let weighting = Weighting { half_life_days: 0.0, history_cap: 100 };
        let matrix = Matrix::from_events(events, 4, &weighting, |_| ControlFlow::Continue(())).unwrap();
        let segment = |row: usize| (row < 4).then_some(SegmentId(u8::from(row >= 2)));
        Popularity::fit(&matrix, &shop(), half_life_days, 2, segment)
    }

    fn bought(user: u32, item: u32, day: f64) -> Event {
        event(user, EventKind::Purchase, item, day)
    }

    #[test]
    fn popularity_is_scaled_by_logarithm_overall_by_category_and_by_segment() {
        let events = [bought(0, 0, 0.0), bought(1, 0, 0.0), bought(2, 0, 0.0), bought(3, 3, 0.0)];
        let popularity = fit(&events, 0.0);
        assert_eq!(popularity.score(ItemId(0)), 1.0);
        assert!((popularity.score(ItemId(3)) - 2f32.ln() / 4f32.ln()).abs() < 1e-6);
        assert_eq!(popularity.score(ItemId(1)), 0.0);
        assert_eq!(popularity.score(ItemId(1_000)), 0.0);
        let ids = |ranking: &[(ItemId, f32)]| ranking.iter().map(|(item, _)| item.0).collect::<Vec<_>>();
        assert_eq!(ids(popularity.top()), [0, 3]);
        assert_eq!(ids(popularity.in_category("Kitchen")), [3]);
        assert!(popularity.in_category("Toys").is_empty());
        assert_eq!(ids(popularity.in_segment(SegmentId(0))), [0]);
        assert_eq!(ids(popularity.in_segment(SegmentId(1))), [0, 3]);
        assert!(popularity.in_segment(SegmentId(9)).is_empty());
    }

    #[test]
    fn one_user_alone_makes_no_item_popular() {
        let ordinary = [bought(0, 0, 0.0), bought(1, 0, 0.0), bought(2, 0, 0.0), bought(3, 0, 0.0)];
        let liked = |n: usize| {
            let likes = (0..n).map(|_| event(3, EventKind::Like, 3, 0.0));
            fit(&ordinary.iter().cloned().chain(likes).collect::<Vec<Event>>(), 0.0)
        };
        let many = liked(12_000);
        assert_eq!(many.top()[0].0, ItemId(0));
        assert!((many.score(ItemId(3)) - 4f32.ln() / 5f32.ln()).abs() < 1e-6, "as three buyers");
        // What people do counts as it did.
        assert!((liked(1).score(ItemId(3)) - 1.7f32.log2().ln_1p() / 5f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn what_was_bought_long_ago_fades() {
        let events = [bought(0, 0, 0.0), bought(1, 0, 0.0), bought(2, 1, 60.0)];
        assert_eq!(fit(&events, 0.0).top()[0].0, ItemId(0));
        assert_eq!(fit(&events, 30.0).top()[0].0, ItemId(1));
    }
}
