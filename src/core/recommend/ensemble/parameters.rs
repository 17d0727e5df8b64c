//! Hyper-parameters of the blend and its models.

use serde::{Deserialize, Serialize};

use crate::recommend::models::implicit_als::AlsParameters;
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::ridge::RidgeParameters;

use super::kinds::column::KindColumn;
use super::member::BaseModel;

/// Fewest and most nearest items of a local regression.
const FEWEST_NEAR: f64 = 32.0;
const MOST_NEAR: f64 = 1_024.0;
/// Multiplications of a local regression of an item on k others, in units of k²: steps of conjugate gradients, and looking up
/// what the others have in common.
const LOCAL_COST: f64 = 40.0;

/// Parameters of the models of an ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsembleParameters {
    /// Neighbours an item in item-to-item similarity.
    pub neighbours: usize,
    /// n shared users multiply a similarity by n / (n + shrinkage).
    pub shrinkage: f32,
    /// Penalties of EASE^R.
    pub ridges: Vec<RidgeParameters>,
    /// EASE^R inverts one matrix of all items up to this many, n² memory and n³ time; above it each item is regressed on its
    /// nearest ([`local_ridge`](crate::recommend::models::local_ridge)).
    pub max_ease_items: usize,
    /// Nearest items that an item is regressed on.
    pub ridge_neighbours: usize,
    /// Weights kept for each item of EASE^R and of the sequences.
    pub kept: usize,
    /// Implicit ALS.
    pub als: Vec<AlsParameters>,
    /// Decays of a history's older items.
    pub decays: Vec<f32>,
    /// Half-lives of trends, days.
    pub trends: Vec<f32>,
    /// Half-lives of seasons, days.
    pub seasons: Vec<f32>,
    /// True if callers bring columns along ([`SideFeature`](super::SideFeature)). Their own popularity is one of them.
    pub beside: bool,
    /// Most multiplications a dense model may take: EASE^R n³ of its items, or 40 n · k² of k nearest; implicit ALS iterations
    /// · 4 · (cells · factors + (users + items) · factors²). Where n³ is above it each item is regressed on as many of its nearest
    /// as it allows, 32 at least; what is still above it is left out.
    pub max_work: f64,
    /// The members there are; empty = all that follow from the above.
    pub members: Vec<BaseModel>,
}

impl EnsembleParameters {
    /// Parameters for a server, which trains again and again and predicts at every click: few columns, few weights kept. On
    /// Online Retail's hold-out, 100 weights an item reach 99.7 % of the NDCG@10 of 150; without EASE^R 98 %, without implicit
    /// ALS 96 %.
    pub fn serving() -> Self {
        Self {
            neighbours: 100,
            shrinkage: 0.0,
            ridges: vec![RidgeParameters::plain(100.0)],
            max_ease_items: 4_500,
            ridge_neighbours: 100,
            kept: 100,
            als: vec![AlsParameters {
                factors: 64,
                regularisation: 10.0,
                alpha: 4.0,
                iterations: 10,
                ..AlsParameters::default()
            }],
            decays: vec![0.8, 0.98],
            trends: vec![3.0, 14.0],
            seasons: Vec::new(),
            beside: true,
            max_work: 1e11,
            members: Vec::new(),
        }
    }

    /// Columns of kinds among the members.
    pub fn kind_columns(&self) -> Vec<KindColumn> {
        let column =
            |member: &BaseModel| if let BaseModel::Kind(column) = member { Some(*column) } else { None };
        self.members.iter().filter_map(column).collect()
    }

    /// With EASE^R of a size that `max_work` allows on this matrix.
    pub fn sized(mut self, matrix: &Matrix) -> Self {
        let items = matrix.n_items() as f64;
        if items.powi(3) > self.max_work {
            self.max_ease_items = self.max_ease_items.min(matrix.n_items().saturating_sub(1));
        }
        let near = (self.max_work / (LOCAL_COST * items.max(1.0))).sqrt();
        self.ridge_neighbours = self.ridge_neighbours.min(near.clamp(FEWEST_NEAR, MOST_NEAR) as usize);
        self
    }

