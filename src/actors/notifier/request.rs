//! A request whose messages skip the outbox, and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::messages::{Reply, SubmitError, Submitted};
use tidings_store::outbox::Accepted;

/// A request whose messages skip the outbox.
pub struct Direct {
    /// Messages that are not durable yet.
    remaining: AtomicUsize,
    n_messages: usize,
    reply: Mutex<Option<Reply>>,
}

impl Direct {
    /// A request of so many messages.
    pub fn new(n_messages: usize, reply: Reply) -> Arc<Self> {
        Arc::new(Self { remaining: AtomicUsize::new(n_messages), n_messages, reply: Mutex::new(Some(reply)) })
    }

    /// A message is durable, or is not to be; the last one answers the request.
    pub fn settle(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            let accepted = vec![Accepted { accepted: 1, duplicates: 0 }; self.n_messages];
            self.answer(Ok(Submitted::Accepted(accepted)));
        }
    }

    /// A message could not be stored: the request is refused.
    pub fn fail(&self) {
        self.answer(Err(SubmitError::Unavailable));
    }

    fn answer(&self, answer: Result<Submitted, SubmitError>) {
        if let Some(reply) = self.reply.lock().take() {
            // The client may have gone.
            let _ = reply.send(answer);
        }
    }
}
