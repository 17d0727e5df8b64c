//! Plan of an export.

use std::path::PathBuf;

use super::format::{FileFormat, Packing};
use super::wanted::Wanted;
use tidings_core::base::Timestamp;

/// Plan of an export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Rows wanted.
    pub wanted: Wanted,
    /// File; `None` = standard output.
    pub file: Option<PathBuf>,
    /// Form of the rows.
    pub format: FileFormat,
    /// Compression.
    pub packing: Packing,
    /// Rows of this moment and later.
    pub since: Option<Timestamp>,
    /// Rows before this moment.
    pub until: Option<Timestamp>,
    /// `recommendations`: items a user.
    pub n: usize,
    /// No progress.
    pub quiet: bool,
}
