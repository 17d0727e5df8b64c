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

use crate::state::audit::of_command;
use crate::store::{Store, audit as audit_log};

/// Adds a command that changed or read much to the audit log.
pub fn note(store: &Store, command: &str, object: &str) -> anyhow::Result<()> {
    let entry = of_command(command, object);
    Ok(store.run_blocking(|connection| audit_log::append(connection, &[entry]))?)
}

/// A line on standard output: the only thing a script reads.
pub fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
