//! Carries out the effects of a transition, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;

use super::{State, UserActor};
use crate::journal::messages::Record;
use tidings_core::base::{ConnectionId, NotificationId, Timestamp};
use tidings_decision::decide::record::DecisionRow;
use tidings_decision::decide::{Counter, Effect, Input, Outgoing};
use tidings_decision::deliver::Frame;
use tidings_telemetry::{Count, Timing};

impl UserActor {
    /// Passes an input to the user's state and carries out what comes of it. `cause`: when the request that caused it was
    /// read. While the user is read for the first time, nobody is there to take it.
    pub(super) fn take(&mut self, input: Input, cause: Option<Instant>, context: &mut Context<Self>) {
        let effects = self.decide(input);
        self.perform(effects, cause, context);
    }

    /// Effects of an input on the user's state; none while the user is read for the first time.
    pub(super) fn decide(&mut self, input: Input) -> Vec<Effect> {
        let started = Instant::now();
        let snapshot = self.app.snapshot();
        let app = Arc::clone(&self.app);
        let Some(state) = self.serving() else { return Vec::new() };
        let world = snapshot.world(Some(state.user), &app);
        let effects = state.on(input, &world);
        if effects.iter().any(|effect| matches!(effect, Effect::Count(Counter::Ranked { .. }))) {
            app.metrics.time(Timing::Recommend, started.elapsed());
        }
        effects
    }

    pub(super) fn perform(
        &mut self,
        effects: Vec<Effect>,
        cause: Option<Instant>,
        context: &mut Context<Self>,
    ) {
        let mut given_up: Vec<ConnectionId> = Vec::new();
        let mut reload = false;
        for effect in effects {
            match effect {
                Effect::Record(record) => self.record(record),
                Effect::Store(outgoing) => self.store(outgoing, cause, context),
                Effect::Send(connection, frame) | Effect::Answer(connection, frame) => {
                    self.send(connection, frame, false, &mut given_up);
                }
                Effect::Replay(connection, frame) => self.send(connection, frame, true, &mut given_up),
                Effect::Welcome(connection, frame) => {
                    self.send(connection, frame, false, &mut given_up);
                    self.note_welcome(connection);
                }
                Effect::Close(connection, code) => self.pipes.close(connection, code, &self.app.metrics),
                Effect::SetTimer(at) => self.set_timer(at, context),
                Effect::Settle(id) => {
                    if let Some(ticket) = self.tickets.remove(&id) {
                        ticket.settle();
                    }
                }
                Effect::SettleWith(id, decision) => self.settle_with(id, decision),
                Effect::Postpone(id, until) => {
                    if let Some(ticket) = self.tickets.remove(&id) {
                        ticket.defer(until);
                    }
                }
                // A dropped ticket comes back by itself.
                Effect::Return(id) => drop(self.tickets.remove(&id)),
                Effect::Learn(lesson) => self.app.learned.learn(&lesson),
                Effect::Drift(note) => self.app.learned.note(&note),
                Effect::Reload => reload = true,
                Effect::Count(counter) => self.count(counter),
            }
        }
        if reload {
            self.reads_again = true;
            self.reload_if_due(context);
        }
        for connection in given_up {
            self.disconnected(connection, context);
        }
        self.finish_if_absent(context);
    }

    /// False when the journal has no room.
    pub(super) fn journal(&self, record: Record) -> bool {
        let is_queued = self.mailboxes.journal.offer(record).is_queued();
        if !is_queued {
            self.app.metrics.add(Count::MailboxFull, 1);
        }
        is_queued
    }

    /// Stores a message; the state is told the answer.
    fn store(&mut self, outgoing: Outgoing, cause: Option<Instant>, context: &mut Context<Self>) {
        let Outgoing { offset, decision, notification, releases } = outgoing;
        let (reply, answer) = oneshot::channel();
        // A full or restarting journal drops `reply`, and the answer below is "not stored".
        let _ = self.mailboxes.journal.offer(match decision {
            Some(decision) => {
                Record::Decision { decision, notification: Some(notification), releases, reply }
            }
            None => Record::Message { notification, reply },
        });
        if let Some(cause) = cause {
            self.causes.push((offset, cause));
        }
        let answer = async move { answer.await.unwrap_or(false) };
        context.spawn(answer.into_actor(self).map(move |stored, actor, context| {
            let input = if stored { Input::Stored(offset) } else { Input::NotStored(offset) };
            actor.take(input, None, context);
            actor.reload_if_due(context);
        }));
    }

