//! Programs that print JSON lines, run one at a time.

use std::process::{Command, Output};

use serde_json::Value;

use crate::report::median;
use crate::server;

/// Threads of our side and of the reference.
pub const THREADS: usize = 2;

/// The first JSON line of `tidings` with these arguments; why there is none otherwise.
pub fn tidings(arguments: &[String]) -> Result<Value, String> {
    first_line(server::tidings().args(arguments).env("RAYON_NUM_THREADS", THREADS.to_string()))
}

/// All JSON lines of a program.
pub fn lines(command: &mut Command) -> Result<Vec<Value>, String> {
    let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
    if !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(last.trim().to_owned());
    }
    let text = String::from_utf8_lossy(&stdout);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

pub fn first_line(command: &mut Command) -> Result<Value, String> {
    lines(command)?.into_iter().next().ok_or_else(|| "it printed no figures".to_owned())
}

/// A field; NaN where there is none.
pub fn number(line: &Value, field: &str) -> f64 {
    line[field].as_f64().unwrap_or(f64::NAN)
}

/// Median of a field over several runs.
pub fn median_of(runs: &[Value], field: &str) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(|line| number(line, field)).collect();
    median(&mut values)
}

/// Mean of a field over several runs.
pub fn mean_of(runs: &[Value], field: &str) -> f64 {
    runs.iter().map(|line| number(line, field)).sum::<f64>() / runs.len() as f64
}
