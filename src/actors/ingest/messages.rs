//! Messages of the ingest actor.

use std::time::Instant;

use actix::Message;
use tokio::sync::oneshot;

use crate::mailbox::Mailbox;
use tidings_core::event::NewEvent;
use tidings_state::AppState;
use tidings_store::events::Appended;
use tidings_telemetry::Count;

/// Source of the events, and so who learns of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request: the users' actors, if connected, are told.
    Http,
    /// A user's own actor, which folds the events in itself when it gets the reply.
    UserActor,
}

/// Sent by request handlers and user actors. The reply comes after the commit, one entry per event, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ingest {
    /// Validated.
    pub events: Vec<NewEvent>,
    /// Moment when the first byte of the request was read.
    pub at: Instant,
    /// Source, which determines who is told.
    pub origin: Origin,
    /// Receiver of the answer.
    pub reply: oneshot::Sender<Result<Vec<Appended>, IngestError>>,
}

/// Reason why events were not taken. Sending them again is safe with an `event_id` each; without, a connection that was lost at
/// the very moment of both commits may have stored them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Too much waits already.
    #[error("too many events are waiting to be committed, try again in a moment")]
    Overloaded,
    /// The database did not take it.
    #[error("the database is not available, try again in a moment")]
    Unavailable,
}

impl Mailbox<Ingest> {
    /// Hands events over and waits for the commit. What a tab left open over night reports as dwell is cut before it is
    /// stored, so that live and stored profiles see the same.
    pub async fn ingest(
        &self,
        mut events: Vec<NewEvent>,
        at: Instant,
        origin: Origin,
        state: &AppState,
    ) -> Result<Vec<Appended>, IngestError> {
        let cut = events.iter_mut().filter_map(|event| state.caps.winsorise(event).then_some(())).count();
        state.metrics.add(Count::Winsorised, cut as u64);
        let (reply, answer) = oneshot::channel();
        if !self.offer(Ingest { events, at, origin, reply }).is_queued() {
            state.metrics.add(Count::MailboxFull, 1);
            return Err(IngestError::Overloaded);
        }
        // The actor ended before it answered: it is started anew, and the client may try again.
        answer.await.unwrap_or(Err(IngestError::Unavailable))
    }
}
