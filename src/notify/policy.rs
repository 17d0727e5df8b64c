//! Send, defer or drop: each step in order, each that speaks leaves its reason.
//! Order: consent to the category (mute) → something to say → no repeats → frequency caps → quiet hours.

use std::collections::{BTreeSet, VecDeque};

use jiff::tz::TimeZone;

use super::Trigger;
use super::quiet_hours::QuietHours;
use crate::base::{ItemId, Millis, NotificationId, Timestamp};
use crate::config;
use crate::recommend::propensity::Contact;

/// Most sent messages remembered per user: beyond it the oldest are forgotten and caps err towards sending.
const MAX_REMEMBERED: usize = 256;

/// The server's rules, parsed once from the configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Rolling windows, all must hold.
    pub caps: Vec<config::Cap>,
    /// Items sent within this long count as repeats.
    pub repeat_window: Millis,
    /// Fewest items that must be new within it.
    pub min_new_items: usize,
    /// Time zone of users who have not told theirs.
    pub time_zone: TimeZone,
    /// Quiet hours of users who have not set their own.
    pub quiet_hours: QuietHours,
    /// A dismissed item rests this long.
    pub dismissed_pause: Millis,
    /// A purchase this long after a message that named the item is its conversion.
    pub attribution_window: Millis,
}

impl Rules {
    /// From a validated configuration.
    pub fn new(policy: &config::Policy) -> Self {
        let minute = |text: &str| config::minute_of_day(text).unwrap_or(0);
        Self {
            caps: policy.caps.clone(),
            repeat_window: Millis(policy.repeat_window_min * 60_000),
            min_new_items: policy.min_new_items,
            time_zone: TimeZone::get(&policy.time_zone).unwrap_or(TimeZone::UTC),
            quiet_hours: QuietHours {
                from_minute: minute(&policy.quiet_from),
                to_minute: minute(&policy.quiet_to),
            },
            dismissed_pause: Millis::hours(policy.dismissed_pause_h),
            attribution_window: Millis::hours(policy.attribution_window_h),
        }
    }
}

/// What a user asked of us.
#[derive(Clone, Debug, Default)]
pub struct Preferences {
    /// Own time zone.
    pub time_zone: Option<TimeZone>,
    /// Own quiet hours.
    pub quiet_hours: Option<QuietHours>,
    /// Categories never to be sent.
    pub muted: BTreeSet<String>,
}

/// A message that could be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Why now.
    pub trigger: Trigger,
    /// Best first.
    pub items: Vec<ItemId>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Now.
    Send,
    /// Judged again then.
    Defer(Timestamp),
    /// Never.
    Drop,
}

impl Outcome {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Defer(_) => "defer",
            Self::Drop => "drop",
        }
    }
}

/// An outcome with every reason that led to it, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// For a person: "cap: similar_items 20 of 20 in 10 min".
    pub reasons: Vec<String>,
}

/// A message sent before.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Its id.
    pub id: NotificationId,
    /// When.
    pub at: Timestamp,
    /// Its category.
    pub category: Box<str>,
    /// What it named.
    pub items: Box<[ItemId]>,
    /// The client had asked for it: it does not count towards caps.
    pub asked_for: bool,
    /// It was clicked.
    pub clicked: bool,
    /// It was dismissed or disliked.
    pub dismissed: bool,
}

/// What the policy remembers about one user. Bounded.
#[derive(Clone, Debug, Default)]
pub struct PolicyState {
    sent: VecDeque<Sent>,
    dismissed: VecDeque<(ItemId, Timestamp)>,
}

impl PolicyState {
    /// Remembers a message, newest last.
    pub fn note_sent(&mut self, sent: Sent) {
        if self.sent.len() >= MAX_REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(sent);
    }

    /// Forgets a message that could not be stored: the reservation of its caps is refunded.
    pub fn refund(&mut self, id: NotificationId) {
        self.sent.retain(|sent| sent.id != id);
    }

    /// A message was clicked.
    pub fn note_clicked(&mut self, id: NotificationId) {
        if let Some(sent) = self.sent.iter_mut().rev().find(|sent| sent.id == id) {
            sent.clicked = true;
        }
    }

    /// What was sent lately and what came of it, as propensities see it; `category` is the one of the next message.
    pub fn contact(&self, category: &str, now: Timestamp) -> Contact {
        let mut contact = Contact::default();
        let [hour, day, week] = [1, 24, 168].map(|hours| now - Millis::hours(hours));
        for sent in self.sent.iter().rev().take_while(|sent| sent.at > week) {
            let count = |is: bool| u32::from(is);
            contact.last_week += 1;
            contact.last_day += count(sent.at > day);
            contact.last_hour += count(sent.at > hour);
            contact.of_category_last_day += count(sent.at > day && *sent.category == *category);
            contact.clicked_last_week += count(sent.clicked);
            contact.dismissed_last_week += count(sent.dismissed);
            contact.last = contact.last.max(Some(sent.at));
        }
        contact
    }

