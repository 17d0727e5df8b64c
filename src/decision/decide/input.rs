//! Everything that can happen to a user, as far as decisions are concerned.

use std::sync::Arc;

use uuid::Uuid;

use super::record::{ApiMessage, DeferredRow, SnoozeEnded};
use crate::deliver::{self, Frame, Inbound, Login};
use crate::feedback::FeedbackOutcome;
use crate::notify::Message;
use crate::notify::policy::{PreferenceDocument, Purpose};
use crate::notify::triggers::Change;
use tidings_core::base::{ConnectionId, NotificationId};
use tidings_core::event::Event;
use tidings_core::profile::Attributes;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The user was read from the store and nobody may be connected: timers are set, what is due is decided.
    Loaded,
    /// A connection logged in.
    LoggedIn {
        /// The connection.
        connection: ConnectionId,
        /// Its login frame, checked.
        login: Box<Login>,
    },
    /// A connection is gone.
    Disconnected(ConnectionId),
    /// A frame of a connection, but for events, which are stored first.
    Frame(ConnectionId, Inbound),
    /// Events of the user were stored.
    EventsStored(Vec<Event>),
    /// An outcome that came by another way than a connection, and is stored.
    Reported(NotificationId, FeedbackOutcome),
    /// A push service accepted a message, and that is stored.
    Pushed(NotificationId),
    /// The inbox was changed over HTTP, and that is stored.
    InboxChanged(deliver::Input),
    /// The user's preferences were replaced, and are stored.
    PreferencesChanged {
        /// As they had been stored; what a client muted a moment ago may not be in it yet.
        before: Box<PreferenceDocument>,
        /// As they are stored.
        after: Box<PreferenceDocument>,
    },
    /// The shop set the user's attributes, and that is stored.
    AttributesChanged(Box<Attributes>),
    /// The user granted or refused purposes, and that is stored.
    ConsentChanged(Vec<(Purpose, bool)>),
    /// The shop fired a trigger for the user, and that is stored.
    TriggerFired(Box<DeferredRow>),
    /// The shop took a call back that fired a trigger for the user, and that is stored.
    CallWithdrawn(Uuid),
    /// A message of the API to this user.
    MessageOfApi(ApiMessage),
    /// A message that is shown to open connections only, and not kept.
    Ephemeral(Arc<Announcement>),
    /// A person said that the user is no robot, and that is stored.
    RobotLifted,
    /// Items became cheaper, available or new.
    CatalogueChanged(Arc<[Change]>),
    /// Another model serves.
    ModelChanged,
    /// Triggers, templates, policy or experiments changed.
    DefinitionsChanged,
    /// The moment of `Effect::SetTimer` has come.
    Due,
    /// Some of the user's deferred triggers are due, says the store.
    DueInStore(Uuid),
    /// The snooze of a message is over, says the store, and it is still unread.
    SnoozeEnded(Box<SnoozeEnded>),
    /// The message at this offset is stored.
    Stored(i64),
    /// The message at this offset may be stored or not.
    NotStored(i64),
    /// The state is about to be dropped: unseen messages are handed to Web Push.
    Ending,
    /// Some time has passed: forgets what no rule looks at.
    Tick,
}

impl Input {
    /// Returns whether it says how things are from now on, so that it can be taken again by a state that was read meanwhile: see
    /// [`UserState::changed_meanwhile`](super::UserState::changed_meanwhile).
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::InboxChanged(_)
                | Self::PreferencesChanged { .. }
                | Self::AttributesChanged(_)
                | Self::ConsentChanged(_)
                | Self::CallWithdrawn(_)
                | Self::Pushed(_)
                | Self::RobotLifted
                | Self::SnoozeEnded(_)
        )
    }
}

/// An ephemeral message, encoded once for everybody.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Key for showing it once.
    pub id: NotificationId,
    /// The message.
    pub message: Message,
    /// Only to this segment.
    pub segment: Option<u8>,
    /// Encoded.
    pub frame: Frame,
}
