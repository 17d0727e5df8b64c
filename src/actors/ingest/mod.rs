//! Commits events in groups: while one commit runs, what arrives waits and goes with the next. No timer, so a
//! lone event is committed at once and a flood in large groups. An event is acknowledged only after its commit.

pub mod messages;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::oneshot;

use self::messages::{Ingest, IngestError, Origin};
use super::mailbox::DropGuard;
use super::registry::Registry;
use tidings_core::base::{ExternalId, ItemId};
use tidings_core::event::{Event, NewEvent};
use tidings_state::AppState;
use tidings_store::events::{self, Appended};
use tidings_store::items::Upserted;
use tidings_store::{Connection, StoreError, Writer, items};
use tidings_telemetry::{Count, Timing};

/// Requests waiting in the mailbox; each may hold a batch.
const MAILBOX: usize = 4_096;

struct Job {
    events: Vec<NewEvent>,
    at: Instant,
    origin: Origin,
    reply: oneshot::Sender<Result<Vec<Appended>, IngestError>>,
    /// Failed once: tried again by itself, so that one bad batch does not take others with it.
    alone: bool,
}

/// Groups and commits.
pub struct IngestActor {
    state: Arc<AppState>,
    registry: Arc<Registry>,
    waiting: VecDeque<Job>,
    waiting_events: usize,
    in_flight: bool,
    writer: Writer,
    _guard: DropGuard,
}

impl IngestActor {
    /// Idle.
    pub fn new(state: Arc<AppState>, registry: Arc<Registry>, guard: DropGuard) -> Self {
        let writer = state.store.writer("ingest");
        Self {
            state,
            registry,
            waiting: VecDeque::new(),
            waiting_events: 0,
            in_flight: false,
            writer,
            _guard: guard,
        }
    }

    fn next_group(&mut self) -> Vec<Job> {
        let mut group: Vec<Job> = Vec::new();
        let mut size = 0;
        while let Some(job) = self.waiting.front() {
            let fits = group.is_empty() || size + job.events.len() <= self.state.config.ingest.max_commit;
            if !fits || (job.alone && !group.is_empty()) {
                break;
            }
            let Some(job) = self.waiting.pop_front() else { break };
            size += job.events.len();
            self.waiting_events = self.waiting_events.saturating_sub(job.events.len());
            let alone = job.alone;
            group.push(job);
            if alone {
                break;
            }
        }
        group
    }

    fn commit(&mut self, context: &mut Context<Self>) {
        if self.in_flight || self.waiting.is_empty() {
            return;
        }
        self.in_flight = true;
        let mut group = self.next_group();
        let counts: Vec<usize> = group.iter().map(|job| job.events.len()).collect();
        let batch: Vec<NewEvent> = group.iter_mut().flat_map(|job| std::mem::take(&mut job.events)).collect();
        let state = Arc::clone(&self.state);
        let started = Instant::now();
        let writer = self.writer.clone();
        // Shared, so that the events are still here when the database can't even be reached.
        let batch = Arc::new(batch);
        let committing = Arc::clone(&batch);
        let registry = Arc::clone(&self.registry);
        let fields = Arc::clone(self.state.store.fields());
        let commit = async move {
            let _steady = registry.aliases.committing().await;
            writer
                .run(move |connection| {
                    let appended = events::append(connection, &fields, &committing)?;
                    learn_items(&state, connection, &committing, &appended);
                    Ok(appended)
                })
                .await
        };
        context.spawn(commit.into_actor(self).map(move |outcome, actor, context| {
            actor.in_flight = false;
            actor.state.metrics.time(Timing::Commit, started.elapsed());
            match (outcome, Arc::try_unwrap(batch)) {
                (Ok(appended), Ok(batch)) => actor.committed(group, &counts, batch, appended),
                (Err(error), Ok(batch)) if !matches!(error, StoreError::Connect(_)) => {
                    log::error!("events not committed events={} error={error}", batch.len());
                    actor.failed(group, &counts, batch);
                }
                (outcome, _) => {
                    let error = outcome.err().unwrap_or(StoreError::Interrupted);
                    log::error!("events not committed error={error}");
                    actor.refuse(group);
                }
            }
            actor.commit(context);
        }));
    }

