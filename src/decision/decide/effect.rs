//! Everything a transition asks the shell to do, in order.

use uuid::Uuid;

use super::record::{DecisionRow, NewNotification, Record};
use crate::deliver::{CloseCode, Frame};
use crate::feedback::learner::Lesson;
use tidings_core::base::{ConnectionId, ItemId, NotificationId, Timestamp};
use tidings_core::recommend::Recommendation;
use tidings_core::response::{Probabilities, Response};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Stores a record; nobody waits for it.
    Record(Record),
    /// Stores a message. The answer comes back as `Input::Stored` or `Input::NotStored` with the message's offset.
    Store(Outgoing),
    /// Writes a frame to a connection.
    Send(ConnectionId, Frame),
    /// Writes the answer to a frame of a connection: to the connection, or into the response of the request that brought it.
    Answer(ConnectionId, Frame),
    /// Writes a frame that the connection missed; frames of one replay come all at once and are no sign of a slow client.
    Replay(ConnectionId, Frame),
    /// Writes the answer to a login.
    Welcome(ConnectionId, Frame),
    /// Closes a connection.
    Close(ConnectionId, CloseCode),
    /// Asks for `Input::Due` at this moment; replaces the timer before it. `None` cancels it.
    SetTimer(Option<Timestamp>),
    /// The API's message is durable.
    Settle(NotificationId),
    /// Stores the decision to drop the API's message, then settles it; unless it is stored, the message is offered again.
    SettleWith(NotificationId, Box<DecisionRow>),
    /// The API's message is offered again then.
    Postpone(NotificationId, Timestamp),
    /// The API's message could not be placed; it is offered again.
    Return(NotificationId),
    /// Passes a lesson to the learner of all users.
    Learn(Box<Lesson>),
    /// Passes a prediction, or a response, to the model's drift.
    Drift(DriftNote),
    /// Reads the user again from the store: the last offset of the stream is not known.
    Reload,
    /// Counts.
    Count(Counter),
}

/// A message with its place in the stream, to be stored and then sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Position in the stream.
    pub offset: i64,
    /// The decision; `None` for a message of the API that is sent or kept as any other, which is known by its message.
    pub decision: Option<Box<DecisionRow>>,
    /// The message.
    pub notification: Box<NewNotification>,
    /// Deferred triggers that the message tells: removed in the transaction that stores it.
    pub releases: Vec<Uuid>,
}

/// Observation by which the model's drift is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum DriftNote {
    /// A message was sent with this prediction.
    Sent {
        /// The message.
        id: NotificationId,
        /// Moment of the decision.
        at: Timestamp,
        /// Name of the trigger.
        trigger: Box<str>,
        /// The model's prediction, uncorrected.
        predicted: Probabilities,
    },
    /// A message was answered.
    Response(NotificationId, Response),
}

/// Counts and observations for operators.
#[derive(Clone, Debug, PartialEq)]
pub enum Counter {
    /// A message was sent, or put into the inbox.
    Sent,
    /// A candidate was deferred or collected.
    Deferred,
    /// A candidate was dropped.
    Dropped,
    /// A stored message entered the stream and went to every open connection.
    Delivered(i64),
    /// A list was made for a message.
    Ranked {
        /// The item beside which it was asked for.
        seed: Option<ItemId>,
        /// The list, best first.
        list: Vec<Recommendation>,
    },
    /// A template could not be rendered; its message named the item instead.
    TemplateFailed {
        /// The template.
        template: Box<str>,
        /// Place and cause of the error.
        error: Box<str>,
    },
    /// The user was flagged as a robot.
    Robot,
    /// A message was not confirmed by the store; the stream is read again.
    NotConfirmed,
}
