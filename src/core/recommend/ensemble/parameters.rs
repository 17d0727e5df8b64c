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
    /// Whether callers bring columns along ([`SideFeature`](super::SideFeature)). Their own popularity is one of them.
    pub beside: bool,
    /// Most multiplications a dense model may take: EASE^R n³ of its items, or 40 n · k² of k nearest; implicit ALS iterations
    /// · 4 · (cells · factors + (users + items) · factors²). Above it EASE^R looks at fewer nearest, ALS is left out.
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

    /// Without what would take too long on this matrix.
    pub fn affordable(mut self, matrix: &Matrix) -> Self {
        let items = matrix.n_items() as f64;
        let near = (self.max_work / (LOCAL_COST * items.max(1.0))).sqrt();
        self.ridge_neighbours = self.ridge_neighbours.min(near.clamp(FEWEST_NEAR, MOST_NEAR) as usize);
        self.als.retain(|als| als_work(als, matrix) <= self.max_work);
        self
    }

    /// Multiplications of a fit of EASE^R.
    pub fn ridge_work(&self, matrix: &Matrix) -> f64 {
        let items = matrix.n_items() as f64;
        if matrix.n_items() <= self.max_ease_items {
            return items.powi(3);
        }
        LOCAL_COST * items * (self.ridge_neighbours as f64).powi(2)
    }

    /// Whether there is to be such a member.
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
