//! The form of each column of a source, found once from its records or stated, and the reading of values in it.

use std::collections::{BTreeMap, BTreeSet};

use tidings_core::base::ExternalId;

use super::dates::{DateForm, DateFormError, DateSurvey};
use super::fields::id;
use super::mapping::Field;
use super::missing::Missing;
use super::numbers::{self, Amount, DecimalMark, NumberForm, NumberFormError, NumberSurvey};

/// Values of a row, by field; blank is the same as absent.
pub type Row<'a> = BTreeMap<Field, &'a str>;

/// Reason why the forms of a source were not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Of its times.
    #[error(transparent)]
    Date(#[from] DateFormError),
    /// Of its numbers.
    #[error(transparent)]
    Number(#[from] NumberFormError),
}

/// Forms that are stated before anything is read.
#[derive(Clone, Debug, Default)]
pub struct StatedForms {
    /// Form of times.
    pub dates: Option<DateForm>,
    /// Decimal mark of all numbers.
    pub decimal: Option<DecimalMark>,
    /// Words for missing values.
    pub missing: Missing,
}

/// Forms of the columns of a source.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    /// Of times.
    pub dates: DateForm,
    numbers: BTreeMap<Field, NumberForm>,
    /// Columns of ids in which `.0` is a part of them, since other decimals stand there too.
    decimal_ids: BTreeSet<Field>,
    missing: Missing,
}

impl Forms {
    /// Stated forms, and for the rest whatever can mean one thing only.
    pub fn stated(stated: &StatedForms) -> Self {
        let numbers = Field::ALL.into_iter().filter(|field| field.is_number());
        Self {
            dates: stated.dates.clone().unwrap_or_default(),
            numbers: numbers.map(|field| (field, stated.decimal)).collect(),
            decimal_ids: BTreeSet::new(),
            missing: stated.missing.clone(),
        }
    }

    /// The form of a column in words; `None` for one whose texts are taken as they are, or whose form nothing showed.
    pub fn describe(&self, field: Field) -> Option<String> {
        match field {
            Field::OccurredAt if self.dates != DateForm::Evident => Some(format!("times {}", self.dates)),
            field if field.is_number() => {
                self.numbers.get(&field).copied().flatten().map(|mark| format!("numbers {mark}"))
            }
            _ => None,
        }
    }

