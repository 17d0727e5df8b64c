//! Users taken for robots: flagged by the rate of what they did, lifted by hand or when the rate has been a person's for long
//! enough. They are learnt from and told nothing, but for what must reach everybody.

use super::effect::Counter;
use super::proposal::{Origin, Proposal};
use super::recommend::Recommendations;
use super::record::{Record, RobotFlag};
use super::user_state::{Step, UserState};
use crate::notify::policy::{Reason, StepName};
use crate::notify::triggers::Trigger;
use crate::notify::{Decision, Priority};
use tidings_core::base::Millis;
use tidings_core::event::Event;
use tidings_core::event::robots::{RobotLimits, RobotMeter};

/// A rate that goes on is noted once in this time.
const NOTED_EVERY: Millis = Millis::hours(1);

impl UserState {
    /// Returns whether the user is taken for a robot.
    pub fn is_robot(&self) -> bool {
        self.robot_since.is_some()
    }

    /// Flags a user who acts faster than a person, by the time at which things happened.
    pub(super) fn watch_rate(&mut self, events: &[Event], step: &mut Step<'_>) {
        let ingest = &step.world.config.ingest;
        let limits =
            RobotLimits { per_minute: ingest.robot_events_per_minute, per_day: ingest.robot_events_per_day };
        let meter = &mut self.meter;
        let noted = events.iter().map(|event| meter.note(event.kind, event.occurred_at, &limits));
        let Some(excess) = noted.fold(None, |found, excess| excess.or(found)) else { return };
        let now = step.now();
        if self.robot_since.is_some_and(|since| now.millis_since(since) < NOTED_EVERY) {
            return;
        }
        if self.robot_since.replace(now).is_none() {
            step.count(Counter::Robot);
        }
        step.record(Record::Robot(self.user, RobotFlag { since: now, reason: excess.to_string() }));
    }

    /// Takes the flag off when the rate has been a person's for `ingest.robot_rest_h`.
    pub(super) fn rest(&mut self, step: &mut Step<'_>) {
        let rest = Millis::hours(step.world.config.ingest.robot_rest_h);
        let has_rested = |since| rest.0 > 0 && step.world.now.millis_since(since) >= rest;
        if self.robot_since.take_if(|since| has_rested(*since)).is_some() {
            self.meter = RobotMeter::default();
            step.record(Record::Rested(self.user, step.now()));
        }
    }

    /// A person said that the user is none.
    pub(super) fn robot_lifted(&mut self) {
        self.robot_since = None;
        self.meter = RobotMeter::default();
    }

    /// Returns whether a trigger of a robot goes no further: not what the shop says, nor what must reach everybody.
    pub(super) fn is_kept_from_robot(&self, trigger: &Trigger) -> bool {
        self.keeps_from_robot(trigger.is_said_by_shop(), trigger.definition.priority)
    }

    /// The same by whether the shop says it, and its priority.
    pub(super) fn keeps_from_robot(&self, is_said_by_shop: bool, priority: Priority) -> bool {
        self.is_robot() && !is_said_by_shop && priority != Priority::Transactional
    }

    /// Ends what was accepted or deferred for a robot with a stored reason. What the user's own acts set off was promised to nobody.
    pub(super) fn refuse_robot(&mut self, trigger: &Trigger, origin: &Origin, step: &mut Step<'_>) {
        let releases = origin.releases();
        if releases.is_empty() {
            return;
        }
        let model = step.world.models.version;
        let items = trigger.item.map(|item| Recommendations::about(item, model).items).unwrap_or_default();
        let proposal =
            Proposal::of_trigger(trigger, Recommendations { items, model, ..Recommendations::default() });
        let mut judgement = self.judge(&proposal, self.channels(trigger.name(), step), step.sent, step.world);
        judgement.decision = Decision::stopped(StepName::Consent, Reason::Robot);
        judgement.propensity = 1.0;
        self.explain(&proposal, &judgement, releases, step);
    }
}
