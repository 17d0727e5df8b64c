//! The simulated journal: records of one server in groups, one commit at a time; commits succeed, fail, succeed without an answer,
//! or answer late and in another order. After a failure messages are refused and everything else is tried again.

use std::collections::VecDeque;
use std::fmt;

use tidings::decide::Input;
use tidings::decide::record::{DecisionRow, NewNotification, Record};
use uuid::Uuid;

use crate::faults::Fault;
use crate::notifier::Ticket;
use crate::sim::{Event, Sim};
use crate::store::Refusal;

/// Between two commits that somebody waits for, milliseconds.
const BETWEEN: i64 = 2;
/// Before a commit that nobody waits for.
const LAZY: i64 = 25;
/// A commit takes so long.
const TAKES: i64 = 1;
/// After a failure the rest is tried again this much later.
const RETRY_PAUSE: i64 = 250;

/// What becomes of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is stored.
    Fails,
    /// Everything is stored, and nobody learns it.
    Unanswered,
    /// It takes so many milliseconds.
    Slow(u16),
    /// It is stored at once and answered so many milliseconds later.
    AnswersLate(u16),
    /// Its answers come one by one, the last first.
    AnswersBackwards,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails => write!(f, "fails"),
            Self::Unanswered => write!(f, "is stored without an answer"),
            Self::Slow(ms) => write!(f, "takes {ms} ms"),
            Self::AnswersLate(ms) => write!(f, "is stored and answered {ms} ms later"),
            Self::AnswersBackwards => write!(f, "answers the last first"),
        }
    }
}

/// Who waits for an entry.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The actor, for the message at this offset.
    Offset { instance: u64, offset: i64 },
    /// A message of the API whose end is a stored decision.
    Settle(Ticket),
}

/// One entry of a group.
#[derive(Clone, Debug)]
pub enum Entry {
    Record(Record),
    Decision {
        row: Box<DecisionRow>,
        message: Option<Box<NewNotification>>,
        /// Deferred triggers that end with it.
        releases: Vec<Uuid>,
        reply: Option<Reply>,
    },
    Message {
        message: Box<NewNotification>,
        reply: Reply,
    },
}

impl Entry {
    pub fn of(record: Record) -> Self {
        match record {
            Record::Decision(row, releases) => Self::Decision { row, message: None, releases, reply: None },
            record => Self::Record(record),
        }
    }

    pub fn message(&self) -> Option<&NewNotification> {
        match self {
            Self::Decision { message, .. } => message.as_deref(),
            Self::Message { message, .. } => Some(message),
            Self::Record(_) => None,
        }
    }

    pub fn decision(&self) -> Option<&DecisionRow> {
        match self {
            Self::Decision { row, .. } => Some(row),
            _ => None,
        }
    }

    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Deferred triggers that it resolves.
    pub fn releases(&self) -> &[Uuid] {
        match self {
            Self::Decision { releases, .. } => releases,
            _ => &[],
        }
    }

    fn reply(self) -> Option<Reply> {
        match self {
            Self::Decision { reply, .. } => reply,
            Self::Message { reply, .. } => Some(reply),
            Self::Record(_) => None,
        }
    }

    fn is_awaited(&self) -> bool {
        match self {
            Self::Decision { reply, .. } => reply.is_some(),
            Self::Message { .. } => true,
            Self::Record(record) => matches!(
                record,
                Record::Feedback(_) | Record::Preferences(..) | Record::Defer(_) | Record::HandOver(_)
            ),
        }
    }

    /// Whether it is tried again after a commit that failed.
    fn is_repeated(&self) -> bool {
        matches!(self, Self::Record(_) | Self::Decision { message: None, reply: None, .. })
    }
}

#[derive(Default)]
pub struct Journal {
    waiting: VecDeque<Entry>,
    /// Of a group that was refused for good: each half by itself.
    halves: VecDeque<Vec<Entry>>,
    in_flight: Option<(Vec<Entry>, Option<Fate>)>,
    /// Moment of the next commit.
    wake_at: Option<i64>,
    paused: bool,
    pub fates: VecDeque<Fate>,
    commits: u64,
}

impl Journal {
    /// Whether everything is stored.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.halves.is_empty() && self.in_flight.is_none()
    }
}

impl Sim {
    pub fn journal(&mut self, server: usize, entry: Entry) {
        self.servers[server].journal.waiting.push_back(entry);
        self.schedule_commit(server);
    }

    fn schedule_commit(&mut self, server: usize) {
        let journal = &mut self.servers[server].journal;
        if journal.in_flight.is_some() || journal.paused || journal.is_idle() {
            return;
        }
        let awaited = !journal.halves.is_empty() || journal.waiting.iter().any(Entry::is_awaited);
        let at = self.mono + if awaited { BETWEEN } else { LAZY } * 1_000;
        if journal.wake_at.is_none_or(|known| known > at) {
            journal.wake_at = Some(at);
            self.schedule_for(server, at, Event::CommitBegins);
        }
    }

