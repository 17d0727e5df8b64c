//! Everything a decision may read, borrowed for one transition. Whatever is not in here has no influence.

use std::sync::Arc;

use super::definitions::Definitions;
use super::experiment::ExperimentModels;
use super::record::Inputs;
use crate::feedback::learner::Learner;
use crate::notify::Rules;
use tidings_core::base::Timestamp;
use tidings_core::catalogue::Catalogue;
use tidings_core::config::Config;
use tidings_core::profile::FeatureContext;
use tidings_core::recommend::ModelSet;
use tidings_core::recommend::serve::live::RecentCounts;
use tidings_core::response::Corrections;

/// Inputs of a decision beside the user's own state.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Moment of the transition.
    pub now: Timestamp,
    /// Seed of the transition's random draws and ids; different for each transition.
    pub draw: u64,
    /// The server's configuration.
    pub config: &'a Config,
    /// Triggers, templates, policy and experiments.
    pub definitions: &'a Definitions,
    /// Items.
    pub catalogue: &'a Catalogue,
    /// The model that serves.
    pub models: &'a Arc<ModelSet>,
    /// Models named by arms of experiments.
    pub experiment_models: &'a ExperimentModels,
    /// Events since the model was trained.
    pub recent: &'a dyn RecentCounts,
    /// Knowledge learned from earlier messages of all users.
    pub learner: &'a Learner,
    /// Shifts of predicted responses since the model was trained.
    pub corrections: &'a Corrections,
    /// Messages sent in this hour (UTC), over all users.
    pub sent_this_hour: u64,
    /// A browser of the user has a Web Push subscription.
    pub is_subscribed: bool,
}

impl World<'_> {
    /// The server's policy, before experiments.
    pub fn rules(&self) -> &Rules {
        &self.definitions.rules
    }

    /// Measure of users' features: until the newest event of the data, in the shop's currency.
    pub fn feature_context(&self) -> FeatureContext<'_> {
        self.context_of(self.models)
    }

    /// The same by the data of another model.
    pub(super) fn context_of<'b>(&'b self, models: &'b ModelSet) -> FeatureContext<'b> {
        models.observed.context(self.recent.newest(), self.now, self.catalogue.money())
    }

    /// Returns whether messages of this trigger may be sent by Web Push.
    pub fn is_pushable(&self, trigger: &str) -> bool {
        !self.config.webpush.not_for.iter().any(|name| name == trigger)
    }

    /// Versions of what is read, for the decision's record.
    pub fn inputs(&self) -> Inputs {
        Inputs {
            definitions: self.definitions.version,
            catalogue: self.catalogue.version(),
            learner: self.learner.version(),
            draw: self.draw,
        }
    }
}
