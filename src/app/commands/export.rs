//! `tidings export`.

use std::io::Write;

use super::say;
use crate::app::export::{self, ExportArgs};
use crate::app::usage::Usage;
use tidings_core::base::Timestamp;
use tidings_core::config::Config;
use tidings_core::event::clean::grouped;

/// Exports and says what was written; on standard error when the rows go to standard output.
pub fn run(config: &Config, args: &ExportArgs) -> anyhow::Result<()> {
    let options = args.options(Timestamp::now()).map_err(|error| Usage::of(&error))?;
    let summary = export::run(config, &options)?;
    let text = if args.json {
        serde_json::to_string(&summary)?
    } else {
        let seconds = summary.took_ms as f64 / 1_000.0;
        let (rows, bytes) = (grouped(summary.rows), grouped(summary.bytes));
        format!(
            "exported {}: {rows} rows, {bytes} bytes in {seconds:.1} s to {}",
            summary.subject, summary.file
        )
    };
    if options.file.is_some() {
        return say(&text);
    }
    writeln!(std::io::stderr(), "{text}")?;
    Ok(())
}
