//! A commit of the journal, and the single writes of requests over HTTP.

use std::collections::BTreeSet;

use tidings::base::{NotificationId, Timestamp, UserId};
use tidings::decide::record::{
    DecisionRow, DeferredRow, FeedbackRow, HandOver, Mark, NewNotification, Record,
};
use tidings::deliver::Change;
use tidings::notify::Channel;
use uuid::Uuid;

use super::rows::{Act, Done};
use super::{MessageRow, PushRow, Refusal, Store};
use crate::faults::Fault;
use crate::journal::Entry;

impl Store {
    /// One transaction. `unconfirmed`: nobody will be told that it succeeded.
    pub fn commit(
        &mut self,
        server: usize,
        entries: &[Entry],
        unconfirmed: bool,
        now: Timestamp,
        not_pushed: &[String],
    ) -> Result<(), Refusal> {
        if !self.accepts(server) {
            return Err(Refusal::LeaseLost);
        }
        let messages: Vec<&NewNotification> = entries.iter().filter_map(Entry::message).collect();
        let decisions: Vec<&DecisionRow> = entries.iter().filter_map(Entry::decision).collect();
        if self.has_conflict(&messages) {
            return Err(Refusal::Conflict);
        }
        for message in &messages {
            self.insert_message(message, unconfirmed);
        }
        for decision in decisions {
            let rows = &mut self.of(decision.user).decisions;
            if !rows.iter().any(|old| old.decision_id == decision.decision_id) {
                rows.push(decision.clone());
            }
        }
        for message in messages.iter().filter(|message| message.channel == Channel::Push) {
            let user = message.user.0 as usize - 1;
            self.order_push(user, message.notification_id, message.created_at, message.expires_at);
        }
        self.note_inbox(entries, not_pushed, now);
        let records = || entries.iter().filter_map(Entry::record);
        for record in records() {
            if let Record::Defer(row) = record {
                self.put_held(row);
            }
        }
        entries.iter().for_each(|entry| self.release(entry.releases()));
        records().for_each(|record| self.note_user(record));
        Ok(())
    }

    /// Feedback, marks, hand-overs to Web Push, and preferences.
    fn note_inbox(&mut self, entries: &[Entry], not_pushed: &[String], now: Timestamp) {
        let (mut hand_overs, mut preferences) = (Vec::new(), Vec::new());
        for record in entries.iter().filter_map(Entry::record) {
            match record {
                Record::Feedback(row) => self.note_feedback(row),
                Record::Acknowledged(one) => {
                    let rows = self.of(one.user);
                    rows.acknowledged = rows.acknowledged.max(one.up_to);
                }
                Record::Mark(mark) => self.mark(mark),
                Record::HandOver(hand_over) => hand_overs.push(*hand_over),
                Record::Preferences(user, change) => preferences.push((*user, change)),
                _ => {}
            }
        }
        for hand_over in hand_overs {
            self.hand_over(&hand_over, not_pushed, now);
        }
        if self.fault != Some(Fault::DropsPreferences) {
            for (user, change) in preferences {
                let rows = self.of(user);
                change.apply(&mut rows.preferences, rows.preferences_at);
                rows.preferences_at = rows.preferences_at.max(Some(change.at));
            }
        }
    }

    /// Columns of a user's own row.
    fn note_user(&mut self, record: &Record) {
        match record {
            Record::Robot(user, flag) => self.of(*user).robot_since = Some(flag.since),
            Record::Rested(user, _) => self.of(*user).robot_since = None,
            Record::Connected(user, at) => {
                let rows = self.of(*user);
                rows.last_connected = rows.last_connected.max(Some(*at));
            }
            Record::FiredOnce(fired) => {
                self.of(fired.user).fired_once.insert(fired.trigger.clone(), fired.at);
            }
            _ => {}
        }
    }

    fn has_conflict(&self, messages: &[&NewNotification]) -> bool {
        let taken = |new: &NewNotification, old: &NewNotification| {
            new.notification_id == old.notification_id || (new.user == old.user && new.offset == old.offset)
        };
        let of = |user: UserId| &self.users[user.0 as usize - 1];
        messages.iter().enumerate().any(|(place, new)| {
            of(new.user).messages.iter().any(|row| taken(new, &row.message))
                || messages[..place].iter().any(|old| taken(new, old))
        })
    }

    fn insert_message(&mut self, message: &NewNotification, unconfirmed: bool) {
        let rows = self.of(message.user);
        if let Some(key) = &message.collapse_key {
            let same = |old: &&mut MessageRow| {
                old.message.collapse_key.as_ref() == Some(key) && old.message.offset < message.offset
            };
            rows.messages.iter_mut().filter(same).for_each(|old| old.withdrawn = true);
        }
        rows.messages.push(MessageRow {
            message: message.clone(),
            channel: message.channel,
            done: Vec::new(),
            given: message.channel == Channel::Socket,
            withdrawn: false,
            taken_back_at: None,
            unconfirmed,
        });
        rows.messages.sort_by_key(|row| row.message.offset);
    }

