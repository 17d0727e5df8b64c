//! `tidings import`: files of other systems, read, cleaned and stored in bulk.
//!
//! Two threads: one reads, unpacks and parses; this one cleans and stores. What a format
//! can only know at its end (titles, prices, paths of categories) it gathers by item and hands over last; what cleaning
//! has to learn first, it learns from the first million rows, held back until then (`event::clean`).
//!
//! Before anything is stored, or a database opened, each file is looked at: which column means what, and which form its values
//! have, is decided once and told (`prepared`, `understood`).
//!
//! The same files under the same options add nothing a second time: keys of events are made of their content, users and items are
//! found by their ids, and an item is touched only if it differs. An item that was changed in between is what the files say again,
//! unless the catalogue is kept.

mod args;
pub mod container;
mod database;
mod delimited;
mod examples;
mod expand;
mod exported;
mod format;
mod input;
mod items;
mod layouts;
mod movielens;
mod ndjson;
mod online_retail;
mod options;
#[cfg(feature = "parquet")]
mod parquet_rows;
mod pipeline;
mod prepared;
mod produced;
mod progress;
mod quotes;
mod readers;
mod rejects;
mod retailrocket;
mod sheets;
mod sink;
pub mod splits;
mod stated;
mod summary;
pub mod table;
mod text;
mod understood;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, anyhow};

use self::input::BytesRead;
use self::pipeline::{Intake, Output};
use self::progress::Progress;
use self::rejects::Rejects;
use self::sink::{Batch, Sink, Stopped};
use tidings_core::base::Timestamp;
use tidings_core::event::EventLimits;
use tidings_core::event::clean::Cleaner;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_store::Store;

pub use args::{ImportArgs, ImportRequest};
pub use database::Selection;
pub use format::Format;
pub use options::{CatalogueMode, ImportOptions};
pub use prepared::{Prepared, prepare};
pub use rejects::ReasonCount;
pub use summary::ImportSummary;
pub use understood::Understood;

/// Batches that may wait between the two threads.
const WAITING_BATCHES: usize = 8;

/// Imports files into the database. A bad row is rejected and counted; an error means that a file can't be read, is
/// of another format, or that the database refused: chunks committed before it stay, and running again
/// goes on from there. Blocks, for minutes if the files are large.
pub fn run(
    store: &Store,
    format: Format,
    files: &[PathBuf],
    options: &ImportOptions,
) -> anyhow::Result<ImportSummary> {
    take(Some(store), prepare(format, files, options)?, options, None)
}

/// Reads and cleans prepared files, and stores what is left; without a store it only tells what would become of them. What is stored last
/// has the end of the command in the audit log with it.
pub fn take(
    store: Option<&Store>,
    prepared: Prepared,
    options: &ImportOptions,
    command: Option<&AuditEntry>,
) -> anyhow::Result<ImportSummary> {
    let Prepared { format, mut files } = prepared;
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let first = paths.first().context("no file was given")?;
    let understood = files
        .iter_mut()
        .filter_map(|file| Some(std::mem::take(&mut file.understanding.as_mut()?.understood)));
    let understood: Vec<Understood> = understood.collect();
    let bytes = BytesRead::default();
    let rejects_path = options.rejects.clone().unwrap_or_else(|| rejects::default_path(first));
    let cleaner = Cleaner::new(
        source_name(format, &paths),
        EventLimits::at(Timestamp::now()),
        options.cleaning,
        (format == Format::OnlineRetail).then(online_retail::set_aside),
    );
    let cleaner = if format == Format::Exported { cleaner.passing_everything() } else { cleaner };
    let progress = Progress::new(BytesRead::clone(&bytes), total_bytes(&paths), options.quiet);
    let output = Output::new(store, command, progress, format, options.catalogue)?;
    let mut intake = Intake::new(cleaner, Rejects::new(store.map(|_| rejects_path)), output);
    let (send, receive) = sync_channel::<Batch>(WAITING_BATCHES);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let send = send;
            let mut flush = |batch| send.send(batch).map_err(|_| Stopped);
            let mut sink = Sink::new(&mut flush);
            readers::read(format, files, options, &bytes, &mut sink)?;
            sink.finish()?;
            anyhow::Ok(())
        });
        let taken = intake.take_all(receive);
        let read = reader.join().map_err(|_| anyhow!("the reader ended early"))?;
        // When storing failed the reader only knows that nobody listens any more.
        taken?;
        read
    })?;
    Ok(ImportSummary { understood, ..intake.finish(format)? })
}

fn source_name(format: Format, files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| expand::name(file)).collect();
    format!("{} {}", format.name(), names.join(" "))
}

/// `None` when one of them is standard input or a database.
fn total_bytes(files: &[PathBuf]) -> Option<u64> {
    // Members of an archive share its file.
    let files: BTreeSet<PathBuf> = files.iter().map(|file| container::locate(file).0).collect();
    files.iter().map(|file| Some(std::fs::metadata(file).ok()?.len())).sum()
}
