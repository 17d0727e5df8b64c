//! Numbers as people's files write them: `19,90`, `1,299.00`, `1.299,00`, `1 299,00`, `$12.50`, `12,50 €`, `(5.00)`, `12,-`.
//!
//! Whether a comma or a dot marks the decimals is one decision for a column: found from its values ([`NumberSurvey`]), or stated.

use std::fmt;

use super::currencies;

/// Mark between units and decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalMark {
    /// `1,299.00`
    Dot,
    /// `1.299,00`
    Comma,
}

impl DecimalMark {
    fn char(self) -> char {
        match self {
            Self::Dot => '.',
            Self::Comma => ',',
        }
    }

    fn of(mark: char) -> Option<Self> {
        match mark {
            '.' => Some(Self::Dot),
            ',' => Some(Self::Comma),
            _ => None,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Dot => Self::Comma,
            Self::Comma => Self::Dot,
        }
    }
}

impl fmt::Display for DecimalMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dot => "as 1,299.00",
            Self::Comma => "as 1.299,00",
        })
    }
}

/// Form of the numbers of a column; `None` where nothing showed it: then a number that could be read in two ways is refused.
pub type NumberForm = Option<DecimalMark>;

/// A number, and the currency written beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// Finite.
    pub number: f64,
    /// ISO 4217, where the sign means one currency only.
    pub currency: Option<[u8; 3]>,
}

impl Amount {
    /// The currency as text.
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_ref().and_then(|code| std::str::from_utf8(code).ok())
    }
}

/// Signs that mean one currency.
const SIGNS: [(&str, [u8; 3]); 12] = [
    ("€", *b"EUR"),
    ("£", *b"GBP"),
    ("₹", *b"INR"),
    ("zł", *b"PLN"),
    ("₩", *b"KRW"),
    ("₽", *b"RUB"),
    ("₺", *b"TRY"),
    ("₪", *b"ILS"),
    ("฿", *b"THB"),
    ("₫", *b"VND"),
    ("₴", *b"UAH"),
    ("R$", *b"BRL"),
];
/// Signs of several: the currency has to be told otherwise.
const SHARED_SIGNS: [&str; 6] = ["$", "¥", "kr.", "kr", "Kč", "Fr."];

/// Currency and number apart: what is left is digits and marks. `None` where it is not.
fn core(text: &str) -> Option<(bool, &str, Option<[u8; 3]>)> {
    let mut text = text.trim();
    let mut negative = false;
    if let Some(inner) = text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        (negative, text) = (true, inner.trim());
    }
    let mut currency = None;
    // A sign may stand before the currency or behind it, and the currency at either end.
    for _ in 0..3 {
        text = text.trim();
        // Dashes behind the mark stand for no decimals: `12,-`, `12.--`.
        let bare = text.trim_end_matches(['-', '–', '—']);
        if bare.len() < text.len() && bare.ends_with([',', '.']) {
            text = bare;
        } else if let Some(rest) = text.strip_prefix(['-', '−']).or_else(|| text.strip_suffix('-')) {
            if negative {
                return None;
            }
            (negative, text) = (true, rest);
        } else if let Some(rest) = text.strip_prefix('+') {
            text = rest;
        } else if let Some((rest, code)) = strip_currency(text) {
            if currency.is_some() && code.is_some() {
                return None;
            }
            currency = currency.or(code);
            text = rest;
        } else {
            break;
        }
    }
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == ',')
        .then_some((negative, text, currency))
}

fn strip_currency(text: &str) -> Option<(&str, Option<[u8; 3]>)> {
    let strip = |sign: &str| text.strip_prefix(sign).or_else(|| text.strip_suffix(sign));
    if let Some(found) = SIGNS.iter().find_map(|(sign, code)| Some((strip(sign)?, Some(*code)))) {
        return Some(found);
    }
    if let Some(rest) = SHARED_SIGNS.iter().find_map(|sign| strip(sign)) {
        return Some((rest, None));
    }
    let code = |code: &str| {
        let code: [u8; 3] = code.as_bytes().try_into().ok()?;
        std::str::from_utf8(&code).is_ok_and(currencies::is_known).then_some(code)
    };
    if let Some((head, rest)) = text.split_at_checked(3)
        && let Some(code) = code(head)
    {
        return Some((rest, Some(code)));
    }
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(3)?)?;
    Some((rest, Some(code(tail)?)))
}

