//! Messages of a user's actor.

use std::time::Instant;

use actix::Message;
use tokio::sync::oneshot;

use crate::actors::notifier::Ticket;
use crate::base::{Timestamp, UserId};
use crate::decide::{Input, Recommendations};
use crate::event::Event;
use crate::notify::policy::PreferenceDocument;
use crate::profile::{Profile, SegmentId};
use crate::transport::Opened;

/// From the gateway: a client whose login was checked.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Connect(pub Opened);

/// From the ingest actor: events of this user that came by another way than its socket, as stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EventsCommitted {
    /// In order.
    pub events: Vec<Event>,
    /// When the request was read.
    pub at: Instant,
}

/// From the notifier: a message of the API to this user.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Ticket);

/// From request handlers and other actors: something happened to the user. It is stored already, where it is stored at all: a
/// user who is being read is read once more for it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Happened(pub Input);

/// From request handlers: the live profile. Dropped unanswered while the user is read.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProfileSnapshot(pub oneshot::Sender<Snapshot>);

/// From request handlers: the best `n` items for the user right now. Dropped unanswered while the user is read.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recommend {
    /// Most items.
    pub n: usize,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Recommendations>,
}

/// The live profile of a user.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Inner id.
    pub user: UserId,
    /// The live profile.
    pub profile: Profile,
    /// Segment by the current model.
    pub segment: Option<SegmentId>,
    /// Open connections.
    pub connections: usize,
    /// Preferences as stored.
    pub preferences: PreferenceDocument,
    /// Moment at which the first of the present connections came.
    pub connected_at: Timestamp,
}

/// From the shutdown: close every connection with 3001 and end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// When its clients are to come back: spread, so that a deploy is not a storm.
    pub retry_ms: u32,
}
