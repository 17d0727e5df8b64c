//! The penalty of a ridge regression of items on items, of [`super::ease`] and [`super::local_ridge`] alike.
//!
//! EASE^R punishes all weights alike and counts every pair of a history once, however long it is. Two exponents change that:
//! `user_scaling` lets a history of n items count n^−s (graph filters normalise like that, with s = 1: Shen et al. 2021, GF-CF),
//! `item_scaling` lets the penalty of an item grow with its own squared weight (as the penalties of iALS in Rendle et al. 2022).

use serde::{Deserialize, Serialize};

use crate::recommend::train::error::TrainError;

use super::interactions::Matrix;

/// Penalty of a regression of items on items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RidgeParameters {
    /// Penalty λ > 0, in units of squared weight: 50…500 for matrices of ones.
    pub lambda: f32,
    /// A row of n cells counts n^−s, 0…1; 0 = all alike. The mean square of all cells stays.
    pub user_scaling: f32,
    /// The penalty of an item grows with its squared weight to this power, 0…1; 0 = all alike. Their mean stays λ.
    pub item_scaling: f32,
}

impl Default for RidgeParameters {
    fn default() -> Self {
        Self::plain(200.0)
    }
}

impl RidgeParameters {
    /// The same penalty everywhere.
    pub fn plain(lambda: f32) -> Self {
        Self { lambda, user_scaling: 0.0, item_scaling: 0.0 }
    }

    /// [`TrainError::Parameter`] for what is out of range.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        if !(self.lambda.is_finite() && self.lambda > 0.0) {
            let text = format!("lambda of a ridge regression must be above 0, not {}", self.lambda);
            return Err(TrainError::Parameter(text));
        }
        for (name, value) in [("user", self.user_scaling), ("item", self.item_scaling)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(TrainError::Parameter(format!("the {name} scaling is 0…1, not {value}")));
            }
        }
        Ok(())
    }

    /// The matrix with its rows scaled; `None` where they stay. O(cells).
    pub(super) fn scaled(&self, matrix: &Matrix) -> Option<Matrix> {
        if self.user_scaling == 0.0 {
            return None;
        }
        let power =
            |row: usize| (matrix.row(row).len().max(1) as f64).powf(-0.5 * f64::from(self.user_scaling));
        let squares = |row: usize| -> f64 {
            matrix.row(row).iter().map(|entry| f64::from(entry.weight) * f64::from(entry.weight)).sum()
        };
        let (mut before, mut after) = (0.0, 0.0);
        for row in 0..matrix.n_rows() {
            before += squares(row);
            after += squares(row) * power(row) * power(row);
        }
        let unit = if after > 0.0 { (before / after).sqrt() } else { 1.0 };
        let scales: Vec<f32> = (0..matrix.n_rows()).map(|row| (unit * power(row)) as f32).collect();
        Some(matrix.reweighted(|row, entry| entry.weight * scales.get(row).copied().unwrap_or(1.0)))
    }

    /// Penalty of each item by its squared weight, the diagonal of the Gram matrix. Items without weight count as the mean.
    pub(super) fn penalties(&self, squares: &[f32]) -> Vec<f32> {
        if self.item_scaling == 0.0 {
            return vec![self.lambda; squares.len()];
        }
        let known = || squares.iter().filter(|square| **square > 0.0).map(|square| f64::from(*square));
        let count = known().count().max(1) as f64;
        let power = f64::from(self.item_scaling);
        let mean = known().map(|square| square.powf(power)).sum::<f64>() / count;
        let penalty = |square: &f32| {
            let share = if *square > 0.0 { f64::from(*square).powf(power) / mean } else { 1.0 };
            (f64::from(self.lambda) * share) as f32
        };
        squares.iter().map(penalty).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_shifts_weight_from_long_rows_and_keeps_the_sum_of_squares() {
        let long: Vec<(u32, f32)> = (0..9).map(|item| (item, 1.0)).collect();
        let matrix = Matrix::from_rows(&[long, vec![(0, 1.0)]], 9);
        assert!(RidgeParameters::plain(1.0).scaled(&matrix).is_none());
        let scaled =
            RidgeParameters { user_scaling: 1.0, ..RidgeParameters::plain(1.0) }.scaled(&matrix).unwrap();
        let squares: f32 = scaled.rows().flatten().map(|entry| entry.weight * entry.weight).sum();
        assert!((squares - 10.0).abs() < 1e-4, "{squares}");
        // Nine cells of the long row weigh together what the short row's only one does.
        assert!((9.0 * scaled.row(0)[0].weight.powi(2) - scaled.row(1)[0].weight.powi(2)).abs() < 1e-4);
    }

    #[test]
    fn penalties_grow_with_items_and_their_mean_stays() {
        let ridge = RidgeParameters { item_scaling: 1.0, ..RidgeParameters::plain(6.0) };
        assert_eq!(ridge.penalties(&[1.0, 3.0, 0.0]), [3.0, 9.0, 6.0]);
        assert_eq!(RidgeParameters::plain(6.0).penalties(&[1.0, 3.0]), [6.0, 6.0]);
        assert!(ridge.penalties(&[]).is_empty());
        assert!(RidgeParameters { item_scaling: 1.5, ..ridge }.check().is_err());
        assert!(RidgeParameters { user_scaling: f32::NAN, ..ridge }.check().is_err());
        assert!(RidgeParameters::plain(0.0).check().is_err());
        assert!(ridge.check().is_ok());
    }
}
