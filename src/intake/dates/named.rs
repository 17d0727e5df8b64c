//! Dates whose month has a name: `Sun, 01 Nov 2026 10:00:00 +0000` (RFC 2822), `01-Jan-1995`, `Nov 1, 2026 10:00 AM`,
//! `Sun Nov 1 10:00:00 UTC 2026`, `01/Nov/2026:10:00:00 +0000`. English names.

use super::scan::{Written, full_year, time_of_day, zone};
use jiff::civil::{Date, Time};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Returns whether a word of three letters or more begins one of these names.
fn index(word: &str, names: &[&str]) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    names.iter().position(|name| {
        word.len() >= 3 && (name.starts_with(&word) || (word == "sept" && *name == "september"))
    })
}

/// Splits where the time of day begins: before the digits in front of the first colon, or, where those are a year, behind it.
fn split_time(text: &str) -> (&str, &str) {
    let Some(colon) = text.find(':') else { return (text, "") };
    let (before, after) = text.split_at(colon);
    let digits = before.bytes().rev().take_while(u8::is_ascii_digit).count();
    if digits == 4 {
        return (before, after.get(1..).unwrap_or_default());
    }
    text.split_at(colon - digits)
}

/// Reads one.
pub fn read(text: &str) -> Option<Written> {
    if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) || text.len() > 80 {
        return None;
    }
    let (head, tail) = split_time(text);
    let mut month = None;
    let mut numbers: Vec<(i16, usize)> = Vec::new();
    for token in head.split([' ', ',', '-', '/', '.']).filter(|token| !token.is_empty()) {
        if token.starts_with(|c: char| c.is_ascii_digit()) {
            let bare = token.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            if bare.len() != token.len()
                && !matches!(token.get(bare.len()..), Some("st" | "nd" | "rd" | "th"))
            {
                return None;
            }
            numbers.push((bare.parse().ok()?, bare.len()));
        } else if index(token, &WEEKDAYS).is_some() || token == "at" {
        } else {
            month = Some(month.xor(Some(index(token, &MONTHS)? + 1))?);
        }
    }
    let (time, rest) = if tail.is_empty() { (Time::midnight(), "") } else { time_of_day(tail)? };
    let (day, year, rest) = day_and_year(&numbers, rest)?;
    let date = Date::new(year, i8::try_from(month?).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(Written { civil: date.to_datetime(time), zone: zone(rest)? })
}

/// Day and year of the numbers beside the month's name, and the zone; the year may stand behind the zone.
fn day_and_year<'a>(numbers: &[(i16, usize)], rest: &'a str) -> Option<(i16, i16, &'a str)> {
    match numbers {
        [(day, 1 | 2), year] => Some((*day, full_year(*year)?, rest)),
        [year @ (_, 4), (day, 1 | 2)] => Some((*day, full_year(*year)?, rest)),
        [(day, 1 | 2)] => {
            let (zone, year) = rest.trim_end().rsplit_once(' ')?;
            let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
            Some((*day, year.parse().ok().filter(|_| is_year)?, zone))
        }
        _ => None,
    }
}
