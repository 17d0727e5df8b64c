//! Parameters of the algorithms of `tidings evaluate` as typed.

use clap::{Args, ValueEnum};

use tidings_core::evaluate::files::{Algorithm, Model};
use tidings_core::evaluate::offline::rp3beta::Rp3betaParameters;
use tidings_core::evaluate::offline::trending::TrendingParameters;
use tidings_core::evaluate::offline::user_knn::{UserKnnParameters, UserSimilarity};
use tidings_core::recommend::models::ease::EaseParameters;
use tidings_core::recommend::models::implicit_als::AlsParameters;
use tidings_core::recommend::models::item_knn::KnnParameters;
use tidings_core::recommend::models::local_ridge::LocalRidgeParameters;
use tidings_core::recommend::models::ridge::RidgeParameters;

/// Parameters of single algorithms; those an algorithm has no use for are ignored.
#[derive(Debug, Args)]
pub struct ParameterArgs {
    /// Neighbours kept an item (item_knn, rp3beta), items it is regressed on (ridge), users asked (user_knn).
    #[arg(long, default_value_t = 100)]
    neighbours: usize,
    /// Similarity over n in common counts n / (n + shrinkage) (item_knn, user_knn).
    #[arg(long, default_value_t = 0.0)]
    shrinkage: f32,
    /// Ridge penalty (ease, ridge).
    #[arg(long, default_value_t = RidgeParameters::default().lambda)]
    lambda: f32,
    /// A history of n items counts n^−s, 0…1 (ease, ridge).
    #[arg(long, default_value_t = 0.0)]
    user_scaling: f32,
    /// Growth of the penalty of an item with its squared weight, 0…1 (ease, ridge).
    #[arg(long, default_value_t = 0.0)]
    item_scaling: f32,
    /// Most items (ease).
    #[arg(long, default_value_t = EaseParameters::default().max_items)]
    max_items: usize,
    /// Length of the vectors (ials).
    #[arg(long, default_value_t = AlsParameters::default().factors)]
    factors: usize,
    /// Confidence of a row (ials) [default: 8]; exponent of a step (rp3beta) [default: 1].
    #[arg(long)]
    alpha: Option<f32>,
    /// Penalty on popular items (rp3beta).
    #[arg(long, default_value_t = Rp3betaParameters::default().beta)]
    beta: f32,
    /// Penalty on squared lengths (ials).
    #[arg(long, default_value_t = AlsParameters::default().regularisation)]
    regularisation: f32,
    /// Rounds (ials).
    #[arg(long, default_value_t = AlsParameters::default().iterations)]
    iterations: usize,
    /// Growth of penalties with the number of entries of a row, 0…1 (ials).
    #[arg(long, default_value_t = 0.0)]
    frequency_scaling: f32,
    /// Seed of random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Similarity of two users (user_knn).
    #[arg(long, value_enum, default_value_t = Measure::Cosine)]
    measure: Measure,
    /// Length of the recent window in days (trending).
    #[arg(long, default_value_t = TrendingParameters::default().window_days)]
    window_days: f32,
    /// Weight of each older item of a history against the next newer one, 0…1; 1 = all alike.
    #[arg(long, default_value_t = 1.0)]
    history_decay: f32,
}

/// Names of [`UserSimilarity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    Cosine,
    Jaccard,
    #[value(alias = "mean_product")]
    MeanProduct,
}

impl ParameterArgs {
    /// By name; `None` for an unknown one.
    pub(super) fn algorithm(&self, name: &str) -> Option<Algorithm> {
        let measure = match self.measure {
            Measure::Cosine => UserSimilarity::Cosine,
            Measure::Jaccard => UserSimilarity::Jaccard,
            Measure::MeanProduct => UserSimilarity::MeanProduct,
        };
        let (neighbours, shrinkage) = (self.neighbours, self.shrinkage);
        let als = AlsParameters::default();
        let (user_scaling, item_scaling) = (self.user_scaling, self.item_scaling);
        let ridge = RidgeParameters { lambda: self.lambda, user_scaling, item_scaling };
        let model = match name {
            "popularity" => Model::Popularity,
            "trending" => {
                Model::Trending(TrendingParameters { window_days: self.window_days, ..Default::default() })
            }
            "item_knn" => Model::ItemKnn(KnnParameters { neighbours, shrinkage }),
            "user_knn" => Model::UserKnn(UserKnnParameters { measure, neighbours, shrinkage }),
            "rp3beta" => {
                let alpha = self.alpha.unwrap_or(Rp3betaParameters::default().alpha);
                Model::Rp3beta(Rp3betaParameters { alpha, beta: self.beta, neighbours })
            }
            "ease" => Model::Ease(EaseParameters { ridge, max_items: self.max_items }),
            "ridge" => Model::LocalRidge(LocalRidgeParameters { ridge, neighbours, kept: neighbours }),
            "ials" => Model::ImplicitAls(AlsParameters {
                factors: self.factors,
                regularisation: self.regularisation,
                alpha: self.alpha.unwrap_or(als.alpha),
                iterations: self.iterations,
                frequency_scaling: self.frequency_scaling,
                seed: self.seed,
            }),
            _ => return None,
        };
        Some(Algorithm { model, history_decay: self.history_decay })
    }
}
