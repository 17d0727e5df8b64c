//! A round whose entries of the audit log could not be stored is taken apart: it is done again without the work that they are of, which
//! is done alone.

use std::time::Instant;

use super::alone::Work;
use super::messages::Submit;
use super::next_round::take_parked;
use super::round::{Request, Round, Unlogged};
use super::{NotifierActor, PAUSE};
use tidings_core::base::Timestamp;

impl From<Request> for Submit {
    fn from(Request { submissions, keyed, entry, reply }: Request) -> Self {
        Self { submissions, keyed, entry, reply }
    }
}

impl NotifierActor {
    /// A round of the next work that is done alone.
    pub(super) fn round_of_one(&mut self, now: Timestamp) -> Option<Round> {
        let work = self.alone.take_next()?;
        let mut round = self.empty_round(now);
        match work {
            Work::Submit(submit) => round.requests.push(Request::of(submit, now)),
            Work::Switch(switch) => {
                self.hold_or_let_go(&switch);
                round.switches.push(switch);
                round.parked = take_parked(&mut self.parked, &self.ledger);
            }
        }
        Some(round)
    }

    /// Entries of a round could not be stored: the rest of it is done again, and what they are of is tried alone.
    pub(super) fn take_apart(&mut self, round: Round, error: &Unlogged) {
        self.alone.note_failed(Instant::now() + PAUSE);
        self.ledger.finished_again(round.finished);
        self.ledger
            .deferred_again(round.deferred.into_iter().map(|(turn, until, _)| (turn, until)).collect());
        // Nothing is held in the outbox for a broadcast that is not paused there.
        round.switches.iter().for_each(|switch| self.ledger.resume(&switch.broadcasts));
        round.parked.into_iter().for_each(|turn| self.wait(turn));
        for switch in round.switches {
            match switch.entry.is_some() {
                true => self.alone.again(Work::Switch(switch), error),
                false => self.switch(switch),
            }
        }
        self.ledger.late_again(round.late);
        self.recalled.extend(round.recalled);
        let (kept, others): (Vec<_>, Vec<_>) =
            round.requests.into_iter().map(Submit::from).partition(|submit| submit.entry.is_some());
        kept.into_iter().for_each(|submit| self.alone.again(Work::Submit(submit), error));
        for submit in others.into_iter().rev() {
            self.n_waiting += submit.size();
            self.waiting.push_front(submit);
        }
        self.ledger.returned_again(round.returned);
        // At once: what came back was not looked at.
        self.retry_at = None;
    }
}
