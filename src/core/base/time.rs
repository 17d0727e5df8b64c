//! Points in time and durations. The domain never reads a clock: `now` is an argument.

use std::{fmt, ops};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Days in an average Gregorian month: 365.2425 / 12.
pub const DAYS_PER_MONTH: f64 = 30.436_875;

/// The first moment that is read, 0001-01-01T00:00:00Z: PostgreSQL's years before it have other names.
const FIRST: i64 = -62_135_596_800_000_000;
/// The last one: whatever the zone, the year has four digits.
const LAST: i64 = 253_402_207_200_999_999;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, as PostgreSQL's `timestamptz` resolves them.
/// On the wire RFC 3339 in UTC; read from RFC 3339, also with blanks and `UTC` or `+0500` behind, or from a number since 1970 whose
/// size tells its unit (below 1e11 seconds, 1e14 milliseconds, 1e17 microseconds, else nanoseconds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// A duration in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Timestamp {
    /// The wall clock. Only the shell calls this.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// From Unix seconds.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From Unix milliseconds.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Unix milliseconds, rounded down.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Unix seconds, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Days from `earlier` to `self`; negative when `self` is the earlier one.
    pub fn days_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / DAY_MICROS as f64
    }

    /// Milliseconds from `earlier` to `self`, 0 when `self` is the earlier one.
    pub fn millis_since(self, earlier: Self) -> Millis {
        Millis(u64::try_from((self.0 - earlier.0) / 1_000).unwrap_or(0))
    }

    /// `self` plus (or, negative, minus) a number of days.
    pub fn plus_days(self, days: f64) -> Self {
        Self(self.0.saturating_add((days * DAY_MICROS as f64) as i64))
    }

    /// As jiff's timestamp, for time zones; clamped to the years −9999…9999.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// Parses RFC 3339, as [`Timestamp`] says, or a number since 1970, of the years 1…9999. A time without a zone is none.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse::<f64>() {
            return Self::from_number(number);
        }
        let parsed: jiff::Timestamp = match text.parse() {
            Ok(parsed) => parsed,
            Err(_) => tight(text)?.parse().ok()?,
        };
        Self::within_years(parsed.as_microsecond())
    }

    /// The moment, if it is in the years 1…9999.
    fn within_years(micros: i64) -> Option<Self> {
        (FIRST..=LAST).contains(&micros).then_some(Self(micros))
    }

    fn from_number(number: f64) -> Option<Self> {
        let micros = match number.abs() {
            n if n < 1e11 => number * 1e6,
            n if n < 1e14 => number * 1e3,
            n if n < 1e17 => number,
            _ => number / 1e3,
        };
        // What is too large for an integer is its end, and no number is 0.
        Some(micros.round() as i64).filter(|_| micros.is_finite()).and_then(Self::within_years)
    }
}

/// `2019-11-01 00:00:00 UTC` and `2019-11-01 00:00:00 +05:00` as RFC 3339 has them.
fn tight(text: &str) -> Option<String> {
    let (moment, zone) = text.trim().rsplit_once(' ')?;
    match zone {
        "UTC" | "GMT" | "Z" => Some(format!("{moment}Z")),
        zone if zone.starts_with(['+', '-']) => Some(format!("{moment}{zone}")),
        _ => None,
    }
}

/// Reason why a text is no moment.
fn complaint(text: &str) -> &'static str {
    if Timestamp::parse(&format!("{text}Z")).is_some() || text.parse::<jiff::civil::DateTime>().is_ok() {
        "the time has no zone: write 2026-01-31T12:00:00Z or 2026-01-31T12:00:00+02:00"
    } else {
        "not an RFC 3339 time such as 2026-01-31T12:00:00Z, nor a number since 1970"
    }
}

impl ops::Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, duration: Millis) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.0.saturating_mul(1_000)).unwrap_or(i64::MAX)))
    }
}

impl ops::Sub<Millis> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Millis) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.0.saturating_mul(1_000)).unwrap_or(i64::MAX)))
    }
}

impl Millis {
    /// From whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }
    /// From whole hours.
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3_600_000)
    }
    /// As the standard library's duration.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time or Unix seconds")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Timestamp, E> {
                self.visit_f64(number as f64)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Timestamp, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Timestamp, E> {
                Timestamp::from_number(number).ok_or_else(|| E::custom("time out of range"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).ok_or_else(|| E::custom(complaint(text)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_rfc_3339_name_the_same_moment() {
        let expected = Timestamp::from_seconds(1_322_000_000);
        for json in [
            "1322000000",
            "1322000000000",
            "1322000000000000",
            "1322000000000000000",
            "\"2011-11-22T22:13:20Z\"",
            "\"2011-11-22T23:13:20+01:00\"",
            "\"2011-11-22T23:13:20+0100\"",
            "\"2011-11-22 22:13:20 UTC\"",
            "\"2011-11-22 23:13:20 +0100\"",
        ] {
            assert_eq!(serde_json::from_str::<Timestamp>(json).unwrap(), expected, "{json}");
        }
        assert_eq!(serde_json::to_string(&expected).unwrap(), "\"2011-11-22T22:13:20Z\"");
    }

    #[test]
    fn a_time_without_a_zone_is_refused_and_says_so() {
        for json in ["\"2011-11-22 22:13:20\"", "\"2011-11-22T22:13:20\"", "\"2011-11-22\""] {
            let error = serde_json::from_str::<Timestamp>(json).unwrap_err().to_string();
            assert!(error.contains("no zone") && error.contains("+02:00"), "{json}: {error}");
        }
        let error = serde_json::from_str::<Timestamp>("\"22/11/2011\"").unwrap_err().to_string();
        assert!(error.contains("RFC 3339"), "{error}");
    }

    #[test]
    fn nonsense_is_not_a_time() {
        for json in ["\"yesterday\"", "1e300", "\"NaN\"", "true"] {
            assert!(serde_json::from_str::<Timestamp>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn moments_outside_of_the_years_1_to_9999_are_refused() {
        for text in ["0001-01-01T00:00:00Z", "9999-12-30T22:00:00Z", "-62135596800", "0"] {
            assert!(Timestamp::parse(text).is_some(), "{text}");
        }
        for text in [
            "-009000-01-01T00:00:00Z",
            "-000001-12-31T23:59:59Z",
            "0000-12-31T23:59:59Z",
            "-62135596801",
            "-2.4e20",
            "-1e300",
            "2.6e20",
        ] {
            assert!(Timestamp::parse(text).is_none(), "{text}");
        }
        // What is written is read again.
        let longest = Timestamp(i64::MAX).to_string();
        assert!(Timestamp::parse(&longest).is_some(), "{longest}");
    }
}
