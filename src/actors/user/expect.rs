//! What a message is expected to bring: the situation as numbers, the model's word on it, and what came since.

use super::ready::Ready;
use crate::actors::shared::Shared;
use crate::base::{NotificationId, Timestamp};
use crate::feedback::FeedbackOutcome;
use crate::notify::Trigger;
use crate::recommend::propensity::{Features, Probabilities, Response, Situation, features};
use crate::recommend::{ModelSet, Recommendation};

/// How likely each response is, and what that was made from.
pub(super) struct Expectation {
    /// By the model alone: what its drift is measured against.
    pub said: Probabilities,
    /// With what came since it was trained.
    pub expected: Probabilities,
    pub features: Features,
    /// Other messages in the last seven days.
    pub last_week: usize,
    /// A model has learned it; else these are base rates, which say nothing about one message.
    pub is_learned: bool,
}

impl Ready {
    pub(super) fn expect(
        &self,
        trigger: &Trigger,
        recommendations: &[Recommendation],
        models: &ModelSet,
        shared: &Shared,
        now: Timestamp,
    ) -> Expectation {
        let catalogue = shared.catalogue.load();
        let category = trigger.category();
        let rules = shared.rules.load();
        let contact = self.policy.contact(category, now);
        let last_week = contact.last_week as usize;
        let features = features(&Situation {
            profile: &self.profile,
            contact,
            items: recommendations,
            catalogue: &catalogue,
            zone: self.preferences.time_zone.as_ref().unwrap_or(&rules.time_zone),
            now,
        });
        let segment = self.segment.map(|segment| segment.0);
        let said = models.propensity.probabilities(trigger.name(), category, segment, &features);
        let mut drift = shared.drift.lock();
        drift.settle(now, models.propensity.patience());
        let expected = drift.correct(trigger.name(), said);
        let is_learned = models.propensity.has_learned(Response::Click);
        Expectation { said, expected, features, last_week, is_learned }
    }

    /// Feedback, for the counts the next message is judged by and for the model's drift.
    pub(super) fn note_response(&mut self, id: NotificationId, outcome: FeedbackOutcome, shared: &Shared) {
        self.learn_response(id, outcome, shared);
        if outcome != FeedbackOutcome::Converted {
            self.policy.note_given(id);
        }
        let response = match outcome {
            FeedbackOutcome::Clicked => {
                self.policy.note_clicked(id);
                Response::Click
            }
            FeedbackOutcome::Muted => Response::Mute,
            _ => return,
        };
        shared.drift.lock().note_response(id, response);
    }
}