    /// A message was dismissed: its items rest.
    pub fn note_dismissed(&mut self, id: NotificationId, at: Timestamp) {
        let Some(sent) = self.sent.iter_mut().rev().find(|sent| sent.id == id) else { return };
        sent.dismissed = true;
        let items: Vec<_> = sent.items.iter().map(|item| (*item, at)).collect();
        self.dismissed.extend(items);
        while self.dismissed.len() > MAX_REMEMBERED {
            self.dismissed.pop_front();
        }
    }

    /// A message sent before, if it is still remembered.
    pub fn find(&self, id: NotificationId) -> Option<&Sent> {
        self.sent.iter().rev().find(|sent| sent.id == id)
    }

    /// Items that rest after a dismissal.
    pub fn resting(&self, rules: &Rules, now: Timestamp) -> Vec<ItemId> {
        let since = now - rules.dismissed_pause;
        self.dismissed.iter().filter(|(_, at)| *at > since).map(|(item, _)| *item).collect()
    }

    /// The latest message within the attribution window that named the item: last touch.
    pub fn credit(&self, item: ItemId, rules: &Rules, now: Timestamp) -> Option<&Sent> {
        let since = now - rules.attribution_window;
        self.sent.iter().rev().take_while(|sent| sent.at >= since).find(|sent| sent.items.contains(&item))
    }

    /// Drops what no rule looks at any more.
    pub fn forget(&mut self, now: Timestamp) {
        let week = now - Millis::hours(168);
        while self.sent.front().is_some_and(|sent| sent.at < week) {
            self.sent.pop_front();
        }
        self.sent.shrink_to(16);
    }

    /// Decides about a candidate. The order of steps is the order of reasons. O(messages remembered).
    pub fn decide(
        &self,
        candidate: &Candidate,
        rules: &Rules,
        preferences: &Preferences,
        now: Timestamp,
    ) -> Decision {
        let trigger = candidate.trigger;
        let category = trigger.category();
        if trigger.is_asked_for() {
            return Decision {
                outcome: Outcome::Send,
                reasons: vec!["asked for: the client waits for an answer".into()],
            };
        }
        let drop = |reason: String| Decision { outcome: Outcome::Drop, reasons: vec![reason] };
        if preferences.muted.contains(category) {
            return drop(format!("muted: the user wants no {category}"));
        }
        if candidate.items.is_empty() {
            return drop("nothing to say: no item passed the rules".into());
        }
        let mut reasons = Vec::new();
        match self.new_items(candidate, rules, now) {
            new if new < rules.min_new_items.min(candidate.items.len()).max(1) => {
                return drop(format!(
                    "repeat: {new} of {} items are new within {} min",
                    candidate.items.len(),
                    rules.repeat_window.0 / 60_000
                ));
            }
            new => reasons.push(format!("worth it: {new} of {} items are new", candidate.items.len())),
        }
        for cap in &rules.caps {
            if cap.category != "*" && cap.category != category {
                continue;
            }
            let since = now - Millis(cap.window_min * 60_000);
            let used = self
                .sent
                .iter()
                .rev()
                .take_while(|sent| sent.at > since)
                .filter(|sent| !sent.asked_for && (cap.category == "*" || *sent.category == cap.category))
                .count();
            if used >= cap.max {
                reasons
                    .push(format!("cap: {} {used} of {} in {} min", cap.category, cap.max, cap.window_min));
                return Decision { outcome: Outcome::Drop, reasons };
            }
        }
        let zone = preferences.time_zone.as_ref().unwrap_or(&rules.time_zone);
        let quiet = preferences.quiet_hours.unwrap_or(rules.quiet_hours);
        if let Some(until) = quiet.quiet_until(now, zone) {
            reasons.push(format!("quiet hours: until {until}"));
            return Decision { outcome: Outcome::Defer(until), reasons };
        }
        reasons.push("allowed: within caps and outside quiet hours".into());
        Decision { outcome: Outcome::Send, reasons }
    }

