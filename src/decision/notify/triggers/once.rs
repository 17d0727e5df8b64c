//! Triggers that go off once for a user: a segment's once for good, a win-back once for each absence. The policy's memory of
//! sent messages ends after a week, so that it can't know.

use std::collections::BTreeMap;

use super::condition::Condition;
use super::definition::Definition;
use super::trigger::Trigger;
use crate::notify::policy::{Decision, Outcome, Reason};
use tidings_core::base::Timestamp;

/// Triggers that have gone off for one user and do so once, with the moment of the last time. Empty for most users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FiredOnce(BTreeMap<Box<str>, Timestamp>);

impl FiredOnce {
    /// Notes that a trigger went off; of several moments the latest counts.
    pub fn note(&mut self, trigger: &str, at: Timestamp) {
        let known = self.0.entry(trigger.into()).or_insert(at);
        *known = (*known).max(at);
    }

    /// Notes everything that another has; of several moments the latest counts.
    pub fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(trigger, at)| self.note(&trigger, at));
    }

    /// Moment a trigger last went off; `None` if it has not.
    pub fn at(&self, trigger: &str) -> Option<Timestamp> {
        self.0.get(trigger).copied()
    }
}

impl<T: AsRef<str>> FromIterator<(T, Timestamp)> for FiredOnce {
    fn from_iter<I: IntoIterator<Item = (T, Timestamp)>>(marks: I) -> Self {
        let mut fired = Self::default();
        marks.into_iter().for_each(|(trigger, at)| fired.note(trigger.as_ref(), at));
        fired
    }
}

impl Trigger {
    /// Returns whether this decision settles a trigger that goes off once, so that it is to be noted in [`FiredOnce`] and stored: it
    /// was told or collected, or an experiment kept it back, which must not be drawn again until it falls the other way.
    /// What waits, or was dropped by a cap, a mute or because it did not hold, may go off again.
    pub fn is_settled_by(&self, decision: &Decision) -> bool {
        let is_once = matches!(self.definition.when, Condition::Segment { .. } | Condition::WinBack { .. });
        let is_kept_back = || {
            let reason = decision.decisive().map(|step| step.reason);
            matches!(reason, Some(Reason::HeldOut | Reason::Drawn(false)))
        };
        is_once
            && match decision.outcome {
                Outcome::Send | Outcome::InboxOnly | Outcome::Digest => true,
                Outcome::Drop => is_kept_back(),
                Outcome::Defer(_) => false,
            }
    }
}

impl Definition {
    /// Returns whether a win-back went off in the absence that began at `last_here`: not before it had lasted its days, so that one
    /// of the return before, which is about as old as `last_here`, doesn't count.
    pub(super) fn fired_in_absence(&self, last_here: Timestamp, fired: &FiredOnce) -> bool {
        let Condition::WinBack { days } = self.when else { return false };
        fired.at(&self.name).is_some_and(|at| at.days_since(last_here) >= f64::from(days))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, SegmentRule, Triggers, defaults};
    use super::*;
    use crate::notify::Priority;
    use crate::notify::policy::{Candidate, Moment, PolicyState, Preferences, Rules, Trial, decide};
    use tidings_core::profile::{Attributes, Profile, SegmentId};

    const DAY_0: Timestamp = Timestamp(1_800_000_000_000_000);

    fn day(n: f64) -> Timestamp {
        DAY_0.plus_days(n)
    }

    fn spring() -> Triggers {
        let rule = SegmentRule { segments: vec!["B".into()], ..SegmentRule::default() };
        let when = Condition::Segment { rule };
        Triggers::new([Definition { name: "spring".into(), ..Definition::plain(when) }])
    }

