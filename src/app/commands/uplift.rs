//! `tidings uplift`: whom a treatment helps, from a log of treated and untreated rows.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::evaluate_files::bar;
use super::say;
use super::uplift_report::print;
use crate::app::usage::Usage;
use tidings_core::evaluate::encoding::{encode, number};
use tidings_core::ml::threads::Threads;
use tidings_core::response::uplift::{Learner, MAX_FOLDS, MIN_FOLDS, Options, TreatmentLog, measure};
use tidings_import::{container, table::Table};

/// Most rows of a log.
const MAX_ROWS: usize = 1_000_000;

/// Learners to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Learners {
    /// The difference of two outcome models.
    T,
    /// Crossed outcome models.
    X,
    /// Doubly robust scores.
    Dr,
    /// All three.
    All,
}

impl Learners {
    fn list(self) -> &'static [Learner] {
        match self {
            Self::T => &[Learner::T],
            Self::X => &[Learner::X],
            Self::Dr => &[Learner::Dr],
            Self::All => &Learner::ALL,
        }
    }
}

/// Log and learners.
#[derive(Debug, Args)]
pub struct UpliftArgs {
    /// Rows of a trial, plain or packed CSV: treatment, outcome, and what was known before.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Column of the treatment: 1 and 0, true and false, yes and no.
    #[arg(long, value_name = "COLUMN")]
    treatment: String,
    /// Column of the outcome, a number or yes and no; more is better.
    #[arg(long, value_name = "COLUMN")]
    outcome: String,
    /// Columns to predict the effect by, known before the treatment [default: all others].
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    features: Vec<String>,
    /// Column of the probability with which a row was treated [default: estimated by logistic regression].
    #[arg(long, value_name = "COLUMN")]
    propensity: Option<String>,
    /// Column of the user; rows of one user are learned from or measured on together [default: each row a user].
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// Learners to compare.
    #[arg(long, value_enum, default_value = "all")]
    learner: Learners,
    /// Folds of users, 3 to 10.
    #[arg(long, default_value_t = 5, value_name = "N")]
    folds: usize,
    /// Same seed, same figures.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Measures and prints; a refusal is an answer, not a failure.
pub fn run(args: &UpliftArgs) -> anyhow::Result<()> {
    if !(MIN_FOLDS..=MAX_FOLDS).contains(&args.folds) {
        return Err(Usage::error(format!("--folds: {MIN_FOLDS}…{MAX_FOLDS}")));
    }
    let log = read(args)?;
    let threads = Threads::new(0)?;
    let bar = bar(args.json)?;
    let mut hear = |share: f32| {
        bar.set_position((share * 100.0) as u64);
        ControlFlow::Continue(())
    };
    let options = Options { folds: args.folds, seed: args.seed };
    let report = measure(&log, args.learner.list(), options, &threads, &mut hear)
        .with_context(|| args.log.display().to_string())?;
    bar.finish_and_clear();
    if args.json { say(&serde_json::to_string(&report)?) } else { print(&report) }
}

/// Places of the columns in the file.
struct Columns {
    treatment: usize,
    outcome: usize,
    propensity: Option<usize>,
    user: Option<usize>,
    features: Vec<usize>,
}

impl Columns {
    fn find(table: &Table, args: &UpliftArgs) -> anyhow::Result<Self> {
        let header: Vec<&str> = table.header().iter().map(String::as_str).collect();
        let place =
            |flag: &str, name: &str| table.column(&[name]).ok_or_else(|| Usage::unknown(flag, name, &header));
        let treatment = place("--treatment", &args.treatment)?;
        let outcome = place("--outcome", &args.outcome)?;
        let propensity = args.propensity.as_ref().map(|name| place("--propensity", name)).transpose()?;
        let user = args.user.as_ref().map(|name| place("--user", name)).transpose()?;
        let taken = [Some(treatment), Some(outcome), propensity, user];
        let features = if args.features.is_empty() {
            (0..header.len()).filter(|column| !taken.contains(&Some(*column))).collect()
        } else {
            args.features
                .iter()
                .map(|name| place("--features", name.trim()))
                .collect::<anyhow::Result<Vec<_>>>()?
        };
        let used: Vec<usize> = taken.into_iter().flatten().chain(features.iter().copied()).collect();
        let twice =
            used.iter().enumerate().find(|(at, column)| used.iter().skip(at + 1).any(|c| c == *column));
        if let Some(name) = twice.and_then(|(_, column)| header.get(*column)) {
            return Err(Usage::error(format!("the column {name} is named twice; each has one meaning")));
        }
        if features.is_empty() {
            return Err(Usage::error("there is no column of features beside treatment and outcome"));
        }
        Ok(Self { treatment, outcome, propensity, user, features })
    }
}

fn read(args: &UpliftArgs) -> anyhow::Result<TreatmentLog> {
    let path: &Path = &args.log;
    let mut table = Table::open(container::open_text(path)?, b',')?;
    let columns = Columns::find(&table, args)?;
    let name = |column: usize| table.header().get(column).cloned().unwrap_or_default();
    let mut features: Vec<(String, Vec<String>)> =
        columns.features.iter().map(|column| (name(*column), Vec::new())).collect();
    let mut log = TreatmentLog::default();
    let (mut propensities, mut users) = (Vec::new(), HashMap::new());
    while let Some(line) = table.next_row()? {
        if log.outcomes.len() >= MAX_ROWS {
            bail!("{}: more than {MAX_ROWS} rows; give a sample", path.display());
        }
        let value = |column: usize, wanted: &str| {
            let text = table.field(column);
            let value = number(text).map(f64::from).filter(|value| value.is_finite());
            value.with_context(|| format!("{}, line {line}: {text:?} is not {wanted}", path.display()))
        };
        let treatment = value(columns.treatment, "a treatment, 1 or 0")?;
        if treatment != 0.0 && treatment != 1.0 {
            bail!("{}, line {line}: {treatment} is not a treatment, 1 or 0", path.display());
        }
        log.treated.push(treatment == 1.0);
        log.outcomes.push(value(columns.outcome, "an outcome, a number")?);
        if let Some(column) = columns.propensity {
            propensities.push(value(column, "a propensity, 0…1")?);
        }
        let next = u32::try_from(users.len())?;
        log.users.push(match columns.user {
            Some(column) => *users.entry(table.field(column).to_owned()).or_insert(next),
            None => u32::try_from(log.users.len())?,
        });
        for ((_, texts), column) in features.iter_mut().zip(&columns.features) {
            texts.push(table.field(*column).to_owned());
        }
    }
    let encoded = encode(&features);
    log.n_users = if columns.user.is_some() { users.len() } else { log.users.len() };
    log.propensities = columns.propensity.is_some().then_some(propensities);
    log.width = encoded.names.len();
    log.values = encoded.values;
    Ok(log)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UpliftArgs,
    }

