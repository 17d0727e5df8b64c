//! One round trip of the notifier: what is to be written goes in, what is due comes out, in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::ledger::{Batch, Turn};
use super::messages::{Going, Keyed, Reply, SubmitError, Submitted, Switch};
use tidings_core::base::{ExternalId, Millis, NotificationId, Timestamp};
use tidings_decision::deliver::Withdrawal;
use tidings_decision::notify::Priority;
use tidings_decision::notify::message::Audience;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_state::tombstones::Tombstones;
use tidings_store::deferred::{self, DeferredRow};
use tidings_store::outbox::{self, Accepted, OutboxRow, Submission};
use tidings_store::{
    self, Connection, Fields, Store, StoreError, audit, broadcasts, calls, idempotency, inbox, lease,
};

/// A place on the timeline of the outbox.
pub(super) type Cursor = (Timestamp, i64);

/// Rows read at a time; each may have a thousand users.
const READ: i64 = 200;

/// Age up to which a recall by a server that died may have left messages behind.
const LEFT_BEHIND_WITHIN: Millis = Millis::seconds(900);

/// Submissions of one request.
pub(super) struct Request {
    /// In order.
    pub submissions: Vec<Submission>,
    pub keyed: Option<Keyed>,
    pub entry: Option<AuditEntry>,
    pub reply: Reply,
}

/// Work of one round.
pub(super) struct Round {
    /// Later than the cursor.
    pub now: Timestamp,
    /// Time zone of users who have not told theirs.
    pub zone: TimeZone,
    /// Erased users, whom no entry of the audit log names.
    pub tombstones: Arc<Tombstones>,
    pub cursor: Cursor,
    /// As known: when the first row after the cursor is due.
    pub next_due: Option<Timestamp>,
    /// True if there is room for more turns.
    pub may_read: bool,
    pub finished: Vec<i64>,
    /// Each with the moment it waits for, and whether its broadcast is paused.
    pub deferred: Vec<(Turn, Timestamp, bool)>,
    /// Messages of paused broadcasts, which wait in the outbox until these are resumed.
    pub parked: Vec<Turn>,
    /// Broadcasts to pause or resume.
    pub switches: Vec<Switch>,
    pub returned: Vec<Turn>,
    /// Messages to withdraw, and whose they are.
    pub late: Vec<(NotificationId, ExternalId)>,
    pub requests: Vec<Request>,
    /// Batches that were taken back, whose messages are looked for again.
    pub recalled: Vec<Uuid>,
    /// Rows after the cursor that were handed on already.
    pub early: HashSet<i64>,
    /// The first of this process: what another one left undone is done.
    pub is_first: bool,
}

/// Reason why entries of the audit log were not stored, and nothing of their round.
pub(super) struct Unlogged(pub StoreError);

/// Result of a round.
pub(super) struct Found {
    /// One a request.
    pub answers: Vec<Result<Submitted, SubmitError>>,
    /// Messages that were withdrawn, and whose they were.
    pub withdrawn: Vec<(NotificationId, ExternalId)>,
    /// Calls that were paused, and users with deferred triggers of them.
    pub put_aside: Vec<(Uuid, ExternalId)>,
    /// Deferred triggers of calls that were resumed, and whose they are.
    pub taken_up: Vec<(DeferredRow, ExternalId)>,
    /// To be handed out, in order.
    pub batches: Vec<Batch>,
    /// Messages of `batches` and of what was returned that have their place already.
    pub placed: HashSet<NotificationId>,
    /// Rows that this version can't read.
    pub unreadable: Vec<i64>,
    /// Rows of `batches` that lie after the cursor all the same.
    pub early: Vec<i64>,
    /// Rows up to the cursor that had been handed on before.
    pub passed: Vec<i64>,
    pub cursor: Cursor,
    pub next_due: Option<Timestamp>,
}

impl Round {
    /// Returns whether anything is due that has not been read.
    fn is_behind(&self) -> bool {
        self.next_due.is_some_and(|due| due <= self.now)
    }

    pub fn has_entries(&self) -> bool {
        let mut switches = self.switches.iter().map(|switch| &switch.entry);
        let mut requests = self.requests.iter().map(|request| &request.entry);
        switches.any(Option::is_some) || requests.any(Option::is_some)
    }

    pub fn is_empty(&self) -> bool {
        let nothing_to_write = self.finished.is_empty()
            && self.deferred.is_empty()
            && self.parked.is_empty()
            && self.switches.is_empty()
            && self.returned.is_empty()
            && self.late.is_empty()
            && self.recalled.is_empty()
            && self.requests.is_empty();
        nothing_to_write && !(self.is_behind() && self.may_read)
    }

