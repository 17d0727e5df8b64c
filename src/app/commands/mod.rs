//! One file per command.

pub mod audit;
pub mod config;
pub mod encryption;
pub mod evaluate;
pub mod evaluate_args;
pub mod evaluate_classification;
mod evaluate_files;
mod evaluate_parameters;
mod evaluate_report;
pub mod evaluate_sessions;
pub mod export;
pub mod import;
pub mod keys;
mod memory;
pub mod migrate;
pub mod models;
pub mod off_policy;
pub mod people;
pub mod privacy;
pub mod pull;
pub mod recommend;
pub mod rules;
pub mod segments;
pub mod serve;
mod sheet;
pub mod simulate;
pub mod tls;
pub mod token;
pub mod train;
pub mod training_worker;
pub mod uplift;
mod uplift_report;

use std::io::Write;

use serde_json::{Value, json};

use tidings_core::base::Timestamp;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_state::audit::of_command;
use tidings_store::{Connection, Store, StoreError, audit as audit_log, in_transaction};

/// Adds the start of a command of many transactions to the audit log, before the first of them. Its end goes with the last: the answer is
/// the entry that [`AuditEntry::at_stage`] makes it of.
pub fn started(store: &Store, command: &str, object: &str) -> anyhow::Result<AuditEntry> {
    let entry = of_command(command, object);
    note(store, &entry, &json!({"state": "started"}))?;
    Ok(entry)
}

/// Adds another stage of a command to the audit log.
pub fn note(store: &Store, entry: &AuditEntry, stage: &Value) -> Result<(), StoreError> {
    let entry = entry.at_stage(Timestamp::now(), stage);
    store.run_blocking(|connection| audit_log::append(connection, &[entry]))
}

/// Adds the end of a command that failed to the audit log, and returns why it did.
pub fn failed(store: &Store, entry: &AuditEntry, error: anyhow::Error) -> anyhow::Error {
    if let Err(error) = note(store, entry, &json!({"state": "failed"})) {
        log::error!("audit log not written error={error}");
    }
    error
}

/// Runs a change and adds it to the audit log in one transaction. `change` answers the object of the entry with its result; without
/// an object nothing was changed.
pub fn noted<T>(
    store: &Store,
    command: &str,
    change: impl FnOnce(&mut Connection) -> Result<(Option<String>, T), StoreError>,
) -> Result<T, StoreError> {
    store.run_blocking(|connection| {
        in_transaction(connection, |connection| {
            let (object, result) = change(connection)?;
            if let Some(object) = object {
                audit_log::append(connection, &[of_command(command, &object)])?;
            }
            Ok(result)
        })
    })
}

/// A line on standard output: the only thing a script reads.
pub fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
