//! Messages that come back from a snooze while nobody looks: whether a browser is told, and when. Pages that are open are told by
//! the session.

use super::record::{API, Record, Returned, SnoozeEnded};
use super::user_state::{Step, UserState};
use crate::notify::{Candidate, Channel, Moment, Outcome, decide};

impl UserState {
    /// Decides about a message that came back by the steps that every message takes, caps and quiet hours among them.
    pub(super) fn snooze_ended(&mut self, message: &SnoozeEnded, step: &mut Step<'_>) {
        let now = step.now();
        let definition = step.world.definitions.triggers.find(&message.trigger);
        // A trigger that is no more was one of the profile, as far as anybody knows.
        let is_said_by_shop =
            message.trigger == API || definition.is_some_and(|definition| definition.when.is_said_by_shop());
        let campaign = if message.trigger == API { &message.kind } else { &message.trigger };
        let candidate = Candidate {
            // The user has chosen it and its hour: a model has no part in it, but it needs the consent that it was made with.
            from_profile: !is_said_by_shop,
            is_digest: true,
            ..Candidate::of_shop(&message.category, campaign, message.priority, message.expires_at)
        };
        let channels = self.channels(&message.trigger, step);
        let moment = Moment {
            device_zone: self.device_zone.as_ref(),
            seed: u64::from(self.user.0),
            channels,
            ..Moment::at(now)
        };
        let rules = self.rules(step.world);
        let decision = decide(&candidate, &moment, &self.policy, &rules, &self.preferences);
        let push_at = match (decision.outcome, decision.channel) {
            (Outcome::Send, Channel::Push) => Some(now),
            (Outcome::Defer(until), _) if channels.push && until < message.expires_at => Some(until),
            _ => None,
        };
        let push_at = push_at.filter(|_| !self.keeps_from_robot(is_said_by_shop, message.priority));
        step.record(Record::Returned(Returned { id: message.id, user: self.user, at: now, push_at }));
    }
}
