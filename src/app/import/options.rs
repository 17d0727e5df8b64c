//! Options of an import: how its files are read, how rows are cleaned.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::database::Selection;
use crate::event::EventKind;
use crate::event::clean::CleaningParameters;
use crate::intake::{Mapping, RecordOptions};

/// Options of reading and cleaning.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// csv, ndjson: which column means what.
    pub mapping: Mapping,
    /// csv, ndjson: kind of rows that don't say theirs.
    pub default_kind: Option<EventKind>,
    /// csv: told from the header if absent.
    pub delimiter: Option<u8>,
    /// Zone of times that carry none; Europe/London for online-retail and UTC for the rest if absent.
    pub time_zone: Option<TimeZone>,
    /// Rows of a database; only for one.
    pub selection: Option<Selection>,
    /// Rejects file; `<first file>.rejects.csv` in the current directory if absent.
    pub rejects: Option<PathBuf>,
    /// No progress.
    pub quiet: bool,
    /// Thresholds of the cleaning.
    pub cleaning: CleaningParameters,
}

impl ImportOptions {
    /// How records are read; `zone` is that of times that carry none.
    pub fn records(&self, zone: TimeZone) -> RecordOptions {
        RecordOptions { mapping: self.mapping.clone(), default_kind: self.default_kind, time_zone: zone }
    }
}
