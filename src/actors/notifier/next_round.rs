//! Work that the next round takes from the notifier, and gives back when it failed.

use std::sync::Arc;
use std::time::Instant;

use super::ledger::Turn;
use super::messages::SubmitError;
use super::round::{Request, Round};
use super::{MAX_OUT, NotifierActor, PAUSE};
use crate::base::Timestamp;
use crate::store::outbox::Submission;

impl NotifierActor {
    /// Everything there is to do in one round trip; `None` when there is nothing.
    pub(super) fn next_round(&mut self, now: Timestamp) -> Option<Round> {
        let mut round = Round {
            now,
            zone: self.state.rules().time_zone.clone(),
            tombstones: Arc::clone(&self.state.tombstones),
            cursor: self.cursor,
            next_due: self.next_due,
            may_read: self.lanes.len() < MAX_OUT,
            finished: Vec::new(),
            deferred: Vec::new(),
            parked: Vec::new(),
            switches: std::mem::take(&mut self.switches),
            returned: Vec::new(),
            late: Vec::new(),
            requests: Vec::new(),
            early: self.early.clone(),
            recalled: std::mem::take(&mut self.recalled),
            is_first: self.is_first,
        };
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
        round.parked = std::mem::take(&mut self.parked).into_iter().filter(stays).collect();
        if self.retry_at.is_none_or(|at| at <= Instant::now()) {
            round.returned = ledger.take_returned().into_iter().filter(stays).collect();
            self.retry_at = (!round.returned.is_empty()).then(|| Instant::now() + PAUSE);
        }
        round.finished = ledger.take_finished();
        round.late = ledger.take_late();
        while let Some(submit) = self.waiting.pop_front() {
            self.n_waiting -= submit.size();
            // At once means now: never before the cursor.
            let submissions = submit
                .submissions
                .into_iter()
                .map(|submission| Submission { due_at: submission.due_at.max(now), ..submission });
            round.requests.push(Request {
                submissions: submissions.collect(),
                keyed: submit.keyed,
                entry: submit.entry,
                reply: submit.reply,
            });
        }
        (!round.is_empty()).then_some(round)
    }

    /// A round failed: what it took is there again.
    pub(super) fn give_back(&mut self, round: Round) {
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
            let _ = request.reply.send(Err(SubmitError::Unavailable));
        }
        self.ledger.returned_again(round.returned);
    }
}
