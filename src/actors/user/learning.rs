//! What the user's actor asks of what was learned, and what it tells: when, how much and in which words to write, and which
//! part of an experiment the user is.

use std::sync::Arc;

use rand::RngExt;

use super::ready::Ready;
use crate::actors::shared::Shared;
use crate::base::{NotificationId, Timestamp, random};
use crate::decide::Definitions;
use crate::decide::experiment::slice_of;
use crate::feedback::FeedbackOutcome;
use crate::feedback::experiments::{Arm, Slice};
use crate::feedback::learner::{Contact, Learner, PastContact, UserLearning, WordingChoice};
use crate::feedback::send_time::AllowedHours;
use crate::feedback::volume::Worth;
use crate::notify::policy::{Reason, StepName, Trial};
use crate::notify::quiet_hours::next_minute;
use crate::notify::{Channel, Decision, PolicyState, Preferences, Priority, Rules, Trigger};

const SECONDS_A_DAY: i64 = 86_400;

/// When to send, and how likely that hour was to be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChosenTime {
    /// `None` = now.
    pub at: Option<Timestamp>,
    pub propensity: f32,
}

impl ChosenTime {
    /// Did it decide? A step before may have, or a coin, or the chosen hour may come too late.
    pub fn decided(&self, decision: &Decision) -> bool {
        let last = decision.steps.last();
        let is_timed = last.is_some_and(|step| step.step == StepName::Time);
        let waits = last.is_some_and(|step| matches!(step.reason, Reason::BetterAt(_)));
        is_timed && decision.propensity() == 1.0 && (waits || self.at.is_none())
    }
}

/// What was asked for or is owed says nothing of when and how much to write, and what only lies in the inbox disturbed nobody.
pub(super) fn is_learned_from(passes_caps: bool, channel: Channel) -> bool {
    !passes_caps && channel != Channel::Inbox
}

/// What the user's messages of the last week say.
pub(super) fn recall(
    policy: &PolicyState,
    preferences: &Preferences,
    rules: &Rules,
    learner: &Learner,
) -> UserLearning {
    let zone = preferences.time_zone.as_ref().unwrap_or(&rules.time_zone);
    let past: Vec<PastContact> = policy
        .newest_first()
        .filter(|sent| is_learned_from(sent.passes_caps, sent.channel))
        .map(|sent| PastContact {
            hour: local_hour(sent.at, zone),
            clicked: sent.clicked,
            dismissed: sent.dismissed,
        })
        .collect();
    UserLearning::recall(past.into_iter().rev(), learner)
}

/// 0…23.
fn local_hour(at: Timestamp, zone: &jiff::tz::TimeZone) -> u8 {
    u8::try_from(at.to_jiff().to_zoned_datetime(zone.clone()).hour()).unwrap_or(0)
}

impl Ready {
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

    /// Of the device, else the user's, else the server's.
    pub(super) fn zone<'a>(&'a self, rules: &'a Rules) -> &'a jiff::tz::TimeZone {
        self.device_zone.as_ref().or(self.preferences.time_zone.as_ref()).unwrap_or(&rules.time_zone)
    }

    /// Which part of the policy holds for this user: ordinary, holdout, random.
    pub(super) fn slice(&self, rules: &Rules) -> Slice {
        slice_of(rules, &self.external_id)
    }