    /// Does all of it in one transaction. Where the entries of the audit log can't be stored, nothing is, and that is said.
    pub fn run(
        &self,
        connection: &mut Connection,
        store: &Store,
    ) -> Result<Result<Found, Unlogged>, StoreError> {
        let mut is_at_entries = false;
        let done = tidings_store::in_transaction(connection, |connection| {
            // A successor has read the outbox and would not look where this one writes.
            let fields = store.fields();
            lease::hold(connection, store)?;
            outbox::remove(connection, &self.finished)?;
            let mut later: Vec<OutboxRow> =
                self.deferred.iter().map(|(turn, until, held)| self.row_of(turn, *until, *held)).collect();
            later.extend(self.parked_rows());
            outbox::insert(connection, fields, &mut later)?;
            later.retain(|row| !row.is_held);
            let (answers, submissions, rows) = self.accept(connection, fields)?;
            let returned: Vec<NotificationId> = self.returned.iter().map(Turn::id).collect();
            let mut found = Found {
                answers,
                withdrawn: self.withdraw(connection)?,
                put_aside: Vec::new(),
                taken_up: Vec::new(),
                batches: Vec::new(),
                placed: outbox::placed(connection, &returned)?,
                unreadable: Vec::new(),
                early: Vec::new(),
                passed: Vec::new(),
                cursor: self.cursor,
                next_due: self.next_due,
            };
            let told = self.switch(connection, fields, &mut found)?;
            let read_now = |s: &&Submission| is_stored_only(s) && s.due_at <= self.now;
            if told || self.is_behind() || submissions.iter().any(read_now) {
                self.hand_on_early(rows, &mut found);
                self.read(connection, fields, &mut found)?;
            } else {
                self.hand_on(&submissions, rows, &later, &mut found);
            }
            is_at_entries = true;
            self.add_to_audit_log(connection, &found.answers)?;
            is_at_entries = false;
            Ok(found)
        });
        match done {
            Err(error) if is_at_entries => Ok(Err(Unlogged(error))),
            done => done.map(Ok),
        }
    }

