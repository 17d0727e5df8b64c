//! What decisions read, as it is at one moment: the current definitions, catalogue, models and what was learned, held for one
//! transition or one request.

use std::sync::Arc;

use arc_swap::Guard;

use super::shared::Shared;
use crate::base::{Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::decide::{Definitions, ExperimentModels, World};
use crate::feedback::learner::Learner;
use crate::recommend::ModelSet;
use crate::recommend::propensity::Corrections;

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

impl Snapshot {
    /// The present values.
    pub fn of(shared: &Shared) -> Self {
        let now = Timestamp::now();
        let models = shared.models.load();
        shared.learned.publish(now, models.propensity.patience());
        Self {
            now,
            definitions: shared.definitions.load(),
            catalogue: shared.catalogue.load(),
            experiment_models: shared.experiment_models.load(),
            learner: shared.learned.learner(),
            corrections: shared.learned.corrections(),
            models,
        }
    }

    /// What a decision about this user reads; `None` = a user nobody has named.
    pub fn world<'a>(&'a self, user: Option<UserId>, shared: &'a Shared) -> World<'a> {
        World {
            now: self.now,
            draw: rand::random(),
            config: &shared.config,
            definitions: &self.definitions,
            catalogue: &self.catalogue,
            models: &self.models,
            experiment_models: &self.experiment_models,
            recent: &shared.live,
            learner: &self.learner,
            corrections: &self.corrections,
            sent_this_hour: shared.budget.used(self.now),
            is_subscribed: user.is_some_and(|user| shared.push.reaches(user)),
        }
    }
}
