//! Send time, volume and wording: what decisions ask of the learner, and the lessons they teach it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;

use super::definitions::Definitions;
use super::effect::{DriftNote, Effect};
use super::experiment::slice_of;
use super::recall::local_hour;
use super::user_state::{Step, UserState};
use super::world::World;
use crate::feedback::FeedbackOutcome;
use crate::feedback::experiments::{Arm, Slice};
use crate::feedback::learner::{Contact, Learner, WordingChoice};
use crate::feedback::send_time::AllowedHours;
use crate::feedback::volume::Worth;
use crate::notify::policy::{Reason, StepName, Trial};
use crate::notify::quiet_hours::next_minute;
use crate::notify::{Decision, Priority, Rules, Trigger};
use tidings_core::base::{NotificationId, Timestamp, random};
use tidings_core::response::Response;

const SECONDS_A_DAY: i64 = 86_400;

/// Moment to send at, and how likely that hour was to be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChosenTime {
    /// `None` = now.
    pub at: Option<Timestamp>,
    pub propensity: f32,
}

impl ChosenTime {
    /// Returns whether it decided. A step before may have, or a random test, or the chosen hour may come too late.
    pub fn decided(&self, decision: &Decision) -> bool {
        let last = decision.steps.last();
        let is_timed = last.is_some_and(|step| step.step == StepName::Time);
        let waits = last.is_some_and(|step| matches!(step.reason, Reason::BetterAt(_)));
        is_timed && decision.propensity() == 1.0 && (waits || self.at.is_none())
    }
}

impl UserState {
    /// The same all day for the same user and purpose.
    pub(super) fn draw_of_day(&self, purpose: &str, now: Timestamp) -> random::ChaCha8Rng {
        let day = now.as_seconds().div_euclid(SECONDS_A_DAY).unsigned_abs();
        random::rng((day << 32) ^ u64::from(self.user.0), purpose)
    }

    /// Another one for each moment and purpose.
    pub(super) fn draw_of_moment(&self, purpose: &str, now: Timestamp) -> random::ChaCha8Rng {
        random::rng(now.0.unsigned_abs() ^ (u64::from(self.user.0) << 40), purpose)
    }

    fn hour(&self, rules: &Rules, now: Timestamp) -> u8 {
        local_hour(now, self.zone(rules))
    }

    /// The part of the policy that holds for this user: ordinary, holdout or random.
    pub fn slice(&self, rules: &Rules) -> Slice {
        slice_of(rules, &self.external_id)
    }

