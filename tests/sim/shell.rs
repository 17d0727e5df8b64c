//! The shell around one user's state, as `actors/user` is: loading and reloading, timers, tickets, connections, effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidings::base::{ConnectionId, NotificationId, Timestamp};
use tidings::decide::{ApiMessage, Counter, Effect, Input, Loaded, Record, UserState};
use tidings::deliver::Login;

use crate::faults::Fault;
use crate::journal::{Entry, Reply};
use crate::notifier::Ticket;
use crate::shadow::Property;
use crate::sim::{EPOCH, Event, Sim};

/// Reading a user takes so long, microseconds.
const READS: i64 = 2_000;
/// An actor that was started for messages waits this long for more.
const ABSENT_LINGER: i64 = 50_000;
const STOPS: i64 = 100_000;
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

    /// Reads the user; what is stored by now is seen, the answer comes later.
    pub fn read(&mut self, server: usize, instance: u64) {
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

    pub fn perform(&mut self, server: usize, instance: u64, effects: Vec<Effect>) {
        let mut reload = false;
        let mut replayed: BTreeMap<ConnectionId, Vec<tidings::deliver::Frame>> = BTreeMap::new();
        for effect in effects {
            let reordered = matches!(self.fault, Some(Fault::ReplaysBackwards | Fault::ReplaysTheLastOnly));
            match effect {
                Effect::Record(record) => self.journal(server, Entry::of(record)),
                Effect::Store(outgoing) => {
                    let reply = Reply::Offset { instance, offset: outgoing.offset };
                    let (message, releases) = (outgoing.notification, outgoing.releases);
                    self.tally.messages += 1;
                    self.journal(
                        server,
                        match outgoing.decision {
                            Some(row) => {
                                let (message, reply) = (Some(message), Some(reply));
                                Entry::Decision { row, message, releases, reply }
                            }
                            None => Entry::Message { message, reply },
                        },
                    );
                }
                Effect::Replay(connection, frame) if reordered => {
                    replayed.entry(connection).or_default().push(frame);
                }
                Effect::Send(connection, frame)
                | Effect::Answer(connection, frame)
                | Effect::Replay(connection, frame)
                | Effect::Welcome(connection, frame) => self.send(server, instance, connection, frame),
                Effect::Close(connection, _) => {
                    if let Some(actor) = self.actor(server, instance) {
                        actor.pipes.remove(&connection);
                    }
                    self.hang_up(connection);
                }
                Effect::SetTimer(at) => self.set_timer(server, instance, at),
                Effect::Settle(id) => {
                    if let Some(ticket) = self.take_ticket(server, instance, id) {
                        self.settle(server, &ticket);
                    }
                }
                Effect::SettleWith(id, row) => {
                    if let Some(ticket) = self.take_ticket(server, instance, id) {
                        let reply = Some(Reply::Settle(ticket));
                        self.journal(
                            server,
                            Entry::Decision { row, message: None, releases: Vec::new(), reply },
                        );
                    }
                }
                Effect::Postpone(id, until) => {
                    if let Some(ticket) = self.take_ticket(server, instance, id) {
                        self.postpone(server, ticket, until);
                    }
                }
                Effect::Return(id) => {
                    if let Some(ticket) = self.take_ticket(server, instance, id) {
                        self.drop_ticket(server, ticket);
                    }
                }
                Effect::Learn(lesson) => Arc::make_mut(&mut self.servers[server].learner).learn(&lesson),
                Effect::Drift(_) => {}
                Effect::Reload => reload = self.fault != Some(Fault::IgnoresReload),
                Effect::Count(Counter::Sent) => {
                    let hour = self.now().0.div_euclid(3_600_000_000);
                    let budget = &mut self.servers[server].budget;
                    *budget = (hour, if budget.0 == hour { budget.1 + 1 } else { 1 });
                }
                Effect::Count(_) => {}
            }
        }
        for (connection, mut frames) in replayed {
            frames.reverse();
            if self.fault == Some(Fault::ReplaysTheLastOnly) {
                frames.truncate(1);
            }
            for frame in frames {
                self.send(server, instance, connection, frame);
            }
        }
        if reload {
            if let Some(actor) = self.actor(server, instance) {
                actor.reads_again = true;
            }
            self.reload_if_due(server, instance);
        }
        self.finish_if_absent(server, instance);
    }

    fn take_ticket(&mut self, server: usize, instance: u64, id: NotificationId) -> Option<Ticket> {
        self.actor(server, instance)?.tickets.remove(&id)
    }

    fn set_timer(&mut self, server: usize, instance: u64, at: Option<Timestamp>) {
        let lost = self.fault == Some(Fault::LosesTimers) && self.number("timer").is_multiple_of(2);
        let late = if self.fault == Some(Fault::TimersAreLate) { 60_000_000 } else { 0 };
        let (now, mono, jumps) = (self.now(), self.mono, self.jumps);
        let Some(actor) = self.actor(server, instance) else { return };
        actor.timers += 1;
        let number = actor.timers;
        let due = |at: Timestamp| mono + (at.0 - now.0).max(0) + 1_000 + late;
        actor.timer = at.filter(|_| !lost).map(|at| (number, due(at), jumps));
        if let Some((timer, due, _)) = actor.timer {
            self.schedule_for(server, due, Event::Timer { instance, timer });
        }
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
            actor.state = Actor::loading(Some(before));
            if !is_held {
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
        let message = ApiMessage { id: ticket.id, content: Arc::clone(&ticket.message), call: None };
        if let Some(before) = actor.tickets.insert(ticket.id, ticket) {
            self.drop_ticket(server, before);
        }
        self.take(server, instance, Input::MessageOfApi(message));
    }

    pub fn tick_actor(&mut self, server: usize, instance: u64) {
        let now = self.mono;
        let Some(actor) = self.actor(server, instance) else { return };
        for connection in actor.dead.clone() {
            self.disconnected(server, instance, connection);
        }
        if let Some(actor) = self.actor(server, instance) {
            actor.ticked_at = now;
        }
        self.take(server, instance, Input::Tick);
        self.reload_if_due(server, instance);
        let linger = self.config().socket.linger_ms as i64 * 1_000;
        let (mono, tick) = (self.mono, self.tick);
        let Some(actor) = self.actor(server, instance) else { return };
        let waiting = matches!(&actor.state, State::Loading { waiting, .. } if !waiting.is_empty());
        let quiet = actor.serving().is_none_or(|state| state.is_quiet());
        if !actor.pipes.is_empty() || waiting || actor.held {
            actor.idle_since = None;
        } else if quiet && mono - *actor.idle_since.get_or_insert(mono) >= linger {
            return self.finish(server, instance);
        }
        self.schedule_for(server, mono + tick, Event::Tick { instance });
    }

    fn is_done_for_absent(actor: &Actor) -> bool {
        let quiet = matches!(&actor.state, State::Ready(state) if state.is_quiet());
        actor.only_for_messages && quiet && actor.waiting_tickets.is_empty() && !actor.finishing
    }

    fn finish_if_absent(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        if Self::is_done_for_absent(actor) && !std::mem::replace(&mut actor.may_finish_soon, true) {
            self.schedule_for(server, self.mono + ABSENT_LINGER, Event::Finish { instance });
        }
    }

    pub fn finish_if_done(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        actor.may_finish_soon = false;
        if Self::is_done_for_absent(actor) {
            self.finish(server, instance);
        }
    }

    /// First out of the registry, then, once what is in the mailbox has been answered, out of life.
    fn finish(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        actor.finishing = true;
        let user = actor.user;
        if !actor.only_for_messages {
            self.take(server, instance, Input::Ending);
        }
        if self.servers[server].registry[user] == Some(instance) {
            self.servers[server].registry[user] = None;
        }
        let pipes = self.actor(server, instance).map(|actor| std::mem::take(&mut actor.pipes));
        pipes.unwrap_or_default().into_iter().for_each(|connection| self.hang_up(connection));
        self.schedule_for(server, self.mono + STOPS, Event::Stop { instance });
    }

    pub fn stop_actor(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.servers[server].actors.remove(&instance) else { return };
        for ticket in actor.tickets.into_values().chain(actor.waiting_tickets) {
            self.drop_ticket(server, ticket);
        }
    }
}
