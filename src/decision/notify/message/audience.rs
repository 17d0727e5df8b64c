//! Recipients of a message, and how a request names them.

use serde::Deserialize;

use super::error::wrong;
use tidings_core::base::{ExternalId, FieldError};
use tidings_core::profile::AttributeCondition;
use tidings_core::profile::attributes::MAX_CONDITIONS;

/// Most users one request may name, over all its messages.
pub const MAX_RECIPIENTS: usize = 10_000;
/// Longest topic and key, bytes.
pub(super) const MAX_KEY_BYTES: usize = 128;

/// Recipients of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Audience {
    /// These, without repeats, in the order given; 1…[`MAX_RECIPIENTS`].
    Users(Vec<ExternalId>),
    /// Everyone in a segment as of the last training, 0 = A.
    Segment(u8),
    /// Everyone who follows a topic.
    Topic(Box<str>),
    /// Everyone whose attributes meet all of these conditions: an array of [`AttributeCondition`] as JSON.
    Meeting(Box<str>),
    /// Everyone who is known.
    Everyone,
}

/// The audience as an object of its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = NewAudience))]
pub(super) struct RawAudience {
    #[serde(default)]
    pub user_id: Option<ExternalId>,
    #[serde(default)]
    pub user_ids: Option<Vec<ExternalId>>,
    #[serde(default)]
    pub segment: Option<String>,
    #[serde(default)]
    pub topic: Option<String>,
    #[serde(default)]
    pub attributes: Option<Vec<AttributeCondition>>,
    #[serde(default)]
    pub everyone: bool,
}

impl RawAudience {
    /// Checks that it names one kind of recipient, and that one well.
    pub fn check(self) -> Result<Audience, FieldError> {
        let named = [
            self.user_id.is_some(),
            self.user_ids.is_some(),
            self.segment.is_some(),
            self.topic.is_some(),
            self.attributes.is_some(),
            self.everyone,
        ];
        if named.iter().filter(|named| **named).count() != 1 {
            let message = "say who gets it by one of user_id, user_ids, segment (\"A\"…\"Z\"), topic, to.attributes and everyone: true";
            return wrong("bad_audience", "to", message);
        }
        if let Some(segment) = self.segment {
            return match segment.as_bytes() {
                [letter @ b'A'..=b'Z'] => Ok(Audience::Segment(letter - b'A')),
                _ => wrong("bad_segment", "segment", "a segment is a letter from A to Z"),
            };
        }
        if let Some(topic) = self.topic {
            return Ok(Audience::Topic(topic_name(&topic)?));
        }
        if let Some(conditions) = self.attributes {
            return meeting(&conditions);
        }
        if self.everyone {
            return Ok(Audience::Everyone);
        }
        let mut users: Vec<ExternalId> = self.user_ids.into_iter().flatten().chain(self.user_id).collect();
        let mut seen = std::collections::HashSet::with_capacity(users.len());
        users.retain(|user| seen.insert(user.clone()));
        match users.len() {
            0 => wrong("empty", "user_ids", "user_ids names nobody"),
            n if n > MAX_RECIPIENTS => wrong(
                "too_many_users",
                "user_ids",
                format!("at most {MAX_RECIPIENTS} users in a request, this message has {n}"),
            ),
            _ => Ok(Audience::Users(users)),
        }
    }
}

fn meeting(conditions: &[AttributeCondition]) -> Result<Audience, FieldError> {
    if !(1..=MAX_CONDITIONS).contains(&conditions.len()) {
        return wrong("bad_attributes", "to", format!("attributes are 1…{MAX_CONDITIONS} conditions"));
    }
    for condition in conditions {
        if let Err(message) = condition.validate() {
            return wrong("bad_attributes", "to", message);
        }
    }
    match serde_json::to_string(conditions) {
        Ok(json) => Ok(Audience::Meeting(json.into())),
        Err(error) => wrong("bad_attributes", "to", error.to_string()),
    }
}

/// The name of a topic: 1…128 bytes of UTF-8 without control characters.
pub fn topic_name(name: &str) -> Result<Box<str>, FieldError> {
    if name.is_empty() || name.len() > MAX_KEY_BYTES || name.chars().any(char::is_control) {
        let text = format!("a topic is 1…{MAX_KEY_BYTES} bytes of UTF-8 without control characters");
        return wrong("bad_topic", "topic", text);
    }
    Ok(name.into())
}
