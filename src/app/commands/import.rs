//! `tidings import`.

use super::say;
use crate::app::database::{Sharing, open};
use crate::app::import::{self, ImportArgs};
use crate::config::Config;

/// Imports and prints what came of it.
pub fn run(config: &Config, args: ImportArgs) -> anyhow::Result<()> {
    let database = open(config, Sharing::Attach)?;
    let (format, files, options) = args.into_parts()?;
    let summary = import::run(&database.store, format, &files, &options)?;
    say(&summary.to_string())
}
