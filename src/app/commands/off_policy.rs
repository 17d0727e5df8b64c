//! `tidings off-policy`: what a policy would have earned, from the log of another. Reads the layout of the Open Bandit
//! Dataset (Saito et al. 2020: `item_id, position, click, propensity_score`) and the same under plainer names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::say;
use tidings_core::evaluate::off_policy::{self, Estimate, LoggedChoice, Report, TargetPolicy};
use tidings_import::{container, table::Table};

/// Most rows of a log.
const MAX_ROWS: usize = 20_000_000;
/// Accepted column names, the first is the plain one.
const ACTION: &[&str] = &["action", "item_id"];
const STRATUM: &[&str] = &["stratum", "position"];
const REWARD: &[&str] = &["reward", "click"];
const PROPENSITY: &[&str] = &["propensity", "propensity_score", "pscore"];
const PROBABILITY: &[&str] = &["probability", "prob"];

/// Log and policy to evaluate.
#[derive(Debug, Args)]
pub struct OffPolicyArgs {
    /// Logged choices, plain or gzip CSV: action (item_id), stratum (position, optional), reward (click), propensity
    /// (propensity_score).
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// The policy asked about: a CSV of action, stratum, probability (item_id, position, prob), or `uniform`, or
    /// `uniform:46` for more actions than the log shows.
    #[arg(long, value_name = "FILE|uniform")]
    target: String,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Names numbered in order of appearance.
#[derive(Debug, Default)]
struct Numbering(HashMap<String, usize>);

impl Numbering {
    fn number(&mut self, name: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

#[derive(Debug, Default)]
struct Log {
    actions: Numbering,
    strata: Numbering,
    rows: Vec<LoggedChoice>,
}

/// Estimates and prints; a refusal is an answer, not a failure.
pub fn run(args: &OffPolicyArgs) -> anyhow::Result<()> {
    let mut log = read_log(&args.log)?;
    let target = match args.target.strip_prefix("uniform") {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => uniform(&log, rest)?,
        _ => read_target(Path::new(&args.target), &mut log)?,
    };
    let report = off_policy::estimate(&log.rows, &target).context("the log and the target policy")?;
    if args.json { say(&serde_json::to_string(&report)?) } else { print(&report) }
}

fn print(report: &Report) -> anyhow::Result<()> {
    say(&format!(
        "rows {}  logged policy {:.6}  effective sample size {:.0}  largest weight {:.1}  mean weight {:.3}",
        report.rows, report.logged, report.effective_sample_size, report.largest_weight, report.mean_weight
    ))?;
    if let Some(refusal) = report.refusal {
        return say(&format!("no estimate: {refusal}"));
    }
    let Some(estimates) = report.estimates else { return Ok(()) };
    for (name, estimate) in [("IPS", estimates.ips), ("SNIPS", estimates.snips), ("DR", estimates.dr)] {
        let Estimate { value, standard_error, low, high } = estimate;
        say(&format!("{name:<6} {value:.6}  ± {standard_error:.6}  95 % {low:.6} … {high:.6}"))?;
    }
    Ok(())
}

fn uniform(log: &Log, rest: &str) -> anyhow::Result<TargetPolicy> {
    let seen = log.actions.0.len();
    let actions = match rest.strip_prefix(':') {
        None => seen,
        Some(number) => number.parse().context("--target uniform:N takes a number of actions")?,
    };
    ensure!(actions >= seen, "--target uniform:{actions}: the log has {seen} actions");
    Ok(TargetPolicy::uniform(log.strata.0.len().max(1), actions.max(1))?)
}

fn open(path: &Path) -> anyhow::Result<Table> {
    Table::open(container::open_text(path)?, b',')
}

fn column(table: &Table, path: &Path, names: &[&str]) -> anyhow::Result<usize> {
    table.column(names).with_context(|| {
        format!(
            "{}: no column {} among {}",
            path.display(),
            names.join(" or "),
            table.header().iter().take(20).cloned().collect::<Vec<_>>().join(", ")
        )
    })
}

fn number(table: &Table, column: usize, path: &Path, line: u64) -> anyhow::Result<f64> {
    let text = table.field(column).trim();
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.with_context(|| format!("{}, line {line}: {text:?} is not a number", path.display()))
}

fn read_log(path: &Path) -> anyhow::Result<Log> {
    let mut table = open(path)?;
    let action = column(&table, path, ACTION)?;
    let reward = column(&table, path, REWARD)?;
    let propensity = column(&table, path, PROPENSITY)?;
    let stratum = table.column(STRATUM);
    let mut log = Log::default();
    while let Some(line) = table.next_row()? {
        if log.rows.len() >= MAX_ROWS {
            bail!("{}: more than {MAX_ROWS} rows; give a sample", path.display());
        }
        log.rows.push(LoggedChoice {
            stratum: log.strata.number(stratum.map_or("", |column| table.field(column))),
            action: log.actions.number(table.field(action)),
            reward: number(&table, reward, path, line)?,
            propensity: number(&table, propensity, path, line)?,
        });
    }
    Ok(log)
}

/// Cells not named have probability 0. Without a stratum column every stratum is treated alike.
fn read_target(path: &Path, log: &mut Log) -> anyhow::Result<TargetPolicy> {
    let mut table = open(path)?;
    let action = column(&table, path, ACTION)?;
    let probability = column(&table, path, PROBABILITY)?;
    let stratum = table.column(STRATUM);
    let mut cells = Vec::new();
    while let Some(line) = table.next_row()? {
        if cells.len() >= MAX_ROWS {
            bail!("{}: more than {MAX_ROWS} rows", path.display());
        }
        let stratum = stratum.map(|column| log.strata.number(table.field(column)));
        let action = log.actions.number(table.field(action));
        cells.push((stratum, action, number(&table, probability, path, line)?));
    }
    let (n_strata, n_actions) = (log.strata.0.len().max(1), log.actions.0.len());
    ensure!(n_actions > 0, "{}: no rows", path.display());
    ensure!(n_strata.saturating_mul(n_actions) <= MAX_ROWS, "{n_strata} × {n_actions} cells are too many");
    let mut probabilities = vec![0.0; n_strata * n_actions];
    for (stratum, action, probability) in cells {
        for stratum in stratum.map_or(0..n_strata, |one| one..one + 1) {
            if let Some(cell) = probabilities.get_mut(stratum * n_actions + action) {
                *cell = probability;
            }
        }
    }
    TargetPolicy::new(n_actions, probabilities)
        .with_context(|| format!("{} (strata are counted in order of appearance, from 0)", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.csv");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_log_is_read_under_either_names_and_a_bad_number_is_named_by_line() {
        let (_dir, path) = file("item_id,position,click,propensity_score\na,1,0,0.5\nb,2,1,0.25\n");
        let log = read_log(&path).unwrap();
        assert_eq!(log.rows[1], LoggedChoice { stratum: 1, action: 1, reward: 1.0, propensity: 0.25 });
        let (_dir, path) = file("action,reward,propensity\na,0,0.5\nb,x,0.25\n");
        let error = read_log(&path).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("\"x\""), "{error}");
        let (_dir, path) = file("action,reward\n");
        assert!(read_log(&path).unwrap_err().to_string().contains("propensity or propensity_score"));
    }

    #[test]
    fn a_target_without_strata_holds_in_all_of_them() {
        let (_dir, path) = file("item_id,position,click,propensity_score\na,1,0,0.5\nb,2,1,0.25\n");
        let mut log = read_log(&path).unwrap();
        let (_dir, path) = file("action,probability\na,0.75\nb,0.25\n");
        let target = read_target(&path, &mut log).unwrap();
        assert_eq!((target.of(0), target.of(1)), ([0.75, 0.25].as_slice(), [0.75, 0.25].as_slice()));
        assert_eq!(uniform(&log, ":4").unwrap().n_actions(), 4);
        assert!(uniform(&log, ":1").is_err() && uniform(&log, ":x").is_err());
    }
}
