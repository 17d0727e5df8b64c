//! Reading of one column of times.

use jiff::tz::TimeZone;
use tidings_core::base::Timestamp;

use super::form::DateForm;

/// Reads the times of a column. Remembers the last one, since the rows of an invoice share theirs.
pub struct TimeReader {
    form: DateForm,
    zone: TimeZone,
    last_text: String,
    last: Option<Timestamp>,
}

impl TimeReader {
    /// Times that carry no zone are those of `zone`.
    pub fn new(form: DateForm, zone: TimeZone) -> Self {
        Self { form, zone, last_text: String::new(), last: None }
    }

    /// The form of the column.
    pub fn form(&self) -> &DateForm {
        &self.form
    }

    /// The times that follow have this form.
    pub fn set_form(&mut self, form: DateForm) {
        self.form = form;
        self.last = None;
    }

    /// The moment, or `None` for a text of another form. A `number` of JSON is a time by itself, where the texts beside it have
    /// another form.
    pub fn read(&mut self, text: &str, number: bool) -> Option<Timestamp> {
        let is_of_numbers = !matches!(
            self.form,
            DateForm::YearFirst | DateForm::DayFirst | DateForm::MonthFirst | DateForm::Named
        );
        if number && !is_of_numbers {
            return DateForm::Evident.read(text, &self.zone);
        }
        if text == self.last_text && self.last.is_some() {
            return self.last;
        }
        let read = self.form.read(text, &self.zone);
        self.last_text.clear();
        self.last_text.push_str(text);
        self.last = read;
        read
    }
}
