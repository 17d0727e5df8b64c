//! Quiet hours in the user's own time zone, across midnight and over daylight-saving changes.
//!
//! The local clock decides: a moment is quiet if the clock shows a quiet minute. On the night that repeats an hour a quiet
//! minute in it is quiet both times; the alternative, one interval from a beginning to an end, needs a rule for which of two
//! ends counts and then disagrees with the clock for an hour.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use tidings_core::base::Timestamp;
use tidings_core::base::time::DAY_MICROS;

const MINUTE_MICROS: i64 = 60_000_000;
/// Changes of a zone's offset looked at for one end. Real zones have at most two within a day.
const MAX_CHANGES: usize = 8;

/// Local hours in which nobody is disturbed, as minutes after midnight; `from > to` runs across midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// First quiet minute, 0…1439.
    pub from_minute: u16,
    /// First minute that is no longer quiet, 0…1439; equal to `from_minute` = no quiet hours.
    pub to_minute: u16,
}

impl QuietHours {
    /// Returns whether this minute of the day is quiet.
    pub fn covers(self, minute: u16) -> bool {
        let QuietHours { from_minute: from, to_minute: to } = self;
        if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    /// First moment after `now` that is not quiet; `None` if `now` is not quiet. Later than `now` in every zone: quiet hours
    /// whose end a change of the clock skips end with the change, and an end that comes twice is the next of the two.
    pub fn quiet_until(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = now;
        let mut changes = zone.following(now.to_jiff());
        for _ in 0..MAX_CHANGES {
            let time = micros_of_day(at, zone);
            if !self.covers(u16::try_from(time / MINUTE_MICROS).ok()?) {
                break;
            }
            // By the present offset; a change before it shows another time, which is looked at again.
            let end = i64::from(self.to_minute) * MINUTE_MICROS;
            let end = Timestamp(at.0.saturating_add((end - time).rem_euclid(DAY_MICROS)));
            let change = changes.next().map(|change| Timestamp(change.timestamp().as_microsecond()));
            match change.filter(|change| *change <= end) {
                Some(change) => at = change,
                None => {
                    at = end;
                    break;
                }
            }
        }
        (at > now).then_some(at)
    }
}

/// The time of the local clock in microseconds after midnight.
fn micros_of_day(at: Timestamp, zone: &TimeZone) -> i64 {
    let offset = i64::from(zone.to_offset(at.to_jiff()).seconds());
    at.0.saturating_add(offset * 1_000_000).rem_euclid(DAY_MICROS)
}

/// The next time the local clock shows this minute of the day (0…1439), later than `now`, once for each local date. A
/// minute that a change of the clock skips comes as much later as the clock was set forward (RFC 5545, 3.3.5); of one that
/// comes twice the first counts.
pub fn next_minute(minute: u16, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
    let time = Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
    // Tomorrow's may be over already: a clock that is set back over midnight shows today's date again.
    std::iter::successors(Some(today), |date| date.tomorrow().ok()).take(3).find_map(|date| {
        let at = zone.to_ambiguous_zoned_datetime(DateTime::from_parts(date, time)).compatible().ok()?;
        let at = Timestamp(at.timestamp().as_microsecond());
        (at > now).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn until(hours: (u16, u16), zone: &str, now: &str) -> Option<String> {
        let quiet = QuietHours { from_minute: hours.0, to_minute: hours.1 };
        let zone = TimeZone::get(zone).unwrap();
        quiet.quiet_until(Timestamp::parse(now).unwrap(), &zone).map(|end| end.to_string())
    }

    const NIGHT: (u16, u16) = (22 * 60, 7 * 60);

    #[test]
    fn quiet_hours_run_across_midnight_in_local_time() {
        let ends = Some("2026-01-15T06:00:00Z".to_owned());
        assert_eq!(until(NIGHT, "Europe/Berlin", "2026-01-14T21:00:00Z"), ends);
        assert_eq!(until(NIGHT, "Europe/Berlin", "2026-01-15T05:59:59Z"), ends);
        assert_eq!(until(NIGHT, "Europe/Berlin", "2026-01-15T06:00:00Z"), None);
        assert_eq!(until(NIGHT, "Europe/Berlin", "2026-01-14T20:59:59Z"), None);
        assert_eq!(
            until((13 * 60, 15 * 60), "UTC", "2026-01-14T14:00:00Z"),
            Some("2026-01-14T15:00:00Z".into())
        );
    }

    #[test]
    fn the_next_minute_of_the_day_is_today_or_tomorrow() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let next = |now| next_minute(18 * 60, Timestamp::parse(now).unwrap(), &berlin).unwrap().to_string();
        assert_eq!(next("2026-01-14T16:59:59Z"), "2026-01-14T17:00:00Z");
        assert_eq!(next("2026-01-14T17:00:00Z"), "2026-01-15T17:00:00Z");
        assert_eq!(next("2026-03-28T18:00:00Z"), "2026-03-29T16:00:00Z", "summer time begins");
    }

    #[test]
    fn equal_ends_mean_no_quiet_hours() {
        assert_eq!(until((0, 0), "UTC", "2026-01-14T00:00:00Z"), None);
    }

    #[test]
    fn an_end_inside_the_spring_gap_is_the_moment_after_it() {
        // Berlin skips 02:00…03:00 on 2026-03-29: the clock shows 03:00, which is past 02:30.
        assert_eq!(
            until((22 * 60, 150), "Europe/Berlin", "2026-03-28T23:00:00Z"),
            Some("2026-03-29T01:00:00Z".into())
        );
        assert_eq!(until((22 * 60, 150), "Europe/Berlin", "2026-03-29T01:10:00Z"), None);
    }

    #[test]
    fn an_end_inside_the_hour_that_comes_twice_is_the_next_one() {
        // Berlin repeats 02:00…03:00 on 2026-10-25: 02:30 is 00:30Z and 01:30Z.
        for (now, ends) in [
            ("2026-10-24T22:00:00Z", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T00:29:59Z", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T00:30:00Z", None),
            ("2026-10-25T00:59:59Z", None),
            ("2026-10-25T01:00:00Z", Some("2026-10-25T01:30:00Z")),
            ("2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z")),
            ("2026-10-25T01:30:00Z", None),
        ] {
            assert_eq!(until((22 * 60, 150), "Europe/Berlin", now).as_deref(), ends, "{now}");
        }
        // An end at 03:00 comes once, whatever came twice before it.
        let ends = Some("2026-10-25T02:00:00Z".to_owned());
        assert_eq!(until((22 * 60, 180), "Europe/Berlin", "2026-10-25T00:10:00Z"), ends);
        // Quiet hours that begin in the hour: 02:15…02:45, twice.
        assert_eq!(
            until((135, 165), "Europe/Berlin", "2026-10-25T01:20:00Z"),
            Some("2026-10-25T01:45:00Z".into())
        );
    }

    /// Moments around each change of every zone of the IANA database, 1970…2037, with hours that begin and end near it.
    fn around_changes(mut check: impl FnMut(&str, &TimeZone, Timestamp, &mut StdRng)) {
        let mut rng = StdRng::seed_from_u64(25);
        let [first, last] = [0, 2_145_916_800].map(|at| jiff::Timestamp::from_second(at).unwrap());
        let mut changes = 0;
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            for change in zone.following(first).take_while(|change| change.timestamp() < last) {
                changes += 1;
                let near = rng.random_range(-36 * 60..36 * 60) * MINUTE_MICROS;
                let now = Timestamp(change.timestamp().as_microsecond() + near / rng.random_range(1..40));
                check(name.as_str(), &zone, now, &mut rng);
            }
        }
        assert!(changes > 20_000, "the zones were not found: {changes} changes");
    }

