//! CLDR's currency patterns, symbols and relative times, read once from the tables beside this file.
//!
//! A row holds what differs from the locale's parent, so a look-up walks the chain of parents (narrow to wide, then the root)
//! and takes the first value that is there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::languages;

#[cfg(test)]
mod tests;

const ROOT: &str = "und";

/// Columns of a row by locale, named as its chain of parents names it (`zh-HK` for CLDR's `zh-Hant-HK`).
type Table = HashMap<String, Vec<&'static str>>;

static MONEY: LazyLock<Table> = LazyLock::new(|| parse(include_str!("money.tsv")));
static RELATIVE: LazyLock<Table> = LazyLock::new(|| parse(include_str!("relative.tsv")));

fn parse(text: &'static str) -> Table {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    let name = |locale: &str| {
        let parents = languages::canonical(locale).map(|tag| languages::parents(&tag));
        parents
            .and_then(|mut parents| parents.next())
            .map_or_else(|| locale.to_owned(), |tag| tag.to_string())
    };
    rows.filter_map(|line| line.split_once('\t'))
        .map(|(locale, columns)| (name(locale), columns.split('\t').collect()))
        .collect()
}

/// The rows of a locale and its parents.
fn rows<'a>(
    table: &'static Table,
    chain: &'a [String],
) -> impl Iterator<Item = &'static Vec<&'static str>> + use<'a> {
    chain.iter().map(String::as_str).chain([ROOT]).filter_map(|locale| table.get(locale))
}

/// The first value of a column.
fn column(table: &'static Table, chain: &[String], place: usize) -> &'static str {
    let values = rows(table, chain).filter_map(|row| row.get(place).copied());
    values.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
}

/// Returns whether any of these locales has data of its own.
pub(super) fn knows(chain: &[String]) -> bool {
    chain.iter().any(|locale| RELATIVE.contains_key(locale.as_str()))
}

/// A unit of relative time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
}

/// Format of one currency in a locale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MoneyStyle<'a> {
    /// `¤` for the symbol, `0` for the number, `-` for the sign; after `;` the pattern of negative amounts.
    pub pattern: Cow<'static, str>,
    /// The symbol, or the code.
    pub symbol: &'a str,
    /// The sign of negative amounts.
    pub minus: &'static str,
    /// Decimal separator, if not that of other numbers.
    pub point: Option<&'static str>,
    /// Group separator, if not that of other numbers.
    pub group: Option<&'static str>,
}

/// Format of a currency in the locale of this chain.
pub(super) fn money<'a>(chain: &[String], code: &'a str) -> MoneyStyle<'a> {
    let symbols = rows(&MONEY, chain).filter_map(|row| row.get(5));
    let own = symbols
        .flat_map(|symbols| symbols.split(" ; "))
        .find_map(|entry| entry.strip_prefix(code)?.strip_prefix('='));
    let (symbol, own_point) = own.map_or((code, None), |own: &'static str| {
        own.split_once('|').map_or((own, None), |(symbol, point)| (symbol, Some(point)))
    });
    let pattern = column(&MONEY, chain, 0);
    let is_before = pattern.find('¤') < pattern.find('0');
    let beside = if is_before { symbol.chars().next_back() } else { symbol.chars().next() };
    let is_word = beside.is_some_and(|c| c.is_alphanumeric() || c == '.');
    // Letters keep their distance from digits, as UTS #35 (currencySpacing) has it.
    let spaced = || column(&MONEY, chain, 1).replace("¤0", "¤\u{a0}0").replace("0¤", "0\u{a0}¤");
    let given = |value: &'static str| Some(value).filter(|value| *value != "-" && !value.is_empty());
    MoneyStyle {
        pattern: if is_word { spaced().into() } else { pattern.into() },
        symbol,
        minus: column(&MONEY, chain, 2),
        point: own_point.or(given(column(&MONEY, chain, 3))),
        group: given(column(&MONEY, chain, 4)),
    }
}

/// The form for a number of this plural category, with `{0}` for the number.
pub(super) fn relative(chain: &[String], unit: Unit, is_ahead: bool, category: &str) -> &'static str {
    let place = match unit {
        Unit::Minute => 1,
        Unit::Hour => 2,
        Unit::Day => 3,
    };
    let forms = column(&RELATIVE, chain, if is_ahead { place + 3 } else { place });
    let form =
        |category: &str| forms.split('|').find_map(|form| form.strip_prefix(category)?.strip_prefix('='));
    form(category).or_else(|| form("other")).unwrap_or("{0}")
}

/// The present moment.
pub(super) fn now(chain: &[String]) -> &'static str {
    column(&RELATIVE, chain, 0)
}