    fn new_items(&self, candidate: &Candidate, rules: &Rules, now: Timestamp) -> usize {
        let since = now - rules.repeat_window;
        let recent: BTreeSet<ItemId> = self
            .sent
            .iter()
            .rev()
            .take_while(|sent| sent.at > since)
            .flat_map(|sent| sent.items.iter().copied())
            .collect();
        candidate.items.iter().filter(|item| !recent.contains(item)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn rules() -> Rules {
        let caps = vec![config::Cap { category: "similar_items".into(), window_min: 10, max: 2 }];
        Rules::new(&config::Policy { caps, ..config::Policy::default() })
    }

    fn candidate(items: &[u32]) -> Candidate {
        Candidate { trigger: Trigger::View(ItemId(9)), items: items.iter().map(|id| ItemId(*id)).collect() }
    }

    fn sent(number: u128, at: Timestamp, items: &[u32]) -> Sent {
        Sent {
            id: NotificationId(Uuid::from_u128(number)),
            at,
            category: "similar_items".into(),
            items: items.iter().map(|id| ItemId(*id)).collect(),
            asked_for: false,
            clicked: false,
            dismissed: false,
        }
    }

    #[test]
    fn a_cap_is_a_rolling_window() {
        let mut state = PolicyState::default();
        state.note_sent(sent(1, NOW - Millis::seconds(599), &[1]));
        state.note_sent(sent(2, NOW - Millis::seconds(1), &[2]));
        let decide = |state: &PolicyState, now| {
            state.decide(&candidate(&[3, 4]), &rules(), &Preferences::default(), now)
        };
        assert_eq!(decide(&state, NOW).outcome, Outcome::Drop);
        assert!(decide(&state, NOW).reasons.last().unwrap().starts_with("cap: similar_items 2 of 2"));
        assert_eq!(decide(&state, NOW + Millis::seconds(2)).outcome, Outcome::Send);
        state.refund(NotificationId(Uuid::from_u128(2)));
        assert_eq!(decide(&state, NOW).outcome, Outcome::Send);
    }

    #[test]
    fn the_same_items_are_not_sent_twice_within_the_window() {
        let mut state = PolicyState::default();
        state.note_sent(sent(1, NOW, &[1, 2, 3]));
        let decide =
            |items: &[u32], now| state.decide(&candidate(items), &rules(), &Preferences::default(), now);
        let later = NOW + Millis::seconds(60);
        assert!(decide(&[1, 2, 3, 4], later).reasons.first().unwrap().starts_with("repeat: 1 of 4"));
        assert_eq!(decide(&[1, 2, 4, 5], later).outcome, Outcome::Send);
        assert_eq!(decide(&[1, 2, 3], NOW + Millis::hours(2)).outcome, Outcome::Send);
    }

    #[test]
    fn quiet_hours_defer_and_mutes_drop() {
        let mut preferences = Preferences {
            quiet_hours: Some(QuietHours { from_minute: 0, to_minute: 1439 }),
            ..Preferences::default()
        };
        let state = PolicyState::default();
        let now = Timestamp::parse("2026-01-01T12:00:00Z").unwrap();
        let decision = state.decide(&candidate(&[1, 2]), &rules(), &preferences, now);
        assert_eq!(decision.outcome, Outcome::Defer(Timestamp::parse("2026-01-01T23:59:00Z").unwrap()));
        preferences.muted.insert("similar_items".into());
        assert_eq!(state.decide(&candidate(&[1, 2]), &rules(), &preferences, now).outcome, Outcome::Drop);
        let login = Candidate { trigger: Trigger::Login, items: vec![] };
        assert_eq!(state.decide(&login, &rules(), &preferences, now).outcome, Outcome::Send);
    }

    #[test]
    fn a_purchase_is_credited_to_the_last_message_that_named_the_item() {
        let mut state = PolicyState::default();
        state.note_sent(sent(1, NOW - Millis::hours(100), &[7]));
        assert_eq!(state.credit(ItemId(7), &rules(), NOW), None);
        state.note_sent(sent(2, NOW - Millis::hours(2), &[7, 8]));
        state.note_sent(sent(3, NOW - Millis::hours(1), &[8]));
        assert_eq!(state.credit(ItemId(7), &rules(), NOW).unwrap().id, NotificationId(Uuid::from_u128(2)));
        assert_eq!(state.credit(ItemId(8), &rules(), NOW).unwrap().id, NotificationId(Uuid::from_u128(3)));
    }

    #[test]
    fn contact_counts_what_was_sent_and_what_came_of_it() {
        let mut state = PolicyState::default();
        state.note_sent(sent(1, NOW - Millis::hours(200), &[1]));
        state.note_sent(sent(2, NOW - Millis::hours(30), &[1]));
        state.note_sent(sent(3, NOW - Millis::hours(2), &[1]));
        state.note_sent(sent(4, NOW - Millis::seconds(60), &[1]));
        state.note_clicked(NotificationId(Uuid::from_u128(3)));
        state.note_dismissed(NotificationId(Uuid::from_u128(2)), NOW);
        let expected = Contact {
            last_hour: 1,
            last_day: 2,
            last_week: 3,
            of_category_last_day: 2,
            clicked_last_week: 1,
            dismissed_last_week: 1,
            last: Some(NOW - Millis::seconds(60)),
        };
        assert_eq!(state.contact("similar_items", NOW), expected);
        assert_eq!(state.contact("for_you", NOW), Contact { of_category_last_day: 0, ..expected });
    }

    #[test]
    fn dismissed_items_rest() {
        let mut state = PolicyState::default();
        state.note_sent(sent(1, NOW, &[7, 8]));
        state.note_dismissed(NotificationId(Uuid::from_u128(1)), NOW);
        assert_eq!(state.resting(&rules(), NOW + Millis::hours(1)), [ItemId(7), ItemId(8)]);
        assert_eq!(state.resting(&rules(), NOW + Millis::hours(73)), []);
    }

    #[test]
    fn memory_is_bounded() {
        let mut state = PolicyState::default();
        for number in 0..1_000 {
            state.note_sent(sent(number, NOW, &[1, 2]));
            state.note_dismissed(NotificationId(Uuid::from_u128(number)), NOW);
        }
        assert!(state.sent.len() <= MAX_REMEMBERED && state.dismissed.len() <= MAX_REMEMBERED);
    }
}
