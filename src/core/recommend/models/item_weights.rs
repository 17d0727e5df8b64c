//! A sparse item × item matrix of weights (CSR): what an item of the history says for or against others. The form in
//! which item-by-item models are served. 8 bytes a weight.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

/// For each item of a history, the items it speaks for (or against).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemWeights {
    offsets: Vec<u32>,
    weights: Vec<(ItemId, f32)>,
}

impl ItemWeights {
    /// From lists one after another, `offsets[i]..offsets[i + 1]` that of item i.
    pub(crate) fn new(offsets: Vec<u32>, weights: Vec<(ItemId, f32)>) -> Self {
        Self { offsets, weights }
    }

    /// The weights of an item of the history, largest magnitude first, ties by id; empty for an unknown item. O(1).
    pub fn of(&self, item: ItemId) -> &[(ItemId, f32)] {
        let range = self.offsets.get(item.index()).zip(self.offsets.get(item.index() + 1));
        range.and_then(|(from, to)| self.weights.get(*from as usize..*to as usize)).unwrap_or_default()
    }

    /// Adds `weight ·` the weights of each history item to `scores` (indexed by item). Items beyond its width are
    /// left out. O(history · weights kept).
    pub fn add_scores(&self, history: &[(ItemId, f32)], scores: &mut [f32]) {
        for (item, weight) in history {
            for (other, value) in self.of(*item) {
                if let Some(score) = scores.get_mut(other.index()) {
                    *score += weight * value;
                }
            }
        }
    }

    /// As [`ItemWeights::add_scores`] for several decays at once: `weight · decayⁿ ·` the weights of the n-th history item, newest
    /// first, as long as decayⁿ is at least `least`. Side by side a decay in each score.
    pub(crate) fn add_faded<const D: usize>(
        &self,
        history: &[(ItemId, f32)],
        decays: [f32; D],
        least: f32,
        scores: &mut [[f32; D]],
    ) {
        let mut ages = [1f32; D];
        for (item, weight) in history {
            if ages.iter().all(|age| *age < least) {
                break;
            }
            let factors = ages.map(|age| if age < least { 0.0 } else { weight * age });
            for (other, value) in self.of(*item) {
                if let Some(sums) = scores.get_mut(other.index()) {
                    sums.iter_mut().zip(factors).for_each(|(sum, factor)| *sum += factor * value);
                }
            }
            ages.iter_mut().zip(decays).for_each(|(age, decay)| *age *= decay);
        }
    }

    /// Items of histories that it knows, with or without weights.
    pub fn n_items(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Number of weights kept.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Returns whether nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Returns whether every offset is in range and rising, and every weight a number. Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.offsets.windows(2).all(|pair| matches!(pair, [a, b] if a <= b))
            && self.offsets.last().is_none_or(|last| *last as usize == self.weights.len())
            && self.weights.iter().all(|(_, weight)| weight.is_finite())
    }

    /// Returns whether it is sound and the lists of the first `n` items name none behind them.
    pub fn is_sound_below(&self, n: usize) -> bool {
        let is_below = |item: u32| self.of(ItemId(item)).iter().all(|(other, _)| other.index() < n);
        self.is_sound() && (0u32..).take(n).all(is_below)
    }
}

/// Keeps the `n` weights of largest magnitude, largest first, ties by id. O(list + n log n).
pub(crate) fn keep_largest(list: &mut Vec<(ItemId, f32)>, n: usize) {
    let largest_first =
        |a: &(ItemId, f32), b: &(ItemId, f32)| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0));
    if list.len() > n {
        if n > 0 {
            list.select_nth_unstable_by(n - 1, largest_first);
        }
        list.truncate(n);
    }
    list.sort_unstable_by(largest_first);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_magnitudes_stay_and_ties_go_by_id() {
        let mut list = vec![(ItemId(4), 0.5), (ItemId(3), -0.5), (ItemId(1), 0.1), (ItemId(0), 0.9)];
        keep_largest(&mut list, 3);
        assert_eq!(list, [(ItemId(0), 0.9), (ItemId(3), -0.5), (ItemId(4), 0.5)]);
        keep_largest(&mut list, 0);
        assert!(list.is_empty());
    }

    #[test]
    fn older_items_fade_by_each_decay_and_end_at_the_least() {
        let weights = ItemWeights::new(vec![0, 1, 2], vec![(ItemId(1), 2.0), (ItemId(0), 1.0)]);
        let history = [(ItemId(0), 1.0), (ItemId(1), 0.5), (ItemId(0), 1.0)];
        let mut scores = [[0.0; 2]; 2];
        weights.add_faded(&history, [0.5, 1.0], 0.5, &mut scores);
        assert_eq!(scores, [[0.25, 0.5], [2.0, 4.0]], "0.5² is below the least");
        assert_eq!((weights.n_items(), ItemWeights::default().n_items()), (2, 0));
    }

    #[test]
    fn scores_add_up_and_a_broken_table_is_recognised() {
        let weights =
            ItemWeights::new(vec![0, 1, 3], vec![(ItemId(1), 0.5), (ItemId(0), 2.0), (ItemId(9), 1.0)]);
        let mut scores = [0.0; 2];
        weights.add_scores(&[(ItemId(1), 0.5), (ItemId(0), 1.0), (ItemId(7), 1.0)], &mut scores);
        assert_eq!(scores, [1.0, 0.5]);
        assert!(weights.is_sound());
        assert!(!ItemWeights::new(vec![0, 9], Vec::new()).is_sound());
        assert!(!ItemWeights::new(vec![0, 1], vec![(ItemId(0), f32::NAN)]).is_sound());
    }
}
