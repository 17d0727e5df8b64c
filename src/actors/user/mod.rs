//! One actor per connected user. It keeps the mailbox, reads the user, carries out effects; every decision is made by
//! [`UserState`], in the domain.
//!
//! ```text
//! Loading ──loaded──► Ready ──last connection gone, linger over──► stopped
//!    ▲                  │
//!    └── reload ────────┘   (a commit failed or a message was missed: read everything again)
//! ```

mod events;
pub mod launcher;
pub mod messages;
mod pause;
mod perform;
mod pipes;
mod posted;
mod replies;
mod stored_first;
mod storing;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};

use self::messages::{Pause, Snapshot, UserMessage};
use self::pipes::Pipes;
use self::replies::Replies;
use self::storing::Storing;
use super::ingest::messages::Ingest;
use super::journal::messages::Record;
use super::loader::messages::{Load, LoadError};
use super::mailbox::Mailbox;
use super::notifier::ledger::Ticket;
use super::registry::Registry;
use tidings_core::base::{ConnectionId, ExternalId, NotificationId, Timestamp};
use tidings_decision::decide::{ApiMessage, Input, Loaded, UserState};
use tidings_decision::deliver::CloseCode;
use tidings_state::AppState;
use tidings_transport::{Opened, Outbound, Received, ReceivedKind};

/// Messages waiting for one user.
const MAILBOX: usize = 256;
/// Logins waiting while the user is read.
const MAX_WAITING: usize = 64;
/// Messages of the API waiting while the user is read; more come back and are tried again.
const MAX_TICKETS: usize = 256;
/// Changes kept while the user is read; with more of them it is read once more before they hold.
const MAX_CHANGES: usize = 256;
/// Housekeeping: prune dead pipes, forget what no rule looks at.
const TICK: Duration = Duration::from_secs(30);
/// An actor that was started for messages waits this long for more of them.
const ABSENT_LINGER: Duration = Duration::from_millis(50);
/// The same just after a start, when messages for everybody come while everybody comes back: each would be read twice. Not later: a
/// message to many who are away would keep thousands of actors at a time.
const ABSENT_LINGER_AT_START: Duration = Duration::from_secs(2);

/// Mailboxes that a user's actor writes to; one value for all of them.
pub struct UserMailboxes {
    /// Commits what was decided and sent.
    pub journal: Arc<Mailbox<Record>>,
    /// Commits events.
    pub ingest: Arc<Mailbox<Ingest>>,
    /// Reads users.
    pub loader: Arc<Mailbox<Load>>,
}

enum State {
    /// The store is being asked; logins wait. `before` is the old state of a reload, `changes` what reading may have missed.
    Loading { waiting: Vec<Opened>, before: Option<Box<UserState>>, changes: Vec<Input> },
    /// Serving.
    Ready(Box<UserState>),
}

/// The actor of one user.
pub struct UserActor {
    user: ExternalId,
    instance: u64,
    app: Arc<AppState>,
    mailboxes: Arc<UserMailboxes>,
    registry: Arc<Registry>,
    /// Something could not be delivered to the mailbox: the user is read again before anything else is decided.
    missed: Arc<AtomicBool>,
    /// The user is read once more when it has been read: something happened meanwhile.
    reads_again: bool,
    state: State,
    pipes: Pipes,
    /// Since when nobody is connected.
    idle_since: Option<Instant>,
    /// Messages of the API that wait until the user has been read.
    waiting_tickets: Vec<Ticket>,
    /// Messages of the API that the state has.
    tickets: HashMap<NotificationId, Ticket>,
    /// Moments when the requests were read that caused messages, each with the message's offset.
    causes: Vec<(i64, Instant)>,
    /// Moments when the logins were read that have not been welcomed.
    logins: Vec<(ConnectionId, Instant)>,
    timer: Option<SpawnHandle>,
    /// Nobody has ever logged in here: the actor was started for a message and ends with it.
    only_for_messages: bool,
    /// A look at whether more messages came is under way.
    may_finish_soon: bool,
    /// Out of the registry: another actor numbers the stream from now on.
    finishing: bool,
    /// To stand still for a merge as soon as nothing is being stored.
    pause: Option<Pause>,
    /// Stands still: the user is read again when the merge is over.
    held: bool,
    /// Changes on their way to the store.
    storing: Storing,
}

