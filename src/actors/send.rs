//! The only way to send without waiting. `do_send` ignores a mailbox's bound and is silent after close; `try_send`
//! on a fresh clone per message never reports `Full` (actix#329), so callers keep one address per peer.

use actix::dev::{MessageResponse, SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};

/// What became of a message.
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
    /// Was it taken?
    pub fn is_queued(&self) -> bool {
        matches!(self, Self::Queued)
    }
}

/// Offers a message to a kept address.
pub fn offer<A, M>(address: &Addr<A>, message: M) -> Offer<M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: MessageResponse<A, M> + Send,
{
    match address.try_send(message) {
        Ok(()) => Offer::Queued,
        Err(SendError::Full(message)) => Offer::Full(message),
        Err(SendError::Closed(message)) => Offer::Closed(message),
    }
}