    #[test]
    fn quiet_hours_end_later_than_now_and_at_the_first_moment_that_is_not_quiet() {
        around_changes(|name, zone, now, rng| {
            let minute = |at: Timestamp| u16::try_from(micros_of_day(at, zone) / MINUTE_MICROS).unwrap();
            let near = |rng: &mut StdRng| (minute(now) + 1_440 + rng.random_range(0..300) - 150) % 1_440;
            let quiet = match rng.random_range(0..4) {
                0 => QuietHours { from_minute: rng.random_range(0..1_440), to_minute: near(rng) },
                1 => QuietHours { from_minute: near(rng), to_minute: near(rng) },
                2 => QuietHours { from_minute: near(rng), to_minute: rng.random_range(0..1_440) },
                // All of the day but one minute.
                _ => {
                    let free = near(rng);
                    QuietHours { from_minute: (free + 1) % 1_440, to_minute: free }
                }
            };
            let at = format!("{name} {now} {quiet:?}");
            let is_quiet = |moment: Timestamp| quiet.covers(minute(moment));
            let Some(until) = quiet.quiet_until(now, zone) else {
                assert!(!is_quiet(now), "{at}");
                return;
            };
            assert!(until > now && is_quiet(now) && !is_quiet(until), "{at}: until {until}");
            assert_eq!(quiet.quiet_until(until, zone), None, "{at}: until {until}");
            let between = (0..8).map(|_| Timestamp(rng.random_range(now.0..until.0)));
            for moment in between.chain([Timestamp(until.0 - 1)]) {
                assert!(is_quiet(moment), "{at}: until {until}, but not quiet at {moment}");
            }
        });
    }

    #[test]
    fn a_minute_of_the_day_comes_once_a_day_and_later_than_now() {
        around_changes(|name, zone, now, rng| {
            let minute = rng.random_range(0..1_440);
            let mut at = now;
            for turn in 0..4 {
                let Some(next) = next_minute(minute, at, zone) else { panic!("{name} {at} {minute}: none") };
                let hours = next.millis_since(at).0 as f64 / 3_600_000.0;
                // Days that a zone has skipped or repeated whole are among them.
                let least = if turn == 0 { 0.0 } else { 20.0 };
                assert!(next > at && hours > least && hours <= 49.0, "{name} {at} {minute}: {next}");
                at = next;
            }
        });
    }

    #[test]
    fn a_digest_at_half_past_two_goes_out_once_on_the_day_that_has_it_twice() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let next = |now| next_minute(150, Timestamp::parse(now).unwrap(), &berlin).unwrap().to_string();
        assert_eq!(next("2026-10-25T00:29:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
        assert_eq!(next("2026-10-25T01:10:00Z"), "2026-10-26T01:30:00Z");
        // St. John's set its clock from 00:01 back to 23:01 of the day before, until 2011.
        let st_johns = TimeZone::get("America/St_Johns").unwrap();
        let now = Timestamp::parse("2010-11-07T02:45:00Z").unwrap();
        assert_eq!(
            next_minute(0, now, &st_johns).map(|at| at.to_string()),
            Some("2010-11-08T03:30:00Z".into())
        );
    }
}
