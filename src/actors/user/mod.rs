//! One actor per connected user: the one place where anything about that user is decided, so two tabs, two
//! triggers and a retraining can't race. It owns the live profile, the policy state and the stream.
//!
//! ```text
//! Loading ──loaded──► Ready ──last connection gone, linger over──► stopped
//!    ▲                  │
//!    └── reload ────────┘   (a commit failed or a message was missed: read everything again)
//! ```

mod decide;
mod dry_run;
mod events;
mod expect;
mod hold;
mod learning;
mod lists;
mod messages;
mod mute;
mod notify;
mod presence;
mod ready;
mod reports;
mod set_off;
mod words;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use super::loader::{LoadError, Loaded};
use super::notifier::Ticket;
use super::shared::Shared;
use crate::base::{ExternalId, Timestamp};
use crate::deliver::CloseCode;
use crate::telemetry::Gauge;
use crate::transport::{Opened, Outbound, Received};

pub use dry_run::{DryRun, dry_run};
pub use lists::{Listed, recommend};
pub use messages::{
    CatalogueChanged, Connect, DefinitionsChanged, Deliver, Drain, EventsCommitted, LetGo, Marked,
    ModelTrained, ProfileSnapshot, Recommend, SetConsent, SetOff, SetPreferences, Snapshot,
};
pub use mute::add_mute;
use ready::Ready;
pub use reports::{Pushed, Reported};
pub use words::item_words;

/// Messages waiting for one user.
const MAILBOX: usize = 256;
/// Logins waiting while the user is read.
const MAX_WAITING: usize = 64;
/// Housekeeping: prune dead pipes, forget what no rule looks at.
const TICK: Duration = Duration::from_secs(30);

/// What is to be done with the journal's answer.
type Answer = Box<dyn FnOnce(&mut UserActor)>;

enum State {
    /// The database is being asked; logins wait. `before` is the old state of a reload.
    Loading { waiting: Vec<Opened>, before: Option<Box<Ready>> },
    /// Serving.
    Ready(Box<Ready>),
}

/// See the module.
pub struct UserActor {
    user: ExternalId,
    instance: u64,
    shared: Arc<Shared>,
    missed: Arc<AtomicBool>,
    state: State,
    /// Messages on their way through the journal. Everything is read again only when none is: until then the
    /// database does not know the stream's last number.
    in_flight: usize,
    /// The same, by number. Answers of one commit come in any order and are taken in that of the stream.
    under_way: VecDeque<(i64, Option<Answer>)>,
    /// A message was not confirmed: no number given before everything is read again would hold.
    stream_lost: bool,
    /// Since when nobody is connected.
    idle_since: Option<Instant>,
    /// Messages of the shop that wait until the user has been read.
    tickets: Vec<Ticket>,
    /// Nobody has ever logged in here: the actor was started for a message and ends with it.
    only_for_messages: bool,
    /// Out of the registry: another actor numbers the stream from now on.
    finishing: bool,
}

impl UserActor {
    /// About to load.
    pub fn new(user: ExternalId, instance: u64, shared: Arc<Shared>, missed: Arc<AtomicBool>) -> Self {
        let state = State::Loading { waiting: Vec::new(), before: None };
        Self {
            user,
            instance,
            shared,
            missed,
            state,
            in_flight: 0,
            under_way: VecDeque::new(),
            stream_lost: false,
            idle_since: Some(Instant::now()),
            tickets: Vec::new(),
            only_for_messages: true,
            finishing: false,
        }
    }

    fn load(&mut self, context: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        let user = self.user.clone();
        let load = async move { shared.load(&user, true).await };
        context.spawn(load.into_actor(self).map(|outcome, actor, context| actor.loaded(outcome, context)));
    }

    fn loaded(&mut self, outcome: Result<Option<Box<Loaded>>, LoadError>, context: &mut Context<Self>) {
        let State::Loading { waiting, before } = &mut self.state else { return };
        let (waiting, before) = (std::mem::take(waiting), before.take());
        let Ok(Some(loaded)) = outcome else {
            self.state = State::Loading { waiting, before };
            self.finish(context);
            return;
        };
        let mut ready = Box::new(Ready::new(&self.user, *loaded, &self.shared));
        if let Some(before) = before {
            ready.adopt(*before);
        }
        self.state = State::Ready(ready);
        for opened in waiting {
            self.connect(opened, context);
        }
        self.deliver_waiting(context);
        self.watch_presence(context);
        self.with_ready(context, |ready, shared, wants| {
            ready.arm(wants);
            if ready.pipes.is_empty() {
                ready.let_go_due(shared, wants);
            }
        });
        self.reload_if_due(context);
        self.finish_if_absent(context);
    }

    /// A message goes to the journal; its answer is to be given to [`Self::answered`].
    fn begin(&mut self, offset: i64) {
        self.in_flight += 1;
        self.under_way.push_back((offset, None));
    }

