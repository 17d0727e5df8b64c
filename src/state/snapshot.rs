//! Snapshot that decisions read: the current definitions, catalogue, models and what was learned, held for one
//! transition or one request.

use std::sync::Arc;

use arc_swap::Guard;

use super::AppState;
use tidings_core::base::{Timestamp, UserId};
use tidings_core::catalogue::Catalogue;
use tidings_core::recommend::ModelSet;
use tidings_core::response::Corrections;
use tidings_decision::decide::{Definitions, ExperimentModels, World};
use tidings_decision::feedback::learner::Learner;

/// The values that hold at one moment.
pub struct Snapshot {
    now: Timestamp,
    definitions: Guard<Arc<Definitions>>,
    catalogue: Guard<Arc<Catalogue>>,
    models: Guard<Arc<ModelSet>>,
    experiment_models: Guard<Arc<ExperimentModels>>,
    learner: Guard<Arc<Learner>>,
    corrections: Guard<Arc<Corrections>>,
}

impl AppState {
    /// Takes a snapshot of what decisions read, as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let now = Timestamp::now();
        let models = self.models.load();
        self.learned.publish(now, models.response.patience());
        Snapshot {
            now,
            definitions: self.definitions.load(),
            catalogue: self.catalogue.load(),
            experiment_models: self.experiment_models.load(),
            learner: self.learned.learner(),
            corrections: self.learned.corrections(),
            models,
        }
    }
}

impl Snapshot {
    /// View that a decision about this user reads; `None` = a user nobody has named.
    pub fn world<'a>(&'a self, user: Option<UserId>, state: &'a AppState) -> World<'a> {
        World {
            now: self.now,
            draw: rand::random(),
            config: &state.config,
            definitions: &self.definitions,
            catalogue: &self.catalogue,
            models: &self.models,
            experiment_models: &self.experiment_models,
            recent: &state.live,
            learner: &self.learner,
            corrections: &self.corrections,
            sent_this_hour: state.budget.used(self.now),
            is_subscribed: user.is_some_and(|user| state.push.reaches(user)),
        }
    }
}
