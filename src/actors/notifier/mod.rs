//! Takes messages of the shop, makes them durable in groups, and hands each to the actor of its user, which decides
//! and numbers it. A message leaves the outbox when it has its place in a stream (or is not to have one), so whatever
//! dies in between, a restart goes on where the outbox says.
//!
//! The outbox is one timeline (`due_at`, `outbox_id`) with a cursor: what is due at once is handed on from memory right
//! after its commit, what waits (`send_at`, a whole segment, more than fits) is read when its time has come. One round
//! trip to the database is under way at a time; what comes meanwhile goes with the next. Messages for one user each, now,
//! skip the outbox altogether ([`direct`]).
//!
//! Messages wait for their users' actors in [`Lanes`]. No count of attempts ends a message: its expiry, its withdrawal or a
//! stored decision does.

mod alone;
mod apart;
pub mod direct;
pub mod ledger;
pub mod messages;
mod next_round;
pub mod recall;
mod request;
mod round;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use uuid::Uuid;

use self::alone::{Alone, Work};
use self::ledger::{Batch, Ledger, Turn};
use self::messages::{Going, NotifierMessage, Submit, SubmitError, Switch};
use self::round::{Found, Round};
use super::mailbox::DropGuard;
use super::registry::Registry;
use super::send::Offer;
use super::user::launcher::UserLauncher;
use super::user::messages::UserMessage;
use tidings_core::base::{ExternalId, Millis, NotificationId, Timestamp};
use tidings_decision::decide::Input;
use tidings_decision::deliver::{self, lanes::Lanes};
use tidings_state::AppState;
use tidings_telemetry::Count;

/// Requests waiting in the mailbox.
const MAILBOX: usize = 4_096;
/// Users whose messages wait for a commit; beyond it requests are told to come back.
const MAX_WAITING: usize = 100_000;
/// Tickets out at a time: bounds the actors of absent users that a broadcast starts.
const MAX_OUT: usize = 4_096;
/// Tickets out at a time for one user: half of what its actor takes in at once, so that none comes back for want of room.
const MAX_OUT_OF_USER: usize = 128;
/// While tickets are out, what became of them is looked at this often.
const PUMP: Duration = Duration::from_millis(5);
/// After an error, and before what came back is tried again.
const PAUSE: Duration = Duration::from_millis(250);
/// A message that came back more often waits twice as long before each further try.
const QUICK_RETURNS: u16 = 4;
/// It never waits longer than this between two tries.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// Of what was taken back with at most so many batches, messages are looked for again at these moments later.
const LOOKED_AT_AGAIN: usize = 16;
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// Longest sleep: another process may have put something into the outbox.
const MAX_SLEEP: Millis = Millis::seconds(60);

/// Actor that makes messages durable and hands them to the actors of their users.
pub struct NotifierActor {
    state: Arc<AppState>,
    launcher: Arc<UserLauncher>,
    registry: Arc<Registry>,
    ledger: Arc<Ledger>,
    waiting: VecDeque<Submit>,
    /// Users in `waiting`.
    n_waiting: usize,
    /// To be handed out.
    lanes: Lanes<Turn>,
    /// Of the next message put into `lanes`.
    sequence: u64,
    /// Messages of paused broadcasts, to be put back into the outbox.
    parked: Vec<Turn>,
    /// Broadcasts to pause or resume.
    switches: Vec<Switch>,
    /// Work whose entry of the audit log could not be stored, to be done alone.
    alone: Alone,
    /// Messages that keep coming back, by when they are tried again.
    delayed: BTreeMap<Instant, Vec<Turn>>,
    /// Rows after the cursor that were put into `lanes` all the same.
    early: HashSet<i64>,
    /// Batches that were taken back, whose messages are looked for again.
    recalled: Vec<Uuid>,
    /// Everything up to here has been put into `lanes`.
    cursor: (Timestamp, i64),
    /// Due time of the next row after the cursor; `None` = there is none.
    next_due: Option<Timestamp>,
    in_flight: bool,
    /// Nothing has been written yet.
    is_first: bool,
    paused: bool,
    pump: bool,
    /// Moment from which returned messages are looked at again.
    retry_at: Option<Instant>,
    alarm: Option<SpawnHandle>,
    _guard: DropGuard,
}

