//! The shell around one user's state, as `actors/user` is: loading and reloading, timers, tickets, connections, effects.

mod effects;
mod life;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidings::base::{ConnectionId, NotificationId, Timestamp};
use tidings::decide::{ApiMessage, Effect, Input, Loaded, Record, UserState};
use tidings::deliver::Login;

use crate::notifier::Ticket;
use crate::shadow::Property;
use crate::sim::{EPOCH, Event, Sim};

/// Reading a user takes so long, microseconds.
const READS: i64 = 2_000;
/// Transitions of a whole history; one has some hundreds.
const MOST_TRANSITIONS: u64 = 20_000;

pub enum State {
    /// `before`: the old state of a reload, which still answers clients.
    Loading {
        waiting: Vec<(ConnectionId, Box<Login>)>,
        before: Option<Box<UserState>>,
        /// What reading may have missed.
        changes: Vec<Input>,
        read: Option<Box<Loaded>>,
    },
    Ready(Box<UserState>),
}

pub struct Actor {
    pub user: usize,
    pub state: State,
    /// Something could not be delivered: the user is read again before anything else is decided.
    pub missed: bool,
    /// The user is read once more when it has been read.
    pub reads_again: bool,
    /// To stand still for a merge, and doing so: nothing is being stored, and nothing will be until the user is read again.
    pub pausing: bool,
    pub held: bool,
    /// It ends instead.
    pub leaving: bool,
    /// Open connections.
    pub pipes: BTreeSet<ConnectionId>,
    /// Those among them whose client is gone, which nobody has noticed.
    pub dead: BTreeSet<ConnectionId>,
    pub tickets: BTreeMap<NotificationId, Ticket>,
    pub waiting_tickets: Vec<Ticket>,
    /// Number and moment of the running timer, and how often the clock had been set when it was.
    pub timer: Option<(u64, i64, u64)>,
    timers: u64,
    /// Number of its last transition.
    pub transitions: u64,
    /// When it last looked at what has expired.
    pub looked_at: Timestamp,
    /// When the last tick was, by the monotonic clock.
    pub ticked_at: i64,
    idle_since: Option<i64>,
    only_for_messages: bool,
    may_finish_soon: bool,
    pub finishing: bool,
}

impl Actor {
    fn loading(before: Option<Box<UserState>>) -> State {
        State::Loading { waiting: Vec::new(), before, changes: Vec::new(), read: None }
    }

    /// The state that answers clients.
    pub fn serving(&mut self) -> Option<&mut UserState> {
        match &mut self.state {
            State::Ready(state) | State::Loading { before: Some(state), .. } => Some(state),
            State::Loading { before: None, .. } => None,
        }
    }

    pub fn ready(&self) -> Option<&UserState> {
        match &self.state {
            State::Ready(state) => Some(state),
            State::Loading { .. } => None,
        }
    }
}

/// A decision's features, which are not a number where nothing is known.
fn features(effect: &mut Effect) -> Option<&mut Vec<f32>> {
    let row = match effect {
        Effect::Record(Record::Decision(row, _)) | Effect::SettleWith(_, row) => Some(row),
        Effect::Store(outgoing) => outgoing.decision.as_mut(),
        _ => None,
    };
    row.map(|row| &mut row.features)
}

/// Whether both are the same, bit by bit.
fn is_same(again: Vec<Effect>, effects: &[Effect]) -> bool {
    let without_nan = |mut effects: Vec<Effect>| {
        for features in effects.iter_mut().filter_map(features) {
            features.iter_mut().filter(|one| one.is_nan()).for_each(|one| *one = f32::MAX);
        }
        effects
    };
    again == effects || without_nan(again) == without_nan(effects.to_vec())
}

impl Sim {
    pub fn actor(&mut self, server: usize, instance: u64) -> Option<&mut Actor> {
        self.servers[server].actors.get_mut(&instance)
    }

