//! Work that the next round takes from the notifier, and gives back when it failed.

use std::sync::Arc;
use std::time::Instant;

use super::ledger::{Ledger, Turn};
use super::messages::{Submit, SubmitError};
use super::round::{Request, Round};
use super::{MAX_OUT, NotifierActor, PAUSE};
use tidings_core::base::Timestamp;
use tidings_store::StoreError;
use tidings_store::outbox::Submission;

impl NotifierActor {
    /// Work of one round trip; `None` when there is none.
    pub(super) fn next_round(&mut self, now: Timestamp) -> Option<Round> {
        if self.alone.is_turn()
            && let Some(round) = self.round_of_one(now)
        {
            return Some(round);
        }
        self.round_of_all(now).or_else(|| self.round_of_one(now))
    }

    /// A round without any work.
    pub(super) fn empty_round(&self, now: Timestamp) -> Round {
        Round {
            now,
            zone: self.state.rules().time_zone.clone(),
            tombstones: Arc::clone(&self.state.tombstones),
            cursor: self.cursor,
            next_due: self.next_due,
            may_read: self.lanes.len() < MAX_OUT,
            finished: Vec::new(),
            deferred: Vec::new(),
            parked: Vec::new(),
            switches: Vec::new(),
            returned: Vec::new(),
            late: Vec::new(),
            requests: Vec::new(),
            early: self.early.clone(),
            recalled: Vec::new(),
            is_first: self.is_first,
        }
    }

    /// All that waits, but for what is done alone.
    fn round_of_all(&mut self, now: Timestamp) -> Option<Round> {
        self.alone.note_all();
        let mut round = self.empty_round(now);
        round.switches = std::mem::take(&mut self.switches);
        round.recalled = std::mem::take(&mut self.recalled);
        // What was taken back meanwhile neither waits nor is tried again; whether it was stored is looked up.
        let ledger = &self.ledger;
        let stays = |turn: &Turn| {
            !ledger.is_recalled(turn) || {
                ledger.settle(turn);
                false
            }
        };
        let held = |(turn, until): (Turn, Timestamp)| {
            let is_held = ledger.is_paused(&turn);
            (turn, until, is_held)
        };
        round.deferred =
            ledger.take_deferred().into_iter().filter(|(turn, _)| stays(turn)).map(held).collect();
        round.parked = take_parked(&mut self.parked, ledger);
        if self.retry_at.is_none_or(|at| at <= Instant::now()) {
            round.returned = ledger.take_returned().into_iter().filter(stays).collect();
            self.retry_at = (!round.returned.is_empty()).then(|| Instant::now() + PAUSE);
        }
        round.finished = ledger.take_finished();
        round.late = ledger.take_late();
        while let Some(submit) = self.waiting.pop_front() {
            self.n_waiting -= submit.size();
            round.requests.push(Request::of(submit, now));
        }
        (!round.is_empty()).then_some(round)
    }

    /// A round failed: what it took is there again. Requests of one that failed for a value are tried alone, so that each answers for its own.
    pub(super) fn give_back(&mut self, round: Round, error: &StoreError) {
        self.ledger.finished_again(round.finished);
        let deferred = round.deferred.into_iter().map(|(turn, until, _)| (turn, until));
        self.ledger.deferred_again(deferred.filter(|(turn, _)| !turn.refuse()).collect());
        for switch in round.switches {
            // Perhaps stored, perhaps not: what is in memory goes on, and what is held in the outbox stays there.
            self.ledger.resume(&switch.broadcasts);
            let _ = switch.reply.send(Err(SubmitError::Unavailable));
        }
        for turn in round.parked {
            self.wait(turn);
        }
        self.ledger.late_again(round.late);
        self.recalled.extend(round.recalled);
        for request in round.requests {
            match error.is_bad_value() {
                true => self.alone.single_out(request.into()),
                false => drop(request.reply.send(Err(SubmitError::Unavailable))),
            }
        }
        self.ledger.returned_again(round.returned);
    }
}

/// Parked messages that were not taken back.
pub(super) fn take_parked(parked: &mut Vec<Turn>, ledger: &Ledger) -> Vec<Turn> {
    let (recalled, stay): (Vec<_>, Vec<_>) =
        std::mem::take(parked).into_iter().partition(|turn| ledger.is_recalled(turn));
    recalled.iter().for_each(|turn| ledger.settle(turn));
    stay
}

impl Request {
    pub(super) fn of(submit: Submit, now: Timestamp) -> Self {
        // At once means now: never before the cursor.
        let at_once =
            |submission: Submission| Submission { due_at: submission.due_at.max(now), ..submission };
        let submissions = submit.submissions.into_iter().map(at_once).collect();
        Self { submissions, keyed: submit.keyed, entry: submit.entry, reply: submit.reply }
    }
}
