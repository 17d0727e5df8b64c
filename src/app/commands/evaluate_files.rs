//! `tidings evaluate --train … --test …`: algorithms by name on `user,item,ts` tables, one after another.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::evaluate_args::EvaluateArgs;
use super::evaluate_report::{Measured, print};
use super::memory::reset_peak_rss;
use crate::app::usage::Usage;
use tidings_core::evaluate::auto;
use tidings_core::evaluate::files::{self, Algorithm, Tables};
use tidings_core::ml::threads::Threads;
use tidings_import::splits;

/// Every algorithm with parameters of its own, in the order of `all`.
const SINGLE: [&str; 8] =
    ["popularity", "trending", "item_knn", "user_knn", "rp3beta", "ease", "ridge", "ials"];

/// Reads, measures and prints, algorithm after algorithm. With `all` what can't be measured is left out and said.
pub(super) fn run(args: &EvaluateArgs, train: &Path, test: &Path) -> anyhow::Result<()> {
    let all = args.algorithm == "all";
    let names: Vec<&str> =
        if all { SINGLE.into_iter().chain(["auto"]).collect() } else { args.algorithm.split(',').collect() };
    let known = |name: &&str| SINGLE.contains(name) || **name == *"auto";
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let names: Vec<&str> = SINGLE.into_iter().chain(["auto", "all"]).collect();
        return Err(Usage::unknown("--algorithm", unknown, &names));
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
    let target = args.target.as_deref();
    let mut tables = target.map_or_else(Tables::default, Tables::with_target);
    let has_kinds = target.is_some();
    splits::interactions(train, has_kinds, |row, kind| tables.add_train(&row, kind))?;
    tables.finish_train();
    if let Some(history) = &args.history {
        splits::interactions(history, has_kinds, |row, kind| tables.add_history(&row, kind))?;
        tables.finish_history();
    }
    leave_out(args, &mut tables)?;
    // Rows without a kind are of the target kind.
    let is_target = |kind: &str| kind.is_empty() || target.is_none_or(|target| target == kind);
    if let Some(valid) = &args.valid {
        splits::interactions(valid, false, |row, kind| {
            if is_target(kind) {
                tables.add_valid(&row);
            }
        })?;
    }
    splits::interactions(test, false, |row, kind| {
        if is_target(kind) {
            tables.add_test(&row);
        }
    })?;
    tables.finish_test();
    if tables.n_rows() == 0 {
        bail!("not enough data: {} has no rows", train.display());
    }
    if tables.cases().is_empty() {
        bail!("not enough data: no user of {} has rows in {}", test.display(), train.display());
    }
    Ok(tables)
}

/// The kinds whose items stay out of lists; refuses names that no row has.
fn leave_out(args: &EvaluateArgs, tables: &mut Tables) -> anyhow::Result<()> {
    let Some(target) = &args.target else { return Ok(()) };
    let names = tables.kind_names().to_vec();
    let has_target = tables.histories().iter().any(|history| !history.is_empty());
    if !has_target {
        let others: Vec<&str> = names.iter().skip(1).map(String::as_str).collect();
        return Err(Usage::unknown("--target", target, &others));
    }
    if args.leave_out.is_empty() || tables.leave_out(&args.leave_out).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let unknown = args.leave_out.iter().find(|name| !names.contains(&name.as_str()));
    Err(Usage::unknown("--leave-out", unknown.map_or("", String::as_str), &names))
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

/// The learnt blend: chosen on the validation part, fitted on all of training. What is found on the way is logged.
fn auto(args: &EvaluateArgs, tables: &Tables, name: &str) -> anyhow::Result<()> {
    let bar = bar(args.json)?;
    bar.set_message(name.to_owned());
    reset_peak_rss();
    let started = Instant::now();
    let threads = Threads::new(0)?;
    let mut hear = |done: f32| {
        bar.set_position((100.0 * done) as u64);
        ControlFlow::Continue(())
    };
    let tell = |found: &str| {
        bar.set_message(format!("{name}: {found}"));
        log::info!("{name}: {found} ({:.1} s)", started.elapsed().as_secs_f64());
    };
    let chosen = auto::choose(tables, &threads, &tell, &mut hear)?;
    let train = started.elapsed();
    let n = args.k.iter().copied().max().unwrap_or(0);
    let lists = auto::rank(tables, &chosen, n, &threads);
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
    use crate::app::commands::evaluate_parameters::ParameterArgs;

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