    pub fn order_push(&mut self, user: usize, id: NotificationId, due_at: Timestamp, expires_at: Timestamp) {
        for device in self.users[user].subscriptions.clone() {
            if !self.pushes.iter().any(|row| row.notification == id && row.device == device) {
                let row = PushRow { notification: id, user, device, due_at, expires_at, claimed_until: None };
                self.pushes.push(row);
            }
        }
    }

    /// Gives messages to Web Push that pages closed on.
    fn hand_over(&mut self, hand_over: &HandOver, not_pushed: &[String], now: Timestamp) {
        let rows = self.of(hand_over.user);
        if rows.subscriptions.is_empty() {
            return;
        }
        let shown: BTreeSet<NotificationId> = rows
            .feedback
            .iter()
            .filter(|row| (1..=3).contains(&row.outcome))
            .map(|row| row.notification_id)
            .collect();
        let after = hand_over.seen_up_to.min(rows.acknowledged);
        let mut moved = Vec::new();
        for row in &mut rows.messages {
            let message = &row.message;
            if row.channel == Channel::Socket
                && row.is_live(now)
                && message.created_at > now.plus_days(-1.0)
                && message.offset > after
                && !not_pushed.contains(&message.trigger)
                && !row.is_dealt_with()
                && !shown.contains(&message.notification_id)
            {
                row.channel = Channel::Push;
                moved.push((message.notification_id, message.expires_at));
            }
        }
        for (id, expires_at) in moved {
            self.order_push(hand_over.user.0 as usize - 1, id, hand_over.due_at, expires_at);
        }
    }

    pub fn note_feedback(&mut self, row: &FeedbackRow) {
        let rows = self.of(row.user);
        let known =
            |old: &FeedbackRow| old.notification_id == row.notification_id && old.outcome == row.outcome;
        if !rows.feedback.iter().any(known) {
            rows.feedback.push(row.clone());
        }
    }

    pub fn mark(&mut self, mark: &Mark) {
        let all = self.users.iter_mut().flat_map(|rows| &mut rows.messages);
        match mark {
            Mark::Change { user, ids, change, at } => {
                let named = |row: &&mut MessageRow| {
                    row.message.user == *user && ids.contains(&row.message.notification_id)
                };
                for row in all.filter(named) {
                    match change {
                        Change::Delete => row.withdrawn = true,
                        Change::Snooze(until) if *until >= row.message.expires_at => {}
                        _ => row.done.push(Done { at: *at, act: Act::Changed(*change) }),
                    }
                }
            }
            Mark::ReadAll { user, up_to, at } => {
                // Answers to logins are not messages of an inbox.
                let mine = |row: &&mut MessageRow| {
                    let message = &row.message;
                    message.user == *user && message.offset <= *up_to && message.trigger != "login"
                };
                all.filter(mine)
                    .for_each(|row| row.done.push(Done { at: *at, act: Act::Changed(Change::Read) }));
            }
            Mark::Seen { user, up_to, at } => {
                let mine = |row: &&mut MessageRow| row.message.user == *user && row.message.offset <= *up_to;
                all.filter(mine).for_each(|row| row.done.push(Done { at: *at, act: Act::Looked }));
            }
            Mark::Given { ids, .. } => {
                all.filter(|row| ids.contains(&row.message.notification_id)).for_each(|row| row.given = true);
            }
            Mark::Superseded { id, .. } => {
                all.filter(|row| row.message.notification_id == *id).for_each(|row| row.withdrawn = true);
            }
        }
    }

    /// Takes a message back; false where none is stored, or it was taken back before.
    pub fn withdraw(&mut self, user: usize, id: NotificationId, at: Timestamp) -> bool {
        let row = self.users[user].messages.iter_mut().find(|row| row.message.notification_id == id);
        row.is_some_and(|row| {
            row.taken_back_at = Some(at).filter(|_| !row.withdrawn);
            !std::mem::replace(&mut row.withdrawn, true)
        })
    }

    pub fn put_held(&mut self, row: &DeferredRow) {
        let rows = self.of(row.user);
        match rows.held.iter_mut().find(|known| known.held_id == row.held_id) {
            Some(known) => (known.until, known.expires_at) = (row.until, row.expires_at),
            None => rows.held.push(row.clone()),
        }
    }

    /// Deletes deferred triggers.
    pub fn release(&mut self, ids: &[Uuid]) {
        for rows in self.users.iter_mut().filter(|_| !ids.is_empty()) {
            rows.held.retain(|row| !ids.contains(&row.held_id));
        }
    }
}
