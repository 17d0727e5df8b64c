//! RP3β: random walks of three steps from an item over its users to other items, each step's probability raised to α,
//! divided by the popularity of where the walk ends to the power β. Paudel, Christoffel, Newell & Bernstein 2017;
//! weights of cells as Ferrari Dacrema et al. 2019.
//!
//! W_ij = Σ_u (x_ui / Σ_v x_vi)^α · (x_uj / Σ_k x_uk)^α / n_j^β, n_j the number of users of j.
//! Time: Σ over rows of (row length)². Memory: 8 bytes · items · neighbours, and 24 a cell while it fits.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::ml::threads::Threads;

use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_weights::{ItemWeights, keep_largest};
use crate::recommend::models::transpose::Columns;

/// Parameters of the weights of walks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rp3betaParameters {
    /// Exponent of the probabilities of the steps, ≥ 0; 1 = plain probabilities.
    pub alpha: f32,
    /// Penalty on popular items, ≥ 0; 0 = none.
    pub beta: f32,
    /// Weights kept an item.
    pub neighbours: usize,
}

impl Default for Rp3betaParameters {
    fn default() -> Self {
        Self { alpha: 1.0, beta: 0.6, neighbours: 100 }
    }
}

/// For each item where walks from it end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rp3beta {
    weights: ItemWeights,
}

impl Rp3beta {
    /// Fits on all threads of the pool. `progress` hears 0…1 every few milliseconds of work and may break, then
    /// `None` comes back. An empty matrix gives a model without weights; a parameter that is no number counts as 0.
    pub fn fit(
        matrix: &Matrix,
        parameters: &Rp3betaParameters,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let exponent = |value: f32| if value.is_finite() { value.max(0.0) } else { 0.0 };
        let (alpha, beta) = (exponent(parameters.alpha), exponent(parameters.beta));
        let columns = Columns::new(matrix);
        // The second half of the walk, from a user to an item, once for all items.
        let row_sums: Vec<f32> =
            matrix.rows().map(|row| row.iter().map(|entry| entry.weight).sum::<f32>()).collect();
        let steps = matrix
            .reweighted(|row, entry| row_sums.get(row).map_or(0.0, |sum| (entry.weight / sum).powf(alpha)));
        let penalty: Vec<f32> = (0..matrix.n_items())
            .map(|item| (columns.column(item).0.len().max(1) as f32).powf(-beta))
            .collect();
        let width = matrix.n_items();
        let init = || (vec![0f32; width], Vec::<u32>::new());
        let list = |item: usize, (sums, touched): &mut (Vec<f32>, Vec<u32>)| {
            let total: f32 = columns.column(item).1.iter().sum();
            for (row, weight) in columns.cells(item) {
                let first = (weight / total).powf(alpha);
                for step in steps.row(row as usize) {
                    let Some(sum) = sums.get_mut(step.item as usize) else { continue };
                    if *sum == 0.0 {
                        touched.push(step.item);
                    }
                    *sum += first * step.weight;
                }
            }
            let mut list: Vec<(ItemId, f32)> = Vec::with_capacity(touched.len());
            for other in touched.drain(..) {
                let Some(sum) = sums.get_mut(other as usize).map(std::mem::take) else { continue };
                let weight = sum * penalty.get(other as usize).copied().unwrap_or(0.0);
                if other as usize != item && weight.is_finite() && weight > 0.0 {
                    list.push((ItemId(other), weight));
                }
            }
            keep_largest(&mut list, parameters.neighbours);
            list.shrink_to_fit();
            list
        };
        let (offsets, weights) = columns.lists(matrix, threads, progress, init, list)?;
        Some(Self { weights: ItemWeights::new(offsets, weights) })
    }

    /// The weights, largest first.
    pub fn weights(&self) -> &ItemWeights {
        &self.weights
    }

    /// Adds `weight · W` of each history item to `scores` (indexed by item). O(history · neighbours).
    pub fn add_scores(&self, history: &[(ItemId, f32)], scores: &mut [f32]) {
        self.weights.add_scores(history, scores);
    }

    /// Every offset in range, every weight a number? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.weights.is_sound()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(rows: &[Vec<(u32, f32)>], n_items: usize, parameters: Rp3betaParameters) -> Rp3beta {
        let matrix = Matrix::from_rows(rows, n_items);
        let threads = Threads::new(2).unwrap();
        Rp3beta::fit(&matrix, &parameters, &threads, |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn walks_agree_with_values_computed_by_hand() {
        let rows = [vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0), (1, 1.0), (2, 1.0)], vec![(1, 1.0)]];
        let plain = fit(&rows, 3, Rp3betaParameters { alpha: 1.0, beta: 0.0, neighbours: 10 });
        // From 0: to either of its users with 1/2, then 1/2 or 1/3 to item 1, 1/3 to item 2.
        let [(first, weight), (second, other)] = plain.weights().of(ItemId(0)) else { panic!() };
        assert_eq!((*first, *second), (ItemId(1), ItemId(2)));
        assert!((weight - (0.25 + 1.0 / 6.0)).abs() < 1e-6 && (other - 1.0 / 6.0).abs() < 1e-6);
        // Item 1 has 3 users, item 2 one: β = 1 turns them round; α = 2 squares each step.
        let held_back = fit(&rows, 3, Rp3betaParameters { alpha: 2.0, beta: 1.0, neighbours: 1 });
        let [(first, weight)] = held_back.weights().of(ItemId(0)) else { panic!() };
        assert_eq!(*first, ItemId(1));
        assert!((weight - (1.0 / 16.0 + 1.0 / 36.0) / 3.0).abs() < 1e-6);
        let mut scores = [0.0; 3];
        held_back.add_scores(&[(ItemId(0), 2.0)], &mut scores);
        assert!((scores[1] - 2.0 * weight).abs() < 1e-7 && scores[0] == 0.0);
    }

    #[test]
    fn it_can_be_cancelled_and_bad_input_gives_no_weights() {
        let matrix = Matrix::from_rows(&[vec![(0, 1.0)]], 1);
        let threads = Threads::new(1).unwrap();
        let parameters = Rp3betaParameters::default();
        assert!(Rp3beta::fit(&matrix, &parameters, &threads, |_| ControlFlow::Break(())).is_none());
        assert!(fit(&[], 0, parameters).weights().is_empty());
        let odd = Rp3betaParameters { alpha: f32::NAN, beta: f32::INFINITY, neighbours: 0 };
        assert!(fit(&[vec![(0, 1.0), (1, 1.0)]], 2, odd).weights().is_empty());
        let identical = fit(&vec![vec![(0, 1.0), (1, 1.0)]; 5], 2, parameters);
        assert!(identical.is_sound() && identical.weights().len() == 2);
    }
}
