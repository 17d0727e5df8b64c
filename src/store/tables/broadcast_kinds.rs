//! A row of table `broadcasts`, with the state and the audience of a broadcast.

use serde_json::{Value, json};
use uuid::Uuid;

use super::audiences::Wide;
use crate::encryption::Fields;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::profile::encrypted_among;
use tidings_decision::notify::local_time::LocalTime;
use tidings_decision::notify::message::Audience;
use tidings_decision::notify::pace::Pace;
use tidings_decision::notify::{Message, Unsent};

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Broadcast {
    /// UUIDv7.
    pub id: Uuid,
    /// The request it came with.
    pub call: Uuid,
    /// State of the broadcast.
    pub state: State,
    /// Audience.
    pub to: To,
    /// The user of one to a single named user, known while it is accepted.
    pub only: Option<ExternalId>,
    /// JSON as in the outbox.
    pub message: String,
    /// Users it was accepted for; of a segment or everyone 0 until it is sent.
    pub users: usize,
    /// Most users a minute; `None` = as fast as it goes.
    pub pace: Option<Pace>,
    /// Due at this time in each user's own zone; `due_at` is the moment of the next look.
    pub local: Option<LocalTime>,
    /// Of its rows in the outbox.
    pub batches: Vec<Uuid>,
    /// Not before this.
    pub due_at: Timestamp,
    /// Moment of acceptance.
    pub created_at: Timestamp,
    /// Reason why it reached nobody, or nobody more, when its time had come.
    pub unsent: Option<Unsent>,
}

/// Message of a broadcast whose messages have words of their own: JSON's null.
pub(super) const OF_SEVERAL: &str = "null";

impl Broadcast {
    /// Several messages of one request, each to one user and due at once.
    pub fn of_several(id: Uuid, users: usize, batches: Vec<Uuid>, now: Timestamp) -> Self {
        Self {
            id,
            call: id,
            state: State::Sent,
            to: To::Users(users),
            only: None,
            message: OF_SEVERAL.to_owned(),
            users,
            pace: None,
            local: None,
            batches,
            due_at: now,
            created_at: now,
            unsent: None,
        }
    }

    /// Returns whether each of its messages has words of its own.
    pub fn is_of_several(&self) -> bool {
        self.message == OF_SEVERAL
    }

    /// The reason for which it goes to nobody, or nobody more, now that its time has come.
    pub(super) fn why_unsent(&self, fields: &Fields, now: Timestamp) -> Option<Unsent> {
        let shown: Value = serde_json::from_str(&self.message).unwrap_or_default();
        let is_unavailable = shown.get("unavailable").is_some();
        // None of a call that sets a trigger off.
        let message: Option<Message> = serde_json::from_str(&self.message).ok();
        let attribute = self.encrypted_attribute(fields);
        let unsent = Unsent::of(is_unavailable, message.as_ref(), attribute.is_some(), now)?;
        if unsent != Unsent::LifetimeEnded {
            let (id, reason, attribute) = (self.id, unsent.name(), attribute.unwrap_or_default());
            log::error!("a message to many is not sent broadcast={id} reason={reason} attribute={attribute}");
        }
        Some(unsent)
    }

    /// The attribute of its audience that is encrypted, if one is.
    pub(super) fn encrypted_attribute(&self, fields: &Fields) -> Option<String> {
        match &self.to {
            To::Meeting(conditions) => encrypted_among(conditions, |name| fields.is_sealed(name)),
            _ => None,
        }
    }

    /// Takes further named users in.
    pub(super) fn join(&mut self, users: usize, batches: Vec<Uuid>) {
        self.users += users;
        self.to = To::Users(self.users);
        self.batches.extend(batches);
    }
}

/// State of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Handed to the outbox, or its time has come.
    Sent,
    /// Nothing more of it is decided until it is resumed.
    Paused,
    /// Taken back.
    Withdrawn,
    /// Its lifetime ended before it could be sent.
    Expired,
}

impl State {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Sent => "sent",
            Self::Paused => "paused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Scheduled, Self::Sent, Self::Paused, Self::Withdrawn, Self::Expired];
        all.into_iter().find(|state| state.name() == text)
    }
}

/// Audience, as far as it matters later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Everyone who is known when it is due.
    Everyone,
    /// Everyone in a segment when it is due, 0 = A.
    Segment(u8),
    /// Everyone who follows a topic when it is due.
    Topic(Box<str>),
    /// Everyone whose attributes meet conditions when it is due, as JSON.
    Meeting(Box<str>),
    /// So many named users.
    Users(usize),
}

impl To {
    /// Of an audience.
    pub fn of(audience: &Audience) -> Self {
        match audience {
            Audience::Everyone => Self::Everyone,
            Audience::Segment(segment) => Self::Segment(*segment),
            Audience::Topic(topic) => Self::Topic(topic.clone()),
            Audience::Meeting(conditions) => Self::Meeting(conditions.clone()),
            Audience::Users(users) => Self::Users(users.len()),
        }
    }

    /// As stored and on the wire.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Everyone => json!({"everyone": true}),
            Self::Segment(segment) => json!({"segment": char::from(b'A' + segment).to_string()}),
            Self::Topic(topic) => json!({"topic": topic}),
            Self::Meeting(conditions) => {
                json!({"attributes": serde_json::from_str::<Value>(conditions).unwrap_or_default()})
            }
            Self::Users(users) => json!({"users": users}),
        }
    }

    pub(super) fn from_json(value: &Value) -> Self {
        let letter = value["segment"].as_str().and_then(|name| name.bytes().next());
        if let Some(topic) = value["topic"].as_str() {
            return Self::Topic(topic.into());
        }
        if value["attributes"].is_array() {
            return Self::Meeting(value["attributes"].to_string().into());
        }
        match (letter, value["users"].as_u64()) {
            (Some(letter @ b'A'..=b'Z'), _) => Self::Segment(letter - b'A'),
            (_, Some(users)) => Self::Users(usize::try_from(users).unwrap_or(usize::MAX)),
            _ => Self::Everyone,
        }
    }

    /// For reading its users: `None` for named ones.
    pub(super) fn wide(&self) -> Option<Wide<'_>> {
        match self {
            Self::Everyone => Some(Wide::Everyone),
            Self::Segment(segment) => Some(Wide::Segment(*segment)),
            Self::Topic(topic) => Some(Wide::Topic(topic)),
            Self::Meeting(conditions) => Some(Wide::Meeting(conditions)),
            Self::Users(_) => None,
        }
    }
}
