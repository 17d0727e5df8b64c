//! A message that has its place in the stream, before and while it is being stored.

use uuid::Uuid;

use super::record::{DecisionRow, Fired, NewNotification};
use crate::deliver::{self, Entry, Frame};
use tidings_core::base::{ConnectionId, NotificationId, Timestamp};

/// The stored answer to a login.
#[derive(Clone, Debug)]
pub(super) struct LoginAnswer {
    pub at: Timestamp,
    pub id: NotificationId,
    pub expires_at: Timestamp,
    pub frame: Frame,
}

/// A message that is being stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InFlight {
    pub entry: Entry,
    /// Changes of the inbox meanwhile that are stored already.
    pub changes: Vec<deliver::Input>,
    /// The store's answer; answers come in any order and are taken in that of the stream.
    pub stored: Option<bool>,
    /// Minimal clients that get their welcome right after the message.
    pub welcome_after: Vec<ConnectionId>,
    /// A message of the API, to be settled.
    pub is_of_api: bool,
    /// Its trigger fires once, and has when the message is stored.
    pub fired: Option<Fired>,
}

/// A message that has its place in the stream.
pub(super) struct Placed {
    pub decision: Option<Box<DecisionRow>>,
    pub notification: Box<NewNotification>,
    /// A message of the API, to be settled.
    pub is_of_api: bool,
    pub welcome_after: Option<ConnectionId>,
    /// Deferred triggers that it tells.
    pub releases: Vec<Uuid>,
    /// Its trigger fires once.
    pub fired: Option<Fired>,
}

/// The entry of a message in the stream.
pub(super) fn entry(message: &NewNotification) -> Entry {
    let class = Entry::class_of(&message.trigger, &message.kind);
    Entry {
        priority: message.priority,
        collapse_key: message.collapse_key.clone(),
        ..Entry::new(
            message.offset,
            message.notification_id,
            message.expires_at,
            Frame::clone(&message.frame),
            class,
        )
    }
}
