//! `tidings export`: events, decisions, outcomes, recommendations, items and users as files, streamed with bounded memory. A file is
//! written under a name of its own and renamed when it is whole, so that what is there under its name is never half an export.

mod args;
mod destination;
mod encode;
mod format;
mod options;
#[cfg(feature = "parquet")]
mod parquet_rows;
mod progress;
mod recommendations;
mod sheet;
mod wanted;

use std::time::Instant;

use serde::Serialize;

use self::destination::Destination;
use self::progress::Progress;
use self::sheet::Sheet;
use crate::app::database::{Sharing, open};
use tidings_core::base::Millis;
use tidings_core::catalogue::Money;
use tidings_core::config::Config;
use tidings_decision::decide::Definitions;
use tidings_state::audit::of_command;
use tidings_store::export::{Selection, stream};
use tidings_store::{Connection, StoreError, audit, definitions};

pub use args::ExportArgs;
pub use format::{FileFormat, Packing};
pub use options::ExportOptions;
pub use wanted::Wanted;

/// Counts of a finished export.
#[derive(Clone, Debug, Serialize)]
pub struct ExportSummary {
    /// Rows wanted.
    pub subject: &'static str,
    /// Form of the rows.
    pub format: &'static str,
    /// File, or "-" for standard output.
    pub file: String,
    /// Rows written.
    pub rows: u64,
    /// Bytes written, compressed as they are.
    pub bytes: u64,
    /// From the first query to the last byte, milliseconds.
    pub took_ms: u64,
}

/// Exports. Blocks. After an error nothing stands under the name of the file that was not there before.
pub fn run(config: &Config, options: &ExportOptions) -> anyhow::Result<ExportSummary> {
    let began = Instant::now();
    // A folder that is not there is told before a database is started, or made, for it.
    let destination = Destination::open(options.file.as_deref(), options.packing)?;
    let mut sheet = Sheet::new(destination, options.format, Progress::new(options.quiet));
    let database = open(config, Sharing::Existing)?;
    let entry = of_command("export", options.wanted.name());
    database.store.run_blocking(|connection| audit::append(connection, &[entry]))?;
    match options.wanted.subject() {
        Some(subject) => {
            let selection = Selection {
                subject,
                since: options.since,
                until: options.until,
                attribution_window: database.store.run_blocking(|connection| window(connection, config))?,
                money: Money::new(&config.money.base, &config.money.rates),
            };
            database.store.run_blocking(|connection| {
                stream(connection, database.store.fields(), &selection, &mut sheet)
            })?;
        }
        None => recommendations::write(config, database.store.clone(), options.n, &mut sheet)?,
    }
    let written = sheet.finish()?;
    Ok(ExportSummary {
        subject: options.wanted.name(),
        format: options.format.name(),
        file: options.file.as_ref().map_or_else(|| "-".to_owned(), |file| file.display().to_string()),
        rows: written.rows,
        bytes: written.bytes,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Time after a message within which a purchase counts, by the active policy.
fn window(connection: &mut Connection, config: &Config) -> Result<Millis, StoreError> {
    let rows = definitions::current(connection)?;
    let stored: Vec<_> = rows.into_iter().map(|row| row.definition).collect();
    Ok(Definitions::new(&stored, &config.policy).0.rules.attribution_window)
}
