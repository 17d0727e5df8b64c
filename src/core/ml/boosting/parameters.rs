//! Hyper-parameters of boosting.

use serde::{Deserialize, Serialize};

use super::objective::Objective;

/// Parameters of the growth of trees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoostingParameters {
    /// Objective that is minimised.
    pub objective: Objective,
    /// Most trees.
    pub trees: usize,
    /// Shrinkage of each tree, 0…1.
    pub learning_rate: f32,
    /// Most leaves of a tree, at least 2.
    pub leaves: usize,
    /// Most splits from root to leaf; 0 = no bound.
    pub max_depth: usize,
    /// Fewest rows in a leaf.
    pub min_rows: usize,
    /// Least sum of second derivatives in a leaf.
    pub min_hessian: f32,
    /// L2 penalty on the values of leaves.
    pub l2: f32,
    /// Least gain of a split.
    pub min_gain: f32,
    /// Share of rows each tree sees, drawn anew, (0, 1].
    pub row_share: f32,
    /// Share of columns each tree sees, drawn anew, (0, 1].
    pub column_share: f32,
    /// Most bins of a column besides the one for missing values, 2…255.
    pub bins: usize,
    /// Trees without a better validation loss after which growing ends; 0 = never. Needs a validation set.
    pub patience: usize,
    /// Of the drawing of rows and columns.
    pub seed: u64,
}

impl Default for BoostingParameters {
    fn default() -> Self {
        Self {
            objective: Objective::Logistic,
            trees: 100,
            learning_rate: 0.1,
            leaves: 31,
            max_depth: 0,
            min_rows: 20,
            min_hessian: 1e-3,
            l2: 1.0,
            min_gain: 0.0,
            row_share: 1.0,
            column_share: 1.0,
            bins: 255,
            patience: 0,
            seed: 1,
        }
    }
}
