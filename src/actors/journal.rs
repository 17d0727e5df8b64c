//! Commits what was decided, sent, acknowledged and answered, in groups like [`super::ingest`]. A message is sent
//! only after its commit: store, then send, then acknowledge.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::shared::Shared;
use super::watch::Lifeline;
use super::web_push::Wake;
use crate::base::{Timestamp, UserId};
use crate::decide;
use crate::notify::Channel;
use crate::store::acknowledgements::{self, Acknowledged};
use crate::store::decisions::DecisionRow;
use crate::store::feedback::{self, FeedbackRow};
use crate::store::fired_once::{self, Fired};
use crate::store::held::{self, HeldRow};
use crate::store::inbox::{self, Mark};
use crate::store::notifications::NewNotification;
use crate::store::preferences::{self, Preferences};
use crate::store::push_outbox::{self, HandOver, PushOrder};
use crate::store::said;
use crate::store::users;
use crate::store::{Connection, Store, StoreError, Writer, in_transaction};
use crate::telemetry::{Count, Timing};

/// Entries waiting in the mailbox.
const MAILBOX: usize = 16_384;
/// Entries in one commit.
const MAX_COMMIT: usize = 4_000;
/// Entries waiting; decisions beyond it are refused (and their messages not sent).
const MAX_WAITING: usize = 100_000;
/// Commits begin no closer together than this: what comes in between goes together, which costs PostgreSQL and us far less.
/// The first after a pause waits for nothing.
const BETWEEN_COMMITS: Duration = Duration::from_millis(2);
/// What nobody waits for takes the next commit that somebody waits for, or one of its own after this.
const LAZY: Duration = Duration::from_millis(25);
/// After a temporary error the rest is tried again this much later.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Sent by user actors.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Record {
    /// A decision and, when it says send, the message. The reply comes after the commit; `false` = not stored.
    Decision {
        /// What was decided.
        decision: Box<DecisionRow>,
        /// The message.
        notification: Option<Box<NewNotification>>,
        /// Deferred triggers that end with it.
        releases: Vec<Uuid>,
        /// Where the answer goes.
        reply: Option<oneshot::Sender<bool>>,
    },
    /// A message of the shop. The reply comes after the commit; `false` = not known to be stored.
    Message {
        /// The message.
        notification: Box<NewNotification>,
        /// Where the answer goes.
        reply: oneshot::Sender<bool>,
    },
    /// A client received a part of its stream.
    Acknowledged(Acknowledged),
    /// What was read, seen or gave way.
    Mark(Mark),
    /// What came of a message. The first report of an outcome counts.
    Feedback(FeedbackRow),
    /// What a user asked of us.
    Preferences(UserId, Preferences),
    /// Something waits.
    Hold(Box<HeldRow>),
    /// A user acts faster than a person.
    Robot(UserId),
    /// A user has a connection open at this moment.
    Connected(UserId, Timestamp),
    /// A trigger that goes off once has.
    FiredOnce(Fired),
    /// Nobody looks any more at what a user's pages were given.
    HandOver(HandOver),
    /// From the shutdown: answered when everything before it is committed.
    Flush(oneshot::Sender<bool>),
}

impl From<decide::Record> for Record {
    fn from(record: decide::Record) -> Self {
        match record {
            decide::Record::Decision(decision, releases) => {
                Self::Decision { decision, notification: None, releases, reply: None }
            }
            decide::Record::Acknowledged(acknowledged) => Self::Acknowledged(acknowledged),
            decide::Record::Mark(mark) => Self::Mark(mark),
            decide::Record::Feedback(row) => Self::Feedback(row),
            decide::Record::Preferences(user, document) => Self::Preferences(user, *document),
            decide::Record::Defer(row) => Self::Hold(row),
            decide::Record::Robot(user) => Self::Robot(user),
            decide::Record::Connected(user, at) => Self::Connected(user, at),
            decide::Record::FiredOnce(fired) => Self::FiredOnce(fired),
            decide::Record::HandOver(hand_over) => Self::HandOver(hand_over),
        }
    }
}

impl Record {
    /// Does somebody wait for it, or for what it sets off?
    fn is_awaited(&self) -> bool {
        match self {
            Self::Decision { reply, .. } => reply.is_some(),
            Self::Acknowledged(_)
            | Self::Mark(_)
            | Self::Robot(_)
            | Self::Connected(..)
            | Self::FiredOnce(_) => false,
            Self::Message { .. }
            | Self::Feedback(_)
            | Self::Preferences(..)
            | Self::Hold(_)
            | Self::HandOver(_)
            | Self::Flush(_) => true,
        }
    }
}

