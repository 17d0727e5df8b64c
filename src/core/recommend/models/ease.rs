//! EASE^R: the linear item × item model B with a zero diagonal that best reproduces the interaction matrix X under a
//! ridge penalty, in closed form. Steck 2019, "Embarrassingly shallow autoencoders for sparse data".
//!
//! P = (XᵀX + Λ)⁻¹, B_ij = −P_ij / P_jj, B_jj = 0; scores of a history x are x · B. X may be weighted. The penalty Λ is
//! λI, or grows with the items ([`RidgeParameters`]).
//! Memory: 4 · n² bytes for n items, in which everything happens, and 1 KiB · n of scratch (1.5 GiB at 20,000).
//! Time: Σ over rows of (row length)² / 2 + n³.

use std::ops::ControlFlow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::ml::symmetric_inverse::{SweepError, negative_inverse};
use crate::ml::threads::Threads;
use crate::recommend::train::error::TrainError;

use super::interactions::Matrix;
use super::item_weights::{ItemWeights, keep_largest};
use super::ridge::RidgeParameters;
use super::transpose::Columns;

/// Side of the squares in which the lower triangle is mirrored: two of them fit the first-level cache.
const SQUARE: usize = 64;

/// Penalty and size limit of EASE^R.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EaseParameters {
    /// The penalty.
    pub ridge: RidgeParameters,
    /// Refused above this many items: memory grows with the square, time with the cube.
    pub max_items: usize,
}

impl Default for EaseParameters {
    fn default() -> Self {
        Self { ridge: RidgeParameters::default(), max_items: 20_000 }
    }
}

/// The dense model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ease {
    n_items: usize,
    /// Row i of B: what item i in a history says for each item.
    weights: Vec<f32>,
}

impl Ease {
    /// Bytes that fitting takes at most, besides the matrix.
    pub fn memory(n_items: usize) -> usize {
        n_items.saturating_mul(n_items).saturating_mul(4).saturating_add(n_items.saturating_mul(1_024))
    }

    /// Fits on all threads of the pool; an empty matrix gives a model that says nothing. `progress` hears 0…1 every
    /// few milliseconds and may break ([`TrainError::Cancelled`]). [`TrainError::TooManyItems`] above `max_items`,
    /// [`TrainError::Parameter`] for a λ that is not > 0 or too small against the weights.
    pub fn fit(
        matrix: &Matrix,
        parameters: &EaseParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let n_items = matrix.n_items();
        if n_items > parameters.max_items {
            let bytes = Self::memory(n_items);
            return Err(TrainError::TooManyItems { items: n_items, most: parameters.max_items, bytes });
        }
        let gram = Gram::new(matrix, &parameters.ridge, threads, |done| progress(0.1 * done))?;
        gram.into_fit(&parameters.ridge, threads, |done| progress(0.1 + 0.9 * done))
    }

    /// Row `item` of B; empty for an unknown item. O(1).
    pub fn row(&self, item: ItemId) -> &[f32] {
        let from = item.index().saturating_mul(self.n_items);
        if item.index() < self.n_items { self.weights.get(from..from + self.n_items) } else { None }
            .unwrap_or_default()
    }

    /// Adds `weight · B` of each history item to `scores` (indexed by item; of any sign). Items beyond either width
    /// are left out. O(history · items).
    pub fn add_scores(&self, history: &[(ItemId, f32)], scores: &mut [f32]) {
        for (item, weight) in history {
            for (score, value) in scores.iter_mut().zip(self.row(*item)) {
                *score += weight * value;
            }
        }
    }

    /// The `n` weights of largest magnitude of each row, for serving: 8 · n bytes an item. O(items²).
    pub fn truncate(&self, n: usize) -> ItemWeights {
        let (mut offsets, mut all) = (vec![0u32], Vec::new());
        for row in self.weights.chunks(self.n_items.max(1)) {
            let weights = (0u32..).map(ItemId).zip(row.iter().copied());
            let mut list: Vec<_> = weights.filter(|(_, weight)| *weight != 0.0).collect();
            keep_largest(&mut list, n);
            all.extend(list);
            offsets.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
        }
        ItemWeights::new(offsets, all)
    }

    /// Its memory, for another fit.
    pub(crate) fn into_room(self) -> Vec<f32> {
        self.weights
    }

    /// A square of numbers? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.n_items.checked_mul(self.n_items) == Some(self.weights.len())
            && self.weights.iter().all(|weight| weight.is_finite())
    }
}

/// The Gram matrix XᵀX of rows that are scaled in one way, ready for any number of penalties.
#[derive(Clone, Debug)]
pub(crate) struct Gram {
    n_items: usize,
    /// The lower triangle, column after column.
    cells: Vec<f32>,
}

impl Gram {
    /// Of the matrix scaled as `ridge` says. `progress` hears 0…1 every few milliseconds and may break ([`TrainError::Cancelled`]).
    pub(crate) fn new(
        matrix: &Matrix,
        ridge: &RidgeParameters,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        ridge.check()?;
        let scaled = ridge.scaled(matrix);
        let cells =
            gram(scaled.as_ref().unwrap_or(matrix), threads, progress).ok_or(TrainError::Cancelled)?;
        Ok(Self { n_items: matrix.n_items(), cells })
    }

