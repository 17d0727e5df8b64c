//! Newtype ids. Outside, a user or item is named by an [`ExternalId`] (integer or string); inside, by a
//! dense `u32` so that vectors and sparse matrices can be indexed by it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Largest integer id on the wire: 2^53 − 1, the largest a JSON number carries without loss (RFC 8259 §6).
pub const MAX_INTEGER_ID: i64 = (1 << 53) - 1;
/// Longest string id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 128;

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The id as an index into a dense vector.
            pub fn index(self) -> usize {
                self.0 as usize
            }
            /// The id as PostgreSQL stores it (`integer`, always ≥ 0).
            pub fn to_sql(self) -> i32 {
                i32::try_from(self.0).unwrap_or(i32::MAX)
            }
            /// From PostgreSQL's `integer`; negative values, which the schema forbids, become 0.
            pub fn from_sql(value: i32) -> Self {
                Self(u32::try_from(value).unwrap_or(0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

dense_id!(
    /// A user's dense inner id; never on the wire.
    UserId
);
dense_id!(
    /// An item's dense inner id; never on the wire.
    ItemId
);

/// A trained model's number, counting up from 1. 0 means "no model yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelVersion(pub i32);

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One open connection (a tab, a phone). Unique within a server process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one message to one user; the client's key for showing it once. UUID version 7 (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotificationId(pub Uuid);

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl NotificationId {
    /// Mask of the bits derived from batch and user.
    const TAIL: u128 = (1 << 62) - 1;

    /// The id of a batch's message to one user: always the same, so that a second try can't become a second message.
    /// Time and version are the batch's (a UUIDv7), the last 62 bits are of the SHA-256 of batch and user.
    pub fn of_batch(batch: Uuid, user: &ExternalId) -> Self {
        let digest = Sha256::new().chain_update(batch.as_bytes()).chain_update(user.to_string()).finalize();
        let hash = digest.iter().take(8).fold(0u128, |hash, byte| (hash << 8) | u128::from(*byte));
        Self(Uuid::from_u128((batch.as_u128() & !Self::TAIL) | (hash & Self::TAIL)))
    }

    /// The first and the last batch it can be of.
    pub fn batches(self) -> (Uuid, Uuid) {
        let head = self.0.as_u128() & !Self::TAIL;
        (Uuid::from_u128(head), Uuid::from_u128(head | Self::TAIL))
    }
}

/// Makes a retried event harmless: the same key is stored once. UUID version 8 from content, 7 when new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKey(pub Uuid);

impl EventKey {
    /// A key that depends only on the given parts: the first 128 bits of their SHA-256, as a UUIDv8.
    /// Parts are length-prefixed, so `["ab","c"]` and `["a","bc"]` differ.
    pub fn from_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0u8; 16];
        for (to, from) in bytes.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Self(Uuid::new_v8(bytes))
    }
}

/// Validation error of an external id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdError {
    /// The empty string names nothing.
    #[error("an id must have at least one character")]
    Empty,
    /// Longer than [`MAX_ID_BYTES`].
    #[error("an id is at most {MAX_ID_BYTES} bytes of UTF-8, this one has {0}")]
    TooLong(usize),
    /// Control characters break logs and terminals.
    #[error("an id must not contain control characters")]
    ControlCharacter,
    /// Outside ±2^53.
    #[error("an integer id must be between -{MAX_INTEGER_ID} and {MAX_INTEGER_ID}")]
    IntegerOutOfRange,
    /// A boolean, a float, an object, …
    #[error("an id is an integer or a string")]
    WrongType,
    /// One of [`PLACEHOLDERS`].
    #[error(
        "{0:?} is what a program writes for an id that is missing; leave the field out where nobody is known"
    )]
    Placeholder(Box<str>),
}

/// Texts that programs write for an id that is missing, in any case.
const PLACEHOLDERS: [&str; 8] =
    ["undefined", "null", "none", "nil", "nan", "(not set)", "(null)", "[object object]"];

/// A user or item as the shop names it. The integer 17 and the string "17" are the same id; it is written
/// back as an integer. "017", " 17" and "17.0" are strings of their own.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExternalId {
    /// A canonical decimal integer of up to 53 bits.
    Integer(i64),
    /// Anything else: 1…128 bytes of UTF-8, no control characters.
    Text(Box<str>),
}