impl UserActor {
    fn load(&mut self, context: &mut Context<Self>) {
        let (loader, user) = (Arc::clone(&self.mailboxes.loader), self.user.clone());
        let load = async move { loader.load(&user, true).await };
        context.spawn(load.into_actor(self).map(|outcome, actor, context| actor.loaded(outcome, context)));
    }

    fn loaded(&mut self, outcome: Result<Option<Box<Loaded>>, LoadError>, context: &mut Context<Self>) {
        let Ok(Some(loaded)) = outcome else { return self.finish(context) };
        let State::Loading { waiting, before, changes } = &mut self.state else { return };
        if self.missed.swap(false, Ordering::AcqRel) {
            // What could not be delivered may not have been seen. The next reading sees it, and all that came before.
            changes.clear();
            return self.load(context);
        }
        let (waiting, before, changes) = (std::mem::take(waiting), before.take(), std::mem::take(changes));
        let (snapshot, app) = (self.app.snapshot(), Arc::clone(&self.app));
        let world = snapshot.world(Some(loaded.user), &app);
        let mut state = Box::new(UserState::new(&self.user, *loaded, &app.epoch, &world));
        if !state.is_robot() {
            app.monitor.note_features(&state.profile.features(world.feature_context()));
        }
        let mut effects = state.changed_meanwhile(changes, &world);
        effects.extend(before.into_iter().flat_map(|before| state.adopt(*before, &world)));
        self.state = State::Ready(state);
        self.perform(effects, None, context);
        for opened in waiting {
            self.connect(opened, context);
        }
        for ticket in std::mem::take(&mut self.waiting_tickets) {
            self.deliver(ticket, context);
        }
        self.take(Input::Loaded, None, context);
        self.reload_if_due(context);
    }

    /// The state that answers clients: the present one or, while everything is read again, the one before.
    fn serving(&mut self) -> Option<&mut UserState> {
        match &mut self.state {
            State::Ready(state) | State::Loading { before: Some(state), .. } => Some(state),
            State::Loading { before: None, .. } => None,
        }
    }

    /// Something was missed, and nothing is decided until everything was read again; or it happened while the user was read. Reads
    /// as soon as nothing is being stored. Connections stay.
    fn reload_if_due(&mut self, context: &mut Context<Self>) {
        let State::Ready(state) = &mut self.state else { return };
        let missed = self.missed.load(Ordering::Acquire) || self.pause.is_some();
        if missed && !self.finishing {
            state.stall();
        }
        if self.finishing || !state.is_quiet() || !(missed || self.reads_again) {
            return;
        }
        self.reads_again = false;
        self.missed.store(false, Ordering::Release);
        let loading = |before| State::Loading { waiting: Vec::new(), before, changes: Vec::new() };
        if let State::Ready(mut before) = std::mem::replace(&mut self.state, loading(None)) {
            before.stall();
            self.state = loading(Some(before));
            match self.pause.take() {
                Some(pause) => self.stand_still(pause, context),
                None => self.load(context),
            }
        }
    }

    /// Something happened that is stored: reading under way may not have seen it, so the user is read once more. What lasts holds
    /// as soon as the first reading ends.
    fn happened(&mut self, input: Input, cause: Option<Instant>, context: &mut Context<Self>) {
        if let State::Loading { changes, .. } = &mut self.state {
            self.reads_again = true;
            if !input.is_lasting() {
                // Seen when the user is read once more.
            } else if changes.len() < MAX_CHANGES {
                changes.push(input.clone());
            } else {
                self.missed.store(true, Ordering::Release);
            }
        }
        self.reload_if_due(context);
        self.take(input, cause, context);
    }

