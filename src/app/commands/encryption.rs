//! `tidings encryption`.

use anyhow::bail;
use clap::Subcommand;
use rand::RngExt;
use serde_json::json;

use super::{note, say, started};
use crate::app::database::{Database, Sharing, open};
use tidings_core::config::Config;
use tidings_decision::privacy::encryption::{Field, KEY_BYTES, MasterKey};
use tidings_store::encryption::existing::{Existing, encrypt_some, rewrap_some};
use tidings_store::encryption::uses;

/// Rows of a batch.
const BATCH: i64 = 1_000;

/// Operations on encryption at rest. They may run beside a server.
#[derive(Debug, Subcommand)]
pub enum EncryptionAction {
    /// Make a master key and print it.
    NewKey,
    /// Names of the master keys, and how many data keys each wraps.
    Status,
    /// Wrap every data key by the first master key. Goes on where it was cut off.
    Rotate,
    /// Encrypt rows that were stored before encryption was switched on. Goes on where it was cut off.
    EncryptExisting,
}

/// Runs it.
pub fn run(config: &Config, action: &EncryptionAction) -> anyhow::Result<()> {
    if matches!(action, EncryptionAction::NewKey) {
        return say(&MasterKey::new(rand::rng().random::<[u8; KEY_BYTES]>()).to_text());
    }
    let database = open(config, Sharing::Existing)?;
    match action {
        EncryptionAction::NewKey => Ok(()),
        EncryptionAction::Status => status(&database),
        EncryptionAction::Rotate => rotate(&database),
        EncryptionAction::EncryptExisting => encrypt_existing(&database),
    }
}

fn status(database: &Database) -> anyhow::Result<()> {
    let uses = database.store.run_blocking(uses)?;
    let Some(masters) = database.store.fields().masters() else {
        return say("encryption is off: no master key is set");
    };
    for (place, name) in masters.names().enumerate() {
        let wrapped = uses.iter().find(|of| of.name == name.as_str()).map_or(0, |of| of.data_keys);
        let standing = match (place, wrapped) {
            (0, _) => "current",
            (_, 0) => "not needed any more",
            (_, _) => "needed until `tidings encryption rotate` has ended",
        };
        say(&format!("{name}  {wrapped} data keys  {standing}"))?;
    }
    Ok(())
}

fn is_on(database: &Database) -> anyhow::Result<()> {
    if !database.store.fields().is_on() {
        bail!(
            "encryption is off; `tidings encryption new-key` makes a master key, encryption.master_key_file names its file"
        );
    }
    Ok(())
}

fn rotate(database: &Database) -> anyhow::Result<()> {
    is_on(database)?;
    let store = &database.store;
    let entry = started(store, "encryption rotate", "data keys")?;
    let mut rewrapped = 0;
    loop {
        match store.run_blocking(|connection| rewrap_some(connection, store.fields(), BATCH))? {
            0 => break,
            n => rewrapped += n,
        }
    }
    note(store, &entry, &json!({"state": "succeeded", "data_keys": rewrapped}))?;
    say(&format!(
        "{rewrapped} data keys are wrapped by the current master key; older ones can be taken out of the settings"
    ))
}

fn encrypt_existing(database: &Database) -> anyhow::Result<()> {
    is_on(database)?;
    let store = &database.store;
    for field in Field::ALL {
        let entry = started(store, "encryption encrypt-existing", field.name())?;
        let mut place = Existing::new(field);
        let mut encrypted = 0;
        loop {
            match store
                .run_blocking(|connection| encrypt_some(connection, store.fields(), &mut place, BATCH))?
            {
                0 => break,
                n => encrypted += n,
            }
        }
        note(store, &entry, &json!({"state": "succeeded", "encrypted": encrypted}))?;
        say(&format!("{}  {encrypted} encrypted", field.name()))?;
    }
    Ok(())
}
