//! The only way to send without waiting. `do_send` ignores a mailbox's bound and is silent after close; `try_send`
//! on a fresh clone per message never reports `Full` (actix#329), so callers keep one recipient per peer.

use actix::dev::SendError;
use actix::{Message, Recipient};

/// The fate of an offered message.
#[derive(Debug)]
pub enum Offer<M> {
    /// In the mailbox.
    Queued,
    /// The mailbox is full: the message is back.
    Full(M),
    /// The actor is gone: the message is back.
    Closed(M),
}

impl<M> Offer<M> {
    /// Returns whether the message is in the mailbox.
    pub fn is_queued(&self) -> bool {
        matches!(self, Self::Queued)
    }
}

/// Offers a message to a kept recipient.
pub fn offer<M>(recipient: &Recipient<M>, message: M) -> Offer<M>
where
    M: Message<Result = ()> + Send,
{
    match recipient.try_send(message) {
        Ok(()) => Offer::Queued,
        Err(SendError::Full(message)) => Offer::Full(message),
        Err(SendError::Closed(message)) => Offer::Closed(message),
    }
}
