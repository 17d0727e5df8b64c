//! Messages of the notifier.

use std::sync::Arc;

use actix::Message;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::mailbox::Mailbox;
use crate::send::Offer;
use tidings_core::base::Timestamp;
use tidings_decision::notify::message::Audience;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_store::idempotency;
use tidings_store::outbox::{Accepted, Submission};

/// Receiver of the answer to a [`Submit`].
pub type Reply = oneshot::Sender<Result<Submitted, SubmitError>>;

/// Makes the body of an answer from one outcome a submission.
pub type Compose = dyn Fn(&[Accepted]) -> String + Send + Sync;

/// Everything that the notifier is told, all of it by request handlers.
#[derive(Message)]
#[rtype(result = "()")]
pub enum NotifierMessage {
    /// Messages of the shop. Answered after the commit.
    Submit(Submit),
    /// Broadcasts were taken back. Answered when nothing more of these batches is handed out.
    Recall {
        /// Of their rows in the outbox.
        batches: Vec<Uuid>,
        /// Receiver of the answer.
        reply: oneshot::Sender<()>,
    },
    /// Broadcasts are to be paused or resumed. Answered after the commit.
    Switch(Switch),
    /// Something in the outbox or among the broadcasts is due then.
    DueAt(Timestamp),
}

/// Broadcasts that are to be paused or resumed.
pub struct Switch {
    /// Their ids.
    pub broadcasts: Vec<Uuid>,
    /// To go on, or to stand still.
    pub to: Going,
    /// Entry of the audit log, stored in the same transaction.
    pub entry: Option<AuditEntry>,
    /// Receiver of the answer.
    pub reply: oneshot::Sender<Result<(), SubmitError>>,
}

/// Progress of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// Nothing more of it is decided.
    Paused,
    /// As before the pause.
    On,
}

/// A request.
pub struct Submit {
    /// In order.
    pub submissions: Vec<Submission>,
    /// Under a key it is accepted once.
    pub keyed: Option<Keyed>,
    /// Entry of the audit log, stored in the transaction that accepts it.
    pub entry: Option<AuditEntry>,
    /// Receiver of the answer.
    pub reply: Reply,
}

/// The key of a request, and how the answer is made that is stored with it.
#[derive(Clone)]
pub struct Keyed {
    /// Key and fingerprint.
    pub request: idempotency::Request,
    /// The JSON body of the answer.
    pub compose: Arc<Compose>,
}

/// Outcome of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// Accepted now: one outcome a submission.
    Accepted(Vec<Accepted>),
    /// The key came before, perhaps with another request; nothing was accepted.
    Before(idempotency::Stored),
}

/// Reason why nothing was accepted.
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
            Audience::Segment(_) | Audience::Topic(_) | Audience::Meeting(_) | Audience::Everyone => 1,
        };
        self.submissions.iter().map(users).sum()
    }
}

impl Mailbox<NotifierMessage> {
    /// Accepts messages of the shop, under a key once; comes back when they are durable, and their entry with them.
    pub async fn submit(
        &self,
        submissions: Vec<Submission>,
        keyed: Option<Keyed>,
        entry: Option<AuditEntry>,
    ) -> Result<Submitted, SubmitError> {
        let (reply, answer) = oneshot::channel();
        match self.offer(NotifierMessage::Submit(Submit { submissions, keyed, entry, reply })) {
            Offer::Queued => answer.await.unwrap_or(Err(SubmitError::Unavailable)),
            Offer::Full(_) => Err(SubmitError::Overloaded),
            Offer::Closed(_) => Err(SubmitError::Unavailable),
        }
    }

    /// Pauses or resumes broadcasts; comes back when that is stored, and no more of what is paused is handed out.
    pub async fn switch(
        &self,
        broadcasts: Vec<Uuid>,
        to: Going,
        entry: Option<AuditEntry>,
    ) -> Result<(), SubmitError> {
        let (reply, answer) = oneshot::channel();
        match self.offer(NotifierMessage::Switch(Switch { broadcasts, to, entry, reply })) {
            Offer::Queued => answer.await.unwrap_or(Err(SubmitError::Unavailable)),
            Offer::Full(_) => Err(SubmitError::Overloaded),
            Offer::Closed(_) => Err(SubmitError::Unavailable),
        }
    }

    /// Lets go of batches that were taken back; false when the notifier did not answer.
    pub async fn recall(&self, batches: Vec<Uuid>) -> bool {
        let (reply, answer) = oneshot::channel();
        self.offer(NotifierMessage::Recall { batches, reply }).is_queued() && answer.await.is_ok()
    }

    /// Something in the outbox or among the broadcasts is due then. A full mailbox looks again within a minute.
    pub fn note_due(&self, due: Timestamp) {
        let _ = self.offer(NotifierMessage::DueAt(due));
    }
}
