//! Parameters of a training; stored with every model version.

use serde::{Deserialize, Serialize};

use crate::profile::SegmentParameters;
use crate::recommend::ensemble::{EnsembleParameters, KindNumbers};
use crate::recommend::models::association_rules::RuleParameters;
use crate::recommend::models::frequent_itemsets::ItemsetParameters;

/// Everything that shapes a model. Same data, parameters and `now`: same model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingParameters {
    /// Seed of every random choice.
    pub seed: u64,
    /// Threads of training; 0 = as many as there are cores.
    pub n_threads: usize,
    /// Parameters of the segmentation of users.
    pub segments: SegmentParameters,
    /// An interaction counts half after this many days in item-to-item similarity.
    pub interaction_half_life_days: f64,
    /// An interaction counts half after this many days in popularity.
    pub popularity_half_life_days: f64,
    /// Neighbours kept an item: what "similar items" can show.
    pub neighbours: usize,
    /// Similarities of items that n users share are multiplied by n / (n + shrinkage).
    pub shrinkage: f32,
    /// Most events of one user that count, the newest: a robot nobody has flagged neither stalls nor outvotes the rest.
    pub max_user_events: usize,
    /// Most items of one user or basket that count, newest first: one robot can't cost n².
    pub history_cap: usize,
    /// Parameters that select the frequent itemsets: sets of items bought together.
    pub itemsets: ItemsetParameters,
    /// Parameters of the association rules made of them; `max_rules` 0 = none.
    pub rules: RuleParameters,
    /// The members of the blend: the configured ones, and after a trial those that it chose.
    pub ensemble: EnsembleParameters,
    /// Result of the trial that chose them; `None` where there was nothing to hold out.
    pub choice: Option<Choice>,
    /// Kinds of events that the members tell apart, as a trial numbered them; `None` = as the events of the training do.
    pub kinds: Option<KindNumbers>,
    /// Most multiplications that trying other parameters of EASE^R may take beyond the first fit, as many again those of
    /// implicit ALS, and of item-to-item similarity.
    pub tuning_work: f64,
    /// Likeness to what is already in the list costs so much of the relevance in the lists that are measured, 0…0.9.
    pub diversity: f64,
    /// Learn the order of candidates on a part of the hold-out; if not, they are ordered by the plain rule.
    pub learn_rule: bool,
    /// Share of interactions held out for measuring, the latest, 0…0.5.
    pub holdout_share: f64,
    /// Most users measured on.
    pub max_test_users: usize,
    /// Share by which a new model's NDCG@10 may be worse than the current one's.
    pub gate_tolerance: f64,
}

/// Findings of a trial about the blend that it chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Shape of the blend; `single` where the best member alone serves.
    pub shape: String,
    /// NDCG@10 of the blend by cross-validation over the users it was learnt on.
    pub ndcg: f64,
    /// The member that is best alone.
    pub best_member: String,
    /// Its NDCG@10 on the same users.
    pub best_member_ndcg: f64,
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
            ensemble: EnsembleParameters::serving(),
            choice: None,
            kinds: None,
            tuning_work: 4e9,
            diversity: 0.05,
            learn_rule: true,
            holdout_share: 0.1,
            max_test_users: 2_000,
            gate_tolerance: 0.1,
        }
    }
}
