//! Ledger of the messages with users' actors and their outcomes. A [`Ticket`] that is dropped before it is settled (a
//! full mailbox, an actor that ended, a commit nobody confirmed) comes back by itself and is tried again; one that is not in
//! the outbox yet goes there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::request::Direct;
use tidings_core::base::{ExternalId, Millis, NotificationId, Timestamp};
use tidings_decision::deliver::lanes::Queued;
use tidings_decision::notify::message::{Encoded, Message};
use tidings_store::outbox::OutboxRow;

/// Pause before a message that came back without an outbox row is looked at again.
const AGAIN_AFTER: Millis = Millis(250);

/// Messages of a batch that was taken back are looked out for as long as this.
const RECALLED_FOR: Duration = Duration::from_secs(600);

/// A row of the outbox on its way to its users, or a message that needs none unless something comes in between.
pub struct Batch {
    /// As stored, or as it would be.
    pub row: OutboxRow,
    /// Parsed once.
    pub content: Arc<Encoded>,
    /// Users who have not had their turn.
    remaining: AtomicUsize,
    /// Not in the outbox: who waits for it.
    direct: Option<Arc<Direct>>,
}

impl Batch {
    /// Parses the message; `None` for one that this version can't read.
    pub fn new(row: OutboxRow) -> Option<Self> {
        let content = Arc::new(Encoded::parse(&row.message)?);
        let remaining = AtomicUsize::new(row.users.len());
        Some(Self { row, content, remaining, direct: None })
    }

    /// The same for a message that is not in the outbox.
    pub fn direct(row: OutboxRow, request: Arc<Direct>) -> Option<Self> {
        Some(Self { direct: Some(request), ..Self::new(row)? })
    }

    /// The message to each user.
    pub fn ids(&self) -> impl Iterator<Item = NotificationId> {
        self.row.users.iter().map(|user| NotificationId::of_batch(self.row.batch, user))
    }
}

/// One user's turn.
#[derive(Clone)]
pub struct Turn {
    /// Of which row.
    pub batch: Arc<Batch>,
    /// User who gets the message.
    pub user: ExternalId,
    /// Order of acceptance as far as this process knows it.
    pub sequence: u64,
    /// Number of times it came back. Only the pause before the next try depends on it.
    pub returns: u16,
}

impl Turn {
    /// The message to this user.
    pub fn id(&self) -> NotificationId {
        NotificationId::of_batch(self.batch.row.batch, &self.user)
    }

    /// Gives up what is not in the outbox and can't be put there: it was not accepted. False for all others.
    pub fn refuse(&self) -> bool {
        self.batch.direct.as_ref().map(|request| request.fail()).is_some()
    }
}

impl Queued for Turn {
    fn user(&self) -> &ExternalId {
        &self.user
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn message(&self) -> &Message {
        &self.batch.content.message
    }
}

/// Shared by the notifier and every ticket.
#[derive(Default)]
pub struct Ledger {
    out: AtomicUsize,
    /// The same for each user with at least one.
    out_by_user: Mutex<HashMap<ExternalId, usize>>,
    finished: Mutex<Vec<i64>>,
    returned: Mutex<Vec<Turn>>,
    unsent: Mutex<Vec<Turn>>,
    deferred: Mutex<Vec<(Turn, Timestamp)>>,
    /// Broadcasts that are paused, as far as this process was told.
    paused: Mutex<HashSet<Uuid>>,
    /// Batches that were taken back, and since when.
    recalled: Mutex<HashMap<Uuid, Instant>>,
    /// Messages of them that may have been stored after that.
    late: Mutex<Vec<(NotificationId, ExternalId)>>,
}

impl Ledger {
    /// From now on nothing of these batches is handed out, and what is on its way is withdrawn when it is stored.
    pub fn recall(&self, batches: &[Uuid]) {
        let now = Instant::now();
        let mut recalled = self.recalled.lock();
        recalled.retain(|_, since| since.elapsed() < RECALLED_FOR);
        recalled.extend(batches.iter().map(|batch| (*batch, now)));
    }

    /// Returns whether the batch of `turn` was taken back.
    pub fn is_recalled(&self, turn: &Turn) -> bool {
        self.recalled.lock().contains_key(&turn.batch.row.batch)
    }

    /// From now on nothing of these broadcasts is handed out.
    pub fn pause(&self, broadcasts: &[Uuid]) {
        self.paused.lock().extend(broadcasts);
    }

    /// These broadcasts go on.
    pub fn resume(&self, broadcasts: &[Uuid]) {
        let mut paused = self.paused.lock();
        broadcasts.iter().for_each(|broadcast| {
            paused.remove(broadcast);
        });
    }

    /// Returns whether the broadcast of `turn` is paused.
    pub fn is_paused(&self, turn: &Turn) -> bool {
        turn.batch.row.broadcast.is_some_and(|broadcast| self.paused.lock().contains(&broadcast))
    }