    /// The actor of a user, started if there is none.
    pub fn get_or_start(&mut self, server: usize, named: usize) -> u64 {
        let user = self.stands_for(named);
        if let Some(instance) = self.servers[server].registry[user] {
            return instance;
        }
        let instance = self.number("instance");
        let actor = Actor {
            user,
            state: Actor::loading(None),
            missed: false,
            reads_again: false,
            pausing: false,
            held: false,
            leaving: false,
            pipes: BTreeSet::new(),
            dead: BTreeSet::new(),
            tickets: BTreeMap::new(),
            waiting_tickets: Vec::new(),
            timer: None,
            timers: 0,
            transitions: 0,
            looked_at: self.now(),
            ticked_at: self.mono,
            idle_since: Some(self.mono),
            only_for_messages: true,
            may_finish_soon: false,
            finishing: false,
        };
        self.servers[server].actors.insert(instance, actor);
        self.servers[server].registry[user] = Some(instance);
        self.read(server, instance);
        self.schedule_for(server, self.mono + 30_000_000, Event::Tick { instance });
        instance
    }

    /// Reads the user; what is stored by now is seen, the answer comes later. A server that has lost the lease gets none.
    pub fn read(&mut self, server: usize, instance: u64) {
        if !self.store.accepts(server) {
            return;
        }
        let Some(user) = self.actor(server, instance).map(|actor| actor.user) else { return };
        let late = self.slow_reads.pop_front().map_or(0, i64::from) * 1_000;
        let loaded = self.store.load(user, self.now(), &self.catalogue);
        if let Some(Actor { state: State::Loading { read, .. }, .. }) = self.actor(server, instance) {
            *read = Some(Box::new(loaded));
        }
        self.schedule_for(server, self.mono + READS + late, Event::Read { instance });
    }

    pub fn was_read(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        if std::mem::take(&mut actor.missed) {
            if let State::Loading { changes, .. } = &mut actor.state {
                changes.clear();
            }
            return self.read(server, instance);
        }
        let State::Loading { waiting, before, changes, read } = &mut actor.state else { return };
        let (waiting, before, changes) = (std::mem::take(waiting), before.take(), std::mem::take(changes));
        let Some(loaded) = read.take() else { return };
        let user = actor.user;
        let parts = self.parts(server, user);
        self.tally.reloads += u64::from(before.is_some());
        if before.is_none() {
            self.shadow.forgotten(user, server);
        }
        let mut state = UserState::new(&self.names[user], *loaded, EPOCH, &parts.world());
        let mut effects = state.changed_meanwhile(changes, &parts.world());
        effects.extend(before.into_iter().flat_map(|before| state.adopt(*before, &parts.world())));
        let Some(actor) = self.actor(server, instance) else { return };
        actor.state = State::Ready(Box::new(state));
        self.perform(server, instance, effects);
        for (connection, login) in waiting {
            self.connect(server, instance, connection, login);
        }
        let tickets = self.actor(server, instance).map(|actor| std::mem::take(&mut actor.waiting_tickets));
        for ticket in tickets.unwrap_or_default() {
            self.deliver(server, instance, ticket);
        }
        self.take(server, instance, Input::Loaded);
        self.reload_if_due(server, instance);
    }

    /// Passes an input to the user's state and carries out what comes of it.
    pub fn take(&mut self, server: usize, instance: u64, input: Input) {
        let Some(actor) = self.servers[server].actors.get(&instance) else { return };
        let user = actor.user;
        let parts = self.parts(server, user);
        let Some(state) = self.servers[server].actors.get_mut(&instance).and_then(Actor::serving) else {
            return;
        };
        let mut before = state.clone();
        let effects = state.on(input.clone(), &parts.world());
        if self.prints {
            println!("  {} user {user} on server {server}: {input:?}", parts.now);
            effects.iter().for_each(|effect| println!("    {effect:?}"));
        }
        self.tally.transitions += 1;
        let (number, now) = (self.tally.transitions, parts.now);
        if number > MOST_TRANSITIONS {
            let due = state.next_release();
            let text = format!(
                "the last of {number} transitions at {now}: {input:?}, next release {due:?}, {effects:?}"
            );
            self.fail(Property::Loop, text);
        }
        let decides =
            |effect: &Effect| matches!(effect, Effect::Record(Record::Decision(..)) | Effect::Store(_));
        if effects.iter().any(decides) || parts.draw.is_multiple_of(4) {
            let again = before.on(input.clone(), &self.recorded(&parts).world());
            self.tally.replayed += 1;
            if !is_same(again, &effects) {
                self.fail(Property::Replay, format!("{input:?} has other effects when it is replayed"));
            }
        }
        if let Some(actor) = self.actor(server, instance) {
            actor.transitions = number;
            if matches!(input, Input::Tick | Input::Due) {
                actor.looked_at = now;
            }
        }
        self.shadow_transition(server, user, &input, &effects, &parts);
        self.perform(server, instance, effects);
    }
    pub fn timer(&mut self, server: usize, instance: u64, number: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        if actor.timer.is_some_and(|(running, ..)| running == number) {
            actor.timer = None;
            self.take(server, instance, Input::Due);
        }
    }

