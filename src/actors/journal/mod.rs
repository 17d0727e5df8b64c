//! Commits what was decided, sent, acknowledged and answered, in groups like [`super::ingest`]. A message is sent
//! only after its commit: store, then send, then acknowledge.

mod group;
pub mod messages;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use self::group::{Group, Waiters};
use self::messages::Record;
use super::mailbox::{DropGuard, Mailbox};
use super::web_push::messages::Wake;
use tidings_state::AppState;
use tidings_store::{StoreError, Writer};
use tidings_telemetry::{Count, Timing};

/// Entries waiting in the mailbox.
const MAILBOX: usize = 16_384;
/// Entries in one commit.
const MAX_COMMIT: usize = 4_000;
/// Entries waiting; decisions beyond it are refused (and their messages not sent).
const MAX_WAITING: usize = 100_000;
/// Commits begin no closer together than this: what comes in between goes together, which costs PostgreSQL and us far less.
/// The first after a pause waits for nothing.
const BETWEEN_COMMITS: Duration = Duration::from_millis(2);
/// Pause before the own commit of records nobody waits for, unless a commit that somebody waits for takes them along.
const LAZY: Duration = Duration::from_millis(25);
/// After a temporary error the rest is tried again this much later.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Groups and commits.
pub struct JournalActor {
    state: Arc<AppState>,
    web_push: Arc<Mailbox<Wake>>,
    waiting: VecDeque<Record>,
    /// From a group that failed: its halves, each tried by itself, and halved again, so that one bad entry takes no other
    /// with it and costs some twenty commits instead of one for each of the group.
    halves: VecDeque<Vec<Record>>,
    in_flight: bool,
    /// A temporary error: the database is given a moment.
    paused: bool,
    /// Somebody waits for an entry of `waiting`.
    is_awaited: bool,
    /// Moment when the last commit began.
    began: Option<Instant>,
    /// Moment when the next look at `waiting` is due.
    wake_at: Option<Instant>,
    writer: Writer,
    _guard: DropGuard,
}

impl JournalActor {
    /// Idle.
    pub fn new(state: Arc<AppState>, web_push: Arc<Mailbox<Wake>>, guard: DropGuard) -> Self {
        let writer = state.store.writer("journal");
        Self {
            state,
            web_push,
            writer,
            waiting: VecDeque::new(),
            halves: VecDeque::new(),
            in_flight: false,
            paused: false,
            is_awaited: false,
            began: None,
            wake_at: None,
            _guard: guard,
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

    /// Time left until the waiting records may be committed.
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
        let state = Arc::clone(&self.state);
        let commit = async move {
            writer
                .run(move |connection| {
                    committing.commit(connection, &state.store, &state.config.webpush.not_for)
                })
                .await
        };
        context.spawn(commit.into_actor(self).map(move |outcome, actor, context| {
            actor.in_flight = false;
            actor.state.metrics.time(Timing::Commit, started.elapsed());
            match (outcome, Arc::try_unwrap(group)) {
                (Ok((feedback, pushes)), _) => {
                    actor.state.metrics.add(Count::Feedback, feedback as u64);
                    if pushes > 0 {
                        // A full mailbox has been called already.
                        let _ = actor.web_push.offer(Wake);
                    }
                    waiters.answer(true);
                }
                (Err(error), Ok(group)) => actor.failed(group, waiters, &error, context),
                // Still held by the thread that panicked with it.
                (Err(error), Err(_)) => {
                    log::error!("decisions not committed error={error}");
                    waiters.answer(false);
                }
            }
            actor.commit_when_due(context);
        }));
    }

    /// Retries by halves a group of several that failed for good. After a temporary error refuses all with a waiter, since it is
    /// not known whether it was stored: users of messages read their streams again. Everything else is said once more (the first
    /// report of an outcome and the first row of a decision count, and the last of everything else).
    fn failed(
        &mut self,
        group: Group,
        mut waiters: Waiters,
        error: &StoreError,
        context: &mut Context<Self>,
    ) {
        log::error!("decisions not committed entries={} error={error}", group.len());
        self.state.metrics.add(Count::FailedCommits, 1);
        let flushes = std::mem::take(&mut waiters.flushes);
        if error.temporary() {
            let again = group.split(&mut Waiters::default());
            let again = again.into_iter().filter(|record| !waiters.is_awaited(record));
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
        waiters.answer(false);
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
            self.state.metrics.add(Count::MailboxFull, 1);
            record.refuse();
            return;
        }
        self.is_awaited |= record.is_awaited();
        self.waiting.push_back(record);
        self.commit_when_due(context);
    }
}
