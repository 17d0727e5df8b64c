//! Languages: fallback, plural categories, numbers, money, dates and relative times. A small table instead of ICU: whole
//! numbers and the languages below are all that messages need, and ICU's data alone is several times this server's.
//! Plural rules after CLDR 45 (integers), formats after CLDR's standard patterns.

use jiff::tz::TimeZone;

use crate::base::Timestamp;

/// How a language writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Locale {
    /// Two or three letters.
    pub language: &'static str,
    decimal: char,
    group: &'static str,
    /// The currency's sign goes before the number.
    sign_first: bool,
    /// jiff's pattern of a day.
    date: &'static str,
    plural: Plural,
    words: Words,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Plural {
    /// 1 is one.
    One,
    /// 0 and 1 are one.
    ZeroOne,
    /// Polish.
    Polish,
    /// Russian, Ukrainian.
    EastSlavic,
    /// Czech, Slovak.
    Czech,
    /// There is one form.
    None,
}

/// Relative times: now; ago and ahead with `{}` for the number and unit; minute, hour, day (one, other).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Words {
    now: &'static str,
    ago: &'static str,
    ahead: &'static str,
    minutes: [&'static str; 2],
    hours: [&'static str; 2],
    days: [&'static str; 2],
}

const EN: Words = Words {
    now: "just now",
    ago: "{} ago",
    ahead: "in {}",
    minutes: ["minute", "minutes"],
    hours: ["hour", "hours"],
    days: ["day", "days"],
};
const DE: Words = Words {
    now: "gerade eben",
    ago: "vor {}",
    ahead: "in {}",
    minutes: ["Minute", "Minuten"],
    hours: ["Stunde", "Stunden"],
    days: ["Tag", "Tagen"],
};
const FR: Words = Words {
    now: "à l’instant",
    ago: "il y a {}",
    ahead: "dans {}",
    minutes: ["minute", "minutes"],
    hours: ["heure", "heures"],
    days: ["jour", "jours"],
};
const ES: Words = Words {
    now: "ahora mismo",
    ago: "hace {}",
    ahead: "dentro de {}",
    minutes: ["minuto", "minutos"],
    hours: ["hora", "horas"],
    days: ["día", "días"],
};

const fn locale(
    language: &'static str,
    separators: (char, &'static str),
    sign_first: bool,
    date: &'static str,
    plural: Plural,
    words: Words,
) -> Locale {
    Locale { language, decimal: separators.0, group: separators.1, sign_first, date, plural, words }
}

/// The languages known; the first is the last resort.
const LOCALES: [Locale; 12] = [
    locale("en", ('.', ","), true, "%B %-d, %Y", Plural::One, EN),
    locale("de", (',', "."), false, "%-d.%-m.%Y", Plural::One, DE),
    locale("fr", (',', "\u{202f}"), false, "%d/%m/%Y", Plural::ZeroOne, FR),
    locale("es", (',', "."), false, "%-d/%-m/%Y", Plural::One, ES),
    locale("it", (',', "."), false, "%-d/%-m/%Y", Plural::One, EN),
    locale("nl", (',', "."), true, "%-d-%-m-%Y", Plural::One, EN),
    locale("pt", (',', "."), true, "%d/%m/%Y", Plural::ZeroOne, EN),
    locale("pl", (',', "\u{a0}"), false, "%-d.%m.%Y", Plural::Polish, EN),
    locale("cs", (',', "\u{a0}"), false, "%-d. %-m. %Y", Plural::Czech, EN),
    locale("ru", (',', "\u{a0}"), false, "%d.%m.%Y", Plural::EastSlavic, EN),
    locale("uk", (',', "\u{a0}"), false, "%d.%m.%Y", Plural::EastSlavic, EN),
    locale("ja", ('.', ","), true, "%Y/%m/%d", Plural::None, EN),
];

/// A tag and what it falls back to, narrow to wide: `de-AT` → `de-at`, `de`, and last `en`. At most four.
pub fn fallbacks(tag: &str) -> Vec<String> {
    let mut chain = Vec::new();
    let mut rest = tag.trim().replace('_', "-").to_ascii_lowercase();
    while !rest.is_empty() && chain.len() < 3 {
        chain.push(rest.clone());
        rest = rest.rsplit_once('-').map(|(before, _)| before.to_owned()).unwrap_or_default();
    }
    if !chain.iter().any(|known| known == "en") {
        chain.push("en".to_owned());
    }
    chain
}

impl Locale {
    /// The language of a tag, else English.
    pub fn of(tag: &str) -> &'static Self {
        let found =
            fallbacks(tag).into_iter().find_map(|tag| LOCALES.iter().find(|locale| locale.language == tag));
        found.unwrap_or(&LOCALES[0])
    }

    /// CLDR's plural category of a whole number: `one`, `few`, `many` or `other`.
    pub fn plural(&self, n: u64) -> &'static str {
        let (tens, units) = (n % 100, n % 10);
        let teens = (11..=14).contains(&tens);
        match self.plural {
            Plural::One if n == 1 => "one",
            Plural::ZeroOne if n <= 1 => "one",
            Plural::Polish if n == 1 => "one",
            Plural::Polish if (2..=4).contains(&units) && !(12..=14).contains(&tens) => "few",
            Plural::Polish => "many",
            Plural::EastSlavic if units == 1 && tens != 11 => "one",
            Plural::EastSlavic if (2..=4).contains(&units) && !teens => "few",
            Plural::EastSlavic => "many",
            Plural::Czech if n == 1 => "one",
            Plural::Czech if (2..=4).contains(&n) => "few",
            _ => "other",
        }
    }

    /// A number with so many decimals, grouped by thousands. Not finite: "–".
    pub fn number(&self, value: f64, decimals: usize) -> String {
        if !value.is_finite() {
            return "–".to_owned();
        }
        let text = format!("{:.decimals$}", value.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::with_capacity(text.len() + 8);
        if value < 0.0 {
            out.push('-');
        }
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                out.push_str(self.group);
            }
            out.push(digit);
        }
        if !fraction.is_empty() {
            out.push(self.decimal);
            out.push_str(fraction);
        }
        out
    }

    /// Money with the currency's sign where the language puts it; an unknown currency by its code.
    pub fn money(&self, value: f64, currency: &str) -> String {
        let (sign, decimals) = match currency {
            "EUR" => ("€", 2),
            "USD" => ("$", 2),
            "GBP" => ("£", 2),
            "JPY" => ("¥", 0),
            "CHF" => ("CHF", 2),
            "PLN" => ("zł", 2),
            other => (other, 2),
        };
        let number = self.number(value, decimals);
        match (self.sign_first, sign.chars().count() > 1) {
            _ if sign.is_empty() => number,
            (true, false) => format!("{sign}{number}"),
            (true, true) => format!("{sign}\u{a0}{number}"),
            (false, _) => format!("{number}\u{a0}{sign}"),
        }
    }

    /// A day, by the user's clock.
    pub fn date(&self, moment: Timestamp, zone: &TimeZone) -> String {
        moment.to_jiff().to_zoned_datetime(zone.clone()).strftime(self.date).to_string()
    }

    /// "2 hours ago", "in 3 days", "just now".
    pub fn relative(&self, moment: Timestamp, now: Timestamp) -> String {
        let minutes = (moment.0 - now.0).unsigned_abs() / 60_000_000;
        let (n, unit) = match minutes {
            0 => return self.words.now.to_owned(),
            1..60 => (minutes, &self.words.minutes),
            60..1_440 => (minutes / 60, &self.words.hours),
            _ => (minutes / 1_440, &self.words.days),
        };
        let [one, other] = unit;
        let word = if self.plural(n) == "one" { one } else { other };
        let pattern = if moment < now { self.words.ago } else { self.words.ahead };
        pattern.replace("{}", &format!("{n} {word}"))
    }
}
