//! `tidings evaluate`: on a hold-out of the stored data, or on files.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::memory::{peak_rss_mib, use_small_pages};
use super::{evaluate_classification, evaluate_files, evaluate_sessions, say};
use crate::actors::recommender::training;
use crate::app::database::{Sharing, open};
use crate::app::server;
use crate::base::Timestamp;
use crate::config::Config;
use crate::ml::metrics::Metrics;

/// What to measure.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Training rows, `user,item,ts`, plain or gzip; without it a hold-out in time of the stored data is measured.
    #[arg(long, value_name = "FILE")]
    pub(super) train: Option<PathBuf>,
    /// Test rows; every item of the training rows is ranked, the user's own left out.
    #[arg(long, requires = "train", value_name = "FILE")]
    pub(super) test: Option<PathBuf>,
    /// The part of the training rows (or sessions) on which `auto` tunes; the other algorithms do not need it.
    #[arg(long, requires = "train", value_name = "FILE")]
    pub(super) valid: Option<PathBuf>,
    /// What the files hold and what is asked.
    #[arg(long, value_enum, default_value_t = Protocol::FullRanking)]
    protocol: Protocol,
    /// Of classification: the column to predict, yes or no.
    #[arg(long, requires = "train", value_name = "COLUMN")]
    target: Option<String>,
    /// Of classification: parts of the cross-validation.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Of classification: the fold of each row, a number from 0 a line, instead of drawn ones.
    #[arg(long, requires = "target", value_name = "FILE")]
    fold_file: Option<PathBuf>,
    /// Seconds for tuning, roughly.
    #[arg(long, default_value_t = 120)]
    pub(super) budget_seconds: u64,
    /// popularity, trending, item_knn, user_knn, rp3beta, ease, ials, auto (a blend of them all, learnt on --valid or on
    /// the newest interactions) or all; of sessions: popularity, markov, sequential_rules, association, item_knn, sknn,
    /// v_sknn, stan, auto or all.
    #[arg(long, default_value = "all")]
    pub(super) algorithm: String,
    /// Lengths of the lists measured.
    #[arg(long, value_delimiter = ',', default_value = "10,20")]
    pub(super) k: Vec<usize>,
    #[command(flatten)]
    pub(super) parameters: evaluate_files::ParameterArgs,
    /// One JSON object a line and algorithm.
    #[arg(long)]
    pub(super) json: bool,
}

/// What a test row asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// What a user turns to who has a history: every item but the user's own is ranked.
    FullRanking,
    /// What is clicked next (files SessionId, ItemId, Time): every item is ranked, repetitions count.
    Sessions,
    /// Probabilities of the column --target of the file --train, by cross-validation.
    Classification,
}

/// Measures and prints.
pub fn run(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    use_small_pages();
    if args.k.is_empty() || args.k.iter().any(|k| !(1..=1_000).contains(k)) {
        bail!("--k: lengths are 1…1000");
    }
    if args.protocol == Protocol::Classification {
        let (Some(train), Some(target)) = (&args.train, &args.target) else {
            bail!("--protocol classification needs --train and --target");
        };
        let bar = evaluate_files::bar(args.json)?;
        let parts = evaluate_classification::Parts { folds: args.folds, file: args.fold_file.as_deref() };
        return evaluate_classification::run(train, target, &parts, args.json, &bar);
    }
    if args.protocol == Protocol::Sessions {
        let (Some(train), Some(test)) = (&args.train, &args.test) else {
            bail!("--protocol sessions needs --train and --test");
        };
        let files = evaluate_sessions::Files { train, test, valid: args.valid.as_deref() };
        let budget = Duration::from_secs(args.budget_seconds);
        let bar = evaluate_files::bar(args.json)?;
        return evaluate_sessions::run(&files, &args.algorithm, budget, &args.k, args.json, &bar);
    }
    match (&args.train, &args.test) {
        (Some(_), None) => bail!("--train needs --test"),
        (Some(train), Some(test)) => evaluate_files::run(args, train, test),
        _ => stored(config, args),
    }
}

fn stored(config: &Config, args: &EvaluateArgs) -> anyhow::Result<()> {
    let database = open(config, Sharing::Attach)?;
    let state = server::load_models(config.clone(), database.store.clone())?;
    let bar = evaluate_files::bar(args.json)?;
    let started = Instant::now();
    let trained = training::measure(&state, Timestamp::now(), &mut |stage, done| {
        bar.set_message(stage.name());
        bar.set_position((100.0 * done) as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let took = Measured { train: started.elapsed(), rank: Duration::ZERO };
    let parameters = serde_json::to_value(&trained.model.parameters)?;
    print(args.json, "auto", &parameters, &trained.metrics, &took)
}

/// How long it took.
pub(super) struct Measured {
    pub(super) train: Duration,
    pub(super) rank: Duration,
}

/// One object a line, or a table.
pub(super) fn print(
    as_json: bool,
    algorithm: &str,
    parameters: &Value,
    metrics: &Metrics,
    took: &Measured,
) -> anyhow::Result<()> {
    if as_json {
        let mut line = json!({
            "algorithm": algorithm, "parameters": parameters, "train_seconds": took.train.as_secs_f64(),
            "rank_seconds": took.rank.as_secs_f64(), "peak_rss_mib": peak_rss_mib(),
        });
        if let Some(fields) = line.as_object_mut() {
            fields.extend(metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        return say(&line.to_string());
    }
    let (train, rank) = (took.train.as_secs_f64(), took.rank.as_secs_f64());
    say(&format!("{algorithm}  {parameters}  trained in {train:.2} s, ranked in {rank:.2} s"))?;
    for (name, value) in metrics {
        say(&format!("  {name:<28} {value:.4}"))?;
    }
    Ok(())
}
