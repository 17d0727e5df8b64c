//! Policy state of one user: messages sent and the responses to them. Bounded.

use std::collections::VecDeque;

use super::candidate::Channel;
use super::rules::Rules;
use tidings_core::base::{ItemId, Millis, NotificationId, Timestamp};
use tidings_core::response::Contact;

/// Messages remembered beyond what caps look at: for repeats, attribution and contact.
const MAX_REMEMBERED: usize = 256;
/// Messages remembered at all. When so many lie within the longest cap's window, nothing more is sent.
pub(super) const MAX_COUNTED: usize = 1_024;
/// By then it is recorded whether a push service took what it was offered in a message's last moment; longer than
/// `webpush.timeout_ms` may be.
const PUSH_SETTLES: Millis = Millis::seconds(90);
/// Nothing looks further back.
const MEMORY: Millis = Millis::hours(168);

/// A message sent before.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Its id.
    pub id: NotificationId,
    /// Moment of the decision.
    pub at: Timestamp,
    /// Its category.
    pub category: Box<str>,
    /// Its trigger's or request's name.
    pub campaign: Box<str>,
    /// The way it took.
    pub channel: Channel,
    /// Not shown after this: its expiry, or when it was taken back if that was earlier.
    pub expires_at: Timestamp,
    /// A page that somebody looks at was given it, or a push service: it may have been shown.
    pub given: bool,
    /// Items named in the message.
    pub items: Box<[ItemId]>,
    /// The occasion it told.
    pub dedupe_key: Option<u64>,
    /// Asked for or transactional: it does not count towards caps.
    pub passes_caps: bool,
    /// It was clicked.
    pub clicked: bool,
    /// It was dismissed or disliked.
    pub dismissed: bool,
    /// Shown and not stored: only memory knows of it.
    pub is_ephemeral: bool,
}

impl Sent {
    /// Returns whether it takes a place in the caps. One that expired or was taken back before anybody was given it gives its place back.
    pub fn takes_place(&self, now: Timestamp) -> bool {
        let settles = if self.channel == Channel::Push { PUSH_SETTLES } else { Millis(0) };
        !self.passes_caps && (self.given || self.expires_at + settles > now)
    }

    /// Something ordinary about no item, shown at once: its category is its campaign.
    pub fn plain(id: NotificationId, at: Timestamp, category: &str, channel: Channel) -> Self {
        Self {
            id,
            at,
            category: category.into(),
            campaign: category.into(),
            channel,
            expires_at: at,
            given: true,
            items: Box::default(),
            dedupe_key: None,
            passes_caps: false,
            clicked: false,
            dismissed: false,
            is_ephemeral: false,
        }
    }
}

/// Messages and dismissals remembered for one user.
#[derive(Clone, Debug, Default)]
pub struct PolicyState {
    /// Oldest first.
    sent: VecDeque<Sent>,
    dismissed: VecDeque<(ItemId, Timestamp)>,
}

impl PolicyState {
    /// Remembers a message, newest last, and so reserves its share of the caps.
    pub fn note_sent(&mut self, sent: Sent) {
        if self.sent.len() >= MAX_REMEMBERED {
            // What no cap counts goes first; what one may count stays, up to the point where nothing more is sent.
            if let Some(place) = self.sent.iter().position(|sent| sent.passes_caps) {
                self.sent.remove(place);
            } else if self.sent.len() >= MAX_COUNTED {
                self.sent.pop_front();
            }
        }
        self.sent.push_back(sent);
    }

    /// Forgets a message that could not be stored: the reservation of its caps is refunded.
    pub fn refund(&mut self, id: NotificationId) {
        self.sent.retain(|sent| sent.id != id);
    }

    /// Somebody was given a message: from now on it takes its place whether it expires or not. True when that is news.
    pub fn note_given(&mut self, id: NotificationId) -> bool {
        let sent = self.sent.iter_mut().rev().find(|sent| sent.id == id);
        sent.is_some_and(|sent| !std::mem::replace(&mut sent.given, true))
    }

    /// The shop took a message back: nobody is given it from now on.
    pub fn note_withdrawn(&mut self, id: NotificationId, now: Timestamp) {
        if let Some(sent) = self.sent.iter_mut().rev().find(|sent| sent.id == id) {
            sent.expires_at = sent.expires_at.min(now);
        }
    }

    /// A message was clicked.
    pub fn note_clicked(&mut self, id: NotificationId) {
        if let Some(sent) = self.sent.iter_mut().rev().find(|sent| sent.id == id) {
            sent.clicked = true;
        }
    }

