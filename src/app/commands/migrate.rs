//! `tidings migrate`.

use super::say;
use crate::app::database::{Sharing, connect};
use tidings_core::config::Config;

/// Applies what the database lacks and names it.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let database = connect(config, Sharing::Attach)?;
    let applied = database.store.migrate()?;
    if applied.is_empty() {
        return say("the schema is up to date");
    }
    for name in applied {
        say(&format!("applied {name}"))?;
    }
    Ok(())
}
