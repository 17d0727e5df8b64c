//! Reading single fields as people's files write them: times, numbers, ids, kinds, header names.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::event::EventKind;

/// Reads times; those without an offset are local times of one zone. Remembers the last one, since the
/// rows of an invoice share theirs.
pub struct TimeReader {
    zone: TimeZone,
    last_text: String,
    last: Option<Timestamp>,
}

impl TimeReader {
    /// Local times are those of `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, last_text: String::new(), last: None }
    }

    /// RFC 3339; Unix seconds or (≥ 1e11) milliseconds; `2010-12-01 08:26[:00]`, `2010-12-01`; and, month first,
    /// `12/1/2010 8:26[:00]`. `None` for anything else. A local time that a clock change skips is moved on by
    /// the gap, one that happens twice is the first.
    pub fn read(&mut self, text: &str) -> Option<Timestamp> {
        if text == self.last_text && self.last.is_some() {
            return self.last;
        }
        let read = self.read_anew(text.trim());
        self.last_text.clear();
        self.last_text.push_str(text);
        self.last = read;
        read
    }

    fn read_anew(&self, text: &str) -> Option<Timestamp> {
        if let Some(local) = civil(text) {
            let moment = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
            return Some(Timestamp(moment.as_microsecond()));
        }
        Timestamp::parse(text)
    }
}

/// A date with or without a time and without an offset.
fn civil(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', 'T']).map_or((text, "0:00"), |(date, time)| (date, time.trim()));
    let (year, month, day) = if let Some((year, rest)) = date.split_once('-') {
        let (month, day) = rest.split_once('-')?;
        (year, month, day)
    } else {
        let (month, rest) = date.split_once('/')?;
        let (day, year) = rest.split_once('/')?;
        (year, month, day)
    };
    if year.len() != 4 {
        return None;
    }
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (parts.next()?, parts.next()?);
    let (second, fraction) = parts.next().unwrap_or("0").split_once('.').unwrap_or_else(|| {
        let second = time.splitn(3, ':').nth(2).unwrap_or("0");
        (second, "")
    });
    let nanos: i32 = if fraction.is_empty() {
        0
    } else if fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{fraction:0<9}").parse().ok()?
    } else {
        return None;
    };
    DateTime::new(
        year.parse().ok()?,
        digits(month)?,
        digits(day)?,
        digits(hour)?,
        digits(minute)?,
        digits(second)?,
        nanos,
    )
    .ok()
}

/// One or two digits and nothing else.
fn digits(text: &str) -> Option<i8> {
    if (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// A finite decimal number; the reason names the column.
pub fn number(text: &str, column: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{column} is not a number: {text:?}")),
    }
}

/// An id; the reason names the column.
pub fn id(text: &str, column: &str) -> Result<ExternalId, String> {
    ExternalId::parse(text.trim()).map_err(|error| format!("{column}: {error}"))
}

/// A kind by our name or by what other systems call it, in any case, with or without `_`, `-` and spaces.
pub fn kind(text: &str) -> Option<EventKind> {
    let name = squeeze(text);
    if let Some(kind) = EventKind::ALL.into_iter().find(|kind| squeeze(kind.name()) == name) {
        return Some(kind);
    }
    Some(match name.as_str() {
        "pageview" | "productview" | "viewitem" | "itemview" | "click" | "detail" => EventKind::View,
        "query" | "sitesearch" => EventKind::Search,
        "cart" | "basket" | "addtobasket" | "addcart" => EventKind::AddToCart,
        "removefrombasket" | "removecart" | "removefromcart" => EventKind::RemoveFromCart,
        "buy" | "bought" | "order" | "sale" | "transaction" | "checkout" => EventKind::Purchase,
        "refund" | "returned" | "cancel" | "cancellation" => EventKind::Return,
        "favourite" | "favorite" | "wishlist" | "bookmark" => EventKind::Like,
        "rating" | "review" | "stars" => EventKind::Rate,
        _ => return None,
    })
}

/// Letters and digits only, lower case: "Customer ID", "customer_id" and "CustomerID" are one header name.
pub fn squeeze(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Runs of white space become one blank, ends are trimmed, control characters go.
pub fn tidy(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london() -> TimeReader {
        TimeReader::new(TimeZone::get("Europe/London").unwrap())
    }

    #[test]
    fn local_times_know_summer_from_winter() {
        for (text, utc) in [
            ("2010-12-01 08:26:00", "2010-12-01T08:26:00Z"),
            ("2010-12-01 08:26", "2010-12-01T08:26:00Z"),
            ("2011-07-01 08:26:00", "2011-07-01T07:26:00Z"),
            ("7/1/2011 8:26", "2011-07-01T07:26:00Z"),
            ("12/1/2010 8:26", "2010-12-01T08:26:00Z"),
            ("2011-07-01", "2011-06-30T23:00:00Z"),
            ("2011-07-01T08:26:00.25", "2011-07-01T07:26:00.25Z"),
            ("2011-07-01T08:26:00Z", "2011-07-01T08:26:00Z"),
            ("2011-07-01T08:26:00+02:00", "2011-07-01T06:26:00Z"),
            ("2011-03-27 01:30:00", "2011-03-27T01:30:00Z"), // skipped: moved on by an hour
            ("2011-10-30 01:30:00", "2011-10-30T00:30:00Z"), // twice: the first
            ("1291197180", "2010-12-01T09:53:00Z"),
            ("1291197180000", "2010-12-01T09:53:00Z"),
        ] {
            assert_eq!(london().read(text), Timestamp::parse(utc), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none_even_after_a_good_one() {
        let mut reader = london();
        assert!(reader.read("2011-07-01 08:26:00").is_some());
        for text in
            ["", "yesterday", "2011-13-01", "13/1/2011 8:00", "2011-07-01 25:00", "2011-07-01 8", "1/2"]
        {
            assert_eq!(reader.read(text), None, "{text}");
        }
    }

    #[test]
    fn kinds_go_by_many_names() {
        for (name, expected) in [
            ("view", EventKind::View),
            ("Add-To-Cart", EventKind::AddToCart),
            ("addtocart", EventKind::AddToCart),
            ("transaction", EventKind::Purchase),
            ("REFUND", EventKind::Return),
        ] {
            assert_eq!(kind(name), Some(expected), "{name}");
        }
        assert_eq!(kind("dance"), None);
        assert_eq!(kind(""), None);
    }

    #[test]
    fn titles_are_tidied() {
        assert_eq!(tidy("  WHITE   METAL\tLANTERN \n"), "WHITE METAL LANTERN");
    }
}
