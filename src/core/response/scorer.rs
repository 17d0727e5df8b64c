//! The two ways to a score from a row: smartcore's logistic regression, which needs few rows, and boosted trees, which
//! need many and find what depends on what. Both give log odds that a [`Platt`] curve turns into probabilities.
//!
//! [`Platt`]: crate::ml::calibration::Platt

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use crate::ml::boosting::{Boosting, BoostingParameters};

/// L2 penalty on standardised coefficients.
const ALPHA: f64 = 5.0;

/// Trees for some hundred to some ten thousand rows with few positive ones.
pub(super) fn tree_parameters(seed: u64) -> BoostingParameters {
    BoostingParameters {
        trees: 80,
        learning_rate: 0.07,
        leaves: 8,
        l2: 5.0,
        row_share: 0.8,
        column_share: 0.6,
        bins: 63,
        seed,
        ..BoostingParameters::default()
    }
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Scorer {
    /// Logistic regression.
    Linear(Linear),
    /// Boosted trees.
    Trees(Boosting),
}

impl Scorer {
    /// Log odds of a row.
    pub(super) fn score(&self, row: &[f32]) -> f32 {
        match self {
            Self::Linear(linear) => linear.score(row),
            Self::Trees(trees) => trees.predict(row),
        }
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        match self {
            Self::Linear(linear) => linear.columns.len() == width && linear.is_sound(),
            Self::Trees(trees) => trees.n_features() == width && trees.is_sound(),
        }
    }
}

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

/// Log odds as a weighted sum of standardised columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Linear {
    columns: Vec<Column>,
    intercept: f32,
}

impl Linear {
    /// smartcore's, by L-BFGS, on standardised columns; `None` when it fails (it panics on some inputs, which is caught
    /// here) or with one outcome only. O(rows · width) a step, not cancellable.
    pub(super) fn fit(values: &[f32], outcomes: &[bool], width: usize) -> Option<Self> {
        let n = outcomes.len();
        let mut columns: Vec<Column> = (0..width).map(|column| measure(values, width, column)).collect();
        let standardised: Vec<f64> = values
            .chunks_exact(width)
            .flat_map(|row| row.iter().zip(&columns))
            .map(|(value, column)| f64::from(column.standardised(*value)))
            .collect();
        let labels: Vec<u32> = outcomes.iter().map(|outcome| u32::from(*outcome)).collect();
        let (weights, intercept) = catch_unwind(AssertUnwindSafe(|| {
            let matrix = DenseMatrix::new(n, width, standardised, false).ok()?;
            let parameters = LogisticRegressionParameters::default().with_alpha(ALPHA);
            let model = LogisticRegression::fit(&matrix, &labels, parameters).ok()?;
            let weights: Vec<f64> = model.coefficients().iterator(0).copied().collect();
            let intercept: f64 = model.intercept().iterator(0).next().copied()?;
            Some((weights, intercept))
        }))
        .ok()??;
        for (column, weight) in columns.iter_mut().zip(&weights) {
            column.weight = *weight as f32;
        }
        let linear = Self { columns, intercept: intercept as f32 };
        (weights.len() == width && linear.is_sound()).then_some(linear)
    }

    fn score(&self, row: &[f32]) -> f32 {
        let terms =
            self.columns.iter().zip(row).map(|(column, value)| column.standardised(*value) * column.weight);
        self.intercept + terms.sum::<f32>()
    }

    fn is_sound(&self) -> bool {
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
        let linear = Linear::fit(&values, &outcomes, 1).unwrap();
        assert!(linear.score(&[90.0]) > linear.score(&[10.0]));
        assert_eq!(linear.score(&[1e6]), linear.score(&[99.0]));
        assert_eq!(linear.score(&[-1e6]), linear.score(&[0.0]));
        assert!(linear.score(&[f32::NAN]).is_finite());
    }
}
