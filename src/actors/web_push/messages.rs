//! Messages of the actor that sends Web Push.

use actix::Message;

/// From the journal, which put something into the push outbox: look now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wake;