    /// The text of a field, trimmed; `None` where it stands for nothing.
    pub fn text<'a>(&self, row: &Row<'a>, field: Field) -> Option<&'a str> {
        row.get(&field).and_then(|text| self.said(text))
    }

    /// A text, trimmed; `None` where it stands for nothing.
    pub fn said<'a>(&self, text: &'a str) -> Option<&'a str> {
        Some(text.trim()).filter(|text| !self.missing.is_missing(text))
    }

    /// The id of a field. `17850.0`, as programs write a column of numbers with gaps, is `17850`.
    pub fn id(&self, row: &Row, field: Field) -> Result<Option<ExternalId>, String> {
        self.text(row, field).map(|text| id(self.bare_id(text, field), field.name())).transpose()
    }

    /// An id without the `.0` that is none of it.
    pub fn bare_id<'a>(&self, text: &'a str, field: Field) -> &'a str {
        match text.strip_suffix(".0") {
            Some(bare) if is_digits(bare) && !self.decimal_ids.contains(&field) => bare,
            _ => text,
        }
    }

    /// A number in the form of a field's column; `None` for what is none.
    pub fn number(&self, text: &str, field: Field) -> Option<f64> {
        numbers::read(text, self.numbers.get(&field).copied().flatten()).map(|amount| amount.number)
    }

    /// The number of a field, and the currency beside it. `exact`: written by a program in one form, as JSON's are.
    pub fn amount(&self, row: &Row, field: Field, exact: bool) -> Result<Option<Amount>, String> {
        let Some(text) = self.text(row, field) else { return Ok(None) };
        let form = self.numbers.get(&field).copied().flatten();
        let form = if exact { Some(DecimalMark::Dot) } else { form };
        match numbers::read(text, form) {
            Some(amount) => Ok(Some(amount)),
            None if form.is_none() && numbers::is_ambiguous(text) => {
                Err(format!("{} can be read in two ways, say which with --decimal: {text:?}", field.name()))
            }
            None => Err(format!("{} is not a number: {text:?}", field.name())),
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Records looked at before anything is read, to find the forms of their columns.
#[derive(Clone, Debug)]
pub struct FormSurvey {
    stated: StatedForms,
    dates: DateSurvey,
    numbers: BTreeMap<Field, NumberSurvey>,
    decimal_ids: BTreeSet<Field>,
}

impl FormSurvey {
    /// Nothing seen.
    pub fn new(stated: StatedForms) -> Self {
        Self { stated, dates: DateSurvey::default(), numbers: BTreeMap::new(), decimal_ids: BTreeSet::new() }
    }

    /// Takes a record into account. `line` is where it stands.
    pub fn note(&mut self, line: u64, row: &Row) {
        for (field, text) in row {
            let text = text.trim();
            if self.stated.missing.is_missing(text) {
            } else if *field == Field::OccurredAt {
                if self.stated.dates.is_none() {
                    self.dates.note(line, text);
                }
            } else if field.is_number() {
                if self.stated.decimal.is_none() {
                    self.numbers.entry(*field).or_default().note(line, text);
                }
            } else if field.is_id()
                && let Some((whole, decimals)) = text.split_once('.')
                && is_digits(whole)
                && is_digits(decimals)
                && decimals != "0"
            {
                self.decimal_ids.insert(*field);
            }
        }
    }

    /// Returns whether more records are not needed to know the forms.
    pub fn is_settled(&self) -> bool {
        self.dates.is_settled() && self.numbers.values().all(NumberSurvey::is_settled)
    }

    /// The forms; `column` names the column of a field, for errors.
    pub fn finish(self, column: impl Fn(Field) -> String) -> Result<Forms, FormError> {
        let dates = self.dates.finish(&column(Field::OccurredAt))?;
        let mut shown: Vec<DecimalMark> = self.numbers.values().filter_map(NumberSurvey::clear).collect();
        shown.dedup();
        let beside = match shown.as_slice() {
            [mark] => Some(*mark),
            _ => None,
        };
        let mut forms = Forms::stated(&self.stated);
        if self.stated.dates.is_none() {
            forms.dates = dates;
        }
        for (field, survey) in self.numbers {
            forms.numbers.insert(field, survey.finish(&column(field), beside)?);
        }
        forms.decimal_ids = self.decimal_ids;
        Ok(forms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(rows: &[&[(Field, &'static str)]]) -> Result<Forms, FormError> {
        let mut survey = FormSurvey::new(StatedForms::default());
        for (line, row) in (2..).zip(rows) {
            survey.note(line, &row.iter().copied().collect());
        }
        survey.finish(|field| field.name().to_owned())
    }

    fn number(forms: &Forms, field: Field, text: &'static str) -> Result<Option<f64>, String> {
        Ok(forms.amount(&Row::from([(field, text)]), field, false)?.map(|amount| amount.number))
    }

    #[test]
    fn a_column_that_can_be_read_in_two_ways_is_read_as_those_beside_it() {
        let forms = survey(&[&[(Field::Value, "12,50"), (Field::Price, "1.299")]]).unwrap();
        assert_eq!(number(&forms, Field::Price, "1.299"), Ok(Some(1299.0)));
        assert_eq!(forms.describe(Field::Price).as_deref(), Some("numbers as 1.299,00"));
        let error = survey(&[&[(Field::Price, "1.299")]]).unwrap_err().to_string();
        assert!(error.contains("\"price\"") && error.contains("--decimal"), "{error}");
        let forms = survey(&[&[(Field::Price, "7")]]).unwrap();
        let error = number(&forms, Field::Price, "1.299").unwrap_err();
        assert!(error.contains("--decimal"), "{error}");
        assert!(number(&forms, Field::Price, "many").unwrap_err().contains("not a number"));
    }

    #[test]
    fn ids_lose_the_decimals_that_a_program_gave_them_and_no_others() {
        let id = |forms: &Forms, text| forms.id(&Row::from([(Field::UserId, text)]), Field::UserId).unwrap();
        let forms = survey(&[&[(Field::UserId, "17850.0")], &[(Field::UserId, "17850")]]).unwrap();
        assert_eq!(id(&forms, "17850.0"), Some(ExternalId::Integer(17850)));
        assert_eq!(id(&forms, "85123A.0"), Some(ExternalId::Text("85123A.0".into())));
        assert_eq!(id(&forms, "(not set)"), None);
        let versions = survey(&[&[(Field::UserId, "1.0")], &[(Field::UserId, "1.1")]]).unwrap();
        assert_eq!(id(&versions, "1.0"), Some(ExternalId::Text("1.0".into())));
    }

    #[test]
    fn what_is_stated_is_not_found() {
        let stated = StatedForms {
            dates: Some(DateForm::MonthFirst),
            decimal: Some(DecimalMark::Comma),
            ..StatedForms::default()
        };
        let mut survey = FormSurvey::new(stated);
        survey.note(2, &Row::from([(Field::OccurredAt, "1/2/2026"), (Field::Price, "1.299")]));
        assert!(survey.is_settled());
        let forms = survey.finish(|_| String::new()).unwrap();
        assert_eq!(forms.dates, DateForm::MonthFirst);
        assert_eq!(number(&forms, Field::Price, "1.299"), Ok(Some(1299.0)));
        // A form that nothing showed is stated all the same.
        assert_eq!(number(&forms, Field::Value, "1.299"), Ok(Some(1299.0)));
    }
}