    /// A fit with a penalty that scales rows in the same way. `room` is memory of another fit, to be used again, or empty.
    pub(crate) fn fit(
        &self,
        ridge: &RidgeParameters,
        mut room: Vec<f32>,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Ease, TrainError> {
        room.clear();
        room.extend_from_slice(&self.cells);
        Self { n_items: self.n_items, cells: room }.into_fit(ridge, threads, progress)
    }

    /// The same in the memory of the Gram matrix itself.
    fn into_fit(
        self,
        ridge: &RidgeParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Ease, TrainError> {
        ridge.check()?;
        let Self { n_items, cells: mut weights } = self;
        let squares: Vec<f32> = weights.iter().step_by(n_items + 1).copied().collect();
        let penalties = ridge.penalties(&squares);
        weights.iter_mut().step_by(n_items + 1).zip(penalties).for_each(|(cell, penalty)| *cell += penalty);
        negative_inverse(&mut weights, n_items, threads, |done| progress(0.95 * done)).map_err(|error| {
            match error {
                SweepError::Cancelled => TrainError::Cancelled,
                SweepError::NotPositiveDefinite => {
                    let lambda = ridge.lambda;
                    TrainError::Parameter(format!("lambda of EASE, {lambda}, is too small for these weights"))
                }
            }
        })?;
        let diagonal: Vec<f32> = weights.iter().step_by(n_items + 1).copied().collect();
        mirror(&mut weights, n_items);
        threads.run(|| {
            weights.par_chunks_mut(n_items.max(1)).enumerate().for_each(|(own, row)| {
                // Both are negated, as the sweep left them: −P_ij / P_jj = cell / −(−P_jj).
                row.iter_mut().zip(&diagonal).for_each(|(cell, diagonal)| *cell /= -diagonal);
                if let Some(cell) = row.get_mut(own) {
                    *cell = 0.0;
                }
            });
        });
        if progress(1.0).is_break() {
            return Err(TrainError::Cancelled);
        }
        Ok(Ease { n_items, weights })
    }
}

/// The lower triangle of XᵀX, column after column; `None` when `progress` broke.
fn gram(
    matrix: &Matrix,
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Vec<f32>> {
    let n_items = matrix.n_items();
    let columns = Columns::new(matrix);
    let mut gram = vec![0f32; n_items * n_items];
    let mut item = 0;
    for chunk in gram.chunks_mut(n_items.max(1) * 256) {
        threads.run(|| {
            chunk.par_chunks_mut(n_items.max(1)).enumerate().for_each(|(index, column)| {
                let item = item + index;
                for (row, weight) in columns.cells(item) {
                    for entry in matrix.row(row as usize).iter().rev() {
                        if (entry.item as usize) < item {
                            break;
                        }
                        if let Some(cell) = column.get_mut(entry.item as usize) {
                            *cell += weight * entry.weight;
                        }
                    }
                }
            });
        });
        item += 256;
        if progress((item as f32 / n_items as f32).min(1.0)).is_break() {
            return None;
        }
    }
    Some(gram)
}

/// Copies what lies below the diagonal above it, square by square, since one side of the copy runs across the memory.
fn mirror(a: &mut [f32], n: usize) {
    for top in (0..n).step_by(SQUARE) {
        for left in (0..=top).step_by(SQUARE) {
            for column in left..(left + SQUARE).min(n) {
                for row in top.max(column + 1)..(top + SQUARE).min(n) {
                    let value = a.get(column * n + row).copied().unwrap_or(0.0);
                    if let Some(cell) = a.get_mut(row * n + column) {
                        *cell = value;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(rows: &[Vec<(u32, f32)>], n_items: usize, lambda: f32) -> Result<Ease, TrainError> {
        let matrix = Matrix::from_rows(rows, n_items);
        let parameters = EaseParameters { ridge: RidgeParameters::plain(lambda), max_items: 500 };
        Ease::fit(&matrix, &parameters, &Threads::new(2).unwrap(), |_| ControlFlow::Continue(()))
    }

    fn near(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    }

    #[test]
    fn two_items_agree_with_values_computed_by_hand() {
        // XᵀX = (2 1; 1 1); with λ = 1 (3 1; 1 2), inverse (2 −1; −1 3) / 5; B = (0 1/3; 1/2 0).
        let ease = fit(&[vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0)]], 2, 1.0).unwrap();
        for (value, expected) in ease.row(ItemId(0)).iter().zip([0.0, 1.0 / 3.0]) {
            near(*value, expected);
        }
        for (value, expected) in ease.row(ItemId(1)).iter().zip([0.5, 0.0]) {
            near(*value, expected);
        }
        let mut scores = [0.0; 3];
        ease.add_scores(&[(ItemId(1), 2.0), (ItemId(7), 1.0)], &mut scores);
        assert!((scores[0] - 1.0).abs() < 1e-5 && scores[1..] == [0.0, 0.0]);
    }

    #[test]
    fn weights_of_the_cells_count() {
        // XᵀX = (4 2; 2 1); with λ = 1 (5 2; 2 2), inverse (2 −2; −2 5) / 6; B_01 = 2/5, B_10 = 1.
        let ease = fit(&[vec![(0, 2.0), (1, 1.0)]], 2, 1.0).unwrap();
        near(ease.row(ItemId(0))[1], 0.4);
        near(ease.row(ItemId(1))[0], 1.0);
    }

    #[test]
    fn several_blocks_agree_with_the_normal_equations() {
        // Row i of (XᵀX + λI) times column j of B is XᵀX_ij for i ≠ j, since column j regresses item j on the others.
        let n = 300u32;
        let rows: Vec<Vec<(u32, f32)>> = (0..500u32)
            .map(|user| (0..8).map(|k| ((user * 13 + k * k * 29 + user * user % 7 * k) % n, 1.0)).collect())
            .collect();
        let ease = fit(&rows, n as usize, 5.0).unwrap();
        let matrix = Matrix::from_rows(&rows, n as usize);
        let mut gram = vec![vec![0f64; n as usize]; n as usize];
        for row in matrix.rows() {
            for a in row {
                for b in row {
                    gram[a.item as usize][b.item as usize] += 1.0;
                }
            }
        }
        for i in (0..n as usize).step_by(7) {
            for j in (0..n as usize).step_by(11).filter(|j| *j != i) {
                let own = 5.0 * f64::from(ease.row(ItemId(i as u32))[j]);
                let sum: f64 =
                    (0..n).map(|k| gram[i][k as usize] * f64::from(ease.row(ItemId(k))[j])).sum::<f64>()
                        + own;
                assert!((sum - gram[i][j]).abs() < 1e-3, "{i} {j}: {sum} is not {}", gram[i][j]);
            }
        }
        let sparse = ease.truncate(3);
        assert_eq!(sparse.len(), 3 * n as usize);
        let (mut all, mut dense) = (vec![0f32; n as usize], vec![0f32; n as usize]);
        ease.truncate(usize::MAX).add_scores(&[(ItemId(5), 1.0)], &mut all);
        ease.add_scores(&[(ItemId(5), 1.0)], &mut dense);
        assert_eq!(all, dense);
    }

    #[test]
    fn fits_that_share_a_gram_matrix_and_memory_are_those_made_alone() {
        let rows: Vec<Vec<(u32, f32)>> =
            (0..60u32).map(|user| (0..5).map(|k| ((user * 7 + k * k * 3) % 40, 1.0)).collect()).collect();
        let matrix = Matrix::from_rows(&rows, 40);
        let threads = Threads::new(2).unwrap();
        let go_on = |_| ControlFlow::Continue(());
        let ridge = RidgeParameters { user_scaling: 0.5, ..RidgeParameters::plain(3.0) };
        let gram = Gram::new(&matrix, &ridge, &threads, go_on).unwrap();
        let mut room = Vec::new();
        for (lambda, item_scaling) in [(3.0, 0.0), (90.0, 1.0), (3.0, 0.5)] {
            let ridge = RidgeParameters { lambda, item_scaling, ..ridge };
            let shared = gram.fit(&ridge, room, &threads, go_on).unwrap();
            let alone =
                Ease::fit(&matrix, &EaseParameters { ridge, max_items: 40 }, &threads, go_on).unwrap();
            assert_eq!(shared, alone, "λ {lambda}");
            room = shared.into_room();
        }
        assert!(gram.fit(&RidgeParameters::plain(-1.0), room, &threads, go_on).is_err());
    }

    #[test]
    fn bad_parameters_and_large_shops_are_refused_and_little_data_is_not() {
        let row = vec![(0, 1.0), (1, 1.0)];
        for lambda in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(matches!(fit(std::slice::from_ref(&row), 2, lambda), Err(TrainError::Parameter(_))));
        }
        let refused = fit(std::slice::from_ref(&row), 501, 1.0).unwrap_err();
        assert_eq!(refused, TrainError::TooManyItems { items: 501, most: 500, bytes: Ease::memory(501) });
        let empty = fit(&[], 0, 1.0).unwrap();
        assert!(empty.is_sound() && empty.row(ItemId(0)).is_empty() && empty.truncate(5).is_empty());
        let untouched = fit(&[], 3, 1.0).unwrap();
        assert!(untouched.is_sound() && untouched.truncate(5).is_empty());
        let same = fit(&vec![row; 1_000], 2, 1e-3).unwrap();
        assert!(same.is_sound(), "{same:?}");
    }

    #[test]
    fn it_can_be_cancelled_at_any_step() {
        let matrix = Matrix::from_rows(&[vec![(0, 1.0), (299, 1.0)]], 300);
        let threads = Threads::new(2).unwrap();
        let parameters = EaseParameters::default();
        for stop in 1..=4 {
            let mut heard = 0;
            let result = Ease::fit(&matrix, &parameters, &threads, |_| {
                heard += 1;
                if heard == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!((result.unwrap_err(), heard), (TrainError::Cancelled, stop));
        }
    }
}
