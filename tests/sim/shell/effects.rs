//! Carries out the effects of a transition: what is journalled, sent, settled, postponed or timed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidings::base::{ConnectionId, NotificationId, Timestamp};
use tidings::decide::{Counter, Effect, Outgoing};

use crate::faults::Fault;
use crate::journal::{Entry, Reply};
use crate::notifier::Ticket;
use crate::sim::{Event, Sim};

impl Sim {
    pub fn perform(&mut self, server: usize, instance: u64, effects: Vec<Effect>) {
        let mut reload = false;
        let mut replayed: BTreeMap<ConnectionId, Vec<tidings::deliver::Frame>> = BTreeMap::new();
        for effect in effects {
            let reordered = matches!(self.fault, Some(Fault::ReplaysBackwards | Fault::ReplaysTheLastOnly));
            match effect {
                Effect::Record(record) => self.journal(server, Entry::of(record)),
                Effect::Store(outgoing) => self.store_message(server, instance, outgoing),
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
                Effect::Settle(_) | Effect::SettleWith(..) | Effect::Postpone(..) | Effect::Return(_) => {
                    self.end_ticket(server, instance, effect);
                }
                Effect::Learn(lesson) => Arc::make_mut(&mut self.servers[server].learner).learn(&lesson),
                Effect::Drift(_) => {}
                Effect::Reload => reload = self.fault != Some(Fault::IgnoresReload),
                Effect::Count(Counter::Sent) => self.count_sent(server),
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

    /// Hands a message to the journal, with the decision that made it.
    fn store_message(&mut self, server: usize, instance: u64, outgoing: Outgoing) {
        let reply = Reply::Offset { instance, offset: outgoing.offset };
        let (message, releases) = (outgoing.notification, outgoing.releases);
        self.tally.messages += 1;
        let entry = match outgoing.decision {
            Some(row) => Entry::Decision { row, message: Some(message), releases, reply: Some(reply) },
            None => Entry::Message { message, reply },
        };
        self.journal(server, entry);
    }

    /// Settles, postpones or returns the ticket that an effect names.
    fn end_ticket(&mut self, server: usize, instance: u64, effect: Effect) {
        let (Effect::Settle(id) | Effect::SettleWith(id, _) | Effect::Postpone(id, _) | Effect::Return(id)) =
            effect
        else {
            return;
        };
        let Some(ticket) = self.take_ticket(server, instance, id) else { return };
        match effect {
            Effect::Settle(_) => self.settle(server, &ticket),
            Effect::SettleWith(_, row) => {
                let reply = Some(Reply::Settle(ticket));
                self.journal(server, Entry::Decision { row, message: None, releases: Vec::new(), reply });
            }
            Effect::Postpone(_, until) => self.postpone(server, ticket, until),
            _ => self.drop_ticket(server, ticket),
        }
    }

    fn count_sent(&mut self, server: usize) {
        let hour = self.now().0.div_euclid(3_600_000_000);
        let budget = &mut self.servers[server].budget;
        *budget = (hour, if budget.0 == hour { budget.1 + 1 } else { 1 });
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
}
