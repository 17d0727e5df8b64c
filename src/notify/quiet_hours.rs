//! Quiet hours in the user's own time zone, across midnight and over daylight-saving changes.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use crate::base::Timestamp;

/// Local hours in which nobody is disturbed, as minutes after midnight; `from > to` runs across midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// First quiet minute, 0…1439.
    pub from_minute: u16,
    /// First minute that is no longer quiet, 0…1439; equal to `from_minute` = no quiet hours.
    pub to_minute: u16,
}

impl QuietHours {
    /// Is this minute of the day quiet?
    pub fn covers(self, minute: u16) -> bool {
        let QuietHours { from_minute: from, to_minute: to } = self;
        if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    /// When the quiet hours that hold `now` end; `None` if it is not quiet. An end that a daylight-saving
    /// change skips is the moment after the gap; one that comes twice is the first.
    pub fn quiet_until(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = now.to_jiff().to_zoned_datetime(zone.clone());
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        if !self.covers(minute) {
            return None;
        }
        let QuietHours { from_minute: from, to_minute: to } = self;
        // Across midnight and still before it: the end is tomorrow.
        let date = if from > to && minute >= from { local.date().tomorrow().ok()? } else { local.date() };
        let time = Time::new(i8::try_from(to / 60).ok()?, i8::try_from(to % 60).ok()?, 0, 0).ok()?;
        let end = zone.to_ambiguous_zoned_datetime(DateTime::from_parts(date, time)).compatible().ok()?;
        Some(Timestamp(end.timestamp().as_microsecond()))
    }
}

/// The next time the local clock shows this minute of the day (0…1439), after `now`. A minute that a daylight-saving
/// change skips is the moment after the gap; one that comes twice is the first.
pub fn next_minute(minute: u16, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let local = now.to_jiff().to_zoned_datetime(zone.clone());
    let time = Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
    [Some(local.date()), local.date().tomorrow().ok()].into_iter().flatten().find_map(|date| {
        let at = zone.to_ambiguous_zoned_datetime(DateTime::from_parts(date, time)).compatible().ok()?;
        let at = Timestamp(at.timestamp().as_microsecond());
        (at > now).then_some(at)
    })
}

#[cfg(test)]
mod tests {
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
        // Berlin skips 02:00…03:00 on 2026-03-29; 02:30 does not exist and becomes 03:30 summer time.
        assert_eq!(
            until((22 * 60, 150), "Europe/Berlin", "2026-03-28T23:00:00Z"),
            Some("2026-03-29T01:30:00Z".into())
        );
        // It repeats 02:00…03:00 on 2026-10-25; the first 02:30 counts.
        assert_eq!(
            until((22 * 60, 150), "Europe/Berlin", "2026-10-24T22:00:00Z"),
            Some("2026-10-25T00:30:00Z".into())
        );
    }
}
