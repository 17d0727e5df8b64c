//! `tidings evaluate`: on a hold-out of the stored data, or on files.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::evaluate_args::{ColdSide, EvaluateArgs, Protocol, Standing};
use super::evaluate_report::{Measured, print};
use super::memory::use_little_memory;
use super::{evaluate_classification, evaluate_files, evaluate_sessions};
use crate::app::database::{Sharing, open};
use crate::app::server;
use crate::app::usage::Usage;
use tidings_actors::recommender::training;
use tidings_core::base::Timestamp;
use tidings_core::config::Config;
use tidings_core::evaluate::cold::Cold;
use tidings_core::recommend::train::Stage;

/// Measures and prints.
pub fn run(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    use_little_memory();
    if args.k.is_empty() || args.k.iter().any(|k| !(1..=1_000).contains(k)) {
        return Err(Usage::error("--k: lengths are 1…1000"));
    }
    if args.protocol == Protocol::Classification {
        let (Some(train), Some(target)) = (&args.train, &args.target) else {
            return Err(Usage::error("--protocol classification needs --train and --target"));
        };
        let bar = evaluate_files::bar(args.json)?;
        let parts = evaluate_classification::Parts { folds: args.folds, file: args.fold_file.as_deref() };
        return evaluate_classification::run(train, target, &parts, args.json, &bar);
    }
    let is_served = args.standing == Standing::Served;
    if is_served && args.protocol != Protocol::Sessions {
        return Err(Usage::error(
            "--as served: a choice of --protocol sessions; without files `tidings evaluate` measures what is served",
        ));
    }
    if is_served && args.train.is_none() {
        return stored_clicks(config, args);
    }
    if args.protocol == Protocol::Sessions {
        let (Some(train), Some(test)) = (&args.train, &args.test) else {
            return Err(Usage::error("--protocol sessions needs --train and --test"));
        };
        let files = evaluate_sessions::Files { train, test, valid: args.valid.as_deref() };
        let bar = evaluate_files::bar(args.json)?;
        return if is_served {
            evaluate_sessions::run_served(&files, &args.algorithm, &args.k, args.json, &bar)
        } else {
            evaluate_sessions::run(&files, &args.algorithm, &args.k, args.json, &bar)
        };
    }
    match (&args.train, &args.test) {
        (Some(_), None) => Err(Usage::error("--train needs --test")),
        (Some(train), Some(test)) => evaluate_files::run(args, train, test),
        _ => stored(config, args),
    }
}

/// The list after a click, on a hold-out in time of the stored data.
fn stored_clicks(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    if args.algorithm != "all" {
        return Err(Usage::error(
            "--algorithm: what is stored is measured as it serves; others need --train and --test",
        ));
    }
    let database = open(config, Sharing::Existing)?;
    let state = server::load_models(config.clone(), database.store.clone())?;
    let bar = evaluate_files::bar(args.json)?;
    let started = Instant::now();
    let metrics = training::measure_clicks(&state, &args.k, &mut |stage, done| {
        bar.set_message(stage.name());
        bar.set_position((100.0 * done) as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let took = Measured { train: started.elapsed(), rank: Duration::ZERO };
    print(args.json, "served", &serde_json::Value::Null, &metrics, &took)
}

fn stored(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    if args.algorithm != "all" {
        let text = "--algorithm: what is stored is measured with the model that serves; others need --train and --test";
        return Err(Usage::error(text));
    }
    let database = open(config, Sharing::Existing)?;
    let state = server::load_models(config.clone(), database.store.clone())?;
    let bar = evaluate_files::bar(args.json)?;
    let started = Instant::now();
    let mut hear = |stage: Stage, done: f32| {
        bar.set_message(stage.name());
        bar.set_position((100.0 * done) as u64);
        ControlFlow::Continue(())
    };
    let (parameters, metrics) = match args.cold {
        None => {
            let trained = training::measure(&state, Timestamp::now(), &mut hear)?.evaluated.trained;
            (trained.model.parameters, trained.metrics)
        }
        Some(side) => {
            let cold = if side == ColdSide::Items { Cold::Items } else { Cold::Users };
            (training::parameters(&state), training::measure_cold(&state, cold, &args.k, &mut hear)?)
        }
    };
    bar.finish_and_clear();
    let took = Measured { train: started.elapsed(), rank: Duration::ZERO };
    print(args.json, "auto", &serde_json::to_value(&parameters)?, &metrics, &took)
}