    /// The journal has answered: acts on this answer and those that waited for it, in the order of the stream.
    fn answered(&mut self, offset: i64, answer: Answer, context: &mut Context<Self>) {
        if let Some(slot) = self.under_way.iter_mut().find(|(number, _)| *number == offset) {
            slot.1 = Some(answer);
        }
        while self.under_way.front().is_some_and(|(_, answer)| answer.is_some()) {
            self.in_flight -= 1;
            if let Some((_, Some(answer))) = self.under_way.pop_front() {
                answer(self);
            }
        }
        self.reload_if_due(context);
        self.finish_if_absent(context);
    }

    /// An actor that was started for a message and has stored it: nobody is here to linger for.
    fn finish_if_absent(&mut self, context: &mut Context<Self>) {
        let quiet = self.in_flight == 0 && self.tickets.is_empty() && matches!(self.state, State::Ready(_));
        if self.only_for_messages && quiet && !self.finishing {
            self.finish(context);
        }
    }

    /// Something was missed and nothing is under way: read everything again.
    fn reload_if_due(&mut self, context: &mut Context<Self>) {
        let ready = matches!(self.state, State::Ready(_));
        if ready && self.in_flight == 0 && self.missed.load(Ordering::Acquire) {
            self.reload(context);
        }
    }

    /// The state that answers clients: the present one or, while everything is read again, the one before.
    fn serving(&mut self) -> Option<&mut Ready> {
        match &mut self.state {
            State::Ready(ready) | State::Loading { before: Some(ready), .. } => Some(ready),
            State::Loading { before: None, .. } => None,
        }
    }

    /// Reads everything again; connections stay.
    fn reload(&mut self, context: &mut Context<Self>) {
        self.missed.store(false, Ordering::Release);
        self.stream_lost = false;
        let loading = State::Loading { waiting: Vec::new(), before: None };
        if let State::Ready(before) = std::mem::replace(&mut self.state, loading) {
            self.state = State::Loading { waiting: Vec::new(), before: Some(before) };
            self.load(context);
        }
    }

    fn connect(&mut self, opened: Opened, context: &mut Context<Self>) {
        self.idle_since = None;
        self.only_for_messages = false;
        match &mut self.state {
            State::Loading { waiting, .. } if waiting.len() < MAX_WAITING => waiting.push(opened),
            State::Loading { .. } => {
                let _ = opened.pipe.offer(Outbound::Close(CloseCode::TooManyConnections));
            }
            State::Ready(_) => self.log_in(opened, context),
        }
        self.watch_presence(context);
    }

    /// Runs on the user's state and acts on what it wants from the actor afterwards. While everything is read again,
    /// clients are still answered by the old state, but nothing new is sent: the stream's last number is not known.
    fn with_ready(
        &mut self,
        context: &mut Context<Self>,
        act: impl FnOnce(&mut Ready, &Shared, &mut ready::Wants),
    ) {
        self.reload_if_due(context);
        self.act(context, act);
    }

    /// The same without reading again first: a login is answered before that.
    fn act(&mut self, context: &mut Context<Self>, act: impl FnOnce(&mut Ready, &Shared, &mut ready::Wants)) {
        let mut wants = ready::Wants::default();
        match &mut self.state {
            State::Ready(ready) => {
                act(ready, &self.shared, &mut wants);
                self.satisfy(wants, context);
            }
            State::Loading { before: Some(before), .. } => {
                act(before, &self.shared, &mut wants);
                self.set_timers(wants.timers, context);
            }
            State::Loading { before: None, .. } => {}
        }
    }

    /// Events were committed while the user is being read: the reading may not have seen them, so read once more.
    fn note_committed(&self) {
        if matches!(self.state, State::Loading { .. }) {
            self.missed.store(true, Ordering::Release);
        }
    }

    fn tick(&mut self, context: &mut Context<Self>) {
        let linger = Duration::from_millis(self.shared.config.socket.linger_ms);
        let now = Timestamp::now();
        let shared = Arc::clone(&self.shared);
        let attached = self.serving().map_or(0, |ready| ready.housekeeping(now, &shared));
        let waiting = match &self.state {
            State::Loading { waiting, .. } => waiting.len(),
            State::Ready(_) => 0,
        };
        self.reload_if_due(context);
        self.watch_presence(context);
        let connections = attached + waiting;
        if connections > 0 {
            self.idle_since = None;
        } else if self.in_flight == 0 && self.idle_since.get_or_insert_with(Instant::now).elapsed() >= linger
        {
            self.finish(context);
        }
    }

