//! One file per command.

pub mod config;
pub mod evaluate;
pub mod evaluate_args;
pub mod evaluate_classification;
mod evaluate_files;
mod evaluate_parameters;
mod evaluate_report;
pub mod evaluate_sessions;
pub mod export;
pub mod import;
mod memory;
pub mod migrate;
pub mod off_policy;
pub mod privacy;
pub mod pull;
pub mod recommend;
pub mod rules;
pub mod segments;
pub mod serve;
mod sheet;
pub mod simulate;
pub mod token;
pub mod train;
pub mod training_worker;

use std::io::Write;

/// A line on standard output: the only thing a script reads.
pub fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
