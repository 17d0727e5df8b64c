//! Records of other systems (rows of named texts, JSON objects) made into events and items: which column means what, and the
//! forms of its values. Pure, over the domain alone: `tidings import` uses it, and so can a process without the server.
//!
//! Modules in the order a record flows; imports point up this list only.

pub mod categories;
pub mod conditions;
pub mod currencies;
pub mod dates;
pub mod fields;
pub mod lists;
pub mod missing;
pub mod numbers;
pub mod scale;

pub mod mapping;

pub mod forms;
pub mod row;

pub mod attributes;
pub mod json_item;
pub mod local;
pub mod stated;

pub mod record;

pub mod layouts;

pub use conditions::Condition;
pub use dates::{DateForm, TimeReader};
pub use forms::{FormError, FormSurvey, Forms, StatedForms};
pub use mapping::{Field, Mapping, MappingError};
pub use missing::Missing;
pub use numbers::DecimalMark;
pub use record::{Entry, OccurredAt, RecordOptions, RecordReader};
pub use row::{EventRecord, Row};
pub use scale::Scale;