    fn read_with(text: &str, more: &[&str]) -> anyhow::Result<TreatmentLog> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let line = ["uplift", "--log", path, "--treatment", "sent", "--outcome", "bought"];
        read(&Line::parse_from(line.iter().chain(more)).args)
    }

    #[test]
    fn columns_are_told_apart_and_text_becomes_numbers() {
        let text = "user,sent,bought,p,age,plan\na,1,0,0.5,30,pro\nb,no,2.5,0.25,,free\na,0,yes,0.5,31,pro\n";
        let log = read_with(text, &["--propensity", "p", "--user", "user"]).unwrap();
        assert_eq!((log.treated, log.outcomes), (vec![true, false, false], vec![0.0, 2.5, 1.0]));
        assert_eq!((log.users, log.n_users), (vec![0, 1, 0], 2));
        assert_eq!(log.propensities.unwrap(), [0.5, 0.25, 0.5]);
        // age, plan=pro, plan=free
        assert_eq!((log.width, &log.values[..3]), (3, [30.0, 1.0, 0.0].as_slice()));
        let log = read_with(text, &["--features", "age"]).unwrap();
        assert_eq!((log.width, log.n_users, log.propensities), (1, 3, None));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_or_the_nearest_name() {
        let text = "sent,bought,age\n1,0,30\n2,0,40\n";
        let said = |text: &str, more: &[&str]| format!("{:#}", read_with(text, more).unwrap_err());
        assert!(said(text, &[]).contains("line 3: 2 is not a treatment"));
        assert!(said("sent,bought,age\n1,,30\n", &[]).contains("line 2: \"\" is not an outcome"));
        assert!(said(text, &["--features", "aeg"]).contains("did you mean age?"));
        assert!(said(text, &["--features", "age,bought"]).contains("bought is named twice"));
        assert!(said("sent,bought\n1,0\n", &[]).contains("no column of features"));
    }
}