#[derive(Default)]
struct Group {
    decisions: Vec<DecisionRow>,
    notifications: Vec<NewNotification>,
    messages: Vec<NewNotification>,
    acknowledged: Vec<Acknowledged>,
    feedback: Vec<FeedbackRow>,
    marks: Vec<Mark>,
    preferences: Vec<(UserId, Preferences)>,
    held: Vec<HeldRow>,
    /// Deferred triggers that end, by the decision that ends them.
    released: HashMap<Uuid, Vec<Uuid>>,
    robots: Vec<UserId>,
    hand_overs: Vec<HandOver>,
    connected: Vec<(UserId, Timestamp)>,
    fired: Vec<Fired>,
}

/// Who waits for a group: by decision or message, and those who only want to know that it is over.
#[derive(Default)]
struct Waiters {
    stored: HashMap<Uuid, oneshot::Sender<bool>>,
    flushes: Vec<oneshot::Sender<bool>>,
}

impl Group {
    fn add(&mut self, record: Record, waiters: &mut Waiters) {
        match record {
            Record::Decision { decision, notification, releases, reply } => {
                waiters.stored.extend(reply.map(|reply| (decision.decision_id, reply)));
                if !releases.is_empty() {
                    self.released.insert(decision.decision_id, releases);
                }
                self.decisions.push(*decision);
                self.notifications.extend(notification.map(|notification| *notification));
            }
            Record::Message { notification, reply } => {
                waiters.stored.insert(notification.notification_id.0, reply);
                self.messages.push(*notification);
            }
            Record::Acknowledged(acknowledged) => self.acknowledged.push(acknowledged),
            Record::Feedback(row) => self.feedback.push(row),
            Record::Mark(mark) => self.marks.push(mark),
            Record::Preferences(user, preferences) => self.preferences.push((user, preferences)),
            Record::Hold(row) => self.held.push(*row),
            Record::Robot(user) => self.robots.push(user),
            Record::Connected(user, at) => self.connected.push((user, at)),
            Record::FiredOnce(fired) => self.fired.push(fired),
            Record::HandOver(hand_over) => self.hand_overs.push(hand_over),
            Record::Flush(reply) => waiters.flushes.push(reply),
        }
    }

    fn len(&self) -> usize {
        self.decisions.len()
            + self.messages.len()
            + self.acknowledged.len()
            + self.feedback.len()
            + self.marks.len()
            + self.preferences.len()
            + self.held.len()
            + self.released.len()
            + self.robots.len()
            + self.hand_overs.len()
            + self.connected.len()
            + self.fired.len()
    }

    /// All or nothing; the number of outcomes that were new, and of pushes that wait now.
    fn commit(
        &self,
        connection: &mut Connection,
        store: &Store,
        not_pushed: &[String],
    ) -> Result<(usize, usize), StoreError> {
        let messages: Vec<&NewNotification> = self.notifications.iter().chain(&self.messages).collect();
        if self.is_said_only() {
            // A statement is a transaction of its own.
            said::insert(connection, store, &messages, &self.decisions)?;
            // What was said is stored, whatever becomes of this; the next connection writes it again.
            if let Err(error) = users::note_connected(connection, &self.connected) {
                log::warn!("connections not noted users={} error={error}", self.connected.len());
            }
            return Ok((0, 0));
        }
        in_transaction(connection, |connection| {
            said::insert(connection, store, &messages, &self.decisions)?;
            let orders: Vec<PushOrder> = messages.iter().copied().filter_map(push_order).collect();
            let pushes = push_outbox::order(connection, &orders)?;
            let first = feedback::insert(connection, &self.feedback)?;
            acknowledgements::put(connection, &self.acknowledged)?;
            inbox::mark(connection, &self.marks)?;
            // After them: what has been acknowledged by now is not handed over.
            let handed = push_outbox::hand_over(connection, &self.hand_overs, not_pushed, Timestamp::now())?;
            for (user, preferences) in &self.preferences {
                preferences::put(connection, *user, preferences)?;
            }
            held::put(connection, &self.held)?;
            let released: Vec<Uuid> = self.released.values().flatten().copied().collect();
            held::release(connection, &released)?;
            users::mark_robots(connection, &self.robots)?;
            users::note_connected(connection, &self.connected)?;
            fired_once::put(connection, &self.fired)?;
            Ok((first.into_iter().filter(|first| *first).count(), pushes + handed))
        })
    }

