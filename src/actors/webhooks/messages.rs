//! Messages of the actor that delivers webhooks.

use actix::Message;

/// From request handlers that put something into the outbox: look now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LookNow;
