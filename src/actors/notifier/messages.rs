//! Messages of the notifier.

use actix::Message;
use tokio::sync::oneshot;

use crate::actors::mailbox::Mailbox;
use crate::actors::send::Offer;
use crate::notify::message::Audience;
use crate::store::outbox::{Accepted, Submission};

/// Where the answer to a [`Submit`] goes.
pub type Reply = oneshot::Sender<Result<Vec<Accepted>, SubmitError>>;

/// From a request handler. Answered after the commit.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// In order.
    pub submissions: Vec<Submission>,
    /// One outcome a submission.
    pub reply: Reply,
}

/// Why nothing was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too much waits.
    #[error("too many messages are waiting, try again in a moment")]
    Overloaded,
    /// The database did not answer; nothing is known to be accepted. Safe to repeat with the same keys.
    #[error("the messages could not be stored, try again in a moment")]
    Unavailable,
}

impl Submit {
    /// Users named, an audience counting as one.
    pub fn size(&self) -> usize {
        let users = |submission: &Submission| match &submission.audience {
            Audience::Users(users) => users.len(),
            Audience::Segment(_) | Audience::Everyone => 1,
        };
        self.submissions.iter().map(users).sum()
    }
}

impl Mailbox<Submit> {
    /// Accepts messages of the shop; comes back when they are durable.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Accepted>, SubmitError> {
        let (reply, answer) = oneshot::channel();
        match self.offer(Submit { submissions, reply }) {
            Offer::Queued => answer.await.unwrap_or(Err(SubmitError::Unavailable)),
            Offer::Full(_) => Err(SubmitError::Overloaded),
            Offer::Closed(_) => Err(SubmitError::Unavailable),
        }
    }
}
