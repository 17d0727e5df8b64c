//! A moment as a person wrote it, with an offset or a time zone.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::time::Timestamp;

/// A moment that is shown as it was written: RFC 3339 with an offset, or RFC 9557 with the name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonedMoment {
    text: String,
    at: Timestamp,
}

impl ZonedMoment {
    /// `2026-11-27T00:00:00+01:00` or `2026-11-27T00:00[Europe/Berlin]`; `None` without offset and zone.
    pub fn parse(text: &str) -> Option<Self> {
        let by_offset = || text.parse::<jiff::Timestamp>().ok();
        let by_zone = || text.parse::<jiff::ZonedDateTime>().ok().map(|zoned| zoned.timestamp());
        let at = by_offset().or_else(by_zone)?;
        Some(Self { text: text.to_owned(), at: Timestamp(at.as_microsecond()) })
    }

    /// The moment.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl Serialize for ZonedMoment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ZonedMoment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "\"{text}\" is not a time with an offset or a time zone, as 2026-11-27T00:00:00+01:00 or \
                 2026-11-27T00:00[Europe/Berlin]"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_or_a_zone_is_needed() {
        let expected = Timestamp::parse("2026-11-26T23:00:00Z").unwrap();
        for text in ["2026-11-27T00:00:00+01:00", "2026-11-27T00:00[Europe/Berlin]", "2026-11-26T23:00:00Z"] {
            assert_eq!(ZonedMoment::parse(text).map(|moment| moment.at()), Some(expected), "{text}");
        }
        for text in ["2026-11-27T00:00:00", "2026-11-27", "tomorrow", "2026-11-27T00:00[Europe/Berln]"] {
            assert_eq!(ZonedMoment::parse(text), None, "{text}");
        }
    }
}