    fn connect(&mut self, opened: Opened, context: &mut Context<Self>) {
        self.idle_since = None;
        self.only_for_messages = false;
        match &mut self.state {
            State::Loading { waiting, .. } if waiting.len() < MAX_WAITING => waiting.push(opened),
            State::Loading { .. } => {
                let _ = opened.pipe.offer(Outbound::Close(CloseCode::TooManyConnections));
            }
            State::Ready(_) => {
                let Opened { login, at, pipe } = opened;
                if pipe.offer(Outbound::Attached(context.address().recipient())).is_err() {
                    return;
                }
                let connection = pipe.connection;
                self.pipes.attach(pipe, login.speaker, &self.app.metrics);
                self.logins.push((connection, at));
                self.take(Input::LoggedIn { connection, login }, None, context);
                self.logins.retain(|(login, _)| self.pipes.has(*login));
                self.logins.shrink_to_fit();
            }
        }
    }

    fn received(&mut self, received: Received, context: &mut Context<Self>) {
        let Received { connection, at, kind } = received;
        match kind {
            ReceivedKind::Closed => self.disconnected(connection, context),
            ReceivedKind::Posted(posted) => {
                self.reload_if_due(context);
                for frame in posted {
                    self.posted(connection, frame, at, context);
                }
            }
            ReceivedKind::Frame(inbound) => {
                self.reload_if_due(context);
                let (to, speaker) = (Replies::Connection(connection), self.pipes.speaker(connection));
                if let Some((_, inbound)) = self.stored_first(to, inbound, speaker, at, context) {
                    self.take(Input::Frame(connection, inbound), None, context);
                }
            }
        }
    }

    /// Forgets a connection; one that is not there is no error.
    fn disconnected(&mut self, connection: ConnectionId, context: &mut Context<Self>) {
        if self.pipes.detach(connection, &self.app.metrics) {
            self.take(Input::Disconnected(connection), None, context);
        }
        if self.pipes.is_empty() {
            self.idle_since.get_or_insert_with(Instant::now);
        }
    }

    /// A message of the API. It waits while no offset given now would hold; beyond the bound its ticket comes back.
    fn deliver(&mut self, ticket: Ticket, context: &mut Context<Self>) {
        if self.finishing {
            return; // The ticket comes back and goes to the next actor.
        }
        self.reload_if_due(context);
        let is_ready = matches!(&self.state, State::Ready(state) if !state.is_stalled());
        if !is_ready {
            if self.waiting_tickets.len() < MAX_TICKETS {
                self.waiting_tickets.push(ticket);
            }
            return;
        }
        let Some(turn) = ticket.turn() else { return };
        let row = &turn.batch.row;
        let (content, is_to_many) = (Arc::clone(&turn.batch.content), row.is_to_many);
        let message = ApiMessage { id: turn.id(), content, call: row.broadcast, is_to_many };
        self.tickets.insert(message.id, ticket);
        self.take(Input::MessageOfApi(message), None, context);
    }

    fn tick(&mut self, context: &mut Context<Self>) {
        for connection in self.pipes.ended() {
            self.disconnected(connection, context);
        }
        self.take(Input::Tick, None, context);
        self.reload_if_due(context);
        let waiting = match &self.state {
            State::Loading { waiting, .. } => waiting.len(),
            State::Ready(_) => 0,
        };
        let linger = Duration::from_millis(self.app.config.socket.linger_ms);
        let quiet = self.serving().is_none_or(|state| state.is_quiet());
        if self.pipes.len() + waiting > 0 || self.held {
            self.idle_since = None;
        } else if quiet && self.idle_since.get_or_insert_with(Instant::now).elapsed() >= linger {
            self.finish(context);
        }
    }

