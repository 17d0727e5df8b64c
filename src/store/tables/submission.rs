//! A message of the shop to be accepted.

use uuid::Uuid;

use tidings_core::base::{NotificationId, Timestamp};
use tidings_decision::notify::local_time::LocalTime;
use tidings_decision::notify::message::Audience;
use tidings_decision::notify::pace::Pace;

/// A message to accept.
#[derive(Clone, Debug)]
pub struct Submission {
    /// UUIDv7; one of a kind.
    pub batch: Uuid,
    /// Audience.
    pub audience: Audience,
    /// As JSON.
    pub message: String,
    /// Not before this.
    pub due_at: Timestamp,
    /// Accepted once, whoever gets it.
    pub receipt: Option<Uuid>,
    /// Accepted once for each user, in the audience's order: one for every id of the person; empty = no such key.
    pub user_receipts: Vec<Vec<Uuid>>,
    /// Known under its batch as its id, as part of this request: for what goes to many, or waits.
    pub call: Option<Uuid>,
    /// The broadcast that all messages of its request to one user each, due at once, are together; `None` = it came alone, or has a
    /// call.
    pub group: Option<Uuid>,
    /// Most users a minute; `None` = as fast as it goes. Of what has a call only.
    pub pace: Option<Pace>,
    /// Due at this time in each user's own zone; `None` = at `due_at`. Of what has a call only.
    pub local: Option<LocalTime>,
}

impl Submission {
    /// Id that the message will have, if it goes to one user.
    pub fn single(&self) -> Option<NotificationId> {
        match &self.audience {
            Audience::Users(users) => match users.as_slice() {
                [user] => Some(NotificationId::of_batch(self.batch, user)),
                _ => None,
            },
            Audience::Segment(_) | Audience::Topic(_) | Audience::Meeting(_) | Audience::Everyone => None,
        }
    }

    /// Id of the broadcast that it is, or is part of.
    pub fn broadcast(&self) -> Option<Uuid> {
        self.call.map(|_| self.batch).or(self.group)
    }
}
