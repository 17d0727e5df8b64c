//! A moment by the clock on each user's wall: "2026-12-01T09:00", due at another time in each time zone. No clock.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use tidings_core::base::{Millis, Timestamp};

/// Zones differ from UTC by whole quarters of an hour: a zone that nobody had before is noticed in time.
const LOOK_AGAIN: Millis = Millis(15 * 60_000);
/// Hours by which the first place on earth is ahead of UTC, and the last one behind.
const FIRST_HOURS: i8 = 14;
const LAST_HOURS: i8 = -12;

/// A wall time without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime(DateTime);

/// Zones by whether a local time has come in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByZone {
    /// Names of zones where it has.
    pub due: Vec<String>,
    /// Names that are no zones: the server's own counts for their users.
    pub unreadable: Vec<String>,
    /// True if it has come in the server's own zone.
    pub is_due_here: bool,
    /// Moment of the next look; `None` once it has come everywhere.
    pub next: Option<Timestamp>,
}

impl LocalTime {
    /// From `2026-12-01T09:00` or with seconds; `None` for anything else, also for a time with a zone.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T'));
        let parsed = text.parse::<DateTime>().ok().filter(|_| is_plain && text.contains('T'))?;
        Some(Self(parsed))
    }

    /// Moment at which it comes in a zone. A time that a change of clocks leaves out comes as much later as they are put forward; of one that
    /// comes twice the first counts.
    pub fn at(self, zone: &TimeZone) -> Timestamp {
        let moment = zone.to_ambiguous_timestamp(self.0).compatible();
        Timestamp(moment.map_or(i64::MAX, |moment| moment.as_microsecond()))
    }

    /// Moment at which it comes first on earth.
    pub fn first(self) -> Timestamp {
        self.at(&Offset::constant(FIRST_HOURS).to_time_zone())
    }

    /// Moment from which it has come everywhere.
    pub fn last(self) -> Timestamp {
        self.at(&Offset::constant(LAST_HOURS).to_time_zone())
    }

    /// Zones in which it has come by `now`, among the zones of users and the server's own.
    pub fn by_zone(self, zones: Vec<String>, own: &TimeZone, now: Timestamp) -> ByZone {
        let mut by_zone = ByZone { is_due_here: self.at(own) <= now, ..ByZone::default() };
        let mut next = self.last().min(now + LOOK_AGAIN);
        let mut note = |at: Timestamp| {
            if at > now {
                next = next.min(at);
            }
        };
        note(self.at(own));
        for name in zones {
            match TimeZone::get(&name) {
                Ok(zone) => {
                    let at = self.at(&zone);
                    note(at);
                    if at <= now {
                        by_zone.due.push(name);
                    }
                }
                Err(_) => by_zone.unreadable.push(name),
            }
        }
        by_zone.next = (now < self.last()).then_some(next);
        by_zone
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn moment(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_wall_time_has_no_zone() {
        for text in ["2026-12-01T09:00", "2026-12-01T09:00:30"] {
            assert!(LocalTime::parse(text).is_some(), "{text}");
        }
        for text in
            ["2026-12-01T09:00Z", "2026-12-01T09:00+01:00", "2026-12-01", "09:00", "2026-13-01T09:00", ""]
        {
            assert_eq!(LocalTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn nine_o_clock_comes_at_another_time_in_each_zone() {
        let nine = LocalTime::parse("2026-12-01T09:00").unwrap();
        for (name, at) in [
            ("Pacific/Kiritimati", "2026-11-30T19:00:00Z"),
            ("Asia/Kathmandu", "2026-12-01T03:15:00Z"),
            ("Europe/Berlin", "2026-12-01T08:00:00Z"),
            ("America/Los_Angeles", "2026-12-01T17:00:00Z"),
        ] {
            assert_eq!(nine.at(&zone(name)), moment(at), "{name}");
        }
        assert_eq!(nine.first(), nine.at(&zone("Pacific/Kiritimati")));
        assert_eq!(nine.last(), moment("2026-12-01T21:00:00Z"));
    }

    #[test]
    fn a_time_that_is_left_out_comes_later_and_one_that_comes_twice_comes_first() {
        let berlin = zone("Europe/Berlin");
        let skipped = LocalTime::parse("2027-03-28T02:30").unwrap();
        assert_eq!(skipped.at(&berlin), moment("2027-03-28T01:30:00Z"));
        let twice = LocalTime::parse("2026-10-25T02:30").unwrap();
        assert_eq!(twice.at(&berlin), moment("2026-10-25T00:30:00Z"));
    }

    #[test]
    fn zones_come_due_one_by_one_until_it_has_come_everywhere() {
        let nine = LocalTime::parse("2026-12-01T09:00").unwrap();
        let zones = || ["Asia/Tokyo", "Europe/Berlin", "Mars/Olympus"].map(str::to_owned).to_vec();
        let at = |text: &str| nine.by_zone(zones(), &TimeZone::UTC, moment(text));
        let early = at("2026-11-30T23:50:00Z");
        assert_eq!((early.due.len(), early.next), (0, Some(moment("2026-12-01T00:00:00Z"))));
        let tokyo = at("2026-12-01T00:00:00Z");
        assert_eq!(
            (tokyo.due, tokyo.next),
            (vec!["Asia/Tokyo".to_owned()], Some(moment("2026-12-01T00:15:00Z")))
        );
        let here = at("2026-12-01T09:00:00Z");
        assert_eq!((here.due.len(), here.is_due_here, here.unreadable.len()), (2, true, 1));
        assert_eq!(at("2026-12-01T21:00:00Z").next, None);
    }
}