    /// Nothing in it but decisions and messages that touch no other row, and connections, which may be lost.
    fn is_said_only(&self) -> bool {
        let mut messages = self.notifications.iter().chain(&self.messages);
        self.len() == self.decisions.len() + self.messages.len() + self.connected.len()
            && messages.all(|message| message.collapse_key.is_none() && message.channel != Channel::Push)
    }

    /// Its entries again, in the order of their kinds.
    fn split(self, waiters: &mut Waiters) -> Vec<Record> {
        let mut released = self.released;
        let mut notifications: HashMap<_, _> =
            self.notifications.into_iter().map(|row| (row.notification_id, Box::new(row))).collect();
        let messages = self.messages.into_iter().filter_map(|message| {
            let reply = waiters.stored.remove(&message.notification_id.0)?;
            Some(Record::Message { notification: Box::new(message), reply })
        });
        let messages: Vec<Record> = messages.collect();
        let decisions = self.decisions.into_iter().map(|decision| Record::Decision {
            notification: decision.notification_id.and_then(|id| notifications.remove(&id)),
            reply: waiters.stored.remove(&decision.decision_id),
            releases: released.remove(&decision.decision_id).unwrap_or_default(),
            decision: Box::new(decision),
        });
        decisions
            .chain(messages)
            .chain(self.feedback.into_iter().map(Record::Feedback))
            .chain(self.marks.into_iter().map(Record::Mark))
            .chain(self.acknowledged.into_iter().map(Record::Acknowledged))
            .chain(
                self.preferences
                    .into_iter()
                    .map(|(user, preferences)| Record::Preferences(user, preferences)),
            )
            .chain(self.held.into_iter().map(|row| Record::Hold(Box::new(row))))
            .chain(self.robots.into_iter().map(Record::Robot))
            .chain(self.hand_overs.into_iter().map(Record::HandOver))
            .chain(self.connected.into_iter().map(|(user, at)| Record::Connected(user, at)))
            .chain(self.fired.into_iter().map(Record::FiredOnce))
            .collect()
    }
}

/// What a message puts into the push outbox, if that is its way.
fn push_order(message: &NewNotification) -> Option<PushOrder> {
    (message.channel == Channel::Push).then_some(PushOrder {
        notification: message.notification_id,
        user: message.user,
        due_at: message.created_at,
        expires_at: message.expires_at,
    })
}

/// Groups and commits.
pub struct JournalActor {
    shared: Arc<Shared>,
    waiting: VecDeque<Record>,
    /// From a group that failed: its halves, each tried by itself, and halved again, so that one bad entry takes no other
    /// with it and costs some twenty commits instead of one for each of the group.
    halves: VecDeque<Vec<Record>>,
    in_flight: bool,
    /// A temporary error: the database is given a moment.
    paused: bool,
    /// Somebody waits for an entry of `waiting`.
    is_awaited: bool,
    /// When the last commit began.
    began: Option<Instant>,
    /// When the next look at `waiting` is due.
    wake_at: Option<Instant>,
    writer: Writer,
    _lifeline: Lifeline,
}

impl JournalActor {
    /// Idle.
    pub fn new(shared: Arc<Shared>, lifeline: Lifeline) -> Self {
        let writer = shared.store.writer("journal");
        Self {
            shared,
            writer,
            waiting: VecDeque::new(),
            halves: VecDeque::new(),
            in_flight: false,
            paused: false,
            is_awaited: false,
            began: None,
            wake_at: None,
            _lifeline: lifeline,
        }
    }

    fn next_group(&mut self) -> (Group, Waiters) {
        let (mut group, mut waiters) = (Group::default(), Waiters::default());
        if let Some(half) = self.halves.pop_front() {
            for record in half {
                group.add(record, &mut waiters);
            }
            return (group, waiters);
        }
        let n = self.waiting.len().min(MAX_COMMIT);
        for record in self.waiting.drain(..n) {
            group.add(record, &mut waiters);
        }
        self.is_awaited &= !self.waiting.is_empty();
        (group, waiters)
    }

    /// How long what waits has to wait yet.
    fn wait(&self, now: Instant) -> Duration {
        let pause = if self.is_awaited || !self.halves.is_empty() { BETWEEN_COMMITS } else { LAZY };
        self.began.map_or(Duration::ZERO, |began| (began + pause).saturating_duration_since(now))
    }

