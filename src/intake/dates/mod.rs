//! Forms of dates and times, and the reading of a column that has one of them.
//!
//! A column has one form. Dates written with three short numbers say nothing of their order by themselves, so it is found for
//! the column ([`DateSurvey`]) or stated; everything else is told by its look.

mod form;
mod named;
mod reader;
mod scan;
mod survey;

pub use form::{DateForm, EpochUnit, UnknownDateForm};
pub use reader::TimeReader;
pub use survey::{DateFormError, DateSurvey};

#[cfg(test)]
mod tests;
