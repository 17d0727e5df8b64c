//! Messages of a user's actor: one type, so that the registry keeps one recipient a user.

use std::time::Instant;

use actix::Message;
use tokio::sync::oneshot;

use crate::notifier::ledger::Ticket;
use tidings_core::base::Timestamp;
use tidings_core::event::Event;
use tidings_core::profile::{Profile, SegmentId};
use tidings_decision::decide::{Input, ListRequest, Recommendations};
use tidings_decision::deliver::CloseCode;
use tidings_decision::deliver::stream::Counts;
use tidings_decision::notify::policy::PreferenceDocument;
use tidings_transport::Opened;

/// Everything that a user's actor is told and asked by others than its pipes.
#[derive(Message)]
#[rtype(result = "()")]
pub enum UserMessage {
    /// From the gateway: a client whose login was checked.
    Connect(Opened),
    /// From the notifier: a message of the API to this user.
    Deliver(Ticket),
    /// From the ingest actor: events of this user that came by another way than its socket, as stored.
    EventsCommitted {
        /// In order.
        events: Vec<Event>,
        /// Moment when the request was read.
        at: Instant,
    },
    /// From request handlers and other actors: something happened to the user. It is stored already, where it is stored at
    /// all: a user who is being read is read once more for it.
    Happened(Input),
    /// From a merge: this user, or another one into this.
    Pause(Pause),
    /// From request handlers: the live profile. Dropped unanswered while the user is read.
    ProfileSnapshot(oneshot::Sender<Snapshot>),
    /// From request handlers: the counts of the inbox, as open connections know them. Dropped unanswered while the user is read
    /// for the first time.
    InboxCounts(oneshot::Sender<Counts>),
    /// From request handlers: a list for the user as it is right now. Dropped unanswered while the user is read.
    Recommend {
        /// List that is asked for.
        list: Box<ListRequest>,
        /// Receiver of the answer.
        reply: oneshot::Sender<Recommendations>,
    },
    /// From the shutdown: close every connection with 3001 and end.
    Drain {
        /// Delay after which its clients are to reconnect: spread, so that a deploy is not a storm.
        retry_ms: u32,
    },
}

/// The live profile of a user.
#[derive(Clone, Debug)]
pub struct Snapshot {
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

/// Way in which a user stands still for a merge or an erasure, as soon as nothing is being stored.
pub enum Pause {
    /// The user is being merged into another, or erased: the actor ends, then says so.
    Leave {
        /// Told when it has ended.
        left: oneshot::Sender<()>,
        /// Close code of its connections.
        code: CloseCode,
    },
    /// Another is being merged into the user.
    Hold {
        /// Told when nothing more is decided.
        quiet: oneshot::Sender<()>,
        /// Ends when the user is to be read again.
        over: oneshot::Receiver<()>,
    },
}