    /// Commits when it is time.
    fn commit_when_due(&mut self, context: &mut Context<Self>) {
        if self.in_flight || self.paused || (self.waiting.is_empty() && self.halves.is_empty()) {
            return;
        }
        let now = Instant::now();
        let wait = self.wait(now);
        if wait.is_zero() {
            self.commit(context);
        } else if self.wake_at.is_none_or(|at| at > now + wait) {
            self.wake_at = Some(now + wait);
            context.run_later(wait, |actor, context| {
                actor.wake_at = None;
                actor.commit_when_due(context);
            });
        }
    }

    fn commit(&mut self, context: &mut Context<Self>) {
        self.in_flight = true;
        let (group, waiters) = self.next_group();
        let writer = self.writer.clone();
        let started = Instant::now();
        self.began = Some(started);
        // Shared, so that the group is still here when the database can't even be reached.
        let group = Arc::new(group);
        let committing = Arc::clone(&group);
        let shared = Arc::clone(&self.shared);
        let commit = async move {
            writer
                .run(move |connection| {
                    committing.commit(connection, &shared.store, &shared.config.webpush.not_for)
                })
                .await
        };
        context.spawn(commit.into_actor(self).map(move |outcome, actor, context| {
            actor.in_flight = false;
            actor.shared.metrics.time(Timing::Commit, started.elapsed());
            match (outcome, Arc::try_unwrap(group)) {
                (Ok((feedback, pushes)), _) => {
                    actor.shared.metrics.add(Count::Feedback, feedback as u64);
                    if pushes > 0 {
                        // A full mailbox has been called already.
                        let _ = actor.shared.web_push.offer(Wake);
                    }
                    answer(waiters, true);
                }
                (Err(error), Ok(group)) => actor.failed(group, waiters, &error, context),
                // Still held by the thread that panicked with it.
                (Err(error), Err(_)) => {
                    log::error!("decisions not committed error={error}");
                    answer(waiters, false);
                }
            }
            actor.commit_when_due(context);
        }));
    }

    /// What failed for good in company is tried again by halves. After a temporary error messages are refused, since it is
    /// not known whether they were stored, and their users read their streams again; everything else is said once more
    /// (the first report of an outcome counts, and the last of everything else).
    fn failed(
        &mut self,
        group: Group,
        mut waiters: Waiters,
        error: &StoreError,
        context: &mut Context<Self>,
    ) {
        log::error!("decisions not committed entries={} error={error}", group.len());
        self.shared.metrics.add(Count::FailedCommits, 1);
        let flushes = std::mem::take(&mut waiters.flushes);
        if error.temporary() {
            let again = group.split(&mut Waiters::default());
            let again = again
                .into_iter()
                .filter(|record| !matches!(record, Record::Decision { .. } | Record::Message { .. }));
            let room = MAX_WAITING.saturating_sub(self.waiting.len());
            let mut waiting: VecDeque<Record> =
                again.take(room).chain(flushes.into_iter().map(Record::Flush)).collect();
            waiting.append(&mut self.waiting);
            self.waiting = waiting;
            self.is_awaited = true;
            self.paused = true;
            context.run_later(RETRY_PAUSE, |actor, context| {
                actor.paused = false;
                actor.commit_when_due(context);
            });
        } else {
            // Whoever has lost the database gets nothing stored, in whatever company.
            if group.len() > 1 && !matches!(error, StoreError::LeaseLost) {
                let mut first = group.split(&mut waiters);
                let second = first.split_off(first.len() / 2);
                self.halves.push_front(second);
                self.halves.push_front(first);
            }
            if !flushes.is_empty() {
                self.halves.push_back(flushes.into_iter().map(Record::Flush).collect());
            }
        }
        answer(waiters, false);
    }
}

/// Nobody may wait any more: the user has gone, what was stored is stored.
fn answer(waiters: Waiters, stored: bool) {
    for reply in waiters.stored.into_values().chain(waiters.flushes) {
        let _ = reply.send(stored);
    }
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Record> for JournalActor {
    type Result = ();

    fn handle(&mut self, record: Record, context: &mut Self::Context) {
        if self.waiting.len() >= MAX_WAITING {
            self.shared.metrics.add(Count::MailboxFull, 1);
            if let Record::Decision { reply: Some(reply), .. } | Record::Message { reply, .. } = record {
                let _ = reply.send(false);
            }
            return;
        }
        self.is_awaited |= record.is_awaited();
        self.waiting.push_back(record);
        self.commit_when_due(context);
    }
}
