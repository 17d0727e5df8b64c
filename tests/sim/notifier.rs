//! The simulated notifier: messages of the API are accepted into the outbox, or go to their user's actor directly; each is settled,
//! postponed or comes back.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use tidings::base::{NotificationId, Timestamp};
use tidings::notify::message::Encoded;
use uuid::Uuid;

use crate::faults::Fault;
use crate::pauses::Pauses;
use crate::sim::{Event, Sim};
use crate::store::OutboxRow;

/// What became of tickets is looked at this often, milliseconds.
const PUMP: i64 = 5;
/// After an error, and before what came back is tried again.
const PAUSE: i64 = 250;
/// A message that is not in the outbox and came back is looked at again after this.
const AGAIN_AFTER: i64 = 250_000;

/// What becomes of one round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundFate {
    Fails,
    /// It is stored, and nobody learns it.
    Unanswered,
}

impl fmt::Display for RoundFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fails => "fails",
            Self::Unanswered => "is stored without an answer",
        })
    }
}

/// Users of one row who have not had their turn, or of one request that skips the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Place in [`Notifier::batches`].
    Row(usize),
    /// Place in [`Notifier::requests`].
    Request(usize),
}

/// The right to give one message its place in one stream, once.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub id: NotificationId,
    pub batch: Uuid,
    pub user: usize,
    pub message: Arc<Encoded>,
    pub of: Of,
}

/// A request of the shop.
#[derive(Clone, Debug)]
pub struct Submission {
    pub batch: Uuid,
    pub users: Vec<usize>,
    pub message: Arc<Encoded>,
    pub due_at: Timestamp,
}

#[derive(Default)]
pub struct Notifier {
    waiting: VecDeque<Submission>,
    pub turns: VecDeque<Ticket>,
    /// Outbox row and users without their turn.
    batches: Vec<(i64, usize)>,
    /// Whether somebody still waits for the answer.
    requests: Vec<bool>,
    cursor: Option<(Timestamp, i64)>,
    next_due: Option<Timestamp>,
    is_started: bool,
    finished: Vec<i64>,
    deferred: Vec<(Ticket, Timestamp)>,
    returned: Vec<Ticket>,
    pub pauses: Pauses,
    retry_at: i64,
    wake_at: Option<i64>,
}

impl Notifier {
    /// Place on the timeline up to which it was read; `None` for a process that has read nothing.
    fn read_up_to(&self) -> Option<(Timestamp, i64)> {
        self.cursor.filter(|_| self.is_started)
    }

    /// Puts a ticket to those that wait for their actors, unless its batch is paused.
    fn line_up(&mut self, ticket: Ticket) {
        if let Some(ticket) = self.pauses.park(ticket) {
            self.turns.push_back(ticket);
        }
    }
}

impl Sim {
    /// Whether a server that is alive was told that a batch is paused.
    fn pauses(&self, batch: Uuid) -> bool {
        self.servers.iter().any(|server| server.is_alive && server.notifier.pauses.has(batch))
    }

    pub fn wake_notifier(&mut self, server: usize, after_ms: i64) {
        let at = self.mono + after_ms * 1_000;
        let notifier = &mut self.servers[server].notifier;
        if notifier.wake_at.is_none_or(|known| known > at) {
            notifier.wake_at = Some(at);
            self.schedule_for(server, at, Event::Round);
        }
    }

    pub fn submit(&mut self, server: usize, submission: Submission, directly: bool) {
        if directly && submission.users.len() == 1 && submission.due_at <= self.now() {
            let notifier = &mut self.servers[server].notifier;
            let request = notifier.requests.len();
            notifier.requests.push(true);
            let user = submission.users[0];
            let id = NotificationId::of_batch(submission.batch, &self.names[user]);
            let (batch, message) = (submission.batch, submission.message);
            let ticket = Ticket { id, batch, user, message, of: Of::Request(request) };
            self.servers[server].notifier.turns.push_back(ticket);
        } else {
            self.servers[server].notifier.waiting.push_back(submission);
        }
        self.wake_notifier(server, 0);
    }

