//! Forms of exported files and their compression, told by the file's name.

use std::path::Path;

use clap::ValueEnum;

/// Form of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// Comma-separated values with a header; lists as JSON.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Parquet, compressed inside; lists as JSON.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl FileFormat {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
        }
    }
}

/// Compression of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// None.
    #[default]
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// Form and compression by the endings of a name; `None` where it says nothing.
pub fn told_by_name(file: &Path) -> (Option<FileFormat>, Option<Packing>) {
    let name = file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let packings = [(".gz", Packing::Gzip), (".zst", Packing::Zstd)];
    let packed = packings.iter().find_map(|(end, packing)| Some((name.strip_suffix(end)?, *packing)));
    let (stem, packing) = packed.map_or((name.as_str(), None), |(stem, packing)| (stem, Some(packing)));
    let forms = [
        (".csv", FileFormat::Csv),
        (".ndjson", FileFormat::Ndjson),
        (".jsonl", FileFormat::Ndjson),
        #[cfg(feature = "parquet")]
        (".parquet", FileFormat::Parquet),
    ];
    let form = forms.iter().find(|(end, _)| stem.ends_with(end)).map(|(_, form)| *form);
    (form, packing)
}