    /// The same without the models that would still take too long: what a trial begins with. Numbers of those that stay may change.
    pub fn affordable(self, matrix: &Matrix) -> Self {
        let mut sized = self.sized(matrix);
        if !sized.affords_ridges(matrix) {
            sized.ridges.clear();
        }
        sized.als.retain(|als| als_work(als, matrix) <= sized.max_work);
        sized
    }

    /// Returns whether a fit of EASE^R of this size stays within `max_work`.
    pub fn affords_ridges(&self, matrix: &Matrix) -> bool {
        self.ridge_work(matrix) <= self.max_work
    }

    /// Multiplications of a fit of EASE^R.
    pub fn ridge_work(&self, matrix: &Matrix) -> f64 {
        let items = matrix.n_items() as f64;
        if matrix.n_items() <= self.max_ease_items {
            return items.powi(3);
        }
        LOCAL_COST * items * (self.ridge_neighbours as f64).powi(2)
    }

    /// Returns whether there is to be such a member.
    pub fn wants(&self, member: impl Fn(&BaseModel) -> bool) -> bool {
        self.members.is_empty() || self.members.iter().any(member)
    }
}

/// Multiplications of a fit of implicit ALS.
pub fn als_work(als: &AlsParameters, matrix: &Matrix) -> f64 {
    let (factors, cells) = (als.factors as f64, matrix.n_entries() as f64);
    let size = matrix.n_rows() as f64 + matrix.n_items() as f64;
    als.iterations as f64 * 4.0 * (cells * factors + size * factors * factors)
}

/// Multiplications of a fit of item-to-item similarity: Σ over rows of (row length)².
pub fn similarity_work(matrix: &Matrix) -> f64 {
    matrix.rows().map(|row| (row.len() as f64).powi(2)).sum()
}

impl Default for EnsembleParameters {
    fn default() -> Self {
        Self {
            neighbours: 500,
            shrinkage: 0.0,
            ridges: vec![RidgeParameters::plain(100.0), RidgeParameters::plain(500.0)],
            max_ease_items: 4_500,
            ridge_neighbours: 256,
            kept: 600,
            als: vec![AlsParameters {
                factors: 64,
                regularisation: 10.0,
                alpha: 4.0,
                ..AlsParameters::default()
            }],
            decays: vec![0.5, 0.8, 0.95, 0.98, 1.0],
            trends: vec![3.0, 14.0, 60.0],
            seasons: vec![3.0, 14.0],
            beside: false,
            max_work: f64::INFINITY,
            members: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 users of three items each, out of 100 items.
    fn matrix() -> Matrix {
        let rows: Vec<Vec<(u32, f32)>> =
            (0..40u32).map(|user| (0..3).map(|k| ((user * 7 + k * 31) % 100, 1.0)).collect()).collect();
        Matrix::from_rows(&rows, 100)
    }

    fn within(max_work: f64) -> EnsembleParameters {
        EnsembleParameters { max_work, ..EnsembleParameters::serving() }.affordable(&matrix())
    }

    #[test]
    fn without_work_there_is_no_dense_model() {
        let nothing = within(0.0);
        assert!(nothing.ridges.is_empty() && nothing.als.is_empty());
        let all = within(f64::INFINITY);
        assert_eq!((all.ridges.len(), all.als.len(), all.max_ease_items), (1, 1, 4_500));
    }

    #[test]
    fn where_the_closed_form_is_too_dear_items_are_regressed_on_their_nearest() {
        // 100³ = 1e6; 40 · 100 · 100² = 4e7; 40 · 100 · 32² ≈ 4.1e6; ALS 10 · 4 · (120 · 64 + 140 · 64²) ≈ 2.3e7.
        assert_eq!(within(1e6).max_ease_items, 4_500);
        let near = EnsembleParameters { max_work: 5e6, max_ease_items: 50, ..EnsembleParameters::serving() };
        let near = near.affordable(&matrix());
        assert_eq!((near.ridges.len(), near.ridge_neighbours), (1, 35));
        assert!(near.ridge_work(&matrix()) <= 5e6 && near.als.is_empty());
        let dear = within(9e5);
        assert!(dear.ridges.is_empty(), "32 nearest cost more than the closed form: {dear:?}");
        assert_eq!(within(3e7).als.len(), 1);
        assert!((similarity_work(&matrix()) - 40.0 * 9.0).abs() < 1e-9);
    }
}
