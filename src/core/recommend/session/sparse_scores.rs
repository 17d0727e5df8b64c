//! Scores of the few items that got any, added up in a dense vector: adding is O(1), reading and clearing costs what was
//! touched and not the width of the catalogue.

use crate::base::ItemId;

/// Scores by item; one is reused query after query.
#[derive(Clone, Debug, Default)]
pub struct SparseScores {
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl SparseScores {
    /// For items below `width`; scores of others are dropped.
    pub fn new(width: usize) -> Self {
        Self { sums: vec![0.0; width], touched: Vec::new() }
    }

    /// Adds to an item's score; only finite scores > 0 count.
    pub fn add(&mut self, item: u32, score: f32) {
        if !score.is_finite() || score <= 0.0 {
            return;
        }
        if let Some(sum) = self.sums.get_mut(item as usize) {
            if *sum == 0.0 {
                self.touched.push(item);
            }
            *sum += score;
        }
    }

    /// 0 for an item without a score.
    pub fn get(&self, item: ItemId) -> f32 {
        self.sums.get(item.index()).copied().unwrap_or(0.0)
    }

    /// Items with a score > 0, in the order in which they got it.
    pub fn items(&self) -> &[u32] {
        &self.touched
    }

    /// Divides all scores by their sum, in order of item, so that the sum does not depend on the order of adding.
    pub fn normalise(&mut self) {
        self.touched.sort_unstable();
        let sum: f32 = self.touched.iter().filter_map(|item| self.sums.get(*item as usize)).sum();
        if sum > 0.0 && sum.is_finite() {
            for item in &self.touched {
                if let Some(score) = self.sums.get_mut(*item as usize) {
                    *score /= sum;
                }
            }
        }
    }

    /// The n best, best first, ties by id. O(touched + n log n).
    pub fn best(&self, n: usize) -> Vec<(ItemId, f32)> {
        let mut scored: Vec<_> =
            self.touched.iter().map(|item| (ItemId(*item), self.get(ItemId(*item)))).collect();
        let best_first = |a: &(ItemId, f32), b: &(ItemId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if scored.len() > n {
            if n == 0 {
                return Vec::new();
            }
            scored.select_nth_unstable_by(n - 1, best_first);
            scored.truncate(n);
        }
        scored.sort_unstable_by(best_first);
        scored
    }

    /// Forgets all scores and makes room for items below `width`. O(touched).
    pub fn clear(&mut self, width: usize) {
        for item in self.touched.drain(..) {
            if let Some(sum) = self.sums.get_mut(item as usize) {
                *sum = 0.0;
            }
        }
        self.sums.resize(width, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_best_first_until_it_is_cleared() {
        let mut scores = SparseScores::new(4);
        for (item, score) in [(2, 1.0), (1, 0.5), (2, 1.0), (3, 0.5), (9, 7.0), (0, f32::NAN), (0, -1.0)] {
            scores.add(item, score);
        }
        assert_eq!(scores.best(9), [(ItemId(2), 2.0), (ItemId(1), 0.5), (ItemId(3), 0.5)]);
        assert_eq!(scores.best(2).len(), 2);
        assert!(scores.best(0).is_empty());
        scores.normalise();
        assert!((scores.get(ItemId(2)) - 2.0 / 3.0).abs() < 1e-6);
        scores.clear(3);
        assert!(scores.items().is_empty() && scores.get(ItemId(2)) == 0.0);
    }
}