/// Returns whether it stands between groups of thousands and never before decimals.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’' | '_')
}

/// Digits and marks read with a decimal mark; `None` where they make no number with it.
fn with_mark(core: &str, mark: DecimalMark) -> Option<f64> {
    let (whole, fraction) = match core.split_once(mark.char()) {
        Some((whole, fraction)) => (whole, fraction),
        None => (core, ""),
    };
    // An exponent, as programs write them.
    let digits_end = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (decimals, exponent) = fraction.split_at_checked(digits_end)?;
    let (whole, exponent) = match whole.split_once(['e', 'E']) {
        Some((whole, power)) if fraction.is_empty() => (whole, format!("e{power}")),
        Some(_) => return None,
        None => (whole, exponent.to_owned()),
    };
    let mut plain = String::with_capacity(core.len());
    let separator = whole.chars().find(|c| !c.is_ascii_digit());
    if let Some(separator) = separator {
        if !(is_space(separator) || separator == mark.other().char()) {
            return None;
        }
        let groups: Vec<&str> = whole.split(separator).collect();
        let last = groups.len() - 1;
        for (at, group) in groups.iter().enumerate() {
            // The groups of Indian numbers have two digits but for the last.
            let fits = match at {
                0 => (1..=3).contains(&group.len()),
                at if at == last => group.len() == 3,
                _ => (2..=3).contains(&group.len()),
            };
            if !fits || !group.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            plain.push_str(group);
        }
    } else {
        plain.push_str(whole);
    }
    if plain.is_empty() && decimals.is_empty() {
        return None;
    }
    let is_power = exponent.is_empty()
        || exponent.strip_prefix(['e', 'E']).is_some_and(|power| power.parse::<i16>().is_ok());
    if !is_power {
        return None;
    }
    format!("0{plain}.{decimals}0{exponent}").parse().ok().filter(|number: &f64| number.is_finite())
}

/// Meaning of the marks of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Neither comma nor dot.
    Plain,
    /// One reading only.
    Clear(DecimalMark),
    /// One mark before three digits: decimals or thousands.
    Either,
    /// No number.
    Nothing,
}

fn look(core: &str) -> Look {
    let mut marks = core.char_indices().filter(|(_, c)| matches!(c, '.' | ','));
    let Some((at, mark)) = marks.next() else {
        return if with_mark(core, DecimalMark::Dot).is_some() { Look::Plain } else { Look::Nothing };
    };
    let by_dot = with_mark(core, DecimalMark::Dot).is_some();
    let by_comma = with_mark(core, DecimalMark::Comma).is_some();
    match (by_dot, by_comma) {
        (true, false) => Look::Clear(DecimalMark::Dot),
        (false, true) => Look::Clear(DecimalMark::Comma),
        (false, false) => Look::Nothing,
        // "0.125", or "1 299.500": nobody groups a lone zero, or with two marks.
        (true, true) => {
            let whole = core.get(..at).unwrap_or_default();
            let is_decimal = whole == "0" || whole.contains(is_space);
            DecimalMark::of(mark).filter(|_| is_decimal).map_or(Look::Either, Look::Clear)
        }
    }
}

/// Digits with a decimal dot at most, as programs write them: most of all numbers, and read without a detour.
fn plain(text: &str, form: NumberForm) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut dots = 0;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {}
            b'.' if form == Some(DecimalMark::Dot) => dots += 1,
            _ => return None,
        }
    }
    if dots > 1 { None } else { text.parse().ok() }
}

/// Reads a number in the form of its column; `None` for what is no number in it.
pub fn read(text: &str, form: NumberForm) -> Option<Amount> {
    // More digits than any number has are none.
    amount(text.trim(), form).filter(|amount| amount.number.is_finite())
}

