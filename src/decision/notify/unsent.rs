//! Reasons why a message to many, or with a time, reaches nobody, or nobody more, when its time has come.

use super::message::Message;
use tidings_core::base::Timestamp;

/// A reason, as it is stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Its lifetime ended before it could be sent.
    LifetimeEnded,
    /// Its words can't be decrypted.
    WordsUnavailable,
    /// It selects by an attribute that is encrypted by now, which PostgreSQL can't read.
    EncryptedAttribute,
}

impl Unsent {
    const ALL: [Self; 3] = [Self::LifetimeEnded, Self::WordsUnavailable, Self::EncryptedAttribute];

    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::LifetimeEnded => "lifetime_ended",
            Self::WordsUnavailable => "words_unavailable",
            Self::EncryptedAttribute => "encrypted_attribute",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The reason for which one whose time has come is not sent; `None` = it is. `message`: `None` of a trigger that is set off.
    pub fn of(
        is_unavailable: bool,
        message: Option<&Message>,
        is_by_encrypted: bool,
        now: Timestamp,
    ) -> Option<Self> {
        if is_unavailable {
            return Some(Self::WordsUnavailable);
        }
        if message.is_some_and(|message| message.expires_at <= now) {
            return Some(Self::LifetimeEnded);
        }
        is_by_encrypted.then_some(Self::EncryptedAttribute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_is_written() {
        for reason in Unsent::ALL {
            assert_eq!(Unsent::parse(reason.name()), Some(reason));
        }
        assert_eq!(Unsent::parse("muted"), None);
    }

    #[test]
    fn what_is_over_or_noise_or_by_an_encrypted_attribute_is_not_sent() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let ends_at = |expires_at: Timestamp| -> Message {
            let text = r#"{"kind": "news", "category": "news", "priority": "high", "title": "A", "body": "", "expires_at": "END"}"#;
            serde_json::from_str(&text.replace("END", &expires_at.to_string())).unwrap()
        };
        let (open, over) = (ends_at(now.plus_days(1.0)), ends_at(now));
        assert_eq!(Unsent::of(false, Some(&open), false, now), None);
        assert_eq!(Unsent::of(false, None, false, now), None, "a trigger that is set off");
        assert_eq!(Unsent::of(true, None, true, now), Some(Unsent::WordsUnavailable));
        assert_eq!(Unsent::of(false, Some(&over), true, now), Some(Unsent::LifetimeEnded));
        assert_eq!(Unsent::of(false, Some(&open), true, now), Some(Unsent::EncryptedAttribute));
    }
}
