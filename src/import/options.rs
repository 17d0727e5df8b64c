//! Options of an import: how its files are read, how rows are cleaned.

use std::path::PathBuf;

use encoding_rs::Encoding;
use jiff::tz::TimeZone;

use super::database::Selection;
use super::table::Quotation;
use tidings_core::event::clean::CleaningParameters;
use tidings_intake::RecordOptions;

/// Treatment of the catalogue's items by an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CatalogueMode {
    /// Nothing of it changes.
    Keep,
    /// Items that are missing are added, and fields that are empty filled.
    Fill,
    /// Values of the files replace those that are stored.
    Replace,
}

impl CatalogueMode {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Fill => "fill",
            Self::Replace => "replace",
        }
    }
}

/// Options of reading and cleaning.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// csv, ndjson: which column means what, and the forms of values. Its zone is that of `time_zone`.
    pub records: RecordOptions,
    /// csv: told from the header if absent.
    pub delimiter: Option<u8>,
    /// csv: quotation marks.
    pub quotation: Quotation,
    /// Told from the bytes if absent.
    pub encoding: Option<&'static Encoding>,
    /// Zone of times that carry none; Europe/London for online-retail and UTC for the rest if absent.
    pub time_zone: Option<TimeZone>,
    /// Rows of a database; only for one.
    pub selection: Option<Selection>,
    /// Treatment of the catalogue; if absent, files about items replace, and files about events fill an empty catalogue and
    /// keep any other.
    pub catalogue: Option<CatalogueMode>,
    /// Largest share of rows that may be refused or dropped as impossible, 0…1.
    pub max_refused: f64,
    /// Rejects file; `<first file>.rejects.csv` in the current directory if absent.
    pub rejects: Option<PathBuf>,
    /// No progress.
    pub quiet: bool,
    /// Thresholds of the cleaning.
    pub cleaning: CleaningParameters,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            records: RecordOptions::default(),
            delimiter: None,
            quotation: Quotation::Marks,
            encoding: None,
            time_zone: None,
            selection: None,
            catalogue: None,
            max_refused: 0.1,
            rejects: None,
            quiet: false,
            cleaning: CleaningParameters::default(),
        }
    }
}
