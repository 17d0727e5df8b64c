//! Predicted response to a message: features of the situation, the model's probabilities, and the shift seen since training.

use super::user_state::UserState;
use super::world::World;
use crate::notify::{Rules, Trigger};
use tidings_core::config::WorthBy;
use tidings_core::profile::Profile;
use tidings_core::recommend::Recommendation;
use tidings_core::response::{Features, Probabilities, Response, Situation, features};

/// Probabilities of each response, and the features they were made from.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// By the model alone: what its drift is measured against.
    pub predicted: Probabilities,
    /// Corrected by the responses since the model was trained.
    pub expected: Probabilities,
    /// By how much the message raises the probability of a purchase; `None` where the rules do not go by it or no model has
    /// learned it.
    pub uplift: Option<f32>,
    /// Features of the situation.
    pub features: Features,
    /// Other messages in the last seven days.
    pub last_week: usize,
    /// Learned by a model; else these are base rates, which say nothing about one message.
    pub is_learned: bool,
}

impl UserState {
    /// Predicts the response to a message of a trigger that names these items. Without consent to profiling the profile is
    /// an empty one.
    pub(super) fn predict(
        &self,
        trigger: &Trigger,
        recommendations: &[Recommendation],
        rules: &Rules,
        world: &World<'_>,
    ) -> Prediction {
        let category = trigger.category();
        let contact = self.policy.contact(category, world.now);
        let last_week = contact.last_week as usize;
        let stranger = Profile::default();
        let (profile, segment) = self.consented(rules, &stranger);
        let items: Vec<_> = recommendations.iter().map(|known| (known.item, known.score)).collect();
        let features = features(&Situation {
            profile,
            contact,
            items: &items,
            catalogue: world.catalogue,
            zone: self.preferences.time_zone.as_ref().unwrap_or(&rules.time_zone),
            now: world.now,
            clock: world.feature_context(),
        });
        let model = &world.models.response;
        let segment = segment.map(|segment| segment.0);
        let predicted = model.probabilities(trigger.name(), category, segment, &features);
        let expected = world.corrections.correct(trigger.name(), predicted);
        let uplift = match rules.worth_by {
            WorthBy::Response => None,
            WorthBy::Uplift => model.uplift(trigger.name(), category, segment, &features),
        };
        let is_learned = model.has_learned(Response::Click);
        Prediction { predicted, expected, uplift, features, last_week, is_learned }
    }
}
