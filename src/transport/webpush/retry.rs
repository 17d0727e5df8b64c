//! Time of the next try of a push that was put off: what the service asked for (`Retry-After`, RFC 9110 §10.2.3), or a
//! back-off with full jitter, both within bounds.

use std::time::Duration;

use tidings_core::base::{Millis, Timestamp};

/// Sooner is never polite.
const MIN_WAIT_S: u64 = 1;
/// A service that asks for more is asked again after this long.
const MAX_WAIT_S: u64 = 6 * 3_600;
/// The first back-off is drawn from 0…4 s, each next from twice that.
const BACKOFF_BASE_MS: u64 = 4_000;
const MAX_BACKOFF_MS: u64 = 900_000;

/// `Retry-After`: seconds, or a date of RFC 9110 §5.6.7. `None` for anything else.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
            Timestamp(date.as_microsecond()).millis_since(now).0.div_ceil(1_000)
        }
    };
    Some(Duration::from_secs(seconds.clamp(MIN_WAIT_S, MAX_WAIT_S)))
}

/// Moment of the attempt that follows number `attempt` (from 1), which failed. `chance` is uniform in 0…1; up to a
/// tenth is added to what the service asked for, so that a thousand messages do not come back in one second.
pub fn next_attempt(now: Timestamp, attempt: u32, asked: Option<Duration>, chance: f64) -> Timestamp {
    let wait_ms = match asked {
        Some(asked) => {
            let asked_ms = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX);
            asked_ms.saturating_add((asked_ms as f64 * 0.1 * chance) as u64)
        }
        None => {
            let most =
                BACKOFF_BASE_MS.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(MAX_BACKOFF_MS);
            ((most as f64 * chance) as u64).max(MIN_WAIT_S * 1_000)
        }
    };
    now + Millis(wait_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        let now = Timestamp::parse("2026-11-24T10:00:00Z").unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(" 0 ", now), Some(Duration::from_secs(1)));
        assert_eq!(retry_after("99999999", now), Some(Duration::from_secs(MAX_WAIT_S)));
        assert_eq!(retry_after("Tue, 24 Nov 2026 10:05:00 GMT", now), Some(Duration::from_secs(300)));
        assert_eq!(retry_after("Tue, 24 Nov 2026 09:05:00 GMT", now), Some(Duration::from_secs(1)));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-5", now), None);
    }

    #[test]
    fn waiting_grows_is_spread_and_never_falls_below_what_was_asked() {
        let at = |attempt, asked, chance| next_attempt(Timestamp(0), attempt, asked, chance).as_millis();
        assert_eq!(at(1, None, 0.0), 1_000);
        assert_eq!(at(1, None, 1.0), 4_000);
        assert_eq!(at(3, None, 1.0), 16_000);
        assert_eq!(at(99, None, 1.0), 900_000);
        assert_eq!(at(9, Some(Duration::from_secs(60)), 0.0), 60_000);
        assert_eq!(at(9, Some(Duration::from_secs(60)), 1.0), 66_000);
    }
}
