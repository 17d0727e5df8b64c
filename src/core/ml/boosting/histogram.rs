//! Sums of first and second derivatives by bin, and the best split they show.
#![expect(
    clippy::indexing_slicing,
    reason = "the inner loop of boosting: a get a bin costs a fifth of the training"
)]

use super::bins::Column;
use super::parameters::BoostingParameters;

/// Sums over the rows of one bin, or of one leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) gradient: f64,
    pub(super) hessian: f64,
    pub(super) rows: u32,
}

impl Sum {
    pub(super) fn add(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            hessian: self.hessian + other.hessian,
            rows: self.rows + other.rows,
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
            rows: self.rows - other.rows,
        }
    }

    /// The value of a leaf: a Newton step.
    pub(super) fn value(self, l2: f32) -> f64 {
        let denominator = self.hessian + f64::from(l2);
        if denominator > 0.0 { -self.gradient / denominator } else { 0.0 }
    }

    fn gain(self, l2: f32) -> f64 {
        let denominator = self.hessian + f64::from(l2);
        if denominator > 0.0 { self.gradient * self.gradient / denominator } else { 0.0 }
    }
}

/// A cut of one leaf in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    pub(super) column: usize,
    /// Bins up to this go left.
    pub(super) bin: u8,
    /// Values up to this go left.
    pub(super) threshold: f32,
    pub(super) missing_left: bool,
    pub(super) gain: f64,
    pub(super) left: Sum,
    pub(super) right: Sum,
}

/// Sums by bin of one column over some rows, whose derivatives come in the same order.
pub(super) fn fill(histogram: &mut [Sum], column: &Column, rows: &[u32], derivatives: &[(f32, f32)]) {
    histogram.fill(Sum::default());
    // Longer than any bin index: the check of the index below never fails, and the optimiser knows.
    let Some(histogram) = histogram.get_mut(..column.n_bins()) else { return };
    for (row, (gradient, hessian)) in rows.iter().zip(derivatives) {
        let sum = &mut histogram[usize::from(column.rows[*row as usize])];
        sum.gradient += f64::from(*gradient);
        sum.hessian += f64::from(*hessian);
        sum.rows += 1;
    }
}

/// The best split of a leaf on one column; ties go to the lower bin. `None` when nothing gains.
pub(super) fn best_split(
    index: usize,
    column: &Column,
    histogram: &[Sum],
    total: Sum,
    parameters: &BoostingParameters,
) -> Option<Split> {
    let n_values = column.uppers.len() + 1;
    let missing = histogram[n_values];
    let own_gain = total.gain(parameters.l2);
    let mut best: Option<Split> = None;
    let mut best_gain = f64::from(parameters.min_gain).max(1e-10);
    let mut consider = |bin: usize, left: Sum, missing_left: bool| {
        let right = total.minus(left);
        let too_small = |side: Sum| {
            (side.rows as usize) < parameters.min_rows.max(1)
                || side.hessian < f64::from(parameters.min_hessian)
        };
        if too_small(left) || too_small(right) {
            return;
        }
        let gain = left.gain(parameters.l2) + right.gain(parameters.l2) - own_gain;
        if gain > best_gain {
            best_gain = gain;
            best = Some(Split {
                column: index,
                bin: bin as u8,
                threshold: column.uppers.get(bin).copied().unwrap_or(f32::INFINITY),
                // Nothing missing here: then what will be missing goes where most go.
                missing_left: if missing.rows > 0 { missing_left } else { left.rows >= right.rows },
                gain,
                left,
                right,
            });
        }
    };
    let mut left = Sum::default();
    for (bin, sum) in histogram[..n_values].iter().enumerate() {
        if sum.rows == 0 {
            continue; // The same cut as the bin before.
        }
        left = left.add(*sum);
        if left.rows == total.rows {
            break;
        }
        consider(bin, left, false);
        if missing.rows > 0 && left.rows + missing.rows < total.rows {
            consider(bin, left.add(missing), true);
        }
    }
    best
}
