//! The simulated database: rows of each user, the outbox of the API, the outbox of Web Push and the fence of the lease. A commit
//! stores all of its entries or none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidings::base::{EventKey, ExternalId, Millis, NotificationId, Timestamp, UserId};
use tidings::catalogue::Catalogue;
use tidings::decide::record::{
    DecisionRow, DeferredRow, FeedbackRow, HandOver, Mark, NewNotification, Record,
};
use tidings::decide::{Loaded, MAX_DEFERRED_READ, RecentSend, SentAs, StoredNotification, StoredUser};
use tidings::deliver::standing::{Place, Placed};
use tidings::deliver::stream::MAX_ENTRIES;
use tidings::deliver::{Change, Marks, Standing};
use tidings::event::Event;
use tidings::notify::Channel;
use tidings::notify::policy::{PreferenceDocument, Purpose};
use uuid::Uuid;

use crate::faults::Fault;
use crate::journal::Entry;

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
    fn marks(&self, fault: Option<Fault>) -> Marks {
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
    /// When another was merged into it last.
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

pub struct Store {
    pub users: Vec<UserRows>,
    pub outbox: BTreeMap<(Timestamp, i64), OutboxRow>,
    next_outbox_id: i64,
    /// Batches that are paused.
    pub paused: BTreeSet<uuid::Uuid>,
    pub pushes: Vec<PushRow>,
    /// The server whose commits are accepted.
    pub holder: usize,
    pub fault: Option<Fault>,
}

impl Store {
    pub fn new(users: Vec<ExternalId>, fault: Option<Fault>) -> Self {
        let users = users.into_iter().enumerate();
        Self {
            users: users.map(|(index, external_id)| Self::rows(index, external_id)).collect(),
            outbox: BTreeMap::new(),
            next_outbox_id: 1,
            paused: BTreeSet::new(),
            pushes: Vec::new(),
            holder: 0,
            fault,
        }
    }

    /// A user of whom nothing is stored.
    pub fn rows(index: usize, external_id: ExternalId) -> UserRows {
        UserRows {
            user: UserId(index as u32 + 1),
            external_id,
            robot_since: None,
            last_connected: None,
            fired_once: BTreeMap::new(),
            events: Vec::new(),
            preferences: PreferenceDocument::default(),
            preferences_at: None,
            consents: Vec::new(),
            held: Vec::new(),
            messages: Vec::new(),
            acknowledged: 0,
            decisions: Vec::new(),
            feedback: Vec::new(),
            subscriptions: BTreeSet::new(),
            refusals: BTreeMap::new(),
            merged_into: None,
            merged_at: None,
        }
    }

    pub fn of(&mut self, user: UserId) -> &mut UserRows {
        &mut self.users[user.0 as usize - 1]
    }

    pub fn insert_outbox(&mut self, due_at: Timestamp, row: OutboxRow) -> i64 {
        let id = self.next_outbox_id;
        self.next_outbox_id += 1;
        self.outbox.insert((due_at, id), row);
        id
    }

    pub fn remove_outbox(&mut self, ids: &[i64]) {
        self.outbox.retain(|(_, id), _| !ids.contains(id));
    }

    /// Whether a message has its place, in whichever stream.
    pub fn is_placed(&self, id: NotificationId) -> bool {
        self.users.iter().flat_map(|rows| &rows.messages).any(|row| row.message.notification_id == id)
    }

    /// Whether what a server writes is stored: it holds the lease.
    pub fn accepts(&self, server: usize) -> bool {
        server == self.holder || self.fault == Some(Fault::AcceptsLosersCommits)
    }

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
        let records = || entries.iter().filter_map(Entry::record);
        let (mut hand_overs, mut preferences) = (Vec::new(), Vec::new());
        for record in records() {
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
        for record in records() {
            if let Record::Defer(row) = record {
                self.put_held(row);
            }
        }
        entries.iter().for_each(|entry| self.release(entry.releases()));
        for record in records() {
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
        Ok(())
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

    /// Ends deferred triggers that expired an hour ago with a stored decision; their users did not come in time.
    pub fn expire_deferred(&mut self, now: Timestamp, mut id: impl FnMut() -> Uuid) -> Vec<(Uuid, Uuid)> {
        let mut ended = Vec::new();
        for rows in &mut self.users {
            let is_over = |row: &DeferredRow| row.expires_at < now - Millis::hours(1);
            let (over, kept) = std::mem::take(&mut rows.held).into_iter().partition(is_over);
            rows.held = kept;
            for row in over {
                let decision = row.expired(id(), now);
                ended.push((row.held_id, decision.decision_id));
                rows.decisions.push(decision);
            }
        }
        ended
    }

    /// A user as a server reads it.
    pub fn load(&self, user: usize, now: Timestamp, catalogue: &Catalogue) -> Loaded {
        let rows = &self.users[user];
        let fault = |fault| self.fault == Some(fault);
        let last_offset = rows.messages.last().map_or(0, |row| row.message.offset).max(0);
        let first = rows.messages.len().saturating_sub(MAX_ENTRIES);
        let tail: Vec<StoredNotification> =
            rows.messages[first..].iter().map(|row| self.stored(rows, row, now)).collect();
        let kept = |row: &&MessageRow| row.is_live(now) && row.message.trigger != "login";
        let older = rows.messages[..first]
            .iter()
            .filter(kept)
            .map(|row| StoredNotification { frame: String::new(), ..self.stored(rows, row, now) });
        let since = now.plus_days(-7.0);
        // As many as the policy remembers, which is more than the stream holds.
        // Of one who was merged into, not in the order of the stream.
        let mut recent: Vec<&MessageRow> = rows.messages.iter().collect();
        if rows.merged_at.is_some() {
            recent.sort_by_key(|row| row.message.created_at);
        }
        let recent = recent
            .into_iter()
            .map(|row| self.stored(rows, row, now))
            .filter(|one| one.created_at >= since)
            .filter(|one| !fault(Fault::ForgetsUnconfirmed) || !rows.is_unconfirmed(one.notification_id))
            .map(|one| recent_send(rows, &one))
            .collect();
        let mut held: VecDeque<&DeferredRow> = rows.held.iter().filter(|row| row.expires_at > now).collect();
        held.make_contiguous().sort_by_key(|row| row.until);
        let consents = rows.consents.iter().filter(|_| !fault(Fault::ForgetsConsent));
        let stored = StoredUser {
            user: rows.user,
            external_id: rows.external_id.clone(),
            robot_since: rows.robot_since,
            last_connected: rows.last_connected,
            merged_at: rows.merged_at,
            attributes: tidings::profile::Attributes::default(),
            fired_once: rows.fired_once.iter().map(|(name, at)| (name.clone(), *at)).collect(),
            events: rows.events.clone(),
            stated: None,
            preferences: rows.preferences.clone(),
            consents: consents.map(|(purpose, granted)| (purpose.name().to_owned(), *granted)).collect(),
            held: held.into_iter().take(MAX_DEFERRED_READ).cloned().collect(),
            last_offset,
            floor: tail.iter().map(|one| one.offset - 1).min().unwrap_or(last_offset).min(last_offset),
            tail,
            older: older.collect(),
            recent,
        };
        Loaded::fold(stored, catalogue)
    }

    fn stored(&self, rows: &UserRows, row: &MessageRow, now: Timestamp) -> StoredNotification {
        let message = &row.message;
        let acknowledged = message.offset <= rows.acknowledged;
        let again = row.is_live(now) && (message.created_at > now.plus_days(-1.0) || !acknowledged);
        StoredNotification {
            notification_id: message.notification_id,
            offset: message.offset,
            kind: message.kind.clone(),
            category: message.category.clone(),
            trigger: message.trigger.clone(),
            items: message.items.clone(),
            frame: if again { message.frame.to_string() } else { String::new() },
            created_at: message.created_at,
            expires_at: message.expires_at,
            acknowledged,
            collapse_key: message.collapse_key.as_deref().map(str::to_owned),
            priority: message.priority,
            marks: row.marks(self.fault),
            withdrawn: row.withdrawn,
            channel: row.channel,
            taken_back_at: row.taken_back_at,
            given: row.given && self.fault != Some(Fault::ForgetsGiven),
        }
    }

    /// What a user who was given messages before the server died has left: the sweep after a start hands it over.
    pub fn left_behind(&self, now: Timestamp) -> Vec<usize> {
        let is_left = |rows: &UserRows| {
            !rows.subscriptions.is_empty()
                && rows.messages.iter().any(|row| {
                    row.channel == Channel::Socket
                        && row.message.offset > rows.acknowledged
                        && row.message.expires_at > now
                        && row.message.created_at > now.plus_days(-1.0)
                })
        };
        (0..self.users.len()).filter(|user| is_left(&self.users[*user])).collect()
    }
}

impl UserRows {
    fn is_unconfirmed(&self, id: NotificationId) -> bool {
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

fn recent_send(rows: &UserRows, one: &StoredNotification) -> RecentSend {
    let id = one.notification_id;
    let decision = rows.decisions.iter().find(|row| row.notification_id == Some(id)).map(|row| SentAs {
        campaign: row.trace.campaign.clone(),
        channel: row.trace.channel.clone(),
        dedupe_key: row.trace.dedupe_key,
        counted: row.trace.counted,
    });
    let of = rows.feedback.iter().filter(|row| row.notification_id == id);
    RecentSend::new(one, decision, of.map(|row| row.outcome).collect())
}

/// A UUID that follows from a name, so that a history makes the same ids each time.
pub fn uuid_of(name: &str, number: u64) -> Uuid {
    EventKey::from_parts(&[name.as_bytes(), &number.to_le_bytes()]).0
}
