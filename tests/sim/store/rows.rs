//! Rows of the simulated tables: users, messages with what was done to them, and the two outboxes.

use std::collections::{BTreeMap, BTreeSet};

use tidings::base::{ExternalId, NotificationId, Timestamp, UserId};
use tidings::decide::record::{DecisionRow, DeferredRow, FeedbackRow, NewNotification};
use tidings::deliver::standing::{Place, Placed};
use tidings::deliver::{Change, Marks, Standing};
use tidings::event::Event;
use tidings::notify::Channel;
use tidings::notify::policy::{PreferenceDocument, Purpose};
use uuid::Uuid;

use crate::faults::Fault;

/// A thing that a user did to a message.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub at: Timestamp,
    pub act: Act,
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Looked at a list with it.
    Looked,
    Changed(Change),
}

impl Done {
    /// What came first; of one moment the lesser.
    fn key(&self) -> (Timestamp, u8, Timestamp) {
        let (rank, until) = match self.act {
            Act::Looked => (0, Timestamp(0)),
            Act::Changed(Change::Unread) => (1, Timestamp(0)),
            Act::Changed(Change::Read) => (2, Timestamp(0)),
            Act::Changed(Change::Unarchive) => (3, Timestamp(0)),
            Act::Changed(Change::Snooze(until)) => (4, until),
            Act::Changed(Change::Archive) => (5, Timestamp(0)),
            Act::Changed(Change::Delete) => (6, Timestamp(0)),
        };
        (self.at, rank, until)
    }
}

/// A message as a list shows it, by what was done in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub standing: Standing,
    pub seen: bool,
}

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct MessageRow {
    pub message: NewNotification,
    /// As it is now: a hand-over makes a push of a message for the socket.
    pub channel: Channel,
    /// All that its user did to it, in the order of arrival.
    pub done: Vec<Done>,
    pub given: bool,
    pub withdrawn: bool,
    /// When the shop took it back.
    pub taken_back_at: Option<Timestamp>,
    /// Its commit went unanswered.
    pub unconfirmed: bool,
}

impl MessageRow {
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.withdrawn && self.message.expires_at > now
    }

    /// In the order of time.
    fn sorted(&self, fault: Option<Fault>) -> Vec<Done> {
        let mut done = self.done.clone();
        if fault != Some(Fault::AppliesOlderChanges) {
            done.sort_by_key(Done::key);
        }
        done
    }

    /// One thing after the other. A look at the list while it is away says nothing of it.
    pub fn shown(&self, now: Timestamp, fault: Option<Fault>) -> Shown {
        let (mut place, mut read, mut looked) = (Place::Inbox, false, None);
        for Done { at, act } in self.sorted(fault) {
            let is_away = matches!(place, Place::Snoozed(until) if until > at);
            match act {
                Act::Looked => {}
                Act::Changed(Change::Read) => read |= !is_away,
                Act::Changed(Change::Unread) => (place, read) = (Place::Inbox, false),
                Act::Changed(Change::Unarchive) => (place, read) = (Place::Inbox, true),
                Act::Changed(Change::Archive) => (place, read) = (Place::Archived, true),
                Act::Changed(Change::Snooze(until)) => (place, read) = (Place::Snoozed(until), false),
                Act::Changed(Change::Delete) => {}
            }
            let looks = !matches!(act, Act::Changed(Change::Unread | Change::Snooze(_) | Change::Delete));
            looked = looked.max(Some(at).filter(|_| looks));
        }
        let standing = match place {
            Place::Archived => Standing::Archived,
            Place::Snoozed(until) if until > now => Standing::Snoozed,
            _ if read => Standing::Read,
            _ => Standing::Unread,
        };
        let was_before = |at| matches!(place, Place::Snoozed(until) if at < until);
        Shown { standing, seen: read || looked.is_some_and(|at| !was_before(at)) }
    }

    /// Whether it was ever out of the list.
    pub fn was_away(&self) -> bool {
        let away = |done: &Done| matches!(done.act, Act::Changed(Change::Archive | Change::Snooze(_)));
        self.done.iter().any(away)
    }

    /// The columns.
    pub(super) fn marks(&self, fault: Option<Fault>) -> Marks {
        let done = self.sorted(fault);
        let placed = done.iter().rev().find_map(|done| {
            let place = match done.act {
                Act::Changed(Change::Unread | Change::Unarchive) => Place::Inbox,
                Act::Changed(Change::Snooze(until)) => Place::Snoozed(until),
                Act::Changed(Change::Archive) => Place::Archived,
                _ => return None,
            };
            Some(Placed { at: done.at, place })
        });
        let opens = [Change::Read, Change::Archive, Change::Unarchive];
        let opened = |done: &&Done| matches!(done.act, Act::Changed(change) if opens.contains(&change));
        let looked = |done: &&Done| opened(done) || matches!(done.act, Act::Looked);
        let last = |of: &dyn Fn(&&Done) -> bool| done.iter().filter(of).map(|done| done.at).max();
        let read_at = last(&opened).filter(|at| placed.is_none_or(|placed| placed.at <= *at));
        Marks::new(read_at, last(&looked), placed)
    }

    /// Whether somebody who looks at the inbox has dealt with it: nothing to push.
    pub fn is_dealt_with(&self) -> bool {
        let marks = self.marks(None);
        let is_away = marks.placed().is_some_and(|placed| placed.place != Place::Inbox);
        marks.read_at().is_some() || is_away
    }
}