impl ExternalId {
    /// Parses the text form (also the one stored in the database).
    pub fn parse(text: &str) -> Result<Self, ExternalIdError> {
        if text.is_empty() {
            return Err(ExternalIdError::Empty);
        }
        if text.len() > MAX_ID_BYTES {
            return Err(ExternalIdError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(ExternalIdError::ControlCharacter);
        }
        if let Ok(number) = text.parse::<i64>()
            && number.unsigned_abs() <= MAX_INTEGER_ID.unsigned_abs()
            && number.to_string() == text
        {
            return Ok(Self::Integer(number));
        }
        Ok(Self::Text(text.into()))
    }

    /// From an integer on the wire.
    pub fn from_integer(number: i64) -> Result<Self, ExternalIdError> {
        if number.unsigned_abs() <= MAX_INTEGER_ID.unsigned_abs() {
            Ok(Self::Integer(number))
        } else {
            Err(ExternalIdError::IntegerOutOfRange)
        }
    }

    /// From any JSON value, with an error a client can act on.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, ExternalIdError> {
        match value {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::from_integer(integer),
                None if number.is_u64() => Err(ExternalIdError::IntegerOutOfRange),
                None => Err(ExternalIdError::WrongType),
            },
            _ => Err(ExternalIdError::WrongType),
        }
    }

    /// The id of somebody, as [`Self::from_json`]. What stands for a missing id is refused: everybody without one would be one user.
    pub fn of_somebody(value: &serde_json::Value) -> Result<Self, ExternalIdError> {
        let stands_for_none =
            |text: &&str| PLACEHOLDERS.iter().any(|it| it.eq_ignore_ascii_case(text.trim()));
        match value.as_str().filter(stands_for_none) {
            Some(text) => Err(ExternalIdError::Placeholder(text.into())),
            None => Self::from_json(value),
        }
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ExternalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ExternalId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a string")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ExternalId, E> {
                ExternalId::from_integer(number).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ExternalId, E> {
                i64::try_from(number)
                    .map_err(|_| ExternalIdError::IntegerOutOfRange)
                    .and_then(ExternalId::from_integer)
                    .map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExternalId, E> {
                ExternalId::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_missing_id_names_nobody() {
        for text in ["undefined", "NULL", " None ", "NaN", "(not set)", "[object Object]"] {
            let error = ExternalId::of_somebody(&serde_json::json!(text)).unwrap_err();
            assert_eq!(error, ExternalIdError::Placeholder(text.into()));
        }
        for text in ["nullarbor", "no", "-", "nancy"] {
            assert!(ExternalId::of_somebody(&serde_json::json!(text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_integer_and_its_digits_name_the_same_thing() {
        let number: ExternalId = serde_json::from_str("17").unwrap();
        let text: ExternalId = serde_json::from_str("\"17\"").unwrap();
        assert_eq!(number, text);
        assert_eq!(serde_json::to_string(&text).unwrap(), "17");
    }

    #[test]
    fn what_is_not_canonical_stays_a_string() {
        for text in ["017", "+17", "-0", " 17", "17.0", "9007199254740992", "85123A", "-9223372036854775808"]
        {
            let id = ExternalId::parse(text).unwrap();
            assert_eq!(id, ExternalId::Text(text.into()), "{text}");
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn bad_ids_are_refused_with_a_reason() {
        assert_eq!(ExternalId::parse(""), Err(ExternalIdError::Empty));
        assert_eq!(ExternalId::parse(&"x".repeat(129)), Err(ExternalIdError::TooLong(129)));
        assert_eq!(ExternalId::parse("a\nb"), Err(ExternalIdError::ControlCharacter));
        for json in ["1.5", "true", "null", "{}", "9007199254740992", "18446744073709551615"] {
            assert!(serde_json::from_str::<ExternalId>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn event_keys_depend_on_where_parts_end() {
        assert_ne!(EventKey::from_parts(&[b"ab", b"c"]), EventKey::from_parts(&[b"a", b"bc"]));
        assert_eq!(EventKey::from_parts(&[b"ab"]), EventKey::from_parts(&[b"ab"]));
    }
}
