//! `tidings evaluate --train … --test …`: algorithms by name on `user,item,ts` tables, one after another.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::evaluate::{EvaluateArgs, Measured, print};
use super::memory::reset_peak_rss;
use crate::app::import::splits;
use crate::evaluate::auto;
use crate::evaluate::files::{self, Algorithm, Model, Row, Tables};
use crate::ml::threads::Threads;
use crate::recommend::models::ease::EaseParameters;
use crate::recommend::models::implicit_als::AlsParameters;
use crate::recommend::models::item_knn::KnnParameters;
use crate::recommend::models::rp3beta::Rp3betaParameters;
use crate::recommend::models::trending::TrendingParameters;
use crate::recommend::models::user_knn::{UserKnnParameters, UserSimilarity};

/// Every algorithm with parameters of its own, in the order of `all`.
const SINGLE: [&str; 7] = ["popularity", "trending", "item_knn", "user_knn", "rp3beta", "ease", "ials"];

/// Parameters of single algorithms; those an algorithm has no use for are ignored.
#[derive(Debug, Args)]
pub struct ParameterArgs {
    /// Neighbours kept an item (item_knn, rp3beta), users asked (user_knn).
    #[arg(long, default_value_t = 100)]
    neighbours: usize,
    /// Similarity over n in common counts n / (n + shrinkage) (item_knn, user_knn).
    #[arg(long, default_value_t = 0.0)]
    shrinkage: f32,
    /// Ridge penalty (ease).
    #[arg(long, default_value_t = EaseParameters::default().lambda)]
    lambda: f32,
    /// Most items (ease).
    #[arg(long, default_value_t = EaseParameters::default().max_items)]
    max_items: usize,
    /// Length of the vectors (ials).
    #[arg(long, default_value_t = AlsParameters::default().factors)]
    factors: usize,
    /// Confidence of a row (ials) [default: 8]; exponent of a step (rp3beta) [default: 1].
    #[arg(long)]
    alpha: Option<f32>,
    /// How much popular items are held back (rp3beta).
    #[arg(long, default_value_t = Rp3betaParameters::default().beta)]
    beta: f32,
    /// Penalty on squared lengths (ials).
    #[arg(long, default_value_t = AlsParameters::default().regularisation)]
    regularisation: f32,
    /// Rounds (ials).
    #[arg(long, default_value_t = AlsParameters::default().iterations)]
    iterations: usize,
    /// How much penalties grow with what a row has, 0…1 (ials).
    #[arg(long, default_value_t = 0.0)]
    frequency_scaling: f32,
    /// Seed of random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How alike two users are (user_knn).
    #[arg(long, value_enum, default_value_t = Measure::Cosine)]
    measure: Measure,
    /// Length of the recent window in days (trending).
    #[arg(long, default_value_t = TrendingParameters::default().window_days)]
    window_days: f32,
    /// Weight of each older item of a history against the next newer one, 0…1; 1 = all alike.
    #[arg(long, default_value_t = 1.0)]
    history_decay: f32,
}

/// Names of [`UserSimilarity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    Cosine,
    Jaccard,
    #[value(alias = "mean_product")]
    MeanProduct,
}

impl ParameterArgs {
    /// By name; `None` for an unknown one.
    fn algorithm(&self, name: &str) -> Option<Algorithm> {
        let measure = match self.measure {
            Measure::Cosine => UserSimilarity::Cosine,
            Measure::Jaccard => UserSimilarity::Jaccard,
            Measure::MeanProduct => UserSimilarity::MeanProduct,
        };
        let (neighbours, shrinkage) = (self.neighbours, self.shrinkage);
        let als = AlsParameters::default();
        let model = match name {
            "popularity" => Model::Popularity,
            "trending" => {
                Model::Trending(TrendingParameters { window_days: self.window_days, ..Default::default() })
            }
            "item_knn" => Model::ItemKnn(KnnParameters { neighbours, shrinkage }),
            "user_knn" => Model::UserKnn(UserKnnParameters { measure, neighbours, shrinkage }),
            "rp3beta" => {
                let alpha = self.alpha.unwrap_or(Rp3betaParameters::default().alpha);
                Model::Rp3beta(Rp3betaParameters { alpha, beta: self.beta, neighbours })
            }
            "ease" => Model::Ease(EaseParameters { lambda: self.lambda, max_items: self.max_items }),
            "ials" => Model::ImplicitAls(AlsParameters {
                factors: self.factors,
                regularisation: self.regularisation,
                alpha: self.alpha.unwrap_or(als.alpha),
                iterations: self.iterations,
                frequency_scaling: self.frequency_scaling,
                seed: self.seed,
            }),
            _ => return None,
        };
        Some(Algorithm { model, history_decay: self.history_decay })
    }
}