    fn decision(trigger: &Trigger, now: Timestamp, trial: Trial, preferences: &Preferences) -> Decision {
        let candidate = Candidate {
            category: trigger.category(),
            campaign: trigger.name(),
            priority: Priority::Normal,
            items: &[],
            subject: None,
            needs_items: false,
            solicited: false,
            said_by_shop: false,
            from_profile: false,
            is_digest: false,
            truth: Default::default(),
            dedupe_key: trigger.dedupe_key(&Default::default(), now),
            expires_at: now.plus_days(1.0),
        };
        let moment = Moment { trial, ..Moment::at(now) };
        let rules = Rules::new(&tidings_core::config::Policy::default());
        decide(&candidate, &moment, &PolicyState::default(), &rules, preferences)
    }

    #[test]
    fn a_segment_s_trigger_goes_off_once_whatever_the_policy_remembers() {
        let (triggers, mut fired, mut told) = (spring(), FiredOnce::default(), Vec::new());
        for n in [0.0, 1.0, 8.0, 16.0] {
            for trigger in triggers.of_segment(
                &Profile::default(),
                Some(SegmentId(1)),
                &Attributes::default(),
                &fired,
                day(n),
            ) {
                let decision = decision(&trigger, day(n), Trial::None, &Preferences::default());
                assert_eq!(decision.outcome, Outcome::Send);
                assert!(trigger.is_settled_by(&decision));
                fired.note(trigger.name(), day(n));
                told.push(n);
            }
        }
        assert_eq!(told, [0.0]);
        // As read again after a restart.
        let read: FiredOnce = [("spring", day(0.0))].into_iter().collect();
        assert_eq!(read, fired);
    }

    #[test]
    fn what_was_not_told_may_go_off_again_unless_an_experiment_kept_it_back() {
        let triggers = spring();
        let spring = triggers.of_segment(
            &Profile::default(),
            Some(SegmentId(1)),
            &Attributes::default(),
            &FiredOnce::default(),
            DAY_0,
        );
        let settles = |trial, preferences: &Preferences| {
            spring[0].is_settled_by(&decision(&spring[0], DAY_0, trial, preferences))
        };
        let indifferent = Preferences::default();
        let muted = Preferences { muted: ["segment".to_owned()].into(), ..Preferences::default() };
        let mut collected = Preferences::default();
        collected.settings.digest = ["*".to_owned()].into();
        assert!(settles(Trial::None, &indifferent) && settles(Trial::None, &collected));
        assert!(settles(Trial::HeldOut, &indifferent) && settles(Trial::Drawn(false), &indifferent));
        assert!(!settles(Trial::None, &muted));
        let night = crate::notify::quiet_hours::QuietHours { from_minute: 1, to_minute: 0 };
        let asleep = Preferences { quiet_hours: Some(night), ..Preferences::default() };
        assert!(!settles(Trial::None, &asleep), "it waits");
        // Others go off as often as their cause happens.
        let login = Triggers::new(defaults()).first(&Condition::Login).unwrap();
        assert!(!login.is_settled_by(&decision(&login, DAY_0, Trial::None, &indifferent)));
    }

    #[test]
    fn an_absence_is_won_back_once_and_begins_with_the_last_event_or_connection() {
        let when = Condition::WinBack { days: 7 };
        let triggers = Triggers::new([Definition { name: "come_back".into(), ..Definition::plain(when) }]);
        let fires = |last_event: f64, last_connected: f64, fired: &FiredOnce, now: f64| {
            let last_here = Some(day(last_event)).max(Some(day(last_connected)));
            triggers.of_return(last_here, fired, day(now)).is_some()
        };
        let mut fired = FiredOnce::default();
        assert!(!fires(0.0, 1.0, &fired, 7.9), "was here on day 1 and did nothing");
        assert!(fires(0.0, 1.0, &fired, 8.0));
        // Pushed on day 9; who comes back for it, or much later, is not greeted with it again.
        fired.note("come_back", day(9.0));
        assert!(!fires(0.0, 1.0, &fired, 9.1) && !fires(0.0, 1.0, &fired, 40.0));
        // The next absence is another one, though the mark is a little younger than the connection.
        assert!(fires(0.0, 8.999, &fired, 17.0));
        assert!(triggers.of_return(None, &fired, DAY_0).is_none(), "a newcomer was never away");
    }
}
