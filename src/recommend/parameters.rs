//! What training may be told; stored with every model version.

use serde::{Deserialize, Serialize};

use crate::profile::SegmentParameters;

use super::association_rules::RuleParameters;
use super::frequent_itemsets::ItemsetParameters;

/// Weights of the hybrid, ≥ 0; only their ratios matter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Blend {
    /// Item-to-item collaborative filtering.
    pub item_knn: f32,
    /// Content (TF-IDF).
    pub content: f32,
    /// Popularity overall, in the user's segment and favourite categories.
    pub popularity: f32,
    /// How much less each older item of the history says than the next newer one, 0…1.
    pub history_decay: f32,
    /// How many neighbours of each item of the history count, the nearest. Measured on Online Retail: 10 to 20 beat 100
    /// everywhere, since the far ones are popular with everybody.
    pub neighbours: usize,
}

impl Default for Blend {
    fn default() -> Self {
        Self { item_knn: 1.0, content: 0.3, popularity: 0.2, history_decay: 0.93, neighbours: 15 }
    }
}

/// Everything that shapes a model. Same data, parameters and `now`: same model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingParameters {
    /// Seed of every random choice.
    pub seed: u64,
    /// Threads of training; 0 = as many as there are cores.
    pub n_threads: usize,
    /// How users are grouped.
    pub segments: SegmentParameters,
    /// An interaction counts half after this many days in item-to-item similarity.
    pub interaction_half_life_days: f64,
    /// An interaction counts half after this many days in popularity.
    pub popularity_half_life_days: f64,
    /// Neighbours kept an item: what "similar items" can show; [`Blend::neighbours`] of them make scores.
    pub neighbours: usize,
    /// Similarities of items that n users share are multiplied by n / (n + shrinkage).
    pub shrinkage: f32,
    /// Most events of one user that count, the newest: a robot nobody has flagged neither stalls nor outvotes the rest.
    pub max_user_events: usize,
    /// Most items of one user or basket that count, newest first: one robot can't cost n².
    pub history_cap: usize,
    /// Which sets of items bought together count as frequent.
    pub itemsets: ItemsetParameters,
    /// Which association rules are made of them; `max_rules` 0 = none.
    pub rules: RuleParameters,
    /// Weights of the hybrid; where `tune_blend`, only the start.
    pub blend: Blend,
    /// Choose the weights on a validation slice.
    pub tune_blend: bool,
    /// Share of interactions held out for measuring, the latest, 0…0.5.
    pub holdout_share: f64,
    /// Most users measured on.
    pub max_test_users: usize,
    /// How much worse (as a share) a new model's NDCG@10 may be than the current one's.
    pub gate_tolerance: f64,
}

impl Default for TrainingParameters {
    fn default() -> Self {
        Self {
            seed: 1,
            n_threads: 0,
            segments: SegmentParameters::default(),
            interaction_half_life_days: 365.0,
            popularity_half_life_days: 30.0,
            neighbours: 100,
            shrinkage: 3.0,
            max_user_events: 10_000,
            history_cap: 500,
            itemsets: ItemsetParameters::default(),
            rules: RuleParameters::default(),
            blend: Blend::default(),
            tune_blend: true,
            holdout_share: 0.1,
            max_test_users: 2_000,
            gate_tolerance: 0.1,
        }
    }
}
