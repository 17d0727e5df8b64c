//! Everything that is decided of files before a database is opened: that they are there and of their format, and the forms
//! of their values.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::expand::{expand, name};
use super::format::Format;
use super::input::{BytesRead, Source, is_stdin};
use super::options::ImportOptions;
use super::understood::Understanding;
use super::{container, database, delimited, ndjson, online_retail};

/// Bytes of standard input that are looked at and kept.
const KEPT_BYTES: u64 = 8 << 20;

/// A file that can be read.
pub struct PreparedFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Result of a look at it; formats of their own need none.
    pub understanding: Option<Understanding>,
    /// Standard input, of which the beginning has been looked at.
    stdin: Option<Source>,
}

impl PreparedFile {
    /// Opens it from its beginning; standard input once only.
    pub fn open(
        &mut self,
        format: Format,
        options: &ImportOptions,
        bytes: &BytesRead,
    ) -> anyhow::Result<Source> {
        match self.stdin.take() {
            Some(stdin) => Ok(stdin),
            None => open(&self.path, format, options, bytes),
        }
    }
}

/// Files that can be imported.
pub struct Prepared {
    /// Their format.
    pub format: Format,
    /// In the order of reading.
    pub files: Vec<PreparedFile>,
}

/// Opens the files and looks at them; touches nothing else.
pub fn prepare(format: Format, files: &[PathBuf], options: &ImportOptions) -> anyhow::Result<Prepared> {
    let paths = expand(format, files)?;
    let files =
        paths.into_iter().map(|path| prepare_file(format, path, options)).collect::<anyhow::Result<_>>()?;
    Ok(Prepared { format, files })
}

/// Opens a file, or starts reading a database.
fn open(path: &Path, format: Format, options: &ImportOptions, bytes: &BytesRead) -> anyhow::Result<Source> {
    match database::url(path) {
        Some(url) => {
            let selection = options.selection.as_ref().context("no rows of the database were selected")?;
            database::open(url, selection, format.shape())
        }
        None => container::open(path, bytes, format.shape()),
    }
}

fn prepare_file(format: Format, path: PathBuf, options: &ImportOptions) -> anyhow::Result<PreparedFile> {
    let name = name(&path);
    let context = || format!("cannot import {name}");
    if !matches!(format, Format::Csv | Format::Ndjson | Format::OnlineRetail) {
        if !is_stdin(&path) {
            match database::url(&path) {
                Some(url) => database::check(url)?,
                None => container::check(&path)?,
            }
        }
        return Ok(PreparedFile { path, understanding: None, stdin: None });
    }
    let bytes = BytesRead::default();
    let mut source = open(&path, format, options, &bytes).with_context(context)?;
    let mut stdin = None;
    if is_stdin(&path) {
        let mut kept = Vec::new();
        source.by_ref().take(KEPT_BYTES).read_to_end(&mut kept).context("cannot read standard input")?;
        let kept: Arc<[u8]> = kept.into();
        stdin = Some(Box::new(Cursor::new(Arc::clone(&kept)).chain(source)) as Source);
        source = Box::new(Cursor::new(kept));
    }
    let understanding = match format {
        Format::Ndjson => ndjson::prepare(source, &name, options),
        Format::OnlineRetail => online_retail::prepare(source, &name, options),
        _ => delimited::prepare(source, &name, options),
    };
    let understanding = Some(understanding.with_context(context)?);
    Ok(PreparedFile { path, understanding, stdin })
}