    /// Something was missed and nothing is being stored: reads everything again.
    pub fn reload_if_due(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        let State::Ready(state) = &mut actor.state else { return };
        let missed = actor.missed || actor.pausing;
        if missed && !actor.finishing {
            state.stall();
        }
        if actor.finishing || !state.is_quiet() || !(missed || actor.reads_again) {
            return;
        }
        (actor.reads_again, actor.missed) = (false, false);
        actor.held = std::mem::take(&mut actor.pausing);
        let is_held = actor.held;
        if let State::Ready(mut before) = std::mem::replace(&mut actor.state, Actor::loading(None)) {
            before.stall();
            let leaves = is_held && actor.leaving;
            actor.state = Actor::loading(Some(before));
            if leaves {
                self.leave(server, instance);
            } else if !is_held {
                self.read(server, instance);
            }
        }
    }

    /// Something happened that is stored: reading under way may not have seen it.
    pub fn happened(&mut self, server: usize, instance: u64, input: Input) {
        let Some(actor) = self.actor(server, instance) else { return };
        if let State::Loading { changes, .. } = &mut actor.state {
            actor.reads_again = true;
            changes.extend(input.is_lasting().then(|| input.clone()));
        }
        self.reload_if_due(server, instance);
        self.take(server, instance, input);
    }

    /// Tells a user's actor, if there is one. One whose mailbox is full reads its user again.
    pub fn tell(&mut self, server: usize, user: usize, input: Input) {
        let Some(instance) = self.servers[server].registry[user] else { return };
        if self.full.remove(&user) {
            if let Some(actor) = self.actor(server, instance) {
                actor.missed = true;
            }
            // What fills the mailbox is handled next.
            return self.reload_if_due(server, instance);
        }
        self.happened(server, instance, input);
    }

    pub fn connect(&mut self, server: usize, instance: u64, connection: ConnectionId, login: Box<Login>) {
        let Some(actor) = self.actor(server, instance) else { return };
        actor.idle_since = None;
        actor.only_for_messages = false;
        if let State::Loading { waiting, .. } = &mut actor.state {
            return waiting.push((connection, login));
        }
        if self.is_page_gone(connection) {
            return; // The pipe ended while the login waited.
        }
        if let Some(actor) = self.actor(server, instance) {
            actor.pipes.insert(connection);
        }
        self.take(server, instance, Input::LoggedIn { connection, login });
    }

    pub fn disconnected(&mut self, server: usize, instance: u64, connection: ConnectionId) {
        let mono = self.mono;
        let Some(actor) = self.actor(server, instance) else { return };
        actor.dead.remove(&connection);
        if actor.pipes.remove(&connection) {
            self.take(server, instance, Input::Disconnected(connection));
        }
        let Some(actor) = self.actor(server, instance) else { return };
        if actor.pipes.is_empty() {
            actor.idle_since.get_or_insert(mono);
        }
    }

    /// A message of the API. It waits while no offset given now would hold.
    pub fn deliver(&mut self, server: usize, instance: u64, ticket: Ticket) {
        if self.actor(server, instance).is_none_or(|actor| actor.finishing) {
            return self.drop_ticket(server, ticket);
        }
        self.reload_if_due(server, instance);
        let Some(actor) = self.actor(server, instance) else { return };
        if !matches!(&actor.state, State::Ready(state) if !state.is_stalled()) {
            return actor.waiting_tickets.push(ticket);
        }
        let (content, call) = (Arc::clone(&ticket.message), Some(ticket.batch));
        let message = ApiMessage { id: ticket.id, content, call, is_to_many: true };
        if let Some(before) = actor.tickets.insert(ticket.id, ticket) {
            self.drop_ticket(server, before);
        }
        self.take(server, instance, Input::MessageOfApi(message));
    }
}