    /// Recent messages and the responses to them, as propensities see them; `category` is the one of the next message.
    pub fn contact(&self, category: &str, now: Timestamp) -> Contact {
        let mut contact = Contact::default();
        let [hour, day, week] = [1, 24, 168].map(|hours| now - Millis::hours(hours));
        for sent in self.since(week) {
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

    /// Takes over what came of messages from a state of before, whose records may not be stored yet.
    pub fn note_responses_of(&mut self, before: &Self) {
        for sent in &mut self.sent {
            if let Some(same) = before.find(sent.id) {
                sent.given |= same.given;
                sent.clicked |= same.clicked;
                sent.dismissed |= same.dismissed;
            }
        }
        let is_news = |(item, at): &&(ItemId, Timestamp)| {
            !self.dismissed.iter().any(|(known, since)| known == item && since >= at)
        };
        let newer: Vec<_> = before.dismissed.iter().filter(is_news).copied().collect();
        self.dismissed.extend(newer);
        while self.dismissed.len() > MAX_REMEMBERED {
            self.dismissed.pop_front();
        }
    }

    /// Takes over what was shown without being stored from a state of before.
    pub fn note_ephemeral_of(&mut self, before: &Self) {
        for sent in before.sent.iter().filter(|sent| sent.is_ephemeral) {
            let later = self.newest_first().take_while(|known| known.at > sent.at).count();
            let place = self.sent.len() - later;
            self.sent.insert(place, sent.clone());
        }
    }

    /// A message sent before, if it is still remembered.
    pub fn find(&self, id: NotificationId) -> Option<&Sent> {
        self.newest_first().find(|sent| sent.id == id)
    }

    /// Items that rest after a dismissal.
    pub fn resting(&self, rules: &Rules, now: Timestamp) -> Vec<ItemId> {
        let since = now - rules.dismissed_pause;
        self.dismissed.iter().filter(|(_, at)| *at > since).map(|(item, _)| *item).collect()
    }

    /// Drops what no rule looks at any more.
    pub fn forget(&mut self, now: Timestamp) {
        let since = now - MEMORY;
        while self.sent.front().is_some_and(|sent| sent.at < since) {
            self.sent.pop_front();
        }
        self.sent.shrink_to(16);
    }

    /// Messages, the latest first. Their moments may go back where the clock was set.
    pub fn newest_first(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().rev()
    }

    /// Messages sent after a moment, the latest first. O(messages remembered).
    pub fn since(&self, moment: Timestamp) -> impl Iterator<Item = &Sent> {
        self.newest_first().filter(move |sent| sent.at > moment)
    }

    /// Returns whether memory ends within the longest window. Then nothing can be counted reliably.
    pub(super) fn is_full(&self, rules: &Rules, now: Timestamp) -> bool {
        self.sent.len() >= MAX_COUNTED
            && self.sent.front().is_some_and(|oldest| oldest.at > now - rules.longest_window)
    }

    /// Messages remembered.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Returns whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_800_000_000_000_000);

    #[test]
    fn what_expired_before_anybody_was_given_it_gives_its_place_back() {
        let id = NotificationId(uuid::Uuid::from_u128(1));
        let plain = Sent::plain(id, AT, "news", Channel::Inbox);
        let sent = Sent { given: false, expires_at: AT + Millis::seconds(60), ..plain };
        let within = Millis::seconds(59);
        assert!(sent.takes_place(AT + within) && !sent.takes_place(AT + Millis::seconds(60)));
        // A push service may have been asked in the last moment.
        let pushed = Sent { channel: Channel::Push, ..sent.clone() };
        assert!(
            pushed.takes_place(AT + Millis::seconds(140)) && !pushed.takes_place(AT + Millis::seconds(151))
        );
        let owed = Sent { passes_caps: true, ..sent.clone() };
        assert!(!owed.takes_place(AT + within));
        let mut state = PolicyState::default();
        state.note_sent(sent);
        assert!(state.note_given(id), "news");
        assert!(!state.note_given(id) && !state.note_given(NotificationId(uuid::Uuid::from_u128(2))));
        assert!(state.find(id).is_some_and(|sent| sent.takes_place(AT + Millis::hours(24))));
    }

    #[test]
    fn what_was_taken_back_before_anybody_was_given_it_gives_its_place_back() {
        let id = NotificationId(uuid::Uuid::from_u128(1));
        let takes_place = |channel, given, seconds| {
            let plain = Sent::plain(id, AT, "news", channel);
            let mut state = PolicyState::default();
            state.note_sent(Sent { given, expires_at: AT + Millis::hours(24), ..plain });
            state.note_withdrawn(id, AT + Millis::seconds(10));
            state.find(id).is_some_and(|sent| sent.takes_place(AT + Millis::seconds(seconds)))
        };
        assert!(!takes_place(Channel::Inbox, false, 10));
        assert!(takes_place(Channel::Inbox, true, 10), "it may have been read");
        // A push service may have been offered it in the last moment.
        assert!(takes_place(Channel::Push, false, 10) && !takes_place(Channel::Push, false, 101));
    }
}