fn amount(text: &str, form: NumberForm) -> Option<Amount> {
    if let Some(number) = plain(text, form) {
        return Some(Amount { number, currency: None });
    }
    let (negative, core, currency) = core(text)?;
    let mark = match (form, look(core)) {
        (Some(mark), _) => mark,
        (None, Look::Plain) => DecimalMark::Dot,
        (None, Look::Clear(mark)) => mark,
        (None, Look::Either | Look::Nothing) => return None,
    };
    let number = with_mark(core, mark)?;
    Some(Amount { number: if negative { -number } else { number }, currency })
}

/// Returns whether a text is a number that can be read in two ways.
pub fn is_ambiguous(text: &str) -> bool {
    core(text).is_some_and(|(_, core, _)| look(core) == Look::Either)
}

/// Reason why no form was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberFormError {
    /// Thousands or decimals.
    #[error(
        "the numbers of column {column:?} can be read in two ways (e.g. {text:?} in line {line}: thousands or decimals?): say \
         which with --decimal . or --decimal ,"
    )]
    Ambiguous {
        /// The column.
        column: String,
        /// One of them.
        text: String,
        /// Its line.
        line: u64,
    },
    /// Both marks before decimals.
    #[error(
        "the numbers of column {column:?} contradict each other: {dot:?} in line {dot_line} has a decimal dot, {comma:?} in line \
         {comma_line} a decimal comma: mend the file, or say which with --decimal . or --decimal , and the others are refused"
    )]
    Contradiction {
        /// The column.
        column: String,
        /// A number with a dot.
        dot: String,
        /// Its line.
        dot_line: u64,
        /// A number with a comma.
        comma: String,
        /// Its line.
        comma_line: u64,
    },
}

/// Tally of the numbers seen in a column.
#[derive(Clone, Debug, Default)]
pub struct NumberSurvey {
    dot: Option<(u64, String)>,
    comma: Option<(u64, String)>,
    either: Option<(u64, String)>,
}

impl NumberSurvey {
    /// Takes one value into account; what is no number says nothing.
    pub fn note(&mut self, line: u64, text: &str) {
        // Most are plain.
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        let Some((_, core, _)) = core(text) else { return };
        let place = match look(core) {
            Look::Plain | Look::Nothing => return,
            Look::Clear(DecimalMark::Dot) => &mut self.dot,
            Look::Clear(DecimalMark::Comma) => &mut self.comma,
            Look::Either => &mut self.either,
        };
        place.get_or_insert_with(|| (line, text.to_owned()));
    }

    /// Returns whether more rows are not needed to know the form.
    pub fn is_settled(&self) -> bool {
        self.either.is_none() || self.dot.is_some() != self.comma.is_some()
    }

    /// The mark that this column alone shows.
    pub fn clear(&self) -> Option<DecimalMark> {
        match (&self.dot, &self.comma) {
            (Some(_), None) => Some(DecimalMark::Dot),
            (None, Some(_)) => Some(DecimalMark::Comma),
            _ => None,
        }
    }

    /// The form; `beside` is what the other columns of the file show, which decides where this one can be read in two ways.
    pub fn finish(self, column: &str, beside: Option<DecimalMark>) -> Result<NumberForm, NumberFormError> {
        let column = column.to_owned();
        match (self.dot, self.comma, self.either) {
            (Some((dot_line, dot)), Some((comma_line, comma)), _) => {
                Err(NumberFormError::Contradiction { column, dot, dot_line, comma, comma_line })
            }
            (Some(_), None, _) => Ok(Some(DecimalMark::Dot)),
            (None, Some(_), _) => Ok(Some(DecimalMark::Comma)),
            (None, None, Some((line, text))) if beside.is_none() => {
                Err(NumberFormError::Ambiguous { column, text, line })
            }
            (None, None, _) => Ok(beside),
        }
    }
}

#[cfg(test)]
mod tests;