    /// Messages to withdraw, if they were stored, and whose they are.
    pub fn take_late(&self) -> Vec<(NotificationId, ExternalId)> {
        std::mem::take(&mut *self.late.lock())
    }

    /// Puts messages back that could not be withdrawn.
    pub fn late_again(&self, late: Vec<(NotificationId, ExternalId)>) {
        self.late.lock().extend(late);
    }

    /// Hands out a ticket.
    pub fn ticket(self: &Arc<Self>, turn: Turn) -> Ticket {
        self.out.fetch_add(1, Ordering::AcqRel);
        *self.out_by_user.lock().entry(turn.user.clone()).or_default() += 1;
        Ticket { ledger: Arc::clone(self), turn: Some(turn), end: End::Returned }
    }

    /// Tickets that are out.
    pub fn out(&self) -> usize {
        self.out.load(Ordering::Acquire)
    }

    /// Tickets of a user that are out.
    pub fn out_of(&self, user: &ExternalId) -> usize {
        self.out_by_user.lock().get(user).copied().unwrap_or(0)
    }

    /// A user has had its turn; the last one finishes the row.
    pub fn settle(&self, turn: &Turn) {
        if self.is_recalled(turn) {
            self.late.lock().push((turn.id(), turn.user.clone()));
        }
        if turn.batch.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            match &turn.batch.direct {
                Some(request) => request.settle(),
                None => self.finished.lock().push(turn.batch.row.outbox_id),
            }
        }
    }

    /// Rows whose users have all had their turn.
    pub fn take_finished(&self) -> Vec<i64> {
        std::mem::take(&mut *self.finished.lock())
    }

    /// Puts rows back that could not be removed.
    pub fn finished_again(&self, rows: Vec<i64>) {
        self.finished.lock().extend(rows);
    }

    /// Turns that came back.
    pub fn take_returned(&self) -> Vec<Turn> {
        std::mem::take(&mut *self.returned.lock())
    }

    /// Turns that no actor was given.
    pub fn take_unsent(&self) -> Vec<Turn> {
        std::mem::take(&mut *self.unsent.lock())
    }

    /// Turns that are to come later.
    pub fn take_deferred(&self) -> Vec<(Turn, Timestamp)> {
        std::mem::take(&mut *self.deferred.lock())
    }

    /// Puts turns back that could not be looked at.
    pub fn returned_again(&self, turns: Vec<Turn>) {
        self.returned.lock().extend(turns);
    }

    /// Puts turns back that could not be stored.
    pub fn deferred_again(&self, turns: Vec<(Turn, Timestamp)>) {
        self.deferred.lock().extend(turns);
    }

    /// Returns whether nothing is out, and nothing is to be written.
    pub fn is_quiet(&self) -> bool {
        self.out() == 0
            && self.finished.lock().is_empty()
            && self.returned.lock().is_empty()
            && self.deferred.lock().is_empty()
            && self.late.lock().is_empty()
    }
}

/// Outcome of a ticket.
enum End {
    /// Nothing is known of it: looked up, and tried again.
    Returned,
    /// No actor was given it.
    Unsent,
    /// Its message has its place, or a stored decision says that it is to have none.
    Settled,
    /// Again then.
    Deferred(Timestamp),
}

/// The right to give one message its place in one stream, once.
pub struct Ticket {
    ledger: Arc<Ledger>,
    turn: Option<Turn>,
    end: End,
}

impl Ticket {
    /// Message and user of the ticket; `None` only while it is being dropped.
    pub fn turn(&self) -> Option<&Turn> {
        self.turn.as_ref()
    }

    /// It has its place in the stream, or a stored decision says that it is to have none.
    pub fn settle(mut self) {
        self.end = End::Settled;
    }

    /// The mailbox of its user's actor was full or closed.
    pub fn keep(mut self) {
        self.end = End::Unsent;
    }

    /// Again then.
    pub fn defer(mut self, until: Timestamp) {
        self.end = End::Deferred(until);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let user = turn.user.clone();
        match self.end {
            End::Settled => self.ledger.settle(&turn),
            End::Unsent => self.ledger.unsent.lock().push(turn),
            End::Deferred(until) => self.ledger.deferred.lock().push((turn, until)),
            // Into the outbox with it; whether it has its place already is looked up there.
            End::Returned if turn.batch.direct.is_some() => {
                self.ledger.deferred.lock().push((turn, Timestamp::now() + AGAIN_AFTER));
            }
            End::Returned => {
                let returns = turn.returns.saturating_add(1);
                self.ledger.returned.lock().push(Turn { returns, ..turn });
            }
        }
        // Last: nothing is lost sight of in between.
        let mut out = self.ledger.out_by_user.lock();
        if let Some(n) = out.get_mut(&user) {
            *n -= 1;
            if *n == 0 {
                out.remove(&user);
            }
        }
        drop(out);
        self.ledger.out.fetch_sub(1, Ordering::AcqRel);
    }
}