    /// Accepts the requests whose keys are new; the others get the answer of the first. Also what was accepted.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn accept(
        &self,
        connection: &mut Connection,
        fields: &Fields,
    ) -> Result<(Vec<Result<Submitted, SubmitError>>, Vec<&Submission>, Vec<OutboxRow>), StoreError> {
        let keyed = self.requests.iter().filter_map(|request| request.keyed.as_ref());
        let keyed: Vec<idempotency::Request> = keyed.map(|keyed| keyed.request).collect();
        let mut fresh = idempotency::claim(connection, &keyed)?;
        let is_new: Vec<bool> = self
            .requests
            .iter()
            .map(|request| request.keyed.as_ref().is_none_or(|keyed| fresh.remove(&keyed.request.key)))
            .collect();
        let new = self.requests.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
        let submissions: Vec<&Submission> = new.flat_map(|(request, _)| &request.submissions).collect();
        let (outcomes, rows) = outbox::accept(connection, fields, &submissions, self.now)?;
        let mut outcomes = outcomes.into_iter();
        let mut stored = Vec::new();
        let mut answers = Vec::with_capacity(self.requests.len());
        for (request, is_new) in self.requests.iter().zip(&is_new) {
            answers.push(is_new.then(|| {
                let accepted: Vec<Accepted> = outcomes.by_ref().take(request.submissions.len()).collect();
                if let Some(keyed) = &request.keyed {
                    stored.push((keyed.request.key, (keyed.compose)(&accepted)));
                }
                accepted
            }));
        }
        idempotency::answer(connection, &stored)?;
        // After that: of a key that came twice in this round the second sees the answer to the first.
        let known =
            idempotency::find(connection, &keyed.iter().map(|request| request.key).collect::<Vec<_>>())?;
        let answers = answers.into_iter().zip(&self.requests).map(|(accepted, request)| match accepted {
            Some(accepted) => Ok(Submitted::Accepted(accepted)),
            None => request
                .keyed
                .as_ref()
                .and_then(|keyed| known.get(&keyed.request.key))
                .map(|stored| Submitted::Before(stored.clone()))
                .ok_or(SubmitError::Unavailable),
        });
        Ok((answers.collect(), submissions, rows))
    }

    /// Withdraws what was stored after it had been taken back.
    fn withdraw(&self, connection: &mut Connection) -> Result<Vec<(NotificationId, ExternalId)>, StoreError> {
        let mut withdrawn = Vec::new();
        for (id, user) in &self.late {
            if inbox::withdraw(connection, *id, self.now, Withdrawal::Withdrawn)?.is_some() {
                withdrawn.push((*id, user.clone()));
            }
        }
        let mut rest = self.recalled.as_slice();
        while !rest.is_empty() {
            let (some, left) = broadcasts::withdraw_messages(connection, rest, self.now)?;
            withdrawn.extend(some);
            rest = left;
        }
        if self.is_first {
            let batches = broadcasts::withdrawn_since(connection, self.now - LEFT_BEHIND_WITHIN)?;
            let mut rest = batches.as_slice();
            while !rest.is_empty() {
                rest = broadcasts::withdraw_messages(connection, rest, self.now)?.1;
            }
            broadcasts::remove_rows(connection, &batches)?;
        }
        Ok(withdrawn)
    }

    /// Pauses and resumes; true when something goes on, so that the outbox is to be read.
    fn switch(
        &self,
        connection: &mut Connection,
        fields: &Fields,
        found: &mut Found,
    ) -> Result<bool, StoreError> {
        if self.is_first {
            calls::hold_paused(connection)?;
            calls::tell_of_encrypted(connection, fields)?;
        }
        let mut goes_on = false;
        for switch in &self.switches {
            let ids = &switch.broadcasts;
            match switch.to {
                Going::Paused => {
                    let early: Vec<i64> = self.early.iter().copied().collect();
                    calls::pause(connection, ids, self.cursor, &early)?;
                    found.put_aside.extend(deferred::pause_calls(connection, ids)?);
                }
                Going::On => {
                    calls::resume(connection, ids, self.now)?;
                    found.taken_up.extend(deferred::resume_calls(connection, fields, ids)?);
                    goes_on = true;
                }
            }
        }
        Ok(goes_on)
    }

    /// Adds entries of what was accepted, paused and resumed: last, since they are added one after the other.
    fn add_to_audit_log(
        &self,
        connection: &mut Connection,
        answers: &[Result<Submitted, SubmitError>],
    ) -> Result<(), StoreError> {
        let accepted = self.requests.iter().zip(answers).filter_map(|(request, answer)| match answer {
            Ok(Submitted::Accepted(_)) => request.entry.as_ref(),
            Ok(Submitted::Before(_)) | Err(_) => None,
        });
        let entries = self.switches.iter().filter_map(|switch| switch.entry.as_ref()).chain(accepted);
        let entries: Vec<AuditEntry> = entries.map(|entry| self.tombstones.in_entry(entry)).collect();
        audit::append(connection, &entries)
    }

    /// Parked messages, in a row for each batch that they were taken from.
    fn parked_rows(&self) -> Vec<OutboxRow> {
        let mut rows: HashMap<i64, OutboxRow> = HashMap::new();
        for turn in &self.parked {
            let row = rows
                .entry(turn.batch.row.outbox_id)
                .or_insert_with(|| OutboxRow { users: Vec::new(), ..self.row_of(turn, self.now, true) });
            row.users.push(turn.user.clone());
        }
        rows.into_values().collect()
    }

    fn row_of(&self, turn: &Turn, until: Timestamp, is_held: bool) -> OutboxRow {
        OutboxRow {
            outbox_id: 0,
            batch: turn.batch.row.batch,
            due_at: until.max(Timestamp(self.now.0 + 1)),
            users: vec![turn.user.clone()],
            message: turn.batch.row.message.clone(),
            broadcast: turn.batch.row.broadcast,
            is_to_many: turn.batch.row.is_to_many,
            is_held,
        }
    }

    /// Nothing lies between the cursor and now: what has just been stored is handed on without being read.
    fn hand_on(
        &self,
        submissions: &[&Submission],
        rows: Vec<OutboxRow>,
        later: &[OutboxRow],
        found: &mut Found,
    ) {
        let (now, waits): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.due_at <= self.now);
        let audiences = submissions.iter().copied().filter(|s| is_stored_only(s));
        let due = waits.iter().chain(later).map(|row| row.due_at).chain(audiences.map(|s| s.due_at));
        found.next_due = found.next_due.into_iter().chain(due).min();
        found.cursor = (self.now, i64::MAX);
        found.take(now);
    }

    /// So much is due that not all of it is read yet: what is transactional does not wait for it.
    fn hand_on_early(&self, rows: Vec<OutboxRow>, found: &mut Found) {
        for row in rows.into_iter().filter(|row| row.due_at <= self.now) {
            let id = row.outbox_id;
            if let Some(batch) = Batch::new(row)
                && batch.content.message.priority == Priority::Transactional
            {
                found.early.push(id);
                found.batches.push(batch);
            }
        }
    }

    fn read(
        &self,
        connection: &mut Connection,
        fields: &Fields,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        if self.may_read {
            broadcasts::release(connection, fields, self.now, &self.zone)?;
            calls::release_at_rate(connection, fields, self.now)?;
            let rows = outbox::due(connection, fields, self.cursor, self.now, READ)?;
            let users: usize = rows.iter().map(|row| row.users.len()).sum();
            let may_go_on = rows.len() as i64 == READ || users >= outbox::MAX_READ;
            found.cursor = match rows.last() {
                Some(last) if may_go_on => (last.due_at, last.outbox_id),
                _ => (self.now, i64::MAX),
            };
            let is_early =
                |row: &OutboxRow| self.early.contains(&row.outbox_id) || found.early.contains(&row.outbox_id);
            let (passed, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_early);
            found.passed = passed.iter().map(|row| row.outbox_id).collect();
            found.take(rows);
            // From before a restart, perhaps: some may have their place already.
            let ids: Vec<NotificationId> = found.batches.iter().flat_map(Batch::ids).collect();
            found.placed.extend(outbox::placed(connection, &ids)?);
        }
        let next = [
            outbox::next_due(connection, found.cursor)?,
            broadcasts::next_due(connection)?,
            calls::next_release(connection)?,
        ];
        found.next_due = next.into_iter().flatten().min();
        Ok(())
    }
}

/// Returns whether a submission is stored without being handed on from memory.
fn is_stored_only(submission: &Submission) -> bool {
    !matches!(submission.audience, Audience::Users(_))
        || submission.pace.is_some()
        || submission.local.is_some()
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