    /// The arms this user is in, with the rules of each. Users of holdout and random test are in none.
    fn arms<'a>(
        &'a self,
        definitions: &'a Definitions,
    ) -> impl Iterator<Item = (&'a str, &'a Arm, Option<&'a Arc<Rules>>)> + use<'a> {
        // Nearly always there is none, and this is asked at every decision.
        let all = definitions.experiments.as_slice();
        let takes_part = !all.is_empty() && self.slice(&definitions.rules) == Slice::Learned;
        let (running, user) =
            if takes_part { (all, self.external_id.to_string()) } else { (&[][..], String::new()) };
        running.iter().filter_map(move |running| {
            let (place, arm) = running.arm_of(&user, &self.attributes)?;
            Some((running.experiment.name.as_str(), arm, running.rules.get(place)?.as_ref()))
        })
    }

    /// The rules for this user: those of the first experiment that changes them, else everybody's.
    pub fn rules(&self, world: &World<'_>) -> Arc<Rules> {
        let own = self.arms(world.definitions).find_map(|(_, _, rules)| rules.cloned());
        own.unwrap_or_else(|| Arc::clone(&world.definitions.rules))
    }

    /// Experiment and arm, for each experiment the user takes part in.
    pub(super) fn arms_by_name(&self, definitions: &Definitions) -> BTreeMap<String, String> {
        self.arms(definitions).map(|(name, arm, _)| (name.to_owned(), arm.name.clone())).collect()
    }

    /// The one variant of a template that an experiment uses for this user.
    pub(super) fn variant_on_trial(&self, definitions: &Definitions, template: &str) -> Option<String> {
        self.arms(definitions).find_map(|(_, arm, _)| arm.variants.get(template).cloned())
    }

    /// Treatment that an experiment prescribes for this moment.
    pub(super) fn trial(&self, rules: &Rules, now: Timestamp) -> Trial {
        match self.slice(rules) {
            Slice::Learned => Trial::None,
            Slice::Holdout => Trial::HeldOut,
            Slice::Uniform => Trial::Drawn(self.draw_of_moment("coin", now).random::<f32>() < Trial::COIN),
        }
    }

    /// Attention that one more message takes from others, in clicks.
    pub(super) fn attention_price(&self, last_week: usize, rules: &Rules, learner: &Learner) -> f64 {
        let worth = Worth { click: rules.worth.click, leave: rules.worth.mute_cost };
        learner.attention_price(&self.learning, last_week, &worth)
    }

    /// An hour for what is in no hurry, within the user's waking hours.
    pub(super) fn chosen_time(
        &self,
        trigger: &Trigger,
        rules: &Rules,
        world: &World<'_>,
    ) -> Option<ChosenTime> {
        if trigger.definition.priority != Priority::Low || trigger.is_asked_for() || trigger.is_said_by_shop()
        {
            return None;
        }
        let now = world.now;
        let quiet = self.preferences.quiet_hours.unwrap_or(rules.quiet_hours);
        let allowed = AllowedHours::new(|hour| !quiet.covers(u16::from(hour) * 60));
        let segment = self.segment.map(|segment| segment.0);
        let mut draw = self.draw_of_day(&format!("hour:{}", trigger.name()), now);
        let hour = self.hour(rules, now);
        let choice = world.learner.choose_hour(&self.learning, segment, hour, allowed, &mut draw)?;
        let later = || next_minute(u16::from(choice.hour) * 60, now, self.zone(rules));
        let at = if choice.hour == hour { None } else { Some(later()?) };
        Some(ChosenTime { at, propensity: choice.propensity })
    }

    /// A message goes out that teaches something of when, how much and in which words to write.
    pub(super) fn learn_sent(
        &mut self,
        id: NotificationId,
        category: &str,
        wording: Option<WordingChoice>,
        step: &mut Step<'_>,
    ) {
        let now = step.now();
        let contact = Contact {
            id,
            at: now,
            hour: self.hour(step.world.rules(), now),
            segment: self.segment.map(|segment| segment.0),
            last_week: self.policy.contact(category, now).last_week as usize,
            wording,
        };
        let lesson = self.learning.note_sent(step.world.learner, contact);
        step.push(Effect::Learn(Box::new(lesson)));
    }

    /// A response, for what is learned of messages and for the drift of the model.
    pub(super) fn note_response(
        &mut self,
        id: NotificationId,
        outcome: FeedbackOutcome,
        step: &mut Step<'_>,
    ) {
        self.learn_response(id, outcome, step);
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
        step.push(Effect::Drift(DriftNote::Response(id, response)));
    }

    /// A response, for what is learned of messages.
    pub(super) fn learn_response(
        &mut self,
        id: NotificationId,
        outcome: FeedbackOutcome,
        step: &mut Step<'_>,
    ) {
        let lesson = match outcome {
            FeedbackOutcome::Clicked => self.learning.note_clicked(id),
            FeedbackOutcome::Dismissed | FeedbackOutcome::Disliked => self.learning.note_dismissed(id),
            FeedbackOutcome::Muted => self.learning.note_left(id),
            FeedbackOutcome::Displayed | FeedbackOutcome::Converted | FeedbackOutcome::Liked => None,
        };
        if let Some(lesson) = lesson {
            step.push(Effect::Learn(Box::new(lesson)));
        }
    }

    /// The user has come.
    pub(super) fn learn_visit(&mut self, step: &mut Step<'_>) {
        let hour = self.hour(step.world.rules(), step.now());
        let lesson = self.learning.note_visit(hour);
        step.push(Effect::Learn(Box::new(lesson)));
    }
}
