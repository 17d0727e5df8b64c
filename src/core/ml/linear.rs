//! Linear models of smartcore over standardised columns: logistic and ridge regression, kept as plain weights.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};
use smartcore::linear::ridge_regression::{RidgeRegression, RidgeRegressionParameters};

/// L2 penalty on standardised coefficients of the log loss.
const LOGISTIC_ALPHA: f64 = 5.0;
/// The same of the squared error, in rows.
const RIDGE_ALPHA: f64 = 1.0;

/// One column of the regression: (x − mean) / deviation · weight; a missing value counts as the mean, one beyond what was
/// learned from as the nearest that was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Column {
    mean: f32,
    deviation: f32,
    weight: f32,
    least: f32,
    most: f32,
}

impl Column {
    fn standardised(&self, value: f32) -> f32 {
        // A line goes on for ever, what was learned does not.
        let near = value.max(self.least).min(self.most);
        if value.is_finite() { (near - self.mean) / self.deviation } else { 0.0 }
    }
}

/// A weighted sum of standardised columns: log odds, or an expected number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Linear {
    columns: Vec<Column>,
    intercept: f32,
}

impl Linear {
    /// Logistic regression of smartcore, by L-BFGS, on standardised columns: scores are log odds. `None` when it fails (it
    /// panics on some inputs, which is caught here) or with one outcome only. O(rows · width) a step, not cancellable.
    pub(crate) fn logistic(values: &[f32], outcomes: &[bool], width: usize) -> Option<Self> {
        let labels: Vec<u32> = outcomes.iter().map(|outcome| u32::from(*outcome)).collect();
        Self::fit(values, labels.len(), width, |matrix| {
            let parameters = LogisticRegressionParameters::default().with_alpha(LOGISTIC_ALPHA);
            let model = LogisticRegression::fit(matrix, &labels, parameters).ok()?;
            let weights = model.coefficients().iterator(0).copied().collect();
            Some((weights, model.intercept().iterator(0).next().copied()?))
        })
    }

    /// Ridge regression of smartcore, by Cholesky, on standardised columns: scores are expected targets. `None` when it fails
    /// or with no more rows than columns. O(rows · width²), not cancellable.
    pub(crate) fn ridge(values: &[f32], targets: &[f32], width: usize) -> Option<Self> {
        let mean = targets.iter().copied().map(f64::from).sum::<f64>() / targets.len().max(1) as f64;
        let centred: Vec<f64> = targets.iter().map(|target| f64::from(*target) - mean).collect();
        Self::fit(values, targets.len(), width, |matrix| {
            // The columns are scaled already, and smartcore refuses to scale a constant one.
            let parameters =
                RidgeRegressionParameters::default().with_alpha(RIDGE_ALPHA).with_normalize(false);
            let model = RidgeRegression::fit(matrix, &centred, parameters).ok()?;
            Some((model.coefficients().iterator(0).copied().collect(), mean))
        })
    }

    /// Standardises, solves and keeps the weights.
    fn fit(
        values: &[f32],
        n: usize,
        width: usize,
        solve: impl FnOnce(&DenseMatrix<f64>) -> Option<(Vec<f64>, f64)>,
    ) -> Option<Self> {
        let mut columns: Vec<Column> = (0..width).map(|column| measure(values, width, column)).collect();
        let standardised: Vec<f64> = values
            .chunks_exact(width.max(1))
            .flat_map(|row| row.iter().zip(&columns))
            .map(|(value, column)| f64::from(column.standardised(*value)))
            .collect();
        let (weights, intercept) =
            catch_unwind(AssertUnwindSafe(|| solve(&DenseMatrix::new(n, width, standardised, false).ok()?)))
                .ok()??;
        for (column, weight) in columns.iter_mut().zip(&weights) {
            column.weight = *weight as f32;
        }
        let linear = Self { columns, intercept: intercept as f32 };
        (weights.len() == width && linear.is_sound()).then_some(linear)
    }

    /// Columns of a row.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The weighted sum of a row.
    pub(crate) fn score(&self, row: &[f32]) -> f32 {
        let terms =
            self.columns.iter().zip(row).map(|(column, value)| column.standardised(*value) * column.weight);
        self.intercept + terms.sum::<f32>()
    }

    /// Returns whether the numbers make sense. Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |column: &Column| {
            column.mean.is_finite()
                && column.weight.is_finite()
                && column.least.is_finite()
                && column.most.is_finite()
                && column.deviation.is_normal()
                && column.deviation > 0.0
        };
        self.intercept.is_finite() && self.columns.iter().all(sound)
    }
}

/// Mean and deviation of what a column has; 0 and 1 without a difference, so that it says nothing.
fn measure(values: &[f32], width: usize, column: usize) -> Column {
    let known = || {
        values
            .iter()
            .skip(column)
            .step_by(width.max(1))
            .map(|value| f64::from(*value))
            .filter(|value| value.is_finite())
    };
    let n = (known().count() as f64).max(1.0);
    let mean = known().sum::<f64>() / n;
    let deviation = (known().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    let deviation = if deviation > 1e-6 { deviation } else { 1.0 };
    let least = known().fold(f64::INFINITY, f64::min);
    let most = known().fold(f64::NEG_INFINITY, f64::max);
    // Without any known value the mean is 0, and so are its bounds.
    let (least, most) = if least <= most { (least as f32, most as f32) } else { (0.0, 0.0) };
    Column { mean: mean as f32, deviation: deviation as f32, weight: 0.0, least, most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_what_was_learned_from_nothing_grows() {
        let values: Vec<f32> = (0..100u8).map(f32::from).collect();
        let outcomes: Vec<bool> = (0..100).map(|row| row >= 50).collect();
        let linear = Linear::logistic(&values, &outcomes, 1).unwrap();
        assert!(linear.score(&[90.0]) > linear.score(&[10.0]));
        assert_eq!(linear.score(&[1e6]), linear.score(&[99.0]));
        assert_eq!(linear.score(&[-1e6]), linear.score(&[0.0]));
        assert!(linear.score(&[f32::NAN]).is_finite());
    }

    #[test]
    fn ridge_finds_a_line_with_a_column_that_never_changes() {
        let values: Vec<f32> = (0..200u8).flat_map(|row| [f32::from(row) / 10.0, 3.0]).collect();
        let targets: Vec<f32> = values.chunks_exact(2).map(|row| 5.0 - 2.0 * row[0]).collect();
        let linear = Linear::ridge(&values, &targets, 2).unwrap();
        // Shrunk by 200 / (200 + 1) about the mean.
        let mean = targets.iter().sum::<f32>() / 200.0;
        for (row, target) in values.chunks_exact(2).zip(&targets) {
            let expected = mean + (target - mean) * 200.0 / 201.0;
            assert!((linear.score(row) - expected).abs() < 1e-3, "{} {expected}", linear.score(row));
        }
        assert_eq!(Linear::ridge(&values[..4], &targets[..2], 2), None, "no more rows than columns");
    }
}
