//! What a user's actor is told and asked.

use std::sync::Arc;
use std::time::Instant;

use actix::Message;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::lists::Listed;
use crate::actors::notifier::Ticket;
use crate::base::{Timestamp, UserId};
use crate::deliver::Input;
use crate::event::Event;
use crate::notify::policy::Purpose;
use crate::notify::triggers::Change;
use crate::profile::Profile;
use crate::profile::SegmentId;
use crate::store::held::HeldRow;
use crate::store::preferences::Preferences;
use crate::transport::Opened;

/// From the gateway: a client whose login was checked.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Connect(pub Opened);

/// From the ingest actor: events of this user that came by another way than its socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EventsCommitted {
    /// As stored.
    pub events: Vec<Event>,
    /// When the request was read.
    pub at: Instant,
}

/// From the notifier: a message of the shop to this user.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Ticket);

/// From the recommender: another model set serves.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ModelTrained;

/// From request handlers: what is known about the user right now. Dropped unanswered while loading.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProfileSnapshot(pub oneshot::Sender<Snapshot>);

/// From request handlers: the best `n` items for the user right now. Dropped unanswered while loading.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recommend {
    /// Most items.
    pub n: usize,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Listed>,
}

/// The answer.
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
    /// What the user asked of us.
    pub preferences: Preferences,
    /// When the first of the present connections came.
    pub connected_at: Timestamp,
}

/// From request handlers: preferences that were just stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetPreferences(pub Preferences);

/// From the catalogue's writer: what became cheaper, available or new.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CatalogueChanged(pub Arc<[Change]>);

/// From request handlers: the shop has set a trigger off for this user; it is stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetOff(pub Box<HeldRow>);

/// From [`crate::actors::absent`]: what waits for this user under this id is due.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LetGo(pub Uuid);

/// From request handlers: triggers, templates or the policy changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DefinitionsChanged;

/// From request handlers: what was just written into the ledger of consents.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetConsent(pub Vec<(Purpose, bool)>);

/// From request handlers: what was just stored about messages of this user.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Marked(pub Input);

/// From the shutdown: close every connection with 3001 and end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// When its clients are to come back: spread, so that a deploy is not a storm.
    pub retry_ms: u32,
}
