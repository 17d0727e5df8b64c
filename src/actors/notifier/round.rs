//! One round trip of the notifier: what is to be written goes in, what is due comes out, in one transaction.

use std::collections::HashSet;

use super::ledger::{Batch, Turn};
use super::messages::Reply;
use crate::base::{NotificationId, Timestamp};
use crate::notify::message::Audience;
use crate::store::outbox::{self, Accepted, OutboxRow, Submission};
use crate::store::{self, Connection, StoreError};

/// A place on the timeline of the outbox.
pub(super) type Cursor = (Timestamp, i64);

/// Rows read at a time; each may have a thousand users.
const READ: i64 = 200;

/// What to do.
pub(super) struct Round {
    /// Later than the cursor.
    pub now: Timestamp,
    pub cursor: Cursor,
    /// As known: when the first row after the cursor is due.
    pub next_due: Option<Timestamp>,
    /// Is there room for more turns?
    pub may_read: bool,
    pub finished: Vec<i64>,
    pub deferred: Vec<(Turn, Timestamp)>,
    pub returned: Vec<Turn>,
    pub submissions: Vec<Submission>,
    /// How many submissions each request has, and where its answer goes.
    pub replies: Vec<(usize, Reply)>,
}

/// What came of it.
pub(super) struct Found {
    /// One a submission.
    pub outcomes: Vec<Accepted>,
    /// To be handed out, in order.
    pub batches: Vec<Batch>,
    /// Messages of `batches` and of what was returned that have their place already.
    pub placed: HashSet<NotificationId>,
    /// Rows that this version can't read.
    pub unreadable: Vec<i64>,
    pub cursor: Cursor,
    pub next_due: Option<Timestamp>,
}

impl Round {
    /// Is anything due that has not been read?
    fn is_behind(&self) -> bool {
        self.next_due.is_some_and(|due| due <= self.now)
    }

    pub fn is_empty(&self) -> bool {
        let nothing_to_write = self.finished.is_empty()
            && self.deferred.is_empty()
            && self.returned.is_empty()
            && self.submissions.is_empty();
        nothing_to_write && !(self.is_behind() && self.may_read)
    }

    pub fn run(&self, connection: &mut Connection) -> Result<Found, StoreError> {
        store::in_transaction(connection, |connection| {
            outbox::remove(connection, &self.finished)?;
            let mut later: Vec<OutboxRow> =
                self.deferred.iter().map(|(turn, until)| self.row_of(turn, *until)).collect();
            outbox::insert(connection, &mut later)?;
            let (outcomes, rows) = outbox::accept(connection, &self.submissions)?;
            let returned: Vec<NotificationId> = self.returned.iter().map(Turn::id).collect();
            let mut found = Found {
                outcomes,
                batches: Vec::new(),
                placed: outbox::placed(connection, &returned)?,
                unreadable: Vec::new(),
                cursor: self.cursor,
                next_due: self.next_due,
            };
            let stored_only =
                |s: &Submission| !matches!(s.audience, Audience::Users(_)) && s.due_at <= self.now;
            if self.is_behind() || self.submissions.iter().any(stored_only) {
                self.read(connection, &mut found)?;
            } else {
                self.hand_on(rows, &later, &mut found);
            }
            Ok(found)
        })
    }

    fn row_of(&self, turn: &Turn, until: Timestamp) -> OutboxRow {
        OutboxRow {
            outbox_id: 0,
            batch: turn.batch.row.batch,
            due_at: until.max(Timestamp(self.now.0 + 1)),
            users: vec![turn.user.clone()],
            message: turn.batch.row.message.clone(),
        }
    }

    /// Nothing lies between the cursor and now: what has just been stored is handed on without being read.
    fn hand_on(&self, rows: Vec<OutboxRow>, later: &[OutboxRow], found: &mut Found) {
        let (now, waits): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.due_at <= self.now);
        let audiences = self.submissions.iter().filter(|s| !matches!(s.audience, Audience::Users(_)));
        let due = waits.iter().chain(later).map(|row| row.due_at).chain(audiences.map(|s| s.due_at));
        found.next_due = found.next_due.into_iter().chain(due).min();
        found.cursor = (self.now, i64::MAX);
        found.take(now);
    }

    fn read(&self, connection: &mut Connection, found: &mut Found) -> Result<(), StoreError> {
        if self.may_read {
            let rows = outbox::due(connection, self.cursor, self.now, READ)?;
            found.cursor = match rows.last() {
                Some(last) if rows.len() as i64 == READ => (last.due_at, last.outbox_id),
                _ => (self.now, i64::MAX),
            };
            found.take(rows);
            // From before a restart, perhaps: some may have their place already.
            let ids: Vec<NotificationId> = found.batches.iter().flat_map(Batch::ids).collect();
            found.placed.extend(outbox::placed(connection, &ids)?);
        }
        found.next_due = outbox::next_due(connection, found.cursor)?;
        Ok(())
    }
}

impl Found {
    fn take(&mut self, rows: Vec<OutboxRow>) {
        for row in rows {
            let id = row.outbox_id;
            match Batch::new(row) {
                Some(batch) => self.batches.push(batch),
                None => self.unreadable.push(id),
            }
        }
    }
}
