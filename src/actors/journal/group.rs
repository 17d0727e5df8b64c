//! One commit of the journal: records by kind, and who waits for them.

use std::collections::HashMap;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::messages::Record;
use tidings_core::base::{Timestamp, UserId};
use tidings_decision::decide::Record as Other;
use tidings_decision::decide::record::{Returned, RobotFlag};
use tidings_decision::notify::Channel;
use tidings_decision::notify::policy::PreferenceChange;
use tidings_store::acknowledgements::{self, Acknowledged};
use tidings_store::decisions::DecisionRow;
use tidings_store::deferred::{self, DeferredRow};
use tidings_store::feedback::{self, FeedbackRow};
use tidings_store::fired_once::{self, Fired};
use tidings_store::inbox::{self, Mark};
use tidings_store::lists::{self, AnsweredList};
use tidings_store::notifications::NewNotification;
use tidings_store::push_outbox::{self, HandOver, PushOrder};
use tidings_store::{
    Connection, Store, StoreError, decision_log, in_transaction, preferences, returns, robots, users,
};

/// Records of one commit, by kind.
#[derive(Default)]
pub(super) struct Group {
    decisions: Vec<DecisionRow>,
    notifications: Vec<NewNotification>,
    messages: Vec<NewNotification>,
    acknowledged: Vec<Acknowledged>,
    feedback: Vec<FeedbackRow>,
    marks: Vec<Mark>,
    preferences: Vec<(UserId, PreferenceChange)>,
    held: Vec<DeferredRow>,
    /// Deferred triggers that end, by the decision that ends them.
    released: HashMap<Uuid, Vec<Uuid>>,
    robots: Vec<(UserId, RobotFlag)>,
    rested: Vec<(UserId, Timestamp)>,
    hand_overs: Vec<HandOver>,
    returned: Vec<Returned>,
    connected: Vec<(UserId, Timestamp)>,
    fired: Vec<Fired>,
    lists: Vec<AnsweredList>,
}

/// Waiters of a group: by decision or message, and those who only want to know that it is over.
#[derive(Default)]
pub(super) struct Waiters {
    stored: HashMap<Uuid, oneshot::Sender<bool>>,
    pub flushes: Vec<oneshot::Sender<bool>>,
}

impl Waiters {
    /// Returns whether somebody waits for a record of a group that was split.
    pub fn is_awaited(&self, record: &Record) -> bool {
        matches!(record, Record::Other(Other::Decision(row, _)) if self.stored.contains_key(&row.decision_id))
    }

    /// Answers everybody. Nobody may wait any more: the user has gone, what was stored is stored.
    pub fn answer(self, stored: bool) {
        for reply in self.stored.into_values().chain(self.flushes) {
            let _ = reply.send(stored);
        }
    }
}

impl Group {
    pub fn add(&mut self, record: Record, waiters: &mut Waiters) {
        match record {
            Record::Decision { decision, notification, releases, reply } => {
                waiters.stored.insert(decision.decision_id, reply);
                self.decide(*decision, releases);
                self.notifications.extend(notification.map(|notification| *notification));
            }
            Record::Message { notification, reply } => {
                waiters.stored.insert(notification.notification_id.0, reply);
                self.messages.push(*notification);
            }
            Record::Flush(reply) => waiters.flushes.push(reply),
            Record::List(list) => self.lists.push(*list),
            Record::Other(Other::Decision(decision, releases)) => self.decide(*decision, releases),
            Record::Other(Other::Acknowledged(acknowledged)) => self.acknowledged.push(acknowledged),
            Record::Other(Other::Feedback(row)) => self.feedback.push(row),
            Record::Other(Other::Mark(mark)) => self.marks.push(mark),
            Record::Other(Other::Preferences(user, change)) => self.preferences.push((user, *change)),
            Record::Other(Other::Defer(row)) => self.held.push(*row),
            Record::Other(Other::Robot(user, flag)) => self.robots.push((user, flag)),
            Record::Other(Other::Rested(user, at)) => self.rested.push((user, at)),
            Record::Other(Other::Connected(user, at)) => self.connected.push((user, at)),
            Record::Other(Other::FiredOnce(fired)) => self.fired.push(fired),
            Record::Other(Other::HandOver(hand_over)) => self.hand_overs.push(hand_over),
            Record::Other(Other::Returned(returned)) => self.returned.push(returned),
        }
    }

    fn decide(&mut self, decision: DecisionRow, releases: Vec<Uuid>) {
        if !releases.is_empty() {
            self.released.insert(decision.decision_id, releases);
        }
        self.decisions.push(decision);
    }

    pub fn len(&self) -> usize {
        self.decisions.len()
            + self.messages.len()
            + self.acknowledged.len()
            + self.feedback.len()
            + self.marks.len()
            + self.preferences.len()
            + self.held.len()
            + self.released.len()
            + self.robots.len()
            + self.rested.len()
            + self.hand_overs.len()
            + self.returned.len()
            + self.connected.len()
            + self.fired.len()
            + self.lists.len()
    }

