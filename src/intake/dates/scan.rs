//! Scanning of dates and times character by character: groups of digits, times of day, zones.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use tidings_core::base::Timestamp;

/// Date and time of day as written, before a zone makes a moment of them.
#[derive(Clone, Debug)]
pub struct Written {
    /// Date and time.
    pub civil: DateTime,
    /// Zone, if one is written.
    pub zone: Option<TimeZone>,
}

impl Written {
    /// The moment; `local` is the zone of times that carry none. A local time that a clock change skips is moved on by
    /// the gap, one that happens twice is the first.
    pub fn moment(self, local: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(local);
        let moment = zone.to_ambiguous_timestamp(self.civil).compatible().ok()?;
        Some(Timestamp(moment.as_microsecond()))
    }
}

/// Three groups of digits with one separator between them, as `2026-11-01` or `1/11/26`.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// Value and number of digits of each.
    pub numbers: [(i16, usize); 3],
    /// `-`, `/` or `.`.
    pub separator: char,
}

/// One to four digits at the beginning, and what follows.
fn digits(text: &str) -> Option<((i16, usize), &str)> {
    let n = text.bytes().take(5).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(n)?;
    if !(1..=4).contains(&n) {
        return None;
    }
    Some(((digits.parse().ok()?, n), rest))
}

/// The groups at the beginning of a text, and what follows.
pub fn groups(text: &str) -> Option<(Groups, &str)> {
    let (first, rest) = digits(text)?;
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.'))?;
    let (second, rest) = digits(rest.strip_prefix(separator)?)?;
    let (third, rest) = digits(rest.strip_prefix(separator)?)?;
    Some((Groups { numbers: [first, second, third], separator }, rest))
}

/// A date with what follows it: nothing, or a time of day and perhaps a zone.
pub fn complete(year: i16, month: i16, day: i16, rest: &str) -> Option<Written> {
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    let rest = rest.trim_end();
    if rest.is_empty() {
        return Some(Written { civil: date.to_datetime(jiff::civil::Time::midnight()), zone: None });
    }
    let rest = rest.strip_prefix([' ', 'T', 't', ',', ':', '_'])?.trim_start();
    let (time, rest) = time_of_day(rest)?;
    let zone = zone(rest)?;
    Some(Written { civil: date.to_datetime(time), zone })
}

/// `8:26`, `08:26:00`, `08:26:00.25`, `8:26:00 AM`, also `8.26`, `08.26.00` and `8h26`, and what follows.
pub fn time_of_day(text: &str) -> Option<(jiff::civil::Time, &str)> {
    let two = |text| digits(text).filter(|((_, n), _)| *n <= 2);
    let ((hour, _), rest) = two(text)?;
    let mark = rest.chars().next().filter(|c| matches!(c, ':' | '.' | 'h'))?;
    let ((minute, minute_digits), rest) = two(rest.strip_prefix(mark)?)?;
    // Behind a dot one digit would be the tenth of an hour.
    if mark == '.' && minute_digits != 2 {
        return None;
    }
    let (second, rest) = match rest.strip_prefix(mark) {
        None => (0, rest),
        Some(rest) => {
            let ((second, _), rest) = two(rest)?;
            // A leap second is the last one of its minute.
            (if second == 60 { 59 } else { second }, rest)
        }
    };
    let (nanos, rest) = match rest.strip_prefix(['.', ',']) {
        None => (0, rest),
        Some(rest) => {
            let n = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, rest) = rest.split_at_checked(n).filter(|_| n > 0)?;
            (format!("{:0<9}", fraction.get(..n.min(9))?).parse::<i32>().ok()?, rest)
        }
    };
    let (half, rest) = half_of_day(rest);
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(after_noon) => hour % 12 + if after_noon { 12 } else { 0 },
    };
    let small = |number: i16| i8::try_from(number).ok();
    Some((jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()?, rest))
}

/// Returns whether AM or PM follows, and what follows then.
fn half_of_day(text: &str) -> (Option<bool>, &str) {
    let bare = text.trim_start();
    for (mark, after_noon) in [("AM", false), ("PM", true), ("A.M.", false), ("P.M.", true)] {
        if let Some((head, rest)) = bare.split_at_checked(mark.len())
            && head.eq_ignore_ascii_case(mark)
            && !rest.starts_with(char::is_alphabetic)
        {
            return (Some(after_noon), rest);
        }
    }
    (None, text)
}

/// Names of zones that RFC 2822 §4.3 knows, and central Europe's, with their hours east of Greenwich.
const ZONES: [(&str, i8); 14] = [
    ("Z", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("UT", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("CET", 1),
    ("CEST", 2),
];

/// The zone that a text names: inner `None` for a blank one, outer for one that is not understood.
pub fn zone(text: &str) -> Option<Option<TimeZone>> {
    let text = text.trim();
    // "+01:00[Europe/Berlin]", "GMT+0100 (Central European Standard Time)": what stands in brackets says the same again.
    let text = match text.split_once(['(', '[']) {
        Some((before, name)) if before.trim().is_empty() => name.trim_end_matches([']', ')']),
        Some((before, _)) => before.trim_end(),
        None => text,
    };
    if text.is_empty() {
        return Some(None);
    }
    if let Some((_, hours)) = ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(Some(TimeZone::fixed(Offset::from_hours(*hours).ok()?)));
    }
    let bare = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text).trim_start();
    if bare.starts_with(['+', '-', '−']) {
        return offset(bare).map(|offset| Some(TimeZone::fixed(offset)));
    }
    if text.contains('/') { TimeZone::get(text).ok().map(Some) } else { None }
}

/// `+05`, `+0500`, `+05:00`, `+05:00:00`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix(['-', '−'])?),
    };
    let figures: String = rest.split(':').collect();
    if !matches!(figures.len(), 1 | 2 | 4 | 6) || !figures.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let figures = if figures.len() == 1 { format!("0{figures}") } else { figures };
    let part = |at: usize| figures.get(at..at + 2).map_or(Some(0), |part| part.parse::<i32>().ok());
    Offset::from_seconds(sign * (part(0)? * 3_600 + part(2)? * 60 + part(4)?)).ok()
}

/// Years of two digits: those of 1969…2068, as POSIX has them.
pub fn full_year((year, digits): (i16, usize)) -> Option<i16> {
    match digits {
        4 => Some(year),
        2 => Some(if year < 69 { 2000 + year } else { 1900 + year }),
        _ => None,
    }
}