    pub fn round(&mut self, server: usize) {
        let mono = self.mono;
        if self.servers[server].notifier.wake_at.is_none_or(|at| at > mono) {
            return;
        }
        self.servers[server].notifier.wake_at = None;
        self.hand_out(server);
        let cursor = self.servers[server].notifier.cursor;
        let now = cursor.map_or(self.now(), |(at, _)| self.now().max(Timestamp(at.0 + 1)));
        let notifier = &mut self.servers[server].notifier;
        let is_behind = !notifier.is_started || notifier.next_due.is_some_and(|due| due <= now);
        let looks_again = notifier.retry_at <= mono && !notifier.returned.is_empty();
        let is_idle = notifier.finished.is_empty()
            && notifier.deferred.is_empty()
            && notifier.waiting.is_empty()
            && notifier.pauses.is_idle()
            && !looks_again
            && !is_behind;
        if is_idle {
            return self.rest(server);
        }
        if !self.store.accepts(server) {
            return self.round_failed(server);
        }
        match self.rounds.pop_front() {
            Some(RoundFate::Fails) => return self.round_failed(server),
            Some(RoundFate::Unanswered) => {
                let notifier = &mut self.servers[server].notifier;
                let (finished, deferred) = (notifier.finished.clone(), notifier.deferred.clone());
                let waiting = notifier.waiting.clone();
                let (pauses, after) = (notifier.pauses.clone(), notifier.read_up_to());
                self.write_round(&finished, &deferred, waiting.iter(), now);
                self.write_pauses(&pauses, after, now);
                return self.round_failed(server);
            }
            None => {}
        }
        self.run_round(server, now, is_behind, looks_again);
        self.hand_out(server);
        self.rest(server);
    }