    /// All or nothing; the number of outcomes that were new, and of pushes that wait now.
    pub fn commit(
        &self,
        connection: &mut Connection,
        store: &Store,
        not_pushed: &[String],
    ) -> Result<(usize, usize), StoreError> {
        let messages: Vec<&NewNotification> = self.notifications.iter().chain(&self.messages).collect();
        if self.is_said_only() {
            // A statement is a transaction of its own.
            decision_log::insert(connection, store, &messages, &self.decisions)?;
            // What was said is stored, whatever becomes of this; the next connection writes it again.
            if let Err(error) = users::note_connected(connection, &self.connected) {
                log::warn!("connections not noted users={} error={error}", self.connected.len());
            }
            return Ok((0, 0));
        }
        in_transaction(connection, |connection| {
            decision_log::insert(connection, store, &messages, &self.decisions)?;
            let orders: Vec<PushOrder> = messages.iter().copied().filter_map(push_order).collect();
            let pushes = push_outbox::order(connection, &orders)?;
            let first = feedback::insert(connection, &self.feedback)?;
            acknowledgements::put(connection, &self.acknowledged)?;
            inbox::mark(connection, &self.marks)?;
            // After them: what has been acknowledged by now is not handed over.
            let handed = push_outbox::hand_over(connection, &self.hand_overs, not_pushed, Timestamp::now())?;
            let back = returns::settle(connection, &self.returned)?;
            for (user, change) in &self.preferences {
                preferences::change(connection, *user, change)?;
            }
            deferred::put(connection, store.fields(), &self.held)?;
            let released: Vec<Uuid> = self.released.values().flatten().copied().collect();
            deferred::release(connection, &released)?;
            robots::rest(connection, &self.rested)?;
            robots::mark(connection, &self.robots)?;
            users::note_connected(connection, &self.connected)?;
            fired_once::put(connection, &self.fired)?;
            lists::insert(connection, &self.lists)?;
            Ok((first.into_iter().filter(|first| *first).count(), pushes + handed + back))
        })
    }

    /// Nothing in it but decisions and messages that touch no other row, and connections, which may be lost.
    fn is_said_only(&self) -> bool {
        let mut messages = self.notifications.iter().chain(&self.messages);
        self.len() == self.decisions.len() + self.messages.len() + self.connected.len()
            && messages.all(|message| message.collapse_key.is_none() && message.channel != Channel::Push)
    }

    /// Its entries again, in the order of their kinds.
    pub fn split(self, waiters: &mut Waiters) -> Vec<Record> {
        let mut released = self.released;
        let mut notifications: HashMap<_, _> =
            self.notifications.into_iter().map(|row| (row.notification_id, Box::new(row))).collect();
        let mut entries = Vec::new();
        for decision in self.decisions.into_iter().map(Box::new) {
            let notification = decision.notification_id.and_then(|id| notifications.remove(&id));
            let releases = released.remove(&decision.decision_id).unwrap_or_default();
            entries.push(match waiters.stored.remove(&decision.decision_id) {
                Some(reply) => Record::Decision { decision, notification, releases, reply },
                None => Record::Other(Other::Decision(decision, releases)),
            });
        }
        for notification in self.messages.into_iter().map(Box::new) {
            if let Some(reply) = waiters.stored.remove(&notification.notification_id.0) {
                entries.push(Record::Message { notification, reply });
            }
        }
        let preferences = self.preferences.into_iter();
        let others = (self.feedback.into_iter().map(Other::Feedback))
            .chain(self.marks.into_iter().map(Other::Mark))
            .chain(self.acknowledged.into_iter().map(Other::Acknowledged))
            .chain(preferences.map(|(user, change)| Other::Preferences(user, Box::new(change))))
            .chain(self.held.into_iter().map(|row| Other::Defer(Box::new(row))))
            .chain(self.rested.into_iter().map(|(user, at)| Other::Rested(user, at)))
            .chain(self.robots.into_iter().map(|(user, flag)| Other::Robot(user, flag)))
            .chain(self.hand_overs.into_iter().map(Other::HandOver))
            .chain(self.returned.into_iter().map(Other::Returned))
            .chain(self.connected.into_iter().map(|(user, at)| Other::Connected(user, at)))
            .chain(self.fired.into_iter().map(Other::FiredOnce));
        entries.extend(others.map(Record::Other));
        entries.extend(self.lists.into_iter().map(Box::new).map(Record::List));
        entries
    }
}

/// Push outbox entry of a message; `None` unless its channel is push.
fn push_order(message: &NewNotification) -> Option<PushOrder> {
    (message.channel == Channel::Push).then_some(PushOrder {
        notification: message.notification_id,
        user: message.user,
        due_at: message.created_at,
        expires_at: message.expires_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(number: u128) -> Box<DecisionRow> {
        let row = DeferredRow::unaddressed("announcement", "announcements", Timestamp(0), Timestamp(1));
        Box::new(row.expired(Uuid::from_u128(number), Timestamp(2)))
    }

    #[test]
    fn a_decision_that_nobody_waits_for_is_tried_again_with_what_it_ends() {
        let (mut group, mut waiters) = (Group::default(), Waiters::default());
        let (reply, _answer) = oneshot::channel();
        let (decision, notification, releases) = (dropped(1), None, Vec::new());
        group.add(Record::Decision { decision, notification, releases, reply }, &mut waiters);
        group.add(Record::Other(Other::Decision(dropped(2), vec![Uuid::from_u128(7)])), &mut waiters);
        let mut again = group.split(&mut Waiters::default());
        again.retain(|record| !waiters.is_awaited(record));
        assert!(matches!(&again[..], [Record::Other(Other::Decision(row, releases))]
            if row.decision_id == Uuid::from_u128(2) && releases[..] == [Uuid::from_u128(7)]));
    }
}
