//! `tidings import`: files of other systems, read, cleaned and stored in bulk.
//!
//! Two threads: one reads, unpacks and parses; this one cleans and stores. Files are read once. What a format
//! can only know at its end (titles, prices, paths of categories) it gathers by item and hands over last; what cleaning
//! has to learn first, it learns from the first million rows, held back until then (`event::clean`).
//!
//! Running twice changes nothing: keys of events are made of their content, users and items are found by their
//! ids, and an item is touched only if it differs.

mod args;
mod categories;
mod delimited;
mod fields;
pub(super) mod input;
mod mapping;
mod movielens;
mod ndjson;
mod online_retail;
mod pipeline;
mod progress;
mod readers;
mod rejects;
mod retailrocket;
mod row;
mod sink;
pub mod splits;
mod summary;
pub(super) mod table;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use jiff::tz::TimeZone;

use self::input::BytesRead;
use self::pipeline::{Intake, Output};
use self::progress::Progress;
use self::rejects::Rejects;
use self::sink::{Batch, Sink, Stopped};
use crate::base::Timestamp;
use crate::event::clean::{Cleaner, CleaningParameters};
use crate::event::{EventKind, EventLimits};
use crate::store::Store;

pub use args::ImportArgs;
pub use mapping::{Field, Mapping};
pub use summary::ImportSummary;

/// Batches that may wait between the two threads.
const WAITING_BATCHES: usize = 8;

/// Layouts that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// UCI Online Retail: invoice lines of a British gift shop.
    OnlineRetail,
    /// MovieLens ratings and films, 100K, 1M, 20M and RecBole layouts.
    #[value(name = "movielens")]
    MovieLens,
    /// Retailrocket events, item properties and category tree.
    #[value(name = "retailrocket")]
    RetailRocket,
    /// Any delimited file with a header; see --map.
    Csv,
    /// One JSON object a line, as the HTTP API takes them; see --map.
    Ndjson,
}

impl Format {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnlineRetail => "online-retail",
            Self::MovieLens => "movielens",
            Self::RetailRocket => "retailrocket",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

impl FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        <Self as ValueEnum>::from_str(text, true).map_err(|_| {
            let names: Vec<&str> = Self::value_variants().iter().map(|format| format.name()).collect();
            anyhow!("there is no format {text:?}; there are {}", names.join(", "))
        })
    }
}

/// How to read and clean.
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
    /// Rejects file; `<first file>.rejects.csv` in the current directory if absent.
    pub rejects: Option<PathBuf>,
    /// No progress.
    pub quiet: bool,
    /// Thresholds of the cleaning.
    pub cleaning: CleaningParameters,
}

/// Imports files into the database. A bad row is rejected and counted; an error means that a file can't be read, is
/// of another format, or that the database refused: chunks committed before it stay, and running again
/// goes on from there. Blocks, for minutes if the files are large.
pub fn run(
    store: &Store,
    format: Format,
    files: &[PathBuf],
    options: &ImportOptions,
) -> anyhow::Result<ImportSummary> {
    let files = readers::expand(format, files)?;
    let first = files.first().context("no file was given")?;
    let bytes = BytesRead::default();
    let rejects_path = options.rejects.clone().unwrap_or_else(|| rejects::default_path(first));
    let cleaner = Cleaner::new(
        source_name(format, &files),
        EventLimits::at(Timestamp::now()),
        options.cleaning,
        (format == Format::OnlineRetail).then(online_retail::set_aside),
    );
    let progress = Progress::new(BytesRead::clone(&bytes), total_bytes(&files), options.quiet);
    let mut intake = Intake::new(cleaner, Rejects::new(rejects_path), Output::new(store, progress));
    let (send, receive) = sync_channel::<Batch>(WAITING_BATCHES);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let send = send;
            let mut flush = |batch| send.send(batch).map_err(|_| Stopped);
            let mut sink = Sink::new(&mut flush);
            readers::read(format, &files, options, &bytes, &mut sink)?;
            sink.finish()?;
            anyhow::Ok(())
        });
        let taken = intake.take_all(receive);
        let read = reader.join().map_err(|_| anyhow!("the reader ended early"))?;
        // When storing failed the reader only knows that nobody listens any more.
        taken?;
        read
    })?;
    intake.finish(format)
}

fn source_name(format: Format, files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| input::name(file)).collect();
    format!("{} {}", format.name(), names.join(" "))
}

/// `None` when one of them is standard input.
fn total_bytes(files: &[PathBuf]) -> Option<u64> {
    files
        .iter()
        .map(|file: &PathBuf| {
            let file: &Path = file;
            if input::is_stdin(file) { None } else { Some(std::fs::metadata(file).ok()?.len()) }
        })
        .sum()
}
