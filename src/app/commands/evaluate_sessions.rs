//! `tidings evaluate --protocol sessions`: what is clicked next, on files of sessions.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::json;

use super::evaluate_report::{Measured, print};
use super::memory::reset_peak_rss;
use crate::app::usage::Usage;
use tidings_core::evaluate::sessions::{SessionAlgorithm, SessionTables};
use tidings_core::ml::threads::Threads;
use tidings_core::recommend::train::TrainingParameters;
use tidings_import::splits;

/// `SessionId`, `ItemId`, `Time`.
pub struct Files<'a> {
    /// To learn from.
    pub train: &'a Path,
    /// To measure on.
    pub test: &'a Path,
    /// The part of `train` to tune on.
    pub valid: Option<&'a Path>,
}

/// Reads, measures and prints, algorithm after algorithm: a line of JSON or a table each.
pub fn run(
    files: &Files<'_>,
    algorithm: &str,
    ks: &[usize],
    as_json: bool,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let chosen = chosen(algorithm)?;
    let tables = read(files)?;
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = Threads::new(n_threads)?;
    for (name, algorithm) in chosen {
        bar.set_message(name);
        reset_peak_rss();
        let started = Instant::now();
        let mut progress = |done: f32| {
            bar.set_message(format!("{name} {:.0} %", 100.0 * done));
            ControlFlow::Continue(())
        };
        let fitted = tables.fit(algorithm, &threads, &mut progress)?;
        let train = started.elapsed();
        let metrics = tables.measure(&fitted, ks, &threads);
        let took = Measured { train, rank: started.elapsed() - train };
        print(as_json, name, &json!(fitted.parameters), &metrics, &took)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Measures the list after a click as a server shows it, and the algorithms named, if any, on the same clicks.
pub fn run_served(
    files: &Files<'_>,
    algorithm: &str,
    ks: &[usize],
    as_json: bool,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let chosen = if algorithm == "all" { Vec::new() } else { chosen(algorithm)? };
    let tables = read(files)?;
    reset_peak_rss();
    let started = Instant::now();
    let parameters = TrainingParameters::default();
    let metrics = tables.measure_served(&parameters, ks, &mut |stage, done| {
        bar.set_message(format!("served: {} {:.0} %", stage.name(), 100.0 * done));
        ControlFlow::Continue(())
    })?;
    let took = Measured { train: started.elapsed(), rank: Duration::ZERO };
    print(as_json, "served", &json!(parameters), &metrics, &took)?;
    let threads = Threads::new(0)?;
    for (name, algorithm) in chosen {
        let started = Instant::now();
        let mut progress = |done: f32| {
            bar.set_message(format!("{name} {:.0} %", 100.0 * done));
            ControlFlow::Continue(())
        };
        let fitted = tables.fit(algorithm, &threads, &mut progress)?;
        let train = started.elapsed();
        let metrics = tables.measure_beside(&fitted, ks, &threads).unwrap_or_default();
        let took = Measured { train, rank: started.elapsed() - train };
        print(as_json, name, &json!(fitted.parameters), &metrics, &took)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// The algorithms of a list of names.
fn chosen(algorithm: &str) -> anyhow::Result<Vec<(&'static str, SessionAlgorithm)>> {
    let unknown =
        algorithm.split(',').find(|name| *name != "all" && SessionAlgorithm::from_name(name).is_none());
    if let Some(unknown) = unknown {
        let names: Vec<&str> = SessionAlgorithm::ALL.iter().map(|(name, _)| *name).chain(["all"]).collect();
        return Err(Usage::unknown("--algorithm", unknown, &names));
    }
    let is_wanted = |name: &str| algorithm == "all" || algorithm.split(',').any(|wanted| wanted == name);
    Ok(SessionAlgorithm::ALL.into_iter().filter(|(name, _)| is_wanted(name)).collect())
}

fn read(files: &Files<'_>) -> anyhow::Result<SessionTables> {
    let mut tables = SessionTables::default();
    splits::sessions(files.train, |session, item, at| tables.add_train(session, item, at))?;
    if let Some(valid) = files.valid {
        splits::sessions(valid, |session, _, _| tables.add_valid(session))?;
    }
    splits::sessions(files.test, |session, item, at| tables.add_test(session, item, at))?;
    tables.finish();
    Ok(tables)
}
