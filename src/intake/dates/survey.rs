//! Finding the one form that the dates of a column have.

use std::collections::BTreeMap;

use super::form::{DateForm, EpochUnit, compact, evident, serial, short, year_first};
use super::named;
use super::scan::{Groups, groups};

/// A value and the line it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Line of the file.
    pub line: u64,
    /// The value as written.
    pub text: String,
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in line {}", self.text, self.line)
    }
}

/// Reason why no form was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateFormError {
    /// Every value can be read with the day or with the month first.
    #[error(
        "the dates of column {column:?} can be read with the day first or the month first (e.g. {sample}): \
         say which with --date-format day-first or --date-format month-first"
    )]
    Ambiguous {
        /// The column.
        column: String,
        /// One that both readings take for different days.
        sample: Sample,
    },
    /// Every value can be read with its year of two digits first, and the other reading is no likelier.
    #[error(
        "the dates of column {column:?} can be read with the year first or last (e.g. {sample}): say which with \
         --date-format \"{pattern}\", --date-format day-first or --date-format month-first"
    )]
    ShortYears {
        /// The column.
        column: String,
        /// One of them.
        sample: Sample,
        /// The pattern that has the year first.
        pattern: String,
    },
    /// Numbers that are days to a spreadsheet, and would all be seconds of the first of January 1970.
    #[error(
        "the times of column {column:?} look like the day numbers of a spreadsheet (e.g. {sample}, which is {date}): say so with \
         --date-format spreadsheet, or --date-format epoch-s if they are seconds since 1970"
    )]
    Serial {
        /// The column.
        column: String,
        /// One of them.
        sample: Sample,
        /// Its date.
        date: String,
    },
    /// One value has the day first, another the month.
    #[error(
        "the dates of column {column:?} contradict each other: {day_first} has the day first, {month_first} the month: mend the \
         file, or say which with --date-format day-first or --date-format month-first and the others are refused"
    )]
    Contradiction {
        /// The column.
        column: String,
        /// A value that has the day first.
        day_first: Sample,
        /// A value that has the month first.
        month_first: Sample,
    },
}

/// Tally of the dates seen in a column.
#[derive(Clone, Debug, Default)]
pub struct DateSurvey {
    counts: BTreeMap<DateForm, u64>,
    /// Dates of three short numbers.
    short: u64,
    day_first: Option<Sample>,
    month_first: Option<Sample>,
    either: Option<Sample>,
    /// Of those, with years of two digits that may as well stand first.
    years: ShortYears,
    /// Of those, with dots: they have the day first unless one says otherwise.
    dotted: u64,
    /// A number that is a date to a spreadsheet, and that date.
    serial: Option<(Sample, String)>,
    /// Numbers that are none.
    other_numbers: u64,
    /// The rows of an invoice share theirs.
    last: String,
}

/// Tally of dates such as `24/01/15`, whose year may be the first number or the last. A year takes few values and a day many: where
/// the first numbers vary more than the last ones, the year is the last.
#[derive(Clone, Debug, Default)]
struct ShortYears {
    /// Dates that can have their year first.
    possible: u64,
    /// First numbers seen, a bit each.
    first: u128,
    /// Last numbers seen.
    last: u128,
    sample: Option<(Sample, char)>,
}

impl ShortYears {
    fn note(&mut self, groups: &Groups, line: u64, text: &str) {
        let [(first, 2), (month, 2), (last, 2)] = groups.numbers else { return };
        // Dots between short numbers begin with the day.
        if groups.separator == '.' || !(1..=12).contains(&month) || !(1..=31).contains(&last) {
            return;
        }
        self.possible += 1;
        self.first |= 1 << first;
        self.last |= 1 << last;
        self.sample.get_or_insert_with(|| (Sample { line, text: text.to_owned() }, groups.separator));
    }

