//! `tidings import`.

use super::say;
use crate::app::database::{Sharing, open};
use crate::app::import::{self, ImportArgs};
use crate::app::usage::Usage;
use crate::config::Config;

/// Imports and prints what came of it.
pub fn run(config: &Config, args: ImportArgs) -> anyhow::Result<()> {
    let (format, files, options) = args.into_parts().map_err(|error| Usage::of(&error))?;
    // A file that can't be opened is told before a database is started, or made, for it.
    import::check(format, &files)?;
    let database = open(config, Sharing::Attach)?;
    let summary = import::run(&database.store, format, &files, &options)?;
    say(&summary.to_string())
}
