//! Work whose entry of the audit log could not be stored, and requests of a round that failed for a value: each is tried alone, so that
//! it fails nothing else.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::messages::{Submit, SubmitError, Switch};
use super::round::{Round, Unlogged};
use tidings_decision::privacy::audit::AuditEntry;

/// Times that one is tried alone.
const TRIES: u8 = 3;
/// Most that wait for it.
const MAX_WAITING: usize = 4_096;

/// Work with an entry of the audit log.
pub(super) enum Work {
    Submit(Submit),
    Switch(Switch),
}

impl Work {
    fn entry(&self) -> Option<&AuditEntry> {
        match self {
            Self::Submit(submit) => submit.entry.as_ref(),
            Self::Switch(switch) => switch.entry.as_ref(),
        }
    }

    fn refuse(self, reason: SubmitError) {
        // Whoever asked may have gone.
        match self {
            Self::Submit(submit) => drop(submit.reply.send(Err(reason))),
            Self::Switch(switch) => drop(switch.reply.send(Err(reason))),
        }
    }
}

/// Work that is done alone, and how often each was tried so.
#[derive(Default)]
pub(super) struct Alone {
    waiting: VecDeque<(Work, u8)>,
    /// Tries of the one in the round that runs; 0 in a round of all.
    tries: u8,
    /// Not before this.
    at: Option<Instant>,
    /// The last entries could not be stored.
    is_failing: bool,
}

impl Alone {
    /// Returns whether the next round is of one; rounds of all are in between.
    pub fn is_turn(&self) -> bool {
        self.tries == 0 && self.is_due()
    }

    fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.at.is_none_or(|at| at <= Instant::now())
    }

    /// Time until the next one is tried.
    pub fn due_in(&self) -> Option<Duration> {
        let wait = self.at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        Some(wait).filter(|_| !self.waiting.is_empty())
    }

    /// Takes work with an entry while entries can't be stored; gives back all other.
    pub fn take(&mut self, work: Work) -> Option<Work> {
        if !self.is_failing || work.entry().is_none() {
            return Some(work);
        }
        match self.waiting.len() < MAX_WAITING {
            true => self.waiting.push_back((work, 0)),
            false => work.refuse(SubmitError::Overloaded),
        }
        None
    }

    /// A round of all work that waits is about to run.
    pub fn note_all(&mut self) {
        self.tries = 0;
    }

    /// A round was stored.
    pub fn note_stored(&mut self, round: &Round) {
        self.is_failing &= !round.has_entries();
    }

    /// The next one, if it is its time.
    pub fn take_next(&mut self) -> Option<Work> {
        if !self.is_due() {
            return None;
        }
        let (work, tries) = self.waiting.pop_front()?;
        self.tries = tries + 1;
        Some(work)
    }

    /// Entries could not be stored: what is of them is tried then.
    pub fn note_failed(&mut self, again_at: Instant) {
        (self.is_failing, self.at) = (true, Some(again_at));
    }

    /// A value in the round of this request can't be stored: it is tried alone, and refused if it was.
    pub fn single_out(&mut self, submit: Submit) {
        let work = Work::Submit(submit);
        match (self.tries, self.waiting.len() < MAX_WAITING) {
            (0, true) => self.waiting.push_back((work, 0)),
            (0, false) => work.refuse(SubmitError::Overloaded),
            _ => work.refuse(SubmitError::Unavailable),
        }
    }

    /// The entry of this work could not be stored.
    pub fn again(&mut self, work: Work, error: &Unlogged) {
        let (tries, Unlogged(error)) = (self.tries, error);
        let action = work.entry().map_or("", |entry| entry.action.as_str());
        log::error!("audit log not written action=\"{action}\" tries={tries} error={error}");
        match tries < TRIES {
            true => self.waiting.push_back((work, tries)),
            false => work.refuse(SubmitError::Unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[test]
    fn requests_of_a_round_with_a_bad_value_are_tried_alone_once() {
        let mut alone = Alone::default();
        let mut answers = Vec::new();
        for _ in 0..2 {
            let (reply, answer) = oneshot::channel();
            alone.single_out(Submit { submissions: Vec::new(), keyed: None, entry: None, reply });
            answers.push(answer);
        }
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "nobody is refused yet");
        // The first alone has the bad value.
        let Some(Work::Submit(bad)) = alone.take_next() else { panic!("nothing is tried alone") };
        alone.single_out(bad);
        assert_eq!(answers[0].try_recv().unwrap(), Err(SubmitError::Unavailable));
        alone.note_all();
        let Some(Work::Submit(good)) = alone.take_next() else { panic!("the other one is gone") };
        assert!(answers[1].try_recv().is_err() && alone.take_next().is_none());
        drop(good);
    }
}
