//! Holds the formats against ICU4C's output for a hundred locales (`reference.tsv`, made by `generate.mjs`).

use crate::notify::content::cldr::Unit;
use crate::notify::content::locale::{Locale, decimal};

const REFERENCE: &str = include_str!("reference.tsv");

/// Rows of one kind: locale, unit or currency, value, ICU's output.
fn rows(kind: &str) -> Vec<[&'static str; 4]> {
    let rows = REFERENCE.lines().filter_map(|line| line.split_once('\t')).filter(|(of, _)| *of == kind);
    let rows: Vec<[&str; 4]> =
        rows.map(|(_, rest)| rest.splitn(4, '\t').collect::<Vec<_>>().try_into().unwrap()).collect();
    assert!(rows.len() > 90, "{kind}: the reference is missing");
    rows
}

fn differences(kind: &str, known: &[&str], ours: impl Fn(&Locale, &str, &str) -> String) {
    let mut wrong = Vec::new();
    for [locale, about, value, expected] in rows(kind) {
        let written = ours(&Locale::of(locale), about, value);
        if written != expected && !known.contains(&locale) {
            wrong.push(format!("{locale} {about} {value}: {written:?}, ICU writes {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {kind}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn money_is_written_as_icu_does() {
    // ICU4X has CLDR 49 for separators, the reference 48: those of Swiss English, Swiss French and Galician changed. ICU4C
    // groups Malayalam and Marathi money otherwise than numbers, and takes the escudo's `$` for all money of Cape Verde.
    differences("money", &["en-CH", "fr-CH", "gl", "ml", "mr", "pt-CV"], |locale, currency, amount| {
        locale.money(amount.parse().unwrap(), currency)
    });
}

#[test]
fn numbers_are_written_as_icu_does() {
    differences("number", &["en-CH", "fr-CH", "gl"], |locale, _, value| {
        locale.decimal(value.parse().unwrap())
    });
}

#[test]
fn plural_categories_are_those_of_icu() {
    // Changed between CLDR 48 and 49; Cape Verde has the rules of Portugal there.
    differences("plural", &["gl", "vi", "pt-CV"], |locale, _, _| {
        let counts = ["0", "1", "2", "3", "5", "6", "11", "21", "100", "1000000", "1.5", "0.0", "2.10"];
        let category = |count: &&str| {
            let decimals = count.split_once('.').map_or(0, |(_, digits)| digits.len() as u8);
            let n = decimal(count.parse().unwrap(), decimals, decimals).unwrap();
            format!("{count}={}", locale.category(&n))
        };
        counts.iter().map(category).collect::<Vec<_>>().join(" ")
    });
}

#[test]
fn relative_times_are_written_as_icu_does() {
    differences("relative", &[], |locale, unit, n| {
        let n: i64 = n.parse().unwrap();
        let unit = match unit {
            "minute" => Unit::Minute,
            "hour" => Unit::Hour,
            _ => Unit::Day,
        };
        locale.ago_or_ahead(n.unsigned_abs(), unit, n > 0)
    });
}
