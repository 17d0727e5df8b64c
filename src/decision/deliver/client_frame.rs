//! Frames of a client as they are written: parsed by [`super::Inbound`], and described by the same types.

use serde::{Deserialize, Deserializer};

use super::login::Login;
use crate::feedback::FeedbackOutcome;
use crate::notify::policy::{MAX_NAME_BYTES, Mute, Muted};
use tidings_core::base::{ExternalId, NotificationId, Timestamp};
use tidings_core::event::RawEvent;

/// A frame of a client, by its type.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ClientFrame {
    /// Login: the user of the connection; the first frame.
    Login(Box<Login>),
    /// An event of the user.
    Event(Box<RawEvent>),
    /// Events of the user.
    Events {
        /// Each as in `event`, without `type`.
        events: Vec<RawEvent>,
    },
    /// Receipt of messages.
    Ack {
        /// Everything up to this one was received.
        offset: i64,
    },
    /// Outcome of a message.
    Feedback {
        /// The message.
        notification_id: NotificationId,
        /// Reaction of the user.
        outcome: FeedbackOutcome,
        /// The item of it that was clicked.
        #[serde(default)]
        item_id: Option<ExternalId>,
    },
    /// Presence of a person in front of the page.
    Presence {
        /// True while somebody is looking.
        visible: bool,
    },
    /// No more of something.
    Mute(Box<MuteWish>),
    /// A message, or all, were opened.
    Read {
        /// The message; absent with `all`.
        #[serde(default)]
        notification_id: Option<NotificationId>,
        /// All of them.
        #[serde(default)]
        all: bool,
        /// With `all`: those up to this offset.
        #[serde(default)]
        up_to: Option<i64>,
    },
    /// A message counts as not opened again.
    Unread(OfMessage),
    /// A message goes into the archive.
    Archive(OfMessage),
    /// A message comes out of the archive.
    Unarchive(OfMessage),
    /// A message goes for good.
    Delete(OfMessage),
    /// A message is put off.
    Snooze {
        /// The message.
        notification_id: NotificationId,
        /// It is back from then on.
        until: Timestamp,
    },
    /// The list of messages was looked at.
    Seen {
        /// Everything up to this offset.
        up_to: i64,
    },
    /// A topic is followed.
    Subscribe(OfTopic),
    /// A topic is no longer followed.
    Unsubscribe(OfTopic),
    /// A question whether the server is there.
    Ping,
}

/// A topic by its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OfTopic {
    /// Name of the topic.
    pub topic: String,
}

/// A message by its id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OfMessage {
    /// The message.
    pub notification_id: NotificationId,
}

/// Kind of subject of a mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum MuteOf {
    /// The message's category.
    Category,
    /// One item.
    Item,
    /// Items of a category.
    ItemCategory,
    /// Items of a brand.
    Brand,
    /// Messages of a trigger or campaign.
    Kind,
}

impl MuteOf {
    /// The mute of this kind with a name.
    pub fn into_mute(self, name: String) -> Muted {
        match self {
            Self::Category => Muted::Category(name),
            Self::Kind => Muted::Subject(Mute::Kind(name)),
            Self::Item => Muted::Subject(Mute::Item(name)),
            Self::ItemCategory => Muted::Subject(Mute::ItemCategory(name)),
            Self::Brand => Muted::Subject(Mute::Brand(name)),
        }
    }

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Item => "item",
            Self::ItemCategory => "item_category",
            Self::Brand => "brand",
            Self::Kind => "kind",
        }
    }
}

/// "No more of this": by name, or of what a message is about.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MuteWish {
    /// Kind of subject.
    pub of: MuteOf,
    /// Name of the subject; absent = what the message has.
    #[serde(default, deserialize_with = "short")]
    pub name: Option<String>,
    /// From which message.
    #[serde(default)]
    pub notification_id: Option<NotificationId>,
    /// Item of the message; absent = the first.
    #[serde(default)]
    pub item_id: Option<ExternalId>,
}

fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    match name {
        Some(name) if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) => {
            Err(serde::de::Error::custom("name must have at most 128 bytes and no control characters"))
        }
        name => Ok(name),
    }
}
