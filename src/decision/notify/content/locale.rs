//! Formats numbers, money, dates, relative times and plural forms for a locale, after CLDR.
//!
//! ICU4X (icu_decimal, icu_plurals, icu_datetime) does what its stable crates do. Currency patterns and symbols and relative
//! times are experimental there, so they come from CLDR's own tables, reduced to what differs from a locale's parent (80 KB,
//! `cldr/generate.mjs`). The tests hold all of it against ICU4C's output for a hundred locales (`cldr/reference.tsv`).

use std::fmt;

use fixed_decimal::{Decimal, SignedRoundingMode, UnsignedRoundingMode};
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::YMD;
use icu_datetime::input::Date;
use icu_decimal::{DecimalFormatter, parts};
use icu_locale::Locale as Tag;
use icu_plurals::{PluralCategory, PluralRules};
use jiff::tz::TimeZone;
use writeable::{Part, PartsWrite, Writeable};

use super::cldr::{self, Unit};
use super::languages;
use tidings_core::base::Timestamp;

/// Written for what is no finite number.
const NO_NUMBER: &str = "–";
/// Decimals of a number that says nothing of them.
const MAX_DECIMALS: u8 = 3;

/// Formatting conventions of one locale.
#[derive(Clone, Debug, PartialEq)]
pub struct Locale {
    /// Without extensions.
    tag: Tag,
    /// The tag and its parents in CLDR, narrow to wide, without the root.
    chain: Vec<String>,
}

impl Locale {
    /// The locale of a BCP 47 tag; English for what is no tag or has no data.
    pub fn of(tag: &str) -> Self {
        let known = |tag: &str| {
            let tag = Tag::from(languages::canonical(tag)?);
            let chain = languages::parents(&tag.id).map(|parent| parent.to_string()).collect::<Vec<_>>();
            cldr::knows(&chain).then_some(Self { tag, chain })
        };
        known(tag).or_else(|| known("en")).unwrap_or(Self { tag: Tag::UNKNOWN, chain: Vec::new() })
    }

    /// CLDR's plural category of a number as [`Self::decimal`] writes it: `zero`, `one`, `two`, `few`, `many` or `other`.
    pub fn plural(&self, n: impl Into<f64>) -> &'static str {
        decimal(n.into(), 0, MAX_DECIMALS).map_or("other", |n| self.category(&n))
    }

    pub(super) fn category(&self, n: &Decimal) -> &'static str {
        // Rules go by language and region: looked up with its script, `sr-Latn` would have none.
        let mut tag = self.tag.clone();
        tag.id.script = None;
        let rules = PluralRules::try_new_cardinal(tag.into());
        match rules.map(|rules| rules.category_for(n)) {
            Ok(PluralCategory::Zero) => "zero",
            Ok(PluralCategory::One) => "one",
            Ok(PluralCategory::Two) => "two",
            Ok(PluralCategory::Few) => "few",
            Ok(PluralCategory::Many) => "many",
            Ok(PluralCategory::Other) | Err(_) => "other",
        }
    }

    /// A number with so many decimals, grouped as the locale does. Not finite: "–".
    pub fn number(&self, value: f64, decimals: u8) -> String {
        decimal(value, decimals, decimals)
            .map_or_else(|| NO_NUMBER.to_owned(), |n| self.written(&n, None, None))
    }

    /// A number with as many decimals as it has, three at most.
    pub fn decimal(&self, value: f64) -> String {
        decimal(value, 0, MAX_DECIMALS).map_or_else(|| NO_NUMBER.to_owned(), |n| self.written(&n, None, None))
    }

    /// Digits, grouping and separators of the locale, or those given.
    fn written(&self, n: &Decimal, point: Option<&str>, group: Option<&str>) -> String {
        let Ok(formatter) = DecimalFormatter::try_new((&self.tag).into(), Default::default()) else {
            return n.to_string();
        };
        let mut out = Separated { out: String::new(), point, group };
        // Writing to a string can't fail.
        let _ = formatter.format(n).write_to_parts(&mut out);
        out.out
    }

    /// Money as the locale writes it: its pattern and symbol, an unknown currency by its code, decimals by currency. No
    /// currency: the number with two decimals.
    pub fn money(&self, value: f64, currency: &str) -> String {
        let code = currency.trim().to_ascii_uppercase();
        if code.is_empty() {
            return self.number(value, 2);
        }
        let style = cldr::money(&self.chain, &code);
        let Some(amount) = decimal_of_money(value.abs(), &code) else { return NO_NUMBER.to_owned() };
        let is_negative = value < 0.0 && !amount.absolute.is_zero();
        let number = self.written(&amount, style.point, style.group);
        let pattern = style.pattern.as_ref();
        let (positive, negative) =
            pattern.split_once(';').map_or((pattern, None), |(one, two)| (one, Some(two)));
        let fill = |pattern: &str| {
            pattern.chars().fold(String::new(), |mut out, c| {
                match c {
                    '¤' => out.push_str(style.symbol),
                    '0' => out.push_str(&number),
                    '-' => out.push_str(style.minus),
                    other => out.push(other),
                }
                out
            })
        };
        match (is_negative, negative) {
            (false, _) => fill(positive),
            (true, Some(negative)) => fill(negative),
            (true, None) => format!("{}{}", style.minus, fill(positive)),
        }
    }

    /// A day, by the reader's clock and calendar, with the month in words: `2. März 2026`.
    pub fn date(&self, moment: Timestamp, zone: &TimeZone) -> String {
        let day = moment.to_jiff().to_zoned_datetime(zone.clone());
        let written = || {
            let date = Date::try_new_iso(
                i32::from(day.year()),
                day.month().unsigned_abs(),
                day.day().unsigned_abs(),
            )
            .ok()?;
            let formatter = DateTimeFormatter::try_new((&self.tag).into(), YMD::long()).ok()?;
            Some(formatter.format(&date).to_string())
        };
        written().unwrap_or_else(|| day.strftime("%Y-%m-%d").to_string())
    }

    /// "2 hours ago", "in 3 days", "just now".
    pub fn relative(&self, moment: Timestamp, now: Timestamp) -> String {
        let minutes = (moment.0 - now.0).unsigned_abs() / 60_000_000;
        let (n, unit) = match minutes {
            0 => return self.now().to_owned(),
            1..60 => (minutes, Unit::Minute),
            60..1_440 => (minutes / 60, Unit::Hour),
            _ => (minutes / 1_440, Unit::Day),
        };
        self.ago_or_ahead(n, unit, moment > now)
    }

    pub(super) fn ago_or_ahead(&self, n: u64, unit: Unit, is_ahead: bool) -> String {
        let n = Decimal::from(n);
        cldr::relative(&self.chain, unit, is_ahead, self.category(&n))
            .replace("{0}", &self.written(&n, None, None))
    }

    /// "just now" where we know how a person says that, else CLDR's "now".
    fn now(&self) -> &'static str {
        match self.tag.id.language.as_str() {
            "en" => "just now",
            "de" => "gerade eben",
            "fr" => "à l’instant",
            "es" => "ahora mismo",
            _ => cldr::now(&self.chain),
        }
    }
}

