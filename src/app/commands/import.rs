//! `tidings import`.

use std::sync::Arc;

use anyhow::bail;

use super::{failed, say, started};
use crate::app::database::{Sharing, open};
use crate::app::usage::Usage;
use tidings_core::config::Config;
use tidings_import::ImportArgs;
use tidings_store::{event_kinds, lease};

/// Remark on an import into a database that a server works on.
const BESIDE_A_SERVER: &str = "a server works on this database: it sees imported items from its next training on (POST /admin/retrain \
    starts one) and imported events of users that it has loaded once it loads them again; a restart does both";

/// Names of files for a record; of a database, whose URL may hold a password, its kind.
fn named(files: &[std::path::PathBuf]) -> String {
    let name = |file: &std::path::PathBuf| match file.to_string_lossy().split_once("://") {
        Some((kind, _)) => format!("{kind}://…"),
        None => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    files.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// Imports, and prints how the files were understood and what came of it.
pub fn run(config: &Config, args: ImportArgs) -> anyhow::Result<()> {
    let mut request = args.into_request().map_err(|error| Usage::of(&error))?;
    request.options.records.kinds = Arc::new(event_kinds::unsaved(&config.event.kinds));
    // What can't be opened or understood is told before a database is started, or made, for it.
    let prepared = tidings_import::prepare(request.format, &request.files, &request.options)?;
    let summary = if request.dry_run {
        tidings_import::take(None, prepared, &request.options, None)?
    } else {
        let database = open(config, Sharing::Attach)?;
        request.options.records.kinds = Arc::new(
            database.store.run_blocking(|connection| event_kinds::sync(connection, &config.event.kinds))?,
        );
        let store = &database.store;
        let entry = started(store, "import", &named(&request.files))?;
        let taken = tidings_import::take(Some(store), prepared, &request.options, Some(&entry));
        let mut taken = taken.map_err(|error| failed(store, &entry, error))?;
        if store.run_blocking(lease::held_since)?.is_some() {
            taken.notes.push(BESIDE_A_SERVER.to_owned());
        }
        taken
    };
    say(&summary.to_string())?;
    match summary.complaint(request.options.max_refused) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}