    /// The arms this user is in, with the rules of each. Who is held out or left to a coin is in none.
    fn arms<'a>(
        &'a self,
        definitions: &'a Definitions,
        rules: &Rules,
    ) -> impl Iterator<Item = (&'a str, &'a Arm, Option<&'a Arc<Rules>>)> {
        // Nearly always there is none, and this is asked at every decision.
        let all = definitions.experiments.as_slice();
        let takes_part = !all.is_empty() && self.slice(rules) == Slice::Learned;
        let (running, user) =
            if takes_part { (all, self.external_id.to_string()) } else { (&[][..], String::new()) };
        running.iter().filter_map(move |running| {
            let (place, arm) = running.arm_of(&user)?;
            Some((running.experiment.name.as_str(), arm, running.rules.get(place)?.as_ref()))
        })
    }

    /// The rules for this user: those of the first experiment that changes them, else everybody's.
    pub(super) fn rules(&self, shared: &Shared) -> Arc<Rules> {
        let rules = shared.rules.load_full();
        let definitions = shared.definitions.load();
        let own = self.arms(&definitions, &rules).find_map(|(_, _, rules)| rules.cloned());
        own.unwrap_or(rules)
    }

    /// Experiment → arm, as stored.
    pub(super) fn arms_by_name(&self, shared: &Shared, rules: &Rules) -> serde_json::Value {
        let definitions = shared.definitions.load();
        self.arms(&definitions, rules)
            .map(|(name, arm, _)| (name.to_owned(), arm.name.clone().into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// The one variant of a template that an experiment uses for this user.
    pub(super) fn variant_on_trial(
        &self,
        definitions: &Definitions,
        template: &str,
        rules: &Rules,
    ) -> Option<String> {
        self.arms(definitions, rules).find_map(|(_, arm, _)| arm.variants.get(template).cloned())
    }

    /// What an experiment has in mind at this moment.
    pub(super) fn trial(&self, rules: &Rules, now: Timestamp) -> Trial {
        match self.slice(rules) {
            Slice::Learned => Trial::None,
            Slice::Holdout => Trial::HeldOut,
            Slice::Uniform => Trial::Drawn(self.draw_of_moment("coin", now).random::<f32>() < Trial::COIN),
        }
    }

    /// What one more message takes from others, in clicks.
    pub(super) fn attention_price(&self, last_week: usize, rules: &Rules, shared: &Shared) -> f64 {
        let worth = Worth { click: rules.worth.click, leave: rules.worth.mute_cost };
        shared.learner.lock().attention_price(&self.learning, last_week, &worth)
    }

    /// An hour for what is in no hurry, within the user's waking hours.
    pub(super) fn chosen_time(
        &self,
        trigger: &Trigger,
        rules: &Rules,
        shared: &Shared,
        now: Timestamp,
    ) -> Option<ChosenTime> {
        if trigger.definition.priority != Priority::Low || trigger.is_asked_for() {
            return None;
        }
        let quiet = self.preferences.quiet_hours.unwrap_or(rules.quiet_hours);
        let allowed = AllowedHours::new(|hour| !quiet.covers(u16::from(hour) * 60));
        let segment = self.segment.map(|segment| segment.0);
        let mut draw = self.draw_of_day(&format!("hour:{}", trigger.name()), now);
        let hour = self.hour(rules, now);
        let learner = shared.learner.lock();
        let choice = learner.choose_hour(&self.learning, segment, hour, allowed, &mut draw)?;
        let later = || next_minute(u16::from(choice.hour) * 60, now, self.zone(rules));
        let at = if choice.hour == hour { None } else { Some(later()?) };
        Some(ChosenTime { at, propensity: choice.propensity })
    }

    /// A message goes out that says something of when and how much to write.
    pub(super) fn learn_sent(
        &mut self,
        id: NotificationId,
        category: &str,
        wording: Option<WordingChoice>,
        shared: &Shared,
        now: Timestamp,
    ) {
        let contact = Contact {
            id,
            at: now,
            hour: self.hour(&shared.rules.load(), now),
            segment: self.segment.map(|segment| segment.0),
            last_week: self.policy.contact(category, now).last_week as usize,
            wording,
        };
        shared.learner.lock().note_sent(&mut self.learning, contact);
    }

    /// What the user did with one.
    pub(super) fn learn_response(&mut self, id: NotificationId, outcome: FeedbackOutcome, shared: &Shared) {
        match outcome {
            FeedbackOutcome::Clicked => shared.learner.lock().note_clicked(&mut self.learning, id),
            FeedbackOutcome::Dismissed | FeedbackOutcome::Disliked => {
                shared.learner.lock().note_dismissed(&mut self.learning, id);
            }
            FeedbackOutcome::Muted => shared.learner.lock().note_left(&self.learning, id),
            FeedbackOutcome::Displayed | FeedbackOutcome::Converted | FeedbackOutcome::Liked => {}
        }
    }

    /// The user has come.
    pub(super) fn learn_visit(&mut self, shared: &Shared) {
        let hour = self.hour(&shared.rules.load(), Timestamp::now());
        shared.learner.lock().note_visit(&mut self.learning, hour);
    }
}
