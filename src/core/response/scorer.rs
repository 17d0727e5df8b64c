//! The two ways to a score from a row: smartcore's logistic regression, which needs few rows, and boosted trees, which
//! need many and find what depends on what. Both give log odds that a [`Platt`] curve turns into probabilities.
//!
//! [`Platt`]: crate::ml::calibration::Platt

use serde::{Deserialize, Serialize};

use crate::ml::boosting::{Boosting, BoostingParameters};
use crate::ml::linear::Linear;

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
            Self::Linear(linear) => linear.width() == width && linear.is_sound(),
            Self::Trees(trees) => trees.n_features() == width && trees.is_sound(),
        }
    }
}