/// All rows of one user.
#[derive(Clone, Debug)]
pub struct UserRows {
    pub user: UserId,
    pub external_id: ExternalId,
    pub robot_since: Option<Timestamp>,
    pub last_connected: Option<Timestamp>,
    pub fired_once: BTreeMap<String, Timestamp>,
    pub events: Vec<Event>,
    pub preferences: PreferenceDocument,
    pub preferences_at: Option<Timestamp>,
    pub consents: Vec<(Purpose, bool)>,
    pub held: Vec<DeferredRow>,
    /// In the order of the stream.
    pub messages: Vec<MessageRow>,
    pub acknowledged: i64,
    pub decisions: Vec<DecisionRow>,
    pub feedback: Vec<FeedbackRow>,
    /// Devices whose browser may be pushed to.
    pub subscriptions: BTreeSet<usize>,
    /// Refusals in a row of a device's push service.
    pub refusals: BTreeMap<usize, u32>,
    /// The user into whom it was merged.
    pub merged_into: Option<usize>,
    /// Moment of the last merge of another into it.
    pub merged_at: Option<Timestamp>,
}

/// A message of the API on its way into streams.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    pub batch: Uuid,
    pub users: Vec<usize>,
    pub message: std::sync::Arc<tidings::notify::message::Encoded>,
    /// Not on the timeline: its batch is paused.
    pub held: bool,
}

/// A message on its way to a push service.
#[derive(Clone, Debug)]
pub struct PushRow {
    pub notification: NotificationId,
    pub user: usize,
    pub device: usize,
    pub due_at: Timestamp,
    pub expires_at: Timestamp,
    pub claimed_until: Option<Timestamp>,
}

/// Why nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another server holds the lease.
    LeaseLost,
    /// A row is there already.
    Conflict,
}

impl UserRows {
    pub(super) fn is_unconfirmed(&self, id: NotificationId) -> bool {
        self.messages.iter().any(|row| row.unconfirmed && row.message.notification_id == id)
    }

    pub fn consents_to(&self, purpose: Purpose) -> Option<bool> {
        self.consents.iter().find(|(known, _)| *known == purpose).map(|(_, granted)| *granted)
    }

    pub fn consent(&mut self, purpose: Purpose, granted: bool) {
        self.consents.retain(|(known, _)| *known != purpose);
        self.consents.push((purpose, granted));
    }
}
