//! `tidings evaluate`.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{evaluate_classification, evaluate_sessions, say};
use crate::actors::recommender;
use crate::app::database::{Sharing, open};
use crate::app::import::splits::{self, SplitRow};
use crate::app::server;
use crate::base::Timestamp;
use crate::config::Config;
use crate::evaluate::files::{Algorithm, Row, Tables};
use crate::recommend::Metrics;

/// What to measure.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Training rows, `user,item,ts`, plain or gzip; without it a hold-out in time of the stored data is measured.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Test rows; every item of the training rows is ranked, the user's own left out.
    #[arg(long, requires = "train", value_name = "FILE")]
    test: Option<PathBuf>,
    /// full-ranking; sessions: what is clicked next (files SessionId, ItemId, Time); or classification: probabilities of
    /// the column --target of the file --train.
    #[arg(long, default_value = "full-ranking", value_parser = ["full-ranking", "sessions", "classification"])]
    protocol: String,
    /// Of classification: the column to predict, yes or no.
    #[arg(long, requires = "train", value_name = "COLUMN")]
    target: Option<String>,
    /// Of classification: parts of the cross-validation.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Of sessions: the training sessions to tune on; without it the last twentieth of them.
    #[arg(long, requires = "train", value_name = "FILE")]
    valid: Option<PathBuf>,
    /// Of sessions: seconds for tuning, roughly.
    #[arg(long, default_value_t = 120)]
    budget_seconds: u64,
    /// popularity, item_knn, hybrid or all; of sessions: popularity, markov, sequential_rules, association, item_knn,
    /// sknn, v_sknn, stan, auto or all.
    #[arg(long, default_value = "all")]
    algorithm: String,
    /// Lengths of the lists measured.
    #[arg(long, value_delimiter = ',', default_value = "10,20")]
    k: Vec<usize>,
    /// Neighbours of item_knn.
    #[arg(long, default_value_t = 100)]
    neighbours: usize,
    /// Shrinkage of item_knn.
    #[arg(long, default_value_t = 0.0)]
    shrinkage: f32,
    /// Weight of each older item of a history against the next newer one, 0…1; 1 = all alike.
    #[arg(long, default_value_t = 1.0)]
    history_decay: f32,
    /// One JSON object a line and algorithm.
    #[arg(long)]
    json: bool,
}

impl EvaluateArgs {
    fn algorithms(&self) -> anyhow::Result<Vec<Algorithm>> {
        let item_knn = Algorithm::ItemKnn {
            neighbours: self.neighbours,
            shrinkage: self.shrinkage,
            history_decay: self.history_decay,
        };
        Ok(match self.algorithm.as_str() {
            "popularity" => vec![Algorithm::Popularity],
            "item_knn" => vec![item_knn],
            "hybrid" => vec![Algorithm::Hybrid],
            "all" => vec![Algorithm::Popularity, item_knn, Algorithm::Hybrid],
            other => bail!("--algorithm: there is no {other}; it is popularity, item_knn, hybrid or all"),
        })
    }
}

/// Measures and prints.
pub fn run(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    if args.k.is_empty() || args.k.iter().any(|k| !(1..=1_000).contains(k)) {
        bail!("--k: lengths are 1…1000");
    }
    if args.protocol == "classification" {
        let (Some(train), Some(target)) = (&args.train, &args.target) else {
            bail!("--protocol classification needs --train and --target");
        };
        return evaluate_classification::run(train, target, args.folds, args.json, &bar(args)?);
    }
    if args.protocol == "sessions" {
        let (Some(train), Some(test)) = (&args.train, &args.test) else {
            bail!("--protocol sessions needs --train and --test");
        };
        let files = evaluate_sessions::Files { train, test, valid: args.valid.as_deref() };
        let budget = Duration::from_secs(args.budget_seconds);
        return evaluate_sessions::run(&files, &args.algorithm, budget, &args.k, args.json, &bar(args)?);
    }
    match (&args.train, &args.test) {
        (Some(_), None) => bail!("--train needs --test"),
        (Some(train), Some(test)) => files(args, &splits::interactions(train)?, &splits::interactions(test)?),
        _ => stored(config, args),
    }
}

fn files(args: &EvaluateArgs, train: &[SplitRow], test: &[SplitRow]) -> anyhow::Result<()> {
    fn rows(rows: &[SplitRow]) -> Vec<Row<'_>> {
        rows.iter().map(|(user, item, ts)| Row { user, item, ts: *ts }).collect()
    }
    let tables = Tables::new(&rows(train), &rows(test));
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let bar = bar(args)?;
    for algorithm in args.algorithms()? {
        bar.set_message(algorithm.name());
        let started = Instant::now();
        let outcome = tables.evaluate(&algorithm, None, &args.k, n_threads)?;
        print(args, outcome.algorithm, &json!(outcome.parameters), &outcome.metrics, started.elapsed())?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn stored(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    let database = open(config, Sharing::Attach)?;
    let shared = server::load(config.clone(), database.store.clone())?;
    let bar = bar(args)?;
    let started = Instant::now();
    let trained = recommender::measure(&shared, Timestamp::now(), &mut |stage, _| {
        bar.set_message(stage.name());
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let parameters = serde_json::to_value(&trained.model.parameters)?;
    print(args, "hybrid", &parameters, &trained.metrics, started.elapsed())
}

fn bar(args: &EvaluateArgs) -> anyhow::Result<ProgressBar> {
    if args.json || !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

fn print(
    args: &EvaluateArgs,
    algorithm: &str,
    parameters: &serde_json::Value,
    metrics: &Metrics,
    took: Duration,
) -> anyhow::Result<()> {
    if args.json {
        let mut line = json!({
            "algorithm": algorithm, "parameters": parameters, "seconds": took.as_secs_f64(),
            "peak_rss_mib": peak_rss_mib(),
        });
        if let Some(fields) = line.as_object_mut() {
            fields.extend(metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        return say(&line.to_string());
    }
    say(&format!("{algorithm}  ({:.1} s)", took.as_secs_f64()))?;
    for (name, value) in metrics {
        say(&format!("  {name:<28} {value:.4}"))?;
    }
    Ok(())
}

/// Largest resident memory of this process so far, MiB; `None` where /proc does not say.
pub(super) fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
