//! An experiment that runs: the rules of each arm, and the users who are in one.

use std::sync::Arc;

use crate::feedback::experiments::{Arm, Experiment};
use crate::notify::Rules;
use tidings_core::profile::Attributes;

/// An active experiment with what its arms change.
#[derive(Debug)]
pub struct RunningExperiment {
    /// As stored.
    pub experiment: Experiment,
    /// Rules of each arm, in order; `None` where the arm changes none.
    pub rules: Vec<Option<Arc<Rules>>>,
    /// One entry an arm: true if the model that it names is loaded. An arm without its model is served to nobody and recorded for
    /// nobody: its users are decided about as those outside.
    pub served: Vec<bool>,
}

impl RunningExperiment {
    /// Index and arm of a user, by external id and attributes; `None` outside the experiment and in an arm that is not served.
    pub fn arm_of(&self, user: &str, attributes: &Attributes) -> Option<(usize, &Arm)> {
        if !self.experiment.only.iter().all(|condition| condition.holds(attributes)) {
            return None;
        }
        let index = self.experiment.arm_of(user)?;
        let served = self.served.get(index).is_some_and(|served| *served);
        self.experiment.arms.get(index).filter(|_| served).map(|arm| (index, arm))
    }
}
