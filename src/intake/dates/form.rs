//! Forms of dates and times, and how a text of each is read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use tidings_core::base::Timestamp;

use super::named;
use super::scan::{Written, complete, full_year, groups};

/// Unit of a number that counts time since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EpochUnit {
    /// Seconds, perhaps with a fraction.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl EpochUnit {
    /// The unit in which a number names a time between 1973 and 5138, which exactly one does.
    pub fn of(number: f64) -> Self {
        match number.abs() {
            n if n < 1e11 => Self::Seconds,
            n if n < 1e14 => Self::Millis,
            n if n < 1e17 => Self::Micros,
            _ => Self::Nanos,
        }
    }

    fn moment(self, number: f64) -> Option<Timestamp> {
        let micros = match self {
            Self::Seconds => number * 1e6,
            Self::Millis => number * 1e3,
            Self::Micros => number,
            Self::Nanos => number / 1e3,
        };
        // Beyond the years that can be written.
        (micros.is_finite() && micros.abs() < 2.5e17).then_some(Timestamp(micros.round() as i64))
    }
}

/// Form of the dates of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DateForm {
    /// Any that can mean one thing only, each value by itself.
    #[default]
    Evident,
    /// `2026-11-01 10:00:00`, with or without a zone; also `2026/11/01` and `2026.11.01`.
    YearFirst,
    /// `01.11.2026 10:00`, `1/11/26`.
    DayFirst,
    /// `11/01/2026 10:00 AM`, `11/1/26`.
    MonthFirst,
    /// A month with a name, as RFC 2822.
    Named,
    /// `20261101`, `20261101103000`.
    Compact,
    /// A number since 1970.
    Epoch(EpochUnit),
    /// Days since 1899-12-30, as spreadsheets count.
    Spreadsheet,
    /// A pattern of `strptime`.
    Pattern(String),
}

impl DateForm {
    /// Reads a text in this form; `None` for any other. `local` is the zone of times that carry none.
    pub fn read(&self, text: &str, local: &TimeZone) -> Option<Timestamp> {
        let text = text.trim();
        match self {
            Self::Evident => evident(text)?.read(text, local),
            Self::YearFirst => year_first(text)?.moment(local),
            Self::DayFirst => short(text, true)?.moment(local),
            Self::MonthFirst => short(text, false)?.moment(local),
            Self::Named => named::read(text)?.moment(local),
            Self::Compact => compact(text)?.moment(local),
            Self::Epoch(unit) => unit.moment(number(text)?),
            Self::Spreadsheet => spreadsheet(days(text)?)?.moment(local),
            Self::Pattern(pattern) => by_pattern(pattern, text)?.moment(local),
        }
    }

    /// A moment in this form, to show what is meant.
    pub fn example(&self) -> &str {
        match self {
            Self::Evident => "2026-11-01 10:00:00",
            Self::YearFirst => "2026-11-01 10:00:00",
            Self::DayFirst => "01.11.2026 10:00, day first",
            Self::MonthFirst => "11/01/2026 10:00, month first",
            Self::Named => "01 Nov 2026 10:00:00",
            Self::Compact => "20261101",
            Self::Epoch(EpochUnit::Seconds) => "1793527200, seconds since 1970",
            Self::Epoch(EpochUnit::Millis) => "1793527200000, milliseconds since 1970",
            Self::Epoch(EpochUnit::Micros) => "1793527200000000, microseconds since 1970",
            Self::Epoch(EpochUnit::Nanos) => "1793527200000000000, nanoseconds since 1970",
            Self::Spreadsheet => "46327.41667, days since 1899-12-30",
            Self::Pattern(pattern) => pattern,
        }
    }
}

impl fmt::Display for DateForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "as {}", self.example())
    }
}

/// Names of the forms on the command line; anything with a `%` is a pattern.
const NAMES: [(&str, DateForm); 10] = [
    ("year-first", DateForm::YearFirst),
    ("day-first", DateForm::DayFirst),
    ("month-first", DateForm::MonthFirst),
    ("named-month", DateForm::Named),
    ("compact", DateForm::Compact),
    ("epoch-s", DateForm::Epoch(EpochUnit::Seconds)),
    ("epoch-ms", DateForm::Epoch(EpochUnit::Millis)),
    ("epoch-us", DateForm::Epoch(EpochUnit::Micros)),
    ("epoch-ns", DateForm::Epoch(EpochUnit::Nanos)),
    ("spreadsheet", DateForm::Spreadsheet),
];

/// A name that is no form and no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a pattern such as %d.%m.%Y %H:%M nor one of {names}",
    names = NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
)]
pub struct UnknownDateForm(String);

impl FromStr for DateForm {
    type Err = UnknownDateForm;