    /// An actor that was started for messages ends when it has dealt with those that came and no more follow: what comes while
    /// it ends goes back, so it must not end between two of many.
    fn finish_if_absent(&mut self, context: &mut Context<Self>) {
        if self.is_done_for_absent() && !std::mem::replace(&mut self.may_finish_soon, true) {
            let linger = if self.registry.is_young() { ABSENT_LINGER_AT_START } else { ABSENT_LINGER };
            context.run_later(linger, |actor, context| {
                actor.may_finish_soon = false;
                if actor.is_done_for_absent() {
                    actor.finish(context);
                }
            });
        }
    }

    /// Started for messages, with nothing under way.
    fn is_done_for_absent(&self) -> bool {
        let quiet = matches!(&self.state, State::Ready(state) if state.is_quiet());
        self.only_for_messages && quiet && self.waiting_tickets.is_empty() && !self.finishing
    }

    /// First out of the registry, then, once what is in the mailbox has been answered, out of life.
    fn finish(&mut self, context: &mut Context<Self>) {
        self.finishing = true;
        if !self.only_for_messages {
            self.take(Input::Ending, None, context);
        }
        self.registry.remove(&self.user, self.instance);
        self.hang_up(CloseCode::StreamLost);
        context.run_later(Duration::from_millis(100), |actor, context| {
            actor.hang_up(CloseCode::StreamLost);
            context.stop();
        });
    }

    /// Closes every connection, whatever the state; they are counted off when the actor ends.
    fn hang_up(&mut self, code: CloseCode) {
        self.pipes.tell_all(|| Outbound::Close(code));
        if let State::Loading { waiting, .. } = &mut self.state {
            for opened in waiting.drain(..) {
                let _ = opened.pipe.offer(Outbound::Close(code));
            }
        }
    }
}

impl Actor for UserActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.load(context);
        let linger = Duration::from_millis(self.app.config.socket.linger_ms);
        context.run_interval(TICK.min(linger).max(Duration::from_secs(1)), Self::tick);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.registry.remove(&self.user, self.instance);
        self.pipes.count_off(&self.app.metrics);
    }
}

impl Handler<Received> for UserActor {
    type Result = ();

    fn handle(&mut self, received: Received, context: &mut Self::Context) {
        self.received(received, context);
    }
}

impl Handler<UserMessage> for UserActor {
    type Result = ();

    fn handle(&mut self, message: UserMessage, context: &mut Self::Context) {
        match message {
            UserMessage::Connect(opened) => self.connect(opened, context),
            UserMessage::Deliver(ticket) => self.deliver(ticket, context),
            UserMessage::EventsCommitted { events, at } => {
                self.happened(Input::EventsStored(events), Some(at), context);
            }
            UserMessage::Happened(input) => self.happened(input, None, context),
            UserMessage::Pause(pause) => self.pause(pause, context),
            UserMessage::ProfileSnapshot(reply) => {
                if let State::Ready(state) = &self.state {
                    let _ = reply.send(Snapshot {
                        profile: state.profile.clone(),
                        segment: state.segment,
                        connections: self.pipes.len(),
                        preferences: state.document.clone(),
                        connected_at: state.connected_at,
                    });
                }
            }
            UserMessage::InboxCounts(reply) => {
                if let Some(state) = self.serving() {
                    let _ = reply.send(state.inbox_counts(Timestamp::now()));
                }
            }
            UserMessage::Recommend { list, reply } => {
                if let State::Ready(state) = &self.state {
                    let snapshot = self.app.snapshot();
                    let world = snapshot.world(Some(state.user), &self.app);
                    let _ = reply.send(state.list(&list, &world));
                }
            }
            UserMessage::Drain { retry_ms } => {
                self.pipes.tell_all(|| Outbound::ComeBack { retry_ms });
                self.hang_up(CloseCode::ShuttingDown);
                context.stop();
            }
        }
    }
}