    /// Stores what a round has to store; the rows for named users, with their numbers.
    fn write_round<'a>(
        &mut self,
        finished: &[i64],
        deferred: &[(Ticket, Timestamp)],
        waiting: impl Iterator<Item = &'a Submission>,
        now: Timestamp,
    ) -> Vec<(Timestamp, i64)> {
        self.store.remove_outbox(finished);
        for (ticket, until) in deferred {
            let row = OutboxRow {
                batch: ticket.batch,
                users: vec![ticket.user],
                message: Arc::clone(&ticket.message),
                held: self.pauses(ticket.batch),
            };
            self.store.insert_outbox((*until).max(Timestamp(now.0 + 1)), row);
        }
        let mut rows = Vec::new();
        for submission in waiting {
            let Submission { batch, users, message, due_at } = submission.clone();
            let due_at = due_at.max(now);
            rows.push((
                due_at,
                self.store.insert_outbox(due_at, OutboxRow { batch, users, message, held: false }),
            ));
        }
        rows
    }

    fn run_round(&mut self, server: usize, now: Timestamp, is_behind: bool, looks_again: bool) {
        let notifier = &mut self.servers[server].notifier;
        let finished = std::mem::take(&mut notifier.finished);
        let deferred = std::mem::take(&mut notifier.deferred);
        let waiting = std::mem::take(&mut notifier.waiting);
        let returned = if looks_again { std::mem::take(&mut notifier.returned) } else { Vec::new() };
        if looks_again {
            notifier.retry_at = self.mono + PAUSE * 1_000;
        }
        let after = notifier.read_up_to();
        notifier.is_started = true;
        let pauses = notifier.pauses.take();
        let rows = self.write_round(&finished, &deferred, waiting.iter(), now);
        let is_behind = self.write_pauses(&pauses, after, now) || is_behind;
        for ticket in &pauses.parked {
            self.settle(server, ticket);
        }
        for submission in &waiting {
            self.shadow.accepted(submission.batch);
        }
        for (ticket, _) in &deferred {
            // Now it is in the outbox, whoever waits.
            self.settle(server, ticket);
        }
        for ticket in returned {
            if self.store.is_placed(ticket.id) {
                self.settle(server, &ticket);
            } else {
                self.servers[server].notifier.line_up(ticket);
            }
        }
        let due: Vec<((Timestamp, i64), OutboxRow)> = if is_behind {
            let rows = self.store.outbox.iter();
            rows.filter(|(key, _)| after.is_none_or(|after| **key > after) && key.0 <= now)
                .filter(|(_, row)| !row.held)
                .map(|(key, row)| (*key, row.clone()))
                .collect()
        } else {
            let due = rows.iter().filter(|key| key.0 <= now);
            due.filter_map(|key| Some((*key, self.store.outbox.get(key)?.clone()))).collect()
        };
        let cursor = (now, i64::MAX);
        let next = self.store.outbox.iter().find(|(key, row)| **key > cursor && !row.held);
        let next = next.map(|(key, _)| key.0);
        let notifier = &mut self.servers[server].notifier;
        (notifier.cursor, notifier.next_due) = (Some(cursor), next);
        for ((_, outbox_id), row) in due {
            self.line_up(server, outbox_id, row);
        }
    }

    /// A turn for each user whose message has no place yet.
    fn line_up(&mut self, server: usize, outbox_id: i64, row: OutboxRow) {
        let notifier = &mut self.servers[server].notifier;
        let of = Of::Row(notifier.batches.len());
        notifier.batches.push((outbox_id, row.users.len()));
        for user in row.users {
            let id = NotificationId::of_batch(row.batch, &self.names[user]);
            let ticket = Ticket { id, batch: row.batch, user, message: Arc::clone(&row.message), of };
            if self.store.is_placed(id) {
                self.settle(server, &ticket);
            } else {
                self.servers[server].notifier.line_up(ticket);
            }
        }
    }

    /// Nobody knows what was stored.
    fn round_failed(&mut self, server: usize) {
        let notifier = &mut self.servers[server].notifier;
        notifier.next_due = notifier.cursor.map(|(at, _)| at);
        notifier.is_started &= notifier.cursor.is_some();
        notifier.waiting.clear();
        let parked = notifier.pauses.give_up();
        notifier.turns.extend(parked);
        let requests = &mut notifier.requests;
        notifier.deferred.retain(|(ticket, _)| match ticket.of {
            Of::Request(request) => {
                requests[request] = false;
                false
            }
            Of::Row(_) => true,
        });
        self.wake_notifier(server, PAUSE);
    }

    fn rest(&mut self, server: usize) {
        let (now, notifier) = (self.now(), &self.servers[server].notifier);
        let is_quiet = notifier.finished.is_empty()
            && notifier.returned.is_empty()
            && notifier.deferred.is_empty()
            && notifier.pauses.is_idle()
            && notifier.turns.is_empty();
        if !is_quiet {
            let busy = !notifier.finished.is_empty()
                || !notifier.deferred.is_empty()
                || !notifier.pauses.is_idle()
                || !notifier.turns.is_empty();
            return self.wake_notifier(server, if busy { PUMP } else { PAUSE });
        }
        if let Some(due) = notifier.next_due {
            // The clock may be set while it sleeps.
            let ms = ((due.0 - now.0) / 1_000).max(0).min((self.tick / 1_000).max(60_000)) + 1;
            self.wake_notifier(server, ms);
        }
    }

    fn hand_out(&mut self, server: usize) {
        while self.violation.is_none()
            && let Some(ticket) = self.servers[server].notifier.turns.pop_front()
        {
            if self.fault == Some(Fault::SettlesTooEarly) {
                self.settle(server, &ticket);
            }
            let instance = self.get_or_start(server, ticket.user);
            self.deliver(server, instance, ticket);
        }
    }

    fn note_settled(&mut self, server: usize, ticket: &Ticket) {
        let notifier = &mut self.servers[server].notifier;
        match ticket.of {
            Of::Row(place) => {
                let (outbox_id, remaining) = &mut notifier.batches[place];
                *remaining = remaining.saturating_sub(1);
                if *remaining == 0 {
                    let id = *outbox_id;
                    notifier.finished.push(id);
                }
            }
            Of::Request(request) => {
                if std::mem::take(&mut notifier.requests[request]) {
                    self.shadow.accepted(ticket.batch);
                }
            }
        }
    }

    /// It has its place in the stream, or is not to have one.
    pub fn settle(&mut self, server: usize, ticket: &Ticket) {
        self.note_settled(server, ticket);
        self.wake_notifier(server, PUMP);
    }

    pub fn postpone(&mut self, server: usize, ticket: Ticket, until: Timestamp) {
        if self.fault == Some(Fault::PostponesByNothing) {
            self.servers[server].notifier.turns.push_back(ticket);
        } else {
            self.servers[server].notifier.deferred.push((ticket, until));
        }
        self.wake_notifier(server, PUMP);
    }

    /// A ticket that nobody settled comes back by itself; one that is not in the outbox goes there.
    pub fn drop_ticket(&mut self, server: usize, ticket: Ticket) {
        let again = Timestamp(self.now().0 + AGAIN_AFTER);
        let notifier = &mut self.servers[server].notifier;
        match ticket.of {
            Of::Row(_) => notifier.returned.push(ticket),
            Of::Request(_) => notifier.deferred.push((ticket, again)),
        }
        self.wake_notifier(server, PUMP);
    }
}