impl NotifierActor {
    /// About to read what is left from before.
    pub fn new(
        state: Arc<AppState>,
        launcher: Arc<UserLauncher>,
        registry: Arc<Registry>,
        guard: DropGuard,
    ) -> Self {
        Self {
            state,
            launcher,
            registry,
            ledger: Arc::default(),
            waiting: VecDeque::new(),
            n_waiting: 0,
            lanes: Lanes::default(),
            sequence: 0,
            parked: Vec::new(),
            switches: Vec::new(),
            alone: Alone::default(),
            delayed: BTreeMap::new(),
            early: HashSet::new(),
            recalled: Vec::new(),
            cursor: (Timestamp(0), 0),
            next_due: Some(Timestamp(0)),
            in_flight: false,
            is_first: true,
            paused: false,
            pump: false,
            retry_at: None,
            alarm: None,
            _guard: guard,
        }
    }

    fn work(&mut self, context: &mut Context<Self>) {
        self.hand_out();
        if self.in_flight || self.paused {
            return;
        }
        let now = Timestamp::now().max(Timestamp(self.cursor.0.0 + 1));
        let Some(round) = self.next_round(now) else { return self.rest(context) };
        self.in_flight = true;
        let store = self.state.store.clone();
        let own = store.clone();
        let round = Arc::new(round);
        let running = Arc::clone(&round);
        let run = async move { store.run_patiently(move |connection| running.run(connection, &own)).await };
        context.spawn(run.into_actor(self).map(move |found, actor, context| {
            actor.in_flight = false;
            match (found, Arc::try_unwrap(round)) {
                (Ok(Ok(found)), Ok(round)) => actor.finish(round, found),
                (Ok(Err(unlogged)), Ok(round)) => actor.take_apart(round, &unlogged),
                (Err(error), Ok(round)) => {
                    log::error!("outbox not written error={error}");
                    actor.state.metrics.add(Count::FailedCommits, 1);
                    // What was accepted may be stored all the same: it lies after the cursor, and nobody else would look.
                    actor.next_due = Some(actor.cursor.0);
                    // Each of these is tried once more only, and need not wait.
                    let is_of_request = error.is_bad_value() && !round.requests.is_empty();
                    actor.give_back(round, &error);
                    if !is_of_request {
                        actor.pause(context);
                    }
                }
                // Still held by the thread that panicked with it: start anew from the outbox.
                (_, Err(_)) => actix::ActorContext::stop(context),
            }
            actor.work(context);
        }));
    }

    fn finish(&mut self, round: Round, found: Found) {
        self.is_first = false;
        self.alone.note_stored(&round);
        for (request, answer) in round.requests.into_iter().zip(found.answers) {
            let _ = request.reply.send(answer);
        }
        for (id, user) in found.withdrawn {
            self.registry.happened(&user, Input::InboxChanged(deliver::Input::Withdrawn(id)));
        }
        let (placed, again): (Vec<_>, Vec<_>) =
            round.returned.into_iter().partition(|turn| found.placed.contains(&turn.id()));
        placed.iter().for_each(|turn| self.ledger.settle(turn));
        self.try_again(again);
        for turn in round.deferred.iter().map(|(turn, ..)| turn).chain(&round.parked) {
            self.ledger.settle(turn);
        }
        for (call, user) in found.put_aside {
            self.registry.happened(&user, Input::CallWithdrawn(call));
        }
        for (row, user) in found.taken_up {
            self.registry.happened(&user, Input::TriggerFired(Box::new(row)));
        }
        for switch in round.switches {
            let _ = switch.reply.send(Ok(()));
        }
        self.early.extend(found.early);
        // Behind the cursor, or gone.
        for id in found.passed.iter().chain(&round.finished) {
            self.early.remove(id);
        }
        self.next_due = found.next_due;
        self.cursor = found.cursor;
        for batch in found.batches {
            self.line_up(batch, &found.placed);
        }
        for unreadable in found.unreadable {
            log::error!("a message of the outbox can't be read and is left there outbox_id={unreadable}");
        }
    }

