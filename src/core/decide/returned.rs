//! Messages that come back from a snooze while nobody looks: whether a browser is told, and when. Pages that are open are told by
//! the session.

use super::record::{API, Record, Returned, SnoozeEnded};
use super::user_state::{Step, UserState};
use crate::notify::policy::Precondition;
use crate::notify::{Candidate, Channel, Moment, Outcome, Priority, decide};

impl UserState {
    /// Decides about a message that came back by the steps that every message takes, caps and quiet hours among them.
    pub(super) fn snooze_ended(&mut self, message: &SnoozeEnded, step: &mut Step<'_>) {
        let now = step.now();
        let is_of_api = message.trigger == API;
        let candidate = Candidate {
            category: &message.category,
            campaign: if is_of_api { &message.kind } else { &message.trigger },
            priority: message.priority,
            items: &[],
            subject: None,
            needs_items: false,
            solicited: false,
            // The user has chosen it and its hour: a model has no part in it.
            said_by_shop: true,
            from_profile: false,
            is_digest: true,
            truth: Precondition::Holds,
            dedupe_key: None,
            expires_at: message.expires_at,
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
        let is_told = !self.is_robot() || message.priority == Priority::Transactional;
        let push_at = push_at.filter(|_| is_told);
        step.record(Record::Returned(Returned { id: message.id, user: self.user, at: now, push_at }));
    }
}
