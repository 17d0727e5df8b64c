//! The recommenders that can be measured on plain tables, by name and parameters, and each of them fitted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Value, json};

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::models::ease::{Ease, EaseParameters};
use crate::recommend::models::implicit_als::{AlsParameters, ImplicitAls};
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_knn::{ItemKnn, KnnParameters};
use crate::recommend::models::item_weights::ItemWeights;
use crate::recommend::models::local_ridge::{LocalRidgeParameters, Neighbourhoods};
use crate::recommend::models::ridge::RidgeParameters;
use crate::recommend::train::TrainError;

use super::offline::rp3beta::{Rp3beta, Rp3betaParameters};
use super::offline::trending::{Trending, TrendingParameters};
use super::offline::user_knn::{UserKnn, UserKnnParameters};

/// Parameters by name, numbers and names, for JSON.
pub type ParameterValues = BTreeMap<String, Value>;

/// Model that is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    /// Number of users by item.
    Popularity,
    /// Trending items.
    Trending(TrendingParameters),
    /// Item-to-item cosine.
    ItemKnn(KnnParameters),
    /// User-to-user similarity.
    UserKnn(UserKnnParameters),
    /// Random walks.
    Rp3beta(Rp3betaParameters),
    /// The closed form.
    Ease(EaseParameters),
    /// The same of each item on its nearest.
    LocalRidge(LocalRidgeParameters),
    /// Matrix factorisation.
    ImplicitAls(AlsParameters),
}

/// A model and how histories are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Algorithm {
    /// Model that is fitted.
    pub model: Model,
    /// Weight of each older item of a history against the next newer one, 0…1; 1 = all alike.
    pub history_decay: f32,
}

impl From<Model> for Algorithm {
    fn from(model: Model) -> Self {
        Self { model, history_decay: 1.0 }
    }
}

impl Algorithm {
    /// For tables and JSON.
    pub fn name(&self) -> &'static str {
        match self.model {
            Model::Popularity => "popularity",
            Model::Trending(_) => "trending",
            Model::ItemKnn(_) => "item_knn",
            Model::UserKnn(_) => "user_knn",
            Model::Rp3beta(_) => "rp3beta",
            Model::Ease(_) => "ease",
            Model::LocalRidge(_) => "ridge",
            Model::ImplicitAls(_) => "ials",
        }
    }

    /// For JSON.
    pub fn parameters(&self) -> ParameterValues {
        let mut values: Vec<(&str, Value)> = match self.model {
            Model::Popularity => return ParameterValues::new(),
            Model::Trending(parameters) => vec![
                ("window_days", number(parameters.window_days)),
                ("smoothing", number(parameters.smoothing)),
            ],
            Model::ItemKnn(parameters) => vec![
                ("neighbours", json!(parameters.neighbours)),
                ("shrinkage", number(parameters.shrinkage)),
            ],
            Model::UserKnn(parameters) => vec![
                ("measure", json!(parameters.measure.name())),
                ("neighbours", json!(parameters.neighbours)),
                ("shrinkage", number(parameters.shrinkage)),
            ],
            Model::Rp3beta(parameters) => vec![
                ("alpha", number(parameters.alpha)),
                ("beta", number(parameters.beta)),
                ("neighbours", json!(parameters.neighbours)),
            ],
            Model::Ease(parameters) => ridge(&parameters.ridge),
            Model::LocalRidge(parameters) => {
                let mut values = ridge(&parameters.ridge);
                values.push(("neighbours", json!(parameters.neighbours)));
                values
            }
            Model::ImplicitAls(parameters) => vec![
                ("factors", json!(parameters.factors)),
                ("regularisation", number(parameters.regularisation)),
                ("alpha", number(parameters.alpha)),
                ("iterations", json!(parameters.iterations)),
                ("frequency_scaling", number(parameters.frequency_scaling)),
            ],
        };
        if !matches!(self.model, Model::Trending(_)) {
            values.push(("history_decay", number(self.history_decay)));
        }
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// As it was said: 0.1, not the 0.10000000149 nearest to it.
pub(super) fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, |value| json!(value))
}

fn ridge(ridge: &RidgeParameters) -> Vec<(&'static str, Value)> {
    vec![
        ("lambda", number(ridge.lambda)),
        ("user_scaling", number(ridge.user_scaling)),
        ("item_scaling", number(ridge.item_scaling)),
    ]
}

/// A model, ready to score.
#[derive(Clone, Debug)]
pub enum Fitted {
    /// Number of users by item.
    Popularity(Vec<f32>),
    /// Trending items.
    Trending(Trending),
    /// Item-to-item cosine.
    ItemKnn(ItemKnn),
    /// User-to-user similarity.
    UserKnn(UserKnn),
    /// Random walks.
    Rp3beta(Rp3beta),
    /// The closed form.
    Ease(Ease),
    /// The same of each item on its nearest.
    LocalRidge(ItemWeights),
    /// Matrix factorisation.
    ImplicitAls(ImplicitAls),
}

impl Model {
    /// Fits on all threads of the pool; `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
    pub fn fit(
        &self,
        matrix: &Matrix,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Fitted, TrainError> {
        Ok(match self {
            Self::Popularity => {
                let mut users = vec![0f32; matrix.n_items()];
                for entry in matrix.rows().flatten() {
                    if let Some(count) = users.get_mut(entry.item as usize) {
                        *count += 1.0;
                    }
                }
                Fitted::Popularity(users)
            }
            Self::Trending(parameters) => Fitted::Trending(Trending::fit(matrix, parameters)),
            Self::ItemKnn(parameters) => Fitted::ItemKnn(
                ItemKnn::fit(matrix, parameters, threads, progress).ok_or(TrainError::Cancelled)?,
            ),
            Self::UserKnn(parameters) => Fitted::UserKnn(
                UserKnn::fit(matrix, parameters, threads, progress).ok_or(TrainError::Cancelled)?,
            ),
            Self::Rp3beta(parameters) => Fitted::Rp3beta(
                Rp3beta::fit(matrix, parameters, threads, progress).ok_or(TrainError::Cancelled)?,
            ),
            Self::Ease(parameters) => Fitted::Ease(Ease::fit(matrix, parameters, threads, progress)?),
            Self::LocalRidge(parameters) => {
                let width = 2 * parameters.neighbours;
                let near = Neighbourhoods::new(matrix, &parameters.ridge, width, threads, |done| {
                    progress(0.3 * done)
                })?;
                Fitted::LocalRidge(near.fit(parameters, threads, |done| progress(0.3 + 0.7 * done))?)
            }
            Self::ImplicitAls(parameters) => {
                Fitted::ImplicitAls(ImplicitAls::fit(matrix, parameters, threads, progress)?)
            }
        })
    }
}

impl Fitted {
    /// Adds the scores of every item for a history, newest first. `row` is the history's own row of the matrix, if it
    /// has one: nobody is their own neighbour.
    pub fn add_scores(&self, history: &[(ItemId, f32)], row: Option<usize>, scores: &mut [f32]) {
        match self {
            Self::Popularity(users) => {
                scores.iter_mut().zip(users).for_each(|(score, users)| *score += users);
            }
            Self::Trending(model) => model.add_scores(history, scores),
            Self::ItemKnn(model) => model.add_scores(history, usize::MAX, scores),
            Self::UserKnn(model) => model.add_scores_except(history, row, scores),
            Self::Rp3beta(model) => model.add_scores(history, scores),
            Self::Ease(model) => model.add_scores(history, scores),
            Self::LocalRidge(model) => model.add_scores(history, scores),
            Self::ImplicitAls(model) => model.add_scores(history, scores),
        }
    }
}