    /// A turn for each user whose message has no place yet.
    fn line_up(&mut self, batch: Batch, placed: &HashSet<NotificationId>) {
        let batch = Arc::new(batch);
        for user in &batch.row.users {
            self.sequence += 1;
            let sequence = self.sequence;
            let turn = Turn { batch: Arc::clone(&batch), user: user.clone(), sequence, returns: 0 };
            if placed.contains(&turn.id()) {
                self.ledger.settle(&turn);
            } else {
                self.wait(turn);
            }
        }
    }

    /// Puts a message into its user's lane, unless it was taken back or its user was erased.
    fn wait(&mut self, turn: Turn) {
        if self.ledger.is_recalled(&turn) || self.state.tombstones.has(&turn.user) {
            self.ledger.settle(&turn);
        } else if self.ledger.is_paused(&turn) {
            self.parked.push(turn);
        } else {
            self.lanes.push(turn);
        }
    }

    /// Messages that came back and have no place: at once, or later what comes back again and again.
    fn try_again(&mut self, turns: Vec<Turn>) {
        let mut longest: Option<(Duration, NotificationId)> = None;
        for turn in turns {
            let Some(delay) = delay(turn.returns) else {
                self.wait(turn);
                continue;
            };
            longest = longest.max(Some((delay, turn.id())));
            self.delayed.entry(Instant::now() + delay).or_default().push(turn);
        }
        if let Some((delay, id)) = longest {
            let n = self.delayed.values().map(Vec::len).sum::<usize>();
            let again_in_ms = delay.as_millis();
            log::warn!(
                "messages keep coming back waiting={n} notification_id={id} again_in_ms={again_in_ms}"
            );
        }
    }

    /// Hands messages to the actors of their users, as many as may be out.
    fn hand_out(&mut self) {
        let later = self.delayed.split_off(&Instant::now());
        for turn in std::mem::replace(&mut self.delayed, later).into_values().flatten() {
            self.wait(turn);
        }
        let ledger = Arc::clone(&self.ledger);
        let free = |user: &ExternalId| MAX_OUT_OF_USER.saturating_sub(ledger.out_of(user));
        self.lanes.recheck(free);
        while ledger.out() < MAX_OUT {
            let Some(turn) = self.lanes.next(free) else { break };
            let user = turn.user.clone();
            let ticket = self.ledger.ticket(turn);
            let entry = self.launcher.get_or_start(&user);
            if let Offer::Full(message) | Offer::Closed(message) = entry.offer(UserMessage::Deliver(ticket)) {
                self.state.metrics.add(Count::MailboxFull, 1);
                if let UserMessage::Deliver(ticket) = message {
                    ticket.keep();
                }
            }
        }
        // With the next look: their actors have had a moment by then.
        for turn in self.ledger.take_unsent() {
            self.wait(turn);
        }
    }

    fn pause(&mut self, context: &mut Context<Self>) {
        self.paused = true;
        context.run_later(PAUSE, |actor, context| {
            actor.paused = false;
            actor.work(context);
        });
    }

