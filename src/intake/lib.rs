//! Records of other systems (rows of named texts, JSON objects) made into events and items: which column means what, and the
//! forms of its values. Pure, over the domain alone: `tidings import` uses it, and so can a process without the server.
//!
//! Modules in the order a record flows; imports point up this list only.

pub mod categories;
pub mod fields;

pub mod mapping;

pub mod row;

pub mod attributes;
pub mod stated;

pub mod record;

pub mod layouts;

pub use fields::TimeReader;
pub use mapping::{Field, Mapping, MappingError};
pub use record::{Entry, RecordOptions, RecordReader};
pub use row::{EventRecord, Row};
