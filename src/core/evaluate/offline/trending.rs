//! Trending items: users in the newest window against those in the window before, and popularity within one window. Ages count
//! from the newest event of the matrix, as everywhere.
//!
//! Score of an item: (recent − before) / √(recent + before + smoothing), the excess in standard deviations of a count
//! (Poisson), so that a jump from 0 to 1 does not beat one from 50 to 80; the smoothing holds rare items back.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use crate::recommend::models::interactions::Matrix;

/// Parameters of the newest window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendingParameters {
    /// Length of both windows in days, > 0.
    pub window_days: f32,
    /// Interest that every item is taken to have had already, ≥ 0.
    pub smoothing: f32,
}

impl Default for TrendingParameters {
    fn default() -> Self {
        Self { window_days: 7.0, smoothing: 10.0 }
    }
}

/// Trend score of each item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trending {
    /// By item, any sign.
    scores: Vec<f32>,
}

/// Summed interest by item of the cells whose age in days lies in `from..to`; all 0 without any. O(cells).
pub fn window_sums(matrix: &Matrix, from: f32, to: f32) -> Vec<f32> {
    let mut sums = vec![0f32; matrix.n_items()];
    for entry in matrix.rows().flatten().filter(|entry| (from..to).contains(&entry.age_days)) {
        if let Some(sum) = sums.get_mut(entry.item as usize) {
            *sum += entry.weight;
        }
    }
    sums
}

impl Trending {
    /// From the ages in the matrix; a window that is not positive or no number gives 0 everywhere. O(cells).
    pub fn fit(matrix: &Matrix, parameters: &TrendingParameters) -> Self {
        let window = parameters.window_days;
        if !(window.is_finite() && window > 0.0) {
            return Self { scores: vec![0.0; matrix.n_items()] };
        }
        let smoothing = if parameters.smoothing.is_finite() { parameters.smoothing.max(0.0) } else { 0.0 };
        let recent = window_sums(matrix, 0.0, window);
        let before = window_sums(matrix, window, 2.0 * window);
        let score = |(recent, before): (&f32, &f32)| {
            let spread = (recent + before + smoothing).sqrt();
            if spread > 0.0 { (recent - before) / spread } else { 0.0 }
        };
        Self { scores: recent.iter().zip(&before).map(score).collect() }
    }

    /// Standard deviations above (or, negative, below) the window before; 0 for an unknown item.
    pub fn score(&self, item: ItemId) -> f32 {
        self.scores.get(item.index()).copied().unwrap_or(0.0)
    }

    /// Items on the rise, fastest first, ties by id, at most `n`. O(items log items).
    pub fn top(&self, n: usize) -> Vec<(ItemId, f32)> {
        let mut rising: Vec<_> =
            (0u32..).map(ItemId).zip(self.scores.iter().copied()).filter(|(_, score)| *score > 0.0).collect();
        rising.sort_by(|(a_id, a), (b_id, b)| b.total_cmp(a).then(a_id.cmp(b_id)));
        rising.truncate(n);
        rising
    }

    /// Adds each item's score to `scores`; the history says nothing about what is on the rise.
    pub fn add_scores(&self, _history: &[(ItemId, f32)], scores: &mut [f32]) {
        scores.iter_mut().zip(&self.scores).for_each(|(score, trend)| *score += trend);
    }

    /// Every score a number? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.scores.iter().all(|score| score.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::models::interactions::Entry;

    /// Cells of (item, age in days), one row each.
    fn matrix(cells: &[(u32, f32)], n_items: usize) -> Matrix {
        let rows: Vec<Vec<Entry>> = cells
            .iter()
            .map(|(item, age_days)| {
                vec![Entry { item: *item, weight: 1.0, age_days: *age_days, bought: true }]
            })
            .collect();
        Matrix::from_entries(rows, n_items)
    }

    #[test]
    fn a_rise_is_measured_in_standard_deviations_of_the_window_before() {
        // Item 0: 3 now, 1 before; item 1: 1 now; item 2: only before; item 3: too old to count.
        let cells = [(0, 0.0), (0, 1.0), (0, 6.9), (0, 7.0), (1, 2.0), (2, 8.0), (3, 14.0)];
        let parameters = TrendingParameters { window_days: 7.0, smoothing: 5.0 };
        let trending = Trending::fit(&matrix(&cells, 4), &parameters);
        assert!((trending.score(ItemId(0)) - 2.0 / 3.0).abs() < 1e-6);
        assert!((trending.score(ItemId(1)) - 1.0 / 6f32.sqrt()).abs() < 1e-6);
        assert!(trending.score(ItemId(2)) < 0.0);
        assert_eq!((trending.score(ItemId(3)), trending.score(ItemId(99))), (0.0, 0.0));
        assert_eq!(trending.top(9).iter().map(|(item, _)| item.0).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(window_sums(&matrix(&cells, 4), 0.0, 7.0), [3.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn nothing_rises_where_nothing_is_known() {
        let parameters = TrendingParameters { window_days: f32::NAN, smoothing: -1.0 };
        assert!(Trending::fit(&matrix(&[(0, 0.0)], 1), &parameters).top(5).is_empty());
        let unsmoothed = TrendingParameters { window_days: 7.0, smoothing: f32::NAN };
        let trending = Trending::fit(&matrix(&[(0, 0.0)], 2), &unsmoothed);
        assert!(trending.is_sound() && trending.top(5).len() == 1);
        assert!(Trending::fit(&Matrix::default(), &TrendingParameters::default()).is_sound());
    }
}