    fn from_str(text: &str) -> Result<Self, UnknownDateForm> {
        if let Some((_, form)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(form.clone());
        }
        // What it writes it must be able to read again.
        let moment = BrokenDownTime::from(jiff::Timestamp::UNIX_EPOCH);
        let written = if text.contains('%') { moment.to_string(text).ok() } else { None };
        match written.filter(|written| by_pattern(text, written).is_some()) {
            Some(_) => Ok(Self::Pattern(text.to_owned())),
            None => Err(UnknownDateForm(text.to_owned())),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    // Words such as "inf" and "nan" are numbers to the parser, not to anybody else.
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse().ok().filter(|_| is_number)
}

pub(super) fn year_first(text: &str) -> Option<Written> {
    let (groups, rest) = groups(text)?;
    let [(year, 4), (month, 1 | 2), (day, 1 | 2)] = groups.numbers else { return None };
    complete(year, month, day, rest)
}

pub(super) fn short(text: &str, day_first: bool) -> Option<Written> {
    let (groups, rest) = groups(text)?;
    let [(first, 1 | 2), (second, 1 | 2), year] = groups.numbers else { return None };
    let (day, month) = if day_first { (first, second) } else { (second, first) };
    complete(full_year(year)?, month, day, rest)
}

pub(super) fn compact(text: &str) -> Option<Written> {
    let n = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(n)?;
    let part = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<i16>().ok());
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    // Numbers of eight digits that are dates by accident are in the fifth millennium.
    if !(1900..=2200).contains(&year) {
        return None;
    }
    let clock = |digits: &str| match digits.len() {
        4 => Some(format!("{}:{}", digits.get(..2)?, digits.get(2..)?)),
        6 => Some(format!("{}:{}:{}", digits.get(..2)?, digits.get(2..4)?, digits.get(4..)?)),
        _ => None,
    };
    let rest = match n {
        8 => {
            let bare = rest.strip_prefix(['T', 't', ' ']).unwrap_or(rest);
            let n = bare.bytes().take_while(u8::is_ascii_digit).count();
            match bare.split_at_checked(n)? {
                (time, zone) if n == 4 || n == 6 => Cow::from(format!(" {}{zone}", clock(time)?)),
                _ => Cow::from(rest),
            }
        }
        12 | 14 => Cow::from(format!(" {}{rest}", clock(digits.get(8..)?)?)),
        _ => return None,
    };
    complete(year, month, day, &rest)
}

/// A number of days; the decimal mark may be a comma, as spreadsheets of many countries write it.
fn days(text: &str) -> Option<f64> {
    number(text).or_else(|| number(&text.replacen(',', ".", 1)))
}

/// The date that a number means to a spreadsheet, of 1954 to 2119. As seconds since 1970 it would be within one day.
pub(super) fn serial(text: &str) -> Option<Written> {
    days(text).filter(|days| (20_000.0..80_000.0).contains(days)).and_then(spreadsheet)
}

fn spreadsheet(days: f64) -> Option<Written> {
    let start = jiff::civil::date(1899, 12, 30).at(0, 0, 0, 0);
    // To the second: a fraction of a day in binary is no round number of them.
    let seconds = (days * 86_400.0).round();
    if !(0.0..1e11).contains(&seconds) {
        return None;
    }
    let civil = start.checked_add(jiff::Span::new().try_seconds(seconds as i64).ok()?).ok()?;
    Some(Written { civil, zone: None })
}

fn by_pattern(pattern: &str, text: &str) -> Option<Written> {
    let read = BrokenDownTime::parse(pattern, text).ok()?;
    if let Some(moment) = read.timestamp() {
        let zone = TimeZone::UTC;
        return Some(Written { civil: zone.to_datetime(moment), zone: Some(zone) });
    }
    let zone = match (read.offset(), read.iana_time_zone()) {
        (Some(offset), _) => Some(TimeZone::fixed(offset)),
        (None, Some(name)) => Some(TimeZone::get(name).ok()?),
        (None, None) => None,
    };
    Some(Written { civil: read.to_datetime().ok()?, zone })
}

/// The form of a text that can mean one thing only. Dots between short numbers stand in dates that begin with the day, in
/// every country that writes them so.
pub(super) fn evident(text: &str) -> Option<DateForm> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && compact(text).is_some() {
        return Some(DateForm::Compact);
    }
    if let Some(number) = number(text) {
        return Some(DateForm::Epoch(EpochUnit::of(number)));
    }
    match groups(text) {
        Some((groups, _)) => match groups.numbers {
            [(_, 4), ..] => Some(DateForm::YearFirst),
            _ if groups.separator == '.' => Some(DateForm::DayFirst),
            _ => None,
        },
        None if text.starts_with(|c: char| c.is_ascii_digit()) && compact(text).is_some() => {
            Some(DateForm::Compact)
        }
        None => Some(DateForm::Named),
    }
}