    /// Ends a message of the API by its decision once that is stored; unless it is, the ticket comes back.
    fn settle_with(&mut self, id: NotificationId, decision: Box<DecisionRow>) {
        let Some(ticket) = self.tickets.remove(&id) else { return };
        let (reply, stored) = oneshot::channel();
        self.journal(Record::Decision { decision, notification: None, releases: Vec::new(), reply });
        actix::spawn(async move {
            if stored.await.unwrap_or(false) {
                ticket.settle();
            }
        });
    }

    fn send(&self, connection: ConnectionId, frame: Frame, replay: bool, given_up: &mut Vec<ConnectionId>) {
        let gone = given_up.contains(&connection);
        if !gone && !self.pipes.send(connection, frame, replay, &self.user, &self.app.metrics) {
            given_up.push(connection);
        }
    }

    /// Writes frames that no decision is made about.
    pub(super) fn send_all(
        &mut self,
        connection: ConnectionId,
        frames: Vec<Frame>,
        context: &mut Context<Self>,
    ) {
        let effects = frames.into_iter().map(|frame| Effect::Send(connection, frame)).collect();
        self.perform(effects, None, context);
    }

    fn note_welcome(&mut self, connection: ConnectionId) {
        if let Some(place) = self.logins.iter().position(|(login, _)| *login == connection) {
            let (_, since) = self.logins.swap_remove(place);
            self.logins.shrink_to_fit();
            self.app.metrics.time(Timing::Login, since.elapsed());
        }
    }

    fn set_timer(&mut self, at: Option<Timestamp>, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        if let Some(at) = at {
            // A little late never hurts; a little early would be for nothing.
            let wait = at.millis_since(Timestamp::now()).to_std() + Duration::from_millis(1);
            self.timer = Some(context.run_later(wait, |actor, context| {
                actor.timer = None;
                actor.take(Input::Due, None, context);
            }));
        }
    }

    fn count(&mut self, counter: Counter) {
        let metrics = &self.app.metrics;
        match counter {
            Counter::Sent => {
                metrics.add(Count::Sends, 1);
                self.app.budget.spend(Timestamp::now());
            }
            Counter::Deferred => metrics.add(Count::Defers, 1),
            Counter::Dropped => metrics.add(Count::Drops, 1),
            Counter::Delivered(offset) => {
                metrics.add(Count::Pushes, 1);
                if let Some(place) = self.causes.iter().position(|(caused, _)| *caused == offset) {
                    let (_, at) = self.causes.swap_remove(place);
                    self.causes.shrink_to_fit();
                    metrics.time(Timing::EventToPush, at.elapsed());
                }
            }
            Counter::Ranked { seed, list } => self.compare(seed, &list),
            Counter::TemplateFailed { template, error } => {
                log::warn!("template failed name={template} error={error}");
            }
            Counter::Robot => log::warn!("robot flagged user_id={}", self.user),
            Counter::NotConfirmed => {
                self.causes.clear();
                log::warn!("message not confirmed, reading the stream again user_id={}", self.user);
            }
        }
    }

    /// Asks the version that is scored beside the one that serves.
    fn compare(
        &self,
        seed: Option<tidings_core::base::ItemId>,
        list: &[tidings_core::recommend::Recommendation],
    ) {
        if !self.app.monitor.has_shadow() {
            return;
        }
        if let State::Ready(state) = &self.state {
            let snapshot = self.app.snapshot();
            let world = snapshot.world(Some(state.user), &self.app);
            let asking = state.asking(seed, &world);
            self.app.monitor.compare(&state.request(&asking, list.len(), &world), list);
        }
    }
}