    fn committed(&self, group: Vec<Job>, counts: &[usize], batch: Vec<NewEvent>, appended: Vec<Appended>) {
        let stored: Vec<_> = appended.iter().filter_map(Appended::stored).collect();
        self.state.monitor.note_events(&stored);
        self.state.live.note(&stored);
        let stored = stored.len();
        self.state.metrics.add(Count::Events, stored as u64);
        self.state.metrics.add(Count::Duplicates, (appended.len() - stored) as u64);
        let mut pairs = batch.into_iter().zip(appended);
        for (job, count) in group.into_iter().zip(counts) {
            let part: Vec<(NewEvent, Appended)> = pairs.by_ref().take(*count).collect();
            self.tell(&part, job.origin, job.at);
            if job.alone {
                self.read_again(&part);
            }
            let reply = part.into_iter().map(|(_, appended)| appended).collect();
            // Nobody waits any more: the client has gone, its events are stored all the same.
            let _ = job.reply.send(Ok(reply));
        }
    }

    /// Tells connected users' actors about events that came by another way than their socket, or by that of a user who was merged
    /// while they were being stored.
    fn tell(&self, part: &[(NewEvent, Appended)], origin: Origin, at: Instant) {
        let mut by_user: BTreeMap<ExternalId, Vec<Event>> = BTreeMap::new();
        for (new, appended) in part {
            let (Some(named), Appended::Stored(event)) = (&new.user, appended) else { continue };
            let merged = self.registry.aliases.merged(named);
            if origin == Origin::Http || merged.is_some() {
                by_user.entry(merged.unwrap_or_else(|| named.clone())).or_default().push(*event);
            }
        }
        for (user, events) in by_user {
            if !self.registry.committed(&user, events, at) {
                self.state.metrics.add(Count::MailboxFull, 1);
            }
        }
    }

    /// A batch tried twice may have been stored the first time, its answer lost with the connection. What comes back as
    /// a duplicate then was never folded in: its users read everything again.
    fn read_again(&self, part: &[(NewEvent, Appended)]) {
        for (new, appended) in part {
            if let (Some(user), Appended::Duplicate) = (&new.user, appended)
                && let Some(entry) = self.registry.get(user)
            {
                entry.missed.store(true, Ordering::Release);
            }
        }
    }

    /// Once more, each job by itself and under the same keys, so that what was stored after all is not stored twice.
    fn failed(&mut self, group: Vec<Job>, counts: &[usize], batch: Vec<NewEvent>) {
        self.state.metrics.add(Count::FailedCommits, 1);
        if group.iter().any(|job| job.alone) {
            return self.refuse(group);
        }
        let mut rest = batch.into_iter();
        let mut again: VecDeque<Job> = VecDeque::new();
        for (mut job, count) in group.into_iter().zip(counts) {
            job.events = rest.by_ref().take(*count).collect();
            job.alone = true;
            self.waiting_events += job.events.len();
            again.push_back(job);
        }
        again.append(&mut self.waiting);
        self.waiting = again;
    }

    fn refuse(&self, group: Vec<Job>) {
        for job in group {
            let _ = job.reply.send(Err(IngestError::Unavailable));
        }
    }
}

impl Actor for IngestActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Ingest> for IngestActor {
    type Result = ();

    fn handle(&mut self, ingest: Ingest, context: &mut Self::Context) {
        let Ingest { events, at, origin, reply } = ingest;
        if self.waiting_events + events.len() > self.state.config.ingest.max_waiting {
            let _ = reply.send(Err(IngestError::Overloaded));
            return;
        }
        self.waiting_events += events.len();
        self.waiting.push_back(Job { events, at, origin, reply, alone: false });
        self.commit(context);
    }
}

/// Makes items known that an event has named before the catalogue did. Deleted ones stay deleted. Blocks.
fn learn_items(state: &AppState, connection: &mut Connection, batch: &[NewEvent], appended: &[Appended]) {
    let (catalogue, watch) = (state.catalogue.load(), state.watch_items());
    let unknown: BTreeSet<ItemId> = batch
        .iter()
        .zip(appended)
        .filter(|(new, _)| new.item.as_ref().is_some_and(|item| catalogue.find(item).is_none()))
        .filter_map(|(_, appended)| appended.stored()?.item)
        .collect();
    if unknown.is_empty() {
        return;
    }
    let unknown: Vec<ItemId> = unknown.into_iter().collect();
    match items::load(connection, &unknown) {
        Ok(items) => {
            state.settle_stored(&watch, connection, Upserted { items, ..Upserted::default() }, &[]);
        }
        Err(error) => {
            // The events are stored, and the items follow.
            log::error!("new items not read, tried again error={error}");
            state.unread_items.note(&unknown);
        }
    }
}
