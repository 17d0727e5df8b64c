//! A message of the shop: from its ticket to a place in the stream. The same way as a recommendation, with the same
//! rule: store, then send. The ticket is settled when the message is stored, so it can't be lost, and never before its
//! number is certain, so it can't come twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::decide::{journal, steps};
use super::ready::Ready;
use super::{State, UserActor};
use crate::actors::ephemeral::{Announcement, Ephemeral};
use crate::actors::journal::Record;
use crate::actors::notifier::{Ticket, Turn};
use crate::actors::shared::Shared;
use crate::base::{ConnectionId, Timestamp};
use crate::deliver::{Class, Entry, frames};
use crate::feedback::experiments::Slice;
use crate::notify::{Channel, Decision, Message, Moment, Outcome, Priority, Rules, Sent};
use crate::store::decisions::{DecisionRow, Trace};
use crate::store::notifications::NewNotification;
use crate::telemetry::Count;

/// What set it off, in frames and tables.
const TRIGGER: &str = "api";
/// Messages that wait while the user is read; more come back and are tried again.
const MAX_TICKETS: usize = 256;

/// A message that has its number and is to be stored.
struct Numbered {
    notification: Box<NewNotification>,
    entry: Entry,
    ticket: Ticket,
}

/// What becomes of a ticket.
enum Fate {
    /// To be stored and sent.
    Store(Box<Numbered>),
    /// Nothing more to do.
    Over,
}

impl Ready {
    /// What the policy says of a message of the shop to this user now.
    fn asked(&self, message: &Message, rules: &Rules, shared: &Shared, now: Timestamp) -> Decision {
        let moment = Moment {
            device_zone: self.device_zone.as_ref(),
            seed: u64::from(self.user.0),
            budget_left: shared.budget.left(rules.budget_per_hour, now),
            channels: self.channels(TRIGGER, shared),
            ..Moment::at(now)
        };
        self.policy.admit(message, &moment, rules, &self.preferences)
    }

    fn admit(&mut self, ticket: Ticket, shared: &Shared) -> Fate {
        let Some(turn) = ticket.turn().cloned() else { return Fate::Over };
        let now = Timestamp::now();
        let rules = shared.rules.load();
        let decision = self.asked(&turn.batch.message, &rules, shared, now);
        match decision.outcome {
            // Whoever is absent finds it in the inbox and, within its lifetime, in the stream. A digest is made of items;
            // a message of the shop has none and waits in the inbox instead.
            Outcome::Send | Outcome::InboxOnly | Outcome::Digest => {
                shared.metrics.add(Count::Sends, 1);
                shared.budget.spend(now);
                return self.number(&turn, ticket, decision.channel, now);
            }
            Outcome::Defer(until) => {
                shared.metrics.add(Count::Defers, 1);
                ticket.defer(until);
            }
            Outcome::Drop => {
                shared.metrics.add(Count::Drops, 1);
                ticket.settle();
            }
        }
        // Sent ones are known by their message; what was held back must be explained.
        journal(shared, self.explain(&turn, &decision, self.slice(&rules), now));
        Fate::Over
    }

    /// Shows a message that is not kept to the user's open connections, if it is for this user and the policy agrees.
    pub(super) fn show(&mut self, announcement: &Announcement, shared: &Shared) {
        let elsewhere =
            announcement.segment.is_some_and(|asked| self.segment.is_none_or(|own| own.0 != asked));
        if self.pipes.is_empty() || elsewhere {
            return;
        }
        let (now, message) = (Timestamp::now(), &announcement.message);
        let decision = self.asked(message, &shared.rules.load(), shared, now);
        if decision.outcome != Outcome::Send || decision.channel != Channel::Socket {
            return shared.metrics.add(Count::Drops, 1);
        }
        shared.metrics.add(Count::Sends, 1);
        shared.budget.spend(now);
        self.policy.note_sent(Sent {
            campaign: message.kind.clone(),
            passes_caps: message.priority == Priority::Transactional,
            ..Sent::plain(announcement.id, now, &message.category, decision.channel)
        });
        let connections: Vec<ConnectionId> = self.pipes.iter().map(|pipe| pipe.connection).collect();
        for connection in connections {
            self.send(connection, Arc::clone(&announcement.frame), shared);
        }
    }

