//! What a user may like: models over one interaction matrix, blended, filtered by rule, each with its reason.
//!
//! [`boosting`] learns probabilities and orders from rows of numbers.
//! [`propensity`] says how likely a message is to be answered, and how.
//! One recommender a file ([`popularity`], [`item_knn`], [`content_based`], …); [`ensemble`] blends them; [`explain`] finds the
//! cause; [`rules`] takes away what must not be shown; a [`ModelSet`] holds all of it, immutable, swapped whole;
//! [`train`](train::train) makes one from events and a catalogue.

mod answer;
pub mod association_rules;
mod baseline;
pub mod boosting;
pub mod calibration;
mod columns;
pub mod content_based;
mod diversity;
pub mod ease;
pub mod ensemble;
mod explain;
mod exploration;
pub mod frequent_itemsets;
pub mod implicit_als;
pub mod interactions;
pub mod item_knn;
pub mod item_weights;
mod least_squares;
pub mod listwise;
pub mod live;
mod model_set;
pub mod next_item;
mod parameters;
pub mod personal;
pub mod popularity;
pub mod propensity;
mod reason;
pub mod repeat;
pub mod rp3beta;
pub mod rules;
mod seed;
pub mod session_knn;
pub mod session_model;
pub mod session_ranking;
pub mod sessions;
pub mod sparse_scores;
mod sweep;
pub mod text;
mod threads;
mod top;
pub mod train;
pub mod transitions;
pub mod trending;
pub mod user_knn;

mod artefact;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::{ItemId, Score, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::config::Recommend;
use crate::profile::{Profile, SegmentId};

pub use artefact::ArtefactError;
pub use association_rules::{AssociationRules, Rule, RuleParameters};
pub use baseline::Baseline;
pub use model_set::ModelSet;
pub use parameters::TrainingParameters;
pub use reason::Reason;
pub use threads::Threads;
pub use train::{Progress, Stage, TrainError, Trained, TrainingData, train};

/// Measures by name, e.g. `ndcg@10` (0…1), `users` (count), `item_knn.ndcg@10` (one model alone).
pub type Metrics = BTreeMap<String, f64>;

/// What is asked of a [`ModelSet`].
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// For whom.
    pub profile: &'a Profile,
    /// Their segment, when known.
    pub segment: Option<SegmentId>,
    /// What there is now: stock, titles, items newer than the model.
    pub catalogue: &'a Catalogue,
    /// The moment of asking.
    pub now: Timestamp,
    /// Most recommendations wanted.
    pub n: usize,
    /// An item just viewed or put into the cart: its neighbours come first.
    pub seed: Option<ItemId>,
    /// Never these, e.g. what was sent a moment ago.
    pub exclude: &'a [ItemId],
    /// Business rules, diversity, exploration.
    pub settings: &'a Recommend,
    /// Whose draws decide where to explore; `None` = explore nowhere.
    pub explorer: Option<UserId>,
    /// What happened since the model was trained.
    pub live: live::Evidence<'a>,
}

impl<'a> Request<'a> {
    /// For `n` items by relevance only, without a seed, a segment, anything excluded or explored.
    pub fn new(profile: &'a Profile, catalogue: &'a Catalogue, now: Timestamp, n: usize) -> Self {
        static RELEVANCE_ONLY: Recommend = Recommend::RELEVANCE_ONLY;
        Self {
            profile,
            segment: None,
            catalogue,
            now,
            n,
            seed: None,
            exclude: &[],
            settings: &RELEVANCE_ONLY,
            explorer: None,
            live: live::Evidence::default(),
        }
    }
}

/// One item to show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// Which.
    pub item: ItemId,
    /// How relevant, 0…1, comparable within one answer.
    pub score: Score,
    /// Why, truly.
    pub reason: Reason,
    /// With what probability it was to stand in its place, given everything but the draws of exploration; > 0, 1 = certain.
    pub propensity: f32,
}