    /// A date of which the year may be the first number, and the pattern that reads it so; `dates` is how many there are.
    fn doubt(&self, dates: u64) -> Option<(Sample, String)> {
        let (sample, separator) = self.sample.as_ref()?;
        let is_open = self.possible == dates && self.first.count_ones() <= self.last.count_ones();
        is_open.then(|| (sample.clone(), format!("%y{separator}%m{separator}%d")))
    }
}

impl DateSurvey {
    /// Takes one value into account; what is no date says nothing.
    pub fn note(&mut self, line: u64, text: &str) {
        let text = text.trim();
        if text == self.last {
            return;
        }
        self.last.clear();
        self.last.push_str(text);
        let is_short = |numbers: [(i16, usize); 3]| numbers.iter().take(2).all(|(_, n)| *n <= 2);
        if let Some((groups, _)) = groups(text).filter(|(groups, _)| is_short(groups.numbers)) {
            let before = self.short;
            self.note_short(line, text, groups.separator == '.');
            if self.short > before {
                self.years.note(&groups, line, text);
            }
            return;
        }
        if let Some(date) = serial(text) {
            let sample = || Sample { line, text: text.to_owned() };
            self.serial.get_or_insert_with(|| (sample(), date.civil.to_string()));
            *self.counts.entry(DateForm::Epoch(EpochUnit::Seconds)).or_default() += 1;
            return;
        }
        let form = evident(text).filter(|form| match form {
            DateForm::YearFirst => year_first(text).is_some(),
            DateForm::Compact => compact(text).is_some(),
            DateForm::Named => named::read(text).is_some(),
            _ => true,
        });
        if let Some(form) = form {
            self.other_numbers += u64::from(form == DateForm::Epoch(EpochUnit::Seconds));
            *self.counts.entry(form).or_default() += 1;
        }
    }

    fn note_short(&mut self, line: u64, text: &str, dotted: bool) {
        let by_day = short(text, true).map(|written| written.civil);
        let by_month = short(text, false).map(|written| written.civil);
        let place = match (by_day, by_month) {
            (None, None) => return,
            (Some(_), None) => Some(&mut self.day_first),
            (None, Some(_)) => Some(&mut self.month_first),
            (Some(day), Some(month)) if day != month => Some(&mut self.either),
            (Some(_), Some(_)) => None,
        };
        self.short += 1;
        self.dotted += u64::from(dotted);
        if let Some(place) = place {
            place.get_or_insert_with(|| Sample { line, text: text.to_owned() });
        }
    }

    /// Returns whether more rows can't change which form it is, only be of another one.
    pub fn is_settled(&self) -> bool {
        self.short == 0
    }

    /// The form that most values have. A column without dates has any.
    pub fn finish(self, column: &str) -> Result<DateForm, DateFormError> {
        let most = self.counts.iter().max_by_key(|(_, count)| **count);
        let others = most.map_or(0, |(_, count)| *count);
        if self.short < others || self.short == 0 {
            if let (Some((DateForm::Epoch(EpochUnit::Seconds), _)), Some((sample, date)), 0) =
                (most, self.serial, self.other_numbers)
            {
                return Err(DateFormError::Serial { column: column.to_owned(), sample, date });
            }
            return Ok(most.map_or(DateForm::Evident, |(form, _)| form.clone()));
        }
        let column = column.to_owned();
        let has_day_first = self.month_first.is_none() && (self.day_first.is_some() || self.either.is_none());
        if has_day_first && let Some((sample, pattern)) = self.years.doubt(self.short) {
            return Err(DateFormError::ShortYears { column, sample, pattern });
        }
        match (self.day_first, self.month_first, self.either) {
            (Some(day_first), Some(month_first), _) => {
                Err(DateFormError::Contradiction { column, day_first, month_first })
            }
            (Some(_), None, _) => Ok(DateForm::DayFirst),
            (None, Some(_), _) => Ok(DateForm::MonthFirst),
            (None, None, Some(sample)) if self.dotted < self.short => {
                Err(DateFormError::Ambiguous { column, sample })
            }
            (None, None, _) => Ok(DateForm::DayFirst),
        }
    }
}