    fn explain(&self, turn: &Turn, decision: &Decision, slice: Slice, now: Timestamp) -> Box<DecisionRow> {
        Box::new(DecisionRow {
            decision_id: Uuid::now_v7(),
            decided_at: now,
            user: self.user,
            trigger: TRIGGER.to_owned(),
            category: turn.batch.message.category.to_string(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons(),
            notification_id: None,
            model_version: Default::default(),
            segment: self.segment.map(|segment| segment.0),
            items: Vec::new(),
            propensity: 1.0,
            until: decision.outcome.until(),
            expected: None,
            features: Vec::new(),
            trace: Trace {
                channel: decision.channel.name().to_owned(),
                campaign: turn.batch.message.kind.to_string(),
                counted: turn.batch.message.priority != Priority::Transactional,
                steps: steps(decision),
                holdout: slice == Slice::Holdout,
                slice: slice.name().to_owned(),
                ..Trace::default()
            },
        })
    }

    fn number(&mut self, turn: &Turn, ticket: Ticket, channel: Channel, now: Timestamp) -> Fate {
        let message = &turn.batch.message;
        let id = turn.id();
        let offset = self.next_offset;
        self.next_offset += 1;
        let envelope = frames::Envelope {
            notification_id: id,
            user_id: &self.external_id,
            epoch: self.session.epoch(),
            offset,
            category: "",
            trigger: TRIGGER,
            sent_at: now,
            expires_at: message.expires_at,
            model: 0,
            channel: None,
            collapse_key: None,
            kind: None,
        };
        let frame = frames::notification(&envelope, &turn.batch.row.message);
        self.policy.note_sent(Sent {
            id,
            at: now,
            category: message.category.clone(),
            campaign: message.kind.clone(),
            channel,
            expires_at: message.expires_at,
            given: channel == Channel::Socket,
            items: Box::default(),
            dedupe_key: None,
            passes_caps: message.priority == Priority::Transactional,
            clicked: false,
            dismissed: false,
        });
        let notification = Box::new(NewNotification {
            notification_id: id,
            user: self.user,
            offset,
            kind: message.kind.to_string(),
            category: message.category.to_string(),
            trigger: TRIGGER.to_owned(),
            model_version: Default::default(),
            segment: self.segment.map(|segment| segment.0),
            items: Vec::new(),
            frame: frame.to_string(),
            created_at: now,
            expires_at: message.expires_at,
            collapse_key: message.collapse_key.clone(),
            priority: message.priority,
            channel,
        });
        let entry = Entry {
            priority: message.priority,
            collapse_key: message.collapse_key.clone(),
            ..Entry::new(offset, id, message.expires_at, frame, Class::Notification)
        };
        Fate::Store(Box::new(Numbered { notification, entry, ticket }))
    }
}

impl UserActor {
    pub(super) fn deliver(&mut self, ticket: Ticket, context: &mut Context<Self>) {
        if self.finishing {
            return; // The ticket comes back and goes to the next actor.
        }
        self.reload_if_due(context);
        let shared = Arc::clone(&self.shared);
        let waits = self.stream_lost || matches!(self.state, State::Loading { .. });
        match &mut self.state {
            State::Ready(ready) if !waits => {
                if let Fate::Store(numbered) = ready.admit(ticket, &shared) {
                    self.store_message(*numbered, context);
                }
                self.finish_if_absent(context);
            }
            // No number given now would hold. Beyond the bound the ticket is dropped: it comes back.
            _ if self.tickets.len() < MAX_TICKETS => self.tickets.push(ticket),
            _ => {}
        }
    }

    /// What came while the user was being read.
    pub(super) fn deliver_waiting(&mut self, context: &mut Context<Self>) {
        for ticket in std::mem::take(&mut self.tickets) {
            self.deliver(ticket, context);
        }
    }

    fn store_message(&mut self, numbered: Numbered, context: &mut Context<Self>) {
        let Numbered { notification, entry, ticket } = numbered;
        let (reply, answer) = oneshot::channel();
        // A full or restarting journal drops `reply`, and the answer below is "not stored".
        let _ = self.shared.journal.offer(Record::Message { notification, reply });
        let offset = entry.offset;
        self.begin(offset);
        let answer = async move { answer.await.unwrap_or(false) };
        context.spawn(answer.into_actor(self).map(move |stored, actor, context| {
            let then = move |actor: &mut Self| actor.message_answered(entry, ticket, stored);
            actor.answered(offset, Box::new(then), context);
        }));
    }

    fn message_answered(&mut self, entry: Entry, ticket: Ticket, stored: bool) {
        if stored {
            ticket.settle();
        }
        if stored && !self.stream_lost {
            self.stored(entry, None, None);
        } else {
            // Not confirmed, or after one that was not: only the database knows the stream. The ticket, if it was not
            // settled, comes back and is looked up.
            self.not_stored(entry.id, None);
            self.stream_lost = true;
            self.missed.store(true, Ordering::Release);
        }
    }
}

impl Handler<Ephemeral> for UserActor {
    type Result = ();

    fn handle(&mut self, ephemeral: Ephemeral, _: &mut Self::Context) {
        let shared = Arc::clone(&self.shared);
        if let Some(ready) = self.serving() {
            ready.show(&ephemeral.0, &shared);
        }
    }
}