    /// First out of the registry, then, once what is in the mailbox has been answered, out of life.
    fn finish(&mut self, context: &mut Context<Self>) {
        self.finishing = true;
        if !self.only_for_messages {
            self.hand_over_at_end();
        }
        self.shared.registry.remove(&self.user, self.instance);
        self.hang_up(CloseCode::StreamLost);
        context.run_later(Duration::from_millis(100), |actor, context| {
            actor.hang_up(CloseCode::StreamLost);
            context.stop();
        });
    }

    /// Closes every connection, whatever the state; they are counted off when the actor ends.
    fn hang_up(&mut self, code: CloseCode) {
        if let Some(ready) = self.serving() {
            ready.close_all(code);
        }
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
        context.set_mailbox_capacity(MAILBOX);
        self.load(context);
        let linger = Duration::from_millis(self.shared.config.socket.linger_ms);
        context.run_interval(TICK.min(linger).max(Duration::from_secs(1)), Self::tick);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.shared.registry.remove(&self.user, self.instance);
        if let State::Ready(ready) | State::Loading { before: Some(ready), .. } = &self.state {
            let connections = i64::try_from(ready.pipes.len()).unwrap_or(0);
            self.shared.metrics.shift(Gauge::Connections, -connections);
            self.shared.metrics.shift(Gauge::ConnectedUsers, -connections.min(1));
        }
    }
}

impl Handler<Connect> for UserActor {
    type Result = ();

    fn handle(&mut self, connect: Connect, context: &mut Self::Context) {
        self.connect(connect.0, context);
    }
}

impl Handler<Deliver> for UserActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, context: &mut Self::Context) {
        self.deliver(deliver.0, context);
    }
}

impl Handler<Received> for UserActor {
    type Result = ();

    fn handle(&mut self, received: Received, context: &mut Self::Context) {
        self.received(received, context);
        self.watch_presence(context);
    }
}

impl Handler<EventsCommitted> for UserActor {
    type Result = ();

    fn handle(&mut self, committed: EventsCommitted, context: &mut Self::Context) {
        self.note_committed();
        self.with_ready(context, |ready, shared, wants| {
            ready.fold(&committed.events, Some(committed.at), shared, wants);
        });
    }
}

impl Handler<ModelTrained> for UserActor {
    type Result = ();

    fn handle(&mut self, _: ModelTrained, context: &mut Self::Context) {
        self.with_ready(context, |ready, shared, wants| ready.model_trained(shared, wants));
    }
}

impl Handler<ProfileSnapshot> for UserActor {
    type Result = ();

    fn handle(&mut self, question: ProfileSnapshot, _: &mut Self::Context) {
        if let State::Ready(ready) = &self.state {
            let _ = question.0.send(ready.snapshot());
        }
    }
}

impl Handler<Recommend> for UserActor {
    type Result = ();

    fn handle(&mut self, question: Recommend, _: &mut Self::Context) {
        if let State::Ready(ready) = &self.state {
            let listed = ready.recommend(None, question.n, &self.shared, Timestamp::now());
            let _ = question.reply.send(listed);
        }
    }
}

impl Handler<SetPreferences> for UserActor {
    type Result = ();

    fn handle(&mut self, set: SetPreferences, context: &mut Self::Context) {
        self.with_ready(context, |ready, _, _| ready.set_preferences(set.0));
    }
}

impl Handler<CatalogueChanged> for UserActor {
    type Result = ();

    fn handle(&mut self, changed: CatalogueChanged, context: &mut Self::Context) {
        self.with_ready(context, |ready, shared, wants| ready.catalogue_changed(&changed.0, shared, wants));
    }
}

impl Handler<SetOff> for UserActor {
    type Result = ();

    fn handle(&mut self, set_off: SetOff, context: &mut Self::Context) {
        self.note_committed();
        self.with_ready(context, |ready, shared, wants| ready.told(&set_off.0, shared, wants));
    }
}

impl Handler<DefinitionsChanged> for UserActor {
    type Result = ();

    fn handle(&mut self, _: DefinitionsChanged, context: &mut Self::Context) {
        self.with_ready(context, |ready, shared, wants| ready.check_rules(shared, wants));
    }
}

impl Handler<SetConsent> for UserActor {
    type Result = ();

    fn handle(&mut self, set: SetConsent, context: &mut Self::Context) {
        self.with_ready(context, |ready, _, _| ready.set_consent(set.0));
    }
}

impl Handler<Marked> for UserActor {
    type Result = ();

    fn handle(&mut self, marked: Marked, context: &mut Self::Context) {
        self.note_committed();
        self.with_ready(context, |ready, shared, _| {
            let effects = ready.session.on(marked.0, Timestamp::now());
            ready.run(effects, shared);
        });
    }
}

impl Handler<Drain> for UserActor {
    type Result = ();

    fn handle(&mut self, drain: Drain, context: &mut Self::Context) {
        if let Some(ready) = self.serving() {
            ready.drain(drain.retry_ms);
        }
        self.hang_up(CloseCode::ShuttingDown);
        context.stop();
    }
}