/// Reads, measures and prints, algorithm after algorithm. With `all` what can't be measured is left out and said.
pub(super) fn run(args: &EvaluateArgs, train: &Path, test: &Path) -> anyhow::Result<()> {
    let all = args.algorithm == "all";
    let names: Vec<&str> =
        if all { SINGLE.into_iter().chain(["auto"]).collect() } else { args.algorithm.split(',').collect() };
    let known = |name: &&str| SINGLE.contains(name) || **name == *"auto";
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        bail!("--algorithm: there is no {unknown}; there are {}, auto and all", SINGLE.join(", "));
    }
    let tables = read(args, train, test)?;
    for name in names {
        let measured = match args.parameters.algorithm(name) {
            Some(algorithm) => single(args, &tables, &algorithm),
            None => auto(args, &tables, name),
        };
        match measured {
            Err(error) if all => log::warn!("{name} is left out: {error:#}"),
            measured => measured?,
        }
    }
    Ok(())
}

fn read(args: &EvaluateArgs, train: &Path, test: &Path) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    splits::interactions(train, |user, item, ts| tables.add_train(&Row { user, item, ts }))?;
    tables.finish_train();
    if let Some(valid) = &args.valid {
        splits::interactions(valid, |user, item, ts| tables.add_valid(&Row { user, item, ts }))?;
    }
    splits::interactions(test, |user, item, ts| tables.add_test(&Row { user, item, ts }))?;
    tables.finish_test();
    if tables.n_rows() == 0 {
        bail!("not enough data: {} has no rows", train.display());
    }
    if tables.cases().is_empty() {
        bail!("not enough data: no user of {} has rows in {}", test.display(), train.display());
    }
    Ok(tables)
}

fn single(args: &EvaluateArgs, tables: &Tables, algorithm: &Algorithm) -> anyhow::Result<()> {
    let threads = Threads::new(0)?;
    let matrix = tables.matrix();
    let bar = bar(args.json)?;
    let hear = |what: &'static str| {
        bar.set_message(format!("{}: {what}", algorithm.name()));
        |done: f32| {
            bar.set_position((100.0 * done) as u64);
            ControlFlow::Continue(())
        }
    };
    reset_peak_rss();
    let started = Instant::now();
    let fitted = algorithm.model.fit(&matrix, &threads, hear("training"))?;
    let train = started.elapsed();
    let started = Instant::now();
    let n = args.k.iter().copied().max().unwrap_or(0);
    let lists = files::rank(tables, &fitted, algorithm.history_decay, n, &threads, hear("ranking"))?;
    let took = Measured { train, rank: started.elapsed() };
    bar.finish_and_clear();
    let metrics = files::score(tables, &lists, &args.k);
    print(args.json, algorithm.name(), &json!(algorithm.parameters()), &metrics, &took)
}

/// The learnt blend: chosen on the validation part within the budget, fitted on all of training.
fn auto(args: &EvaluateArgs, tables: &Tables, name: &str) -> anyhow::Result<()> {
    let bar = bar(args.json)?;
    bar.set_message(name.to_owned());
    reset_peak_rss();
    let started = Instant::now();
    let budget = Duration::from_secs(args.budget_seconds);
    let expired = || started.elapsed() > budget;
    let threads = Threads::new(0)?;
    let mut hear = |done: f32| {
        bar.set_position((100.0 * done) as u64);
        ControlFlow::Continue(())
    };
    let chosen = auto::choose(tables, &threads, &expired, &mut hear)?;
    let train = started.elapsed();
    let n = args.k.iter().copied().max().unwrap_or(0);
    let lists = auto::rank(tables, &chosen.ensemble, n, &threads);
    let took = Measured { train, rank: started.elapsed() - train };
    bar.finish_and_clear();
    print(args.json, name, &chosen.parameters(), &files::score(tables, &lists, &args.k), &took)
}

/// A bar in percent on a terminal; hidden where JSON or a file is written.
pub(super) fn bar(as_json: bool) -> anyhow::Result<ProgressBar> {
    if as_json || !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let bar = ProgressBar::new(100);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {bar:30} {percent:>3}% {msg}")?);
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        parameters: ParameterArgs,
    }

    #[test]
    fn parameters_reach_the_algorithm_they_are_for() {
        let line = [
            "evaluate",
            "--alpha",
            "16",
            "--factors",
            "32",
            "--measure",
            "mean-product",
            "--history-decay",
            "0.5",
        ];
        let parameters = Line::parse_from(line).parameters;
        for name in SINGLE {
            assert_eq!(parameters.algorithm(name).unwrap().name(), name);
        }
        let ials = json!(parameters.algorithm("ials").unwrap().parameters());
        assert_eq!(
            (&ials["alpha"], &ials["factors"], &ials["history_decay"]),
            (&json!(16.0), &json!(32), &json!(0.5))
        );
        let user_knn = json!(parameters.algorithm("user_knn").unwrap().parameters());
        assert_eq!(user_knn["measure"], "mean_product");
        assert!(parameters.algorithm("auto").is_none());
    }
}
