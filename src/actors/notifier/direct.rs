//! Messages that skip the outbox: each to one user, now, without a key. The message's own place in the stream makes it
//! durable, so the request is answered when all of them have theirs; one commit instead of two. What can't be placed at once
//! (quiet hours, a full mailbox, an actor that ended) goes through the outbox like any other, and then counts as accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::ledger::Batch;
use super::{Submit, SubmitError};
use crate::base::Timestamp;
use crate::notify::message::Audience;
use crate::store::outbox::{Accepted, OutboxRow, Submission};

type Reply = oneshot::Sender<Result<Vec<Accepted>, SubmitError>>;

/// A request whose messages skip the outbox.
pub struct Direct {
    /// Messages that are not durable yet.
    remaining: AtomicUsize,
    n_messages: usize,
    reply: Mutex<Option<Reply>>,
}

impl Direct {
    /// A message is durable, or is not to be; the last one answers the request.
    pub fn settle(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.answer(Ok(vec![Accepted { accepted: 1, duplicates: 0 }; self.n_messages]));
        }
    }

    /// A message could not be stored: the request is refused.
    pub fn fail(&self) {
        self.answer(Err(SubmitError::Unavailable));
    }

    fn answer(&self, answer: Result<Vec<Accepted>, SubmitError>) {
        if let Some(reply) = self.reply.lock().take() {
            // The client may have gone.
            let _ = reply.send(answer);
        }
    }
}

/// May these messages skip the outbox?
pub fn may_skip(submit: &Submit, now: Timestamp) -> bool {
    let may = |s: &Submission| {
        let one = matches!(&s.audience, Audience::Users(users) if users.len() == 1);
        one && s.due_at <= now && s.receipt.is_none() && s.user_receipts.is_empty()
    };
    submit.submissions.iter().all(may)
}

/// The messages of a request; one that can't be read is left out, and the request refused.
pub fn batches(submit: Submit) -> Vec<Batch> {
    let n_messages = submit.submissions.len();
    let request = Arc::new(Direct {
        remaining: AtomicUsize::new(n_messages),
        n_messages,
        reply: Mutex::new(Some(submit.reply)),
    });
    let batch = |submission: Submission| {
        let Audience::Users(users) = submission.audience else { return None };
        let row = OutboxRow {
            outbox_id: 0,
            batch: submission.batch,
            due_at: submission.due_at,
            users,
            message: submission.message,
        };
        Batch::direct(row, Arc::clone(&request))
    };
    let batches: Vec<Batch> = submit.submissions.into_iter().filter_map(batch).collect();
    if batches.len() < n_messages {
        request.fail();
    }
    batches
}