    /// Nothing to write right now: look again when tickets may have come back, or when the next row is due.
    fn rest(&mut self, context: &mut Context<Self>) {
        if !self.ledger.is_quiet() || !self.lanes.is_empty() {
            if !self.pump {
                self.pump = true;
                context.run_later(PUMP, |actor, context| {
                    actor.pump = false;
                    actor.work(context);
                });
            }
            return;
        }
        if let Some(alarm) = self.alarm.take() {
            context.cancel_future(alarm);
        }
        let now = Timestamp::now();
        let sleep = self.next_due.map_or(MAX_SLEEP, |due| due.millis_since(now).min(MAX_SLEEP));
        // A little late never hurts; a little early would be a round trip for nothing.
        let sleep = sleep.to_std() + Duration::from_millis(1);
        let again = self.delayed.keys().next().map(|at| at.saturating_duration_since(Instant::now()));
        let sleep = again.into_iter().chain(self.alone.due_in()).fold(sleep, Duration::min);
        // After a long sleep the tables are asked: another process may have put something there.
        let is_long = sleep >= MAX_SLEEP.to_std();
        self.alarm = Some(context.run_later(sleep, move |actor, context| {
            actor.alarm = None;
            if is_long {
                actor.next_due = Some(Timestamp::now());
            }
            actor.work(context);
        }));
    }

    fn submit(&mut self, submit: Submit) {
        let n = submit.size();
        if self.n_waiting + n > MAX_WAITING || self.lanes.len() > MAX_WAITING {
            let _ = submit.reply.send(Err(SubmitError::Overloaded));
            return;
        }
        let is_alone = submit.keyed.is_none() && submit.entry.is_none();
        if direct::may_skip(&submit.submissions, is_alone, Timestamp::now()) {
            for batch in direct::batches(submit) {
                self.line_up(batch, &HashSet::new());
            }
            return;
        }
        if let Some(Work::Submit(submit)) = self.alone.take(Work::Submit(submit)) {
            self.n_waiting += n;
            self.waiting.push_back(submit);
        }
    }

    fn switch(&mut self, switch: Switch) {
        if let Some(Work::Switch(switch)) = self.alone.take(Work::Switch(switch)) {
            self.hold_or_let_go(&switch);
            self.switches.push(switch);
        }
    }

    /// Of what is to stand still nothing more is handed out.
    fn hold_or_let_go(&mut self, switch: &Switch) {
        match switch.to {
            Going::Paused => {
                self.ledger.pause(&switch.broadcasts);
                let ledger = &self.ledger;
                self.parked.extend(self.lanes.take_out(|turn| ledger.is_paused(turn)));
            }
            Going::On => self.ledger.resume(&switch.broadcasts),
        }
    }

    /// Nothing of these batches is handed out any more; what is with users' actors is looked out for.
    fn recall(&mut self, batches: &[Uuid]) {
        self.ledger.recall(batches);
        for turn in self.lanes.take_out(|turn| self.ledger.is_recalled(turn)) {
            self.ledger.settle(&turn);
        }
    }

    /// Messages of a trigger are stored without the notifier: what was being decided when its call was taken back is looked for
    /// again. Broadcasts have many batches and need it not.
    fn look_again(&self, batches: Vec<Uuid>, context: &mut Context<Self>) {
        if batches.len() > LOOKED_AT_AGAIN {
            return;
        }
        for later in LOOK_AGAIN {
            let batches = batches.clone();
            context.run_later(later, move |actor, context| {
                actor.recalled.extend(batches);
                actor.work(context);
            });
        }
    }
}

/// The pause before a message that came back so often is tried again; `None` = none.
fn delay(returns: u16) -> Option<Duration> {
    let doublings = u32::from(returns.checked_sub(QUICK_RETURNS + 1)?).min(16);
    Some(PAUSE.saturating_mul(1 << doublings).min(MAX_DELAY))
}

impl Actor for NotifierActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.work(context);
    }
}

impl Handler<NotifierMessage> for NotifierActor {
    type Result = ();

    fn handle(&mut self, message: NotifierMessage, context: &mut Self::Context) {
        match message {
            NotifierMessage::Submit(submit) => self.submit(submit),
            NotifierMessage::Recall { batches, reply } => {
                self.recall(&batches);
                let _ = reply.send(());
                self.look_again(batches, context);
            }
            NotifierMessage::Switch(switch) => self.switch(switch),
            NotifierMessage::DueAt(due) => {
                self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
            }
        }
        self.work(context);
    }
}