    pub fn commit_begins(&mut self, server: usize) {
        let now = self.mono;
        let journal = &mut self.servers[server].journal;
        if journal.in_flight.is_some() || journal.wake_at.is_none_or(|at| at > now) {
            return;
        }
        journal.wake_at = None;
        journal.paused = false;
        let group = match journal.halves.pop_front() {
            Some(half) => half,
            None => journal.waiting.drain(..).collect(),
        };
        if group.is_empty() {
            return;
        }
        let fate = journal.fates.pop_front();
        let takes = if let Some(Fate::Slow(ms)) = fate { i64::from(ms) } else { TAKES };
        journal.in_flight = Some((group, fate));
        self.schedule_for(server, now + takes * 1_000, Event::CommitEnds);
    }

    pub fn commit_ends(&mut self, server: usize) {
        let journal = &mut self.servers[server].journal;
        let Some((group, fate)) = journal.in_flight.take() else { return };
        journal.commits += 1;
        let skipped = self.fault == Some(Fault::ConfirmsWithoutStoring) && journal.commits.is_multiple_of(3);
        if fate == Some(Fate::Fails) {
            self.commit_failed(server, group);
        } else if skipped {
            self.answer(server, group, true);
        } else {
            let unconfirmed = fate == Some(Fate::Unanswered);
            let not_pushed = &self.config().webpush.not_for;
            match self.store.commit(server, &group, unconfirmed, self.now(), not_pushed) {
                Ok(()) => {
                    self.shadow.stored(server, &group);
                    self.stored(server, group, fate);
                }
                Err(refusal) => self.commit_refused(server, group, refusal),
            }
        }
        self.schedule_commit(server);
    }

    fn stored(&mut self, server: usize, group: Vec<Entry>, fate: Option<Fate>) {
        let has_pushes = !self.store.pushes.is_empty();
        match fate {
            Some(Fate::Unanswered) => self.commit_failed(server, group),
            Some(Fate::AnswersLate(ms)) => self.answer_later(server, group, i64::from(ms)),
            Some(Fate::AnswersBackwards) => {
                for (place, entry) in group.into_iter().rev().enumerate() {
                    self.answer_later(server, vec![entry], place as i64 * 3);
                }
            }
            _ => self.answer(server, group, true),
        }
        if has_pushes {
            self.wake_pusher(server);
        }
    }

    fn answer_later(&mut self, server: usize, group: Vec<Entry>, ms: i64) {
        for reply in group.into_iter().filter_map(Entry::reply) {
            self.schedule_for(server, self.mono + ms * 1_000, Event::Reply { reply, stored: true });
        }
    }

    fn answer(&mut self, server: usize, group: Vec<Entry>, stored: bool) {
        for reply in group.into_iter().filter_map(Entry::reply) {
            self.reply(server, reply, stored);
        }
    }

    pub fn reply(&mut self, server: usize, reply: Reply, stored: bool) {
        match reply {
            Reply::Offset { instance, offset } => {
                let input = if stored { Input::Stored(offset) } else { Input::NotStored(offset) };
                self.take(server, instance, input);
                self.reload_if_due(server, instance);
            }
            Reply::Settle(ticket) if stored => self.settle(server, &ticket),
            Reply::Settle(ticket) => self.drop_ticket(server, ticket),
        }
    }

    /// After a temporary error nobody knows what was stored.
    fn commit_failed(&mut self, server: usize, group: Vec<Entry>) {
        if self.fault == Some(Fault::ReleasesFailedCommits) {
            group.iter().for_each(|entry| self.store.release(entry.releases()));
        }
        let at = self.mono + RETRY_PAUSE * 1_000;
        let journal = &mut self.servers[server].journal;
        let mut again: VecDeque<Entry> = group.iter().filter(|entry| entry.is_repeated()).cloned().collect();
        again.append(&mut journal.waiting);
        journal.waiting = again;
        journal.paused = true;
        journal.wake_at = Some(at);
        self.schedule_for(server, at, Event::CommitBegins);
        self.answer(server, group, false);
    }

    /// What is refused in company is tried again by halves; what a loser of the lease has is not.
    fn commit_refused(&mut self, server: usize, mut group: Vec<Entry>, refusal: Refusal) {
        if group.len() > 1 && refusal != Refusal::LeaseLost {
            let second = group.split_off(group.len() / 2);
            let halves = &mut self.servers[server].journal.halves;
            halves.push_front(second);
            halves.push_front(group);
        } else {
            self.answer(server, group, false);
        }
    }
}
