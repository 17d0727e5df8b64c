//! Messages whose snooze is over, and the decisions about them, as records.

use crate::notify::Priority;
use tidings_core::base::{NotificationId, Timestamp, UserId};

/// A message whose snooze is over, as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnoozeEnded {
    /// The message.
    pub id: NotificationId,
    /// `recommendation`, `announcement`, …
    pub kind: String,
    /// Category for frequency caps and mutes.
    pub category: String,
    /// Name of the trigger.
    pub trigger: String,
    /// Urgency of the message.
    pub priority: Priority,
    /// Not shown after this.
    pub expires_at: Timestamp,
}

/// Decision about a message that came back; it is asked for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The message.
    pub id: NotificationId,
    /// The user.
    pub user: UserId,
    /// Moment of the decision.
    pub at: Timestamp,
    /// Pushed to the user's browsers, not before this; `None` = not pushed.
    pub push_at: Option<Timestamp>,
}
