//! `tidings import`.

use anyhow::bail;

use super::say;
use crate::app::database::{Sharing, open};
use crate::app::import::{self, ImportArgs};
use crate::app::usage::Usage;
use crate::config::Config;

/// Imports, and prints how the files were understood and what came of it.
pub fn run(config: &Config, args: ImportArgs) -> anyhow::Result<()> {
    let request = args.into_request().map_err(|error| Usage::of(&error))?;
    let options = &request.options;
    // What can't be opened or understood is told before a database is started, or made, for it.
    let prepared = import::prepare(request.format, &request.files, options)?;
    let summary = if request.dry_run {
        import::take(None, prepared, options)?
    } else {
        let database = open(config, Sharing::Attach)?;
        import::take(Some(&database.store), prepared, options)?
    };
    say(&summary.to_string())?;
    match summary.complaint(options.max_refused) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}
