//! Messages of the journal.

use actix::Message;
use tokio::sync::oneshot;
use uuid::Uuid;

use tidings_decision::decide;
use tidings_decision::decide::record::{DecisionRow, NewNotification};
use tidings_store::lists::AnsweredList;

/// Record to be committed. Sent by user actors and request handlers.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Record {
    /// A decision that somebody waits for and, when it says send, the message. The reply comes after the commit; `false` =
    /// not stored.
    Decision {
        /// The decision.
        decision: Box<DecisionRow>,
        /// The message.
        notification: Option<Box<NewNotification>>,
        /// Deferred triggers that end with it.
        releases: Vec<Uuid>,
        /// Receiver of the answer.
        reply: oneshot::Sender<bool>,
    },
    /// A message of the shop. The reply comes after the commit; `false` = not known to be stored.
    Message {
        /// The message.
        notification: Box<NewNotification>,
        /// Receiver of the answer.
        reply: oneshot::Sender<bool>,
    },
    /// A list of a placement that was answered; nobody waits for it.
    List(Box<AnsweredList>),
    /// Everything else that nobody waits for.
    Other(decide::Record),
    /// From the shutdown: answered when everything before it is committed.
    Flush(oneshot::Sender<bool>),
}

impl Record {
    /// Returns whether somebody waits for it, or for what it causes.
    pub fn is_awaited(&self) -> bool {
        use decide::Record as Other;
        match self {
            Self::Decision { .. } | Self::Message { .. } | Self::Flush(_) => true,
            Self::List(_) => false,
            Self::Other(record) => matches!(
                record,
                Other::Feedback(_)
                    | Other::Preferences(..)
                    | Other::Defer(_)
                    | Other::HandOver(_)
                    | Other::Returned(_)
            ),
        }
    }

    /// Answers that it is not stored, where somebody waits for that.
    pub fn refuse(self) {
        if let Self::Decision { reply, .. } | Self::Message { reply, .. } = self {
            let _ = reply.send(false);
        }
    }
}