/// A number rounded half away from zero to at most `most` decimals, with `least` at least. From the shortest decimal that is
/// this float, so that 1.005 is rounded to 1.01 as its writer expects, and not as the float just below it. `None` if not finite.
pub(super) fn decimal(value: f64, least: u8, most: u8) -> Option<Decimal> {
    if !value.is_finite() {
        return None;
    }
    let mut n: Decimal = format!("{value}").parse().ok()?;
    let half_expand = SignedRoundingMode::Unsigned(UnsignedRoundingMode::HalfExpand);
    n.round_with_mode(-i16::from(most), half_expand);
    n.absolute.trim_end();
    n.absolute.pad_end(-i16::from(least));
    if n.absolute.is_zero() {
        n.sign = Default::default();
    }
    Some(n)
}

/// An amount with the decimals that CLDR shows for the currency; with those of ISO 4217 if the amount has more. Some currencies
/// have coins on paper only, so CLDR leaves them out: "HUF 1,235", but 1234.5 is never rounded to it.
fn decimal_of_money(value: f64, code: &str) -> Option<Decimal> {
    let (shown, minor) = decimals_of_currency(code);
    let exact = decimal(value, 0, minor)?;
    let least = if -exact.absolute.nonzero_magnitude_end() > i16::from(shown) { minor } else { shown };
    decimal(value, least, minor.max(shown))
}

/// Decimals of a currency: as CLDR shows them (`supplemental/currencyData`), and as ISO 4217 has them.
fn decimals_of_currency(code: &str) -> (u8, u8) {
    match code {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => (0, 0),
        "AFN" | "ALL" | "COP" | "HUF" | "IDR" | "IRR" | "KPW" | "LAK" | "LBP" | "MGA" | "MMK" | "PKR"
        | "SOS" | "SYP" | "YER" => (0, 2),
        "IQD" => (0, 3),
        "BHD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => (3, 3),
        "CLF" | "UYW" => (4, 4),
        _ => (2, 2),
    }
}

/// Writes a number with other separators than the locale's.
struct Separated<'a> {
    out: String,
    point: Option<&'a str>,
    group: Option<&'a str>,
}

impl fmt::Write for Separated<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.push_str(text);
        Ok(())
    }
}

impl PartsWrite for Separated<'_> {
    type SubPartsWrite = Self;

    fn with_part(&mut self, part: Part, mut write: impl FnMut(&mut Self) -> fmt::Result) -> fmt::Result {
        let other = match part {
            parts::DECIMAL => self.point,
            parts::GROUP => self.group,
            _ => None,
        };
        match other {
            Some(separator) => self.out.push_str(separator),
            None => write(self)?,
        }
        Ok(())
    }
}
