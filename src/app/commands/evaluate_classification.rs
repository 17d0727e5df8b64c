//! `tidings evaluate --protocol classification`: probabilities of a yes-or-no column of a file, by cross-validation.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::json;

use super::memory::peak_rss_mib;
use super::say;
use crate::app::usage::Usage;
use tidings_core::evaluate::classification::{
    Folds, cross_validate, default_parameters, measure_probabilities,
};
use tidings_core::evaluate::encoding::{encode, number};
use tidings_core::ml::boosting::Dataset;
use tidings_core::ml::threads::Threads;
use tidings_import::{container, table::Table};

/// Folds there may be.
const MOST_FOLDS: usize = 100;

/// Partition of the rows into folds.
pub struct Parts<'a> {
    /// So many, if there is no file.
    pub folds: usize,
    /// The fold of each row, a number from 0 a line.
    pub file: Option<&'a Path>,
}

/// Measures and prints one line, or JSON. The target's values read as 1 and 0, true and false, yes and no.
pub fn run(
    train: &Path,
    target: &str,
    parts: &Parts<'_>,
    as_json: bool,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if !(2..=MOST_FOLDS).contains(&parts.folds) {
        return Err(Usage::error(format!("--folds: 2…{MOST_FOLDS}")));
    }
    let (columns, labels) = read(train, target)?;
    let given = parts.file.map(|path| folds_of(path, labels.len())).transpose()?;
    let folds = given.as_deref().map_or(Folds::Drawn(parts.folds), Folds::Given);
    let encoded = encode(&columns);
    let data = Dataset {
        values: &encoded.values,
        n_features: encoded.names.len(),
        labels: &labels,
        weights: None,
        groups: None,
    };
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = Threads::new(n_threads)?;
    let parameters = default_parameters();
    let started = Instant::now();
    bar.set_message("boosting");
    let probabilities =
        cross_validate(&data, &folds, &parameters, &threads, &mut |_| ControlFlow::Continue(()))?;
    let took = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let folds = given.iter().flatten().max().map_or(parts.folds, |last| last + 1);
    let outcomes: Vec<bool> = labels.iter().map(|label| *label > 0.5).collect();
    let metrics = measure_probabilities(&probabilities, &outcomes);
    if !as_json {
        say(&format!("boosting  ({took:.1} s, {} rows, {folds} folds)", labels.len()))?;
        for (name, value) in &metrics {
            say(&format!("  {name:<28} {value:.4}"))?;
        }
        return Ok(());
    }
    let mut line = json!({
        "algorithm": "boosting", "parameters": parameters, "train_seconds": took, "rows": labels.len(),
        "features": encoded.names.len(), "folds": folds, "peak_rss_mib": peak_rss_mib(),
    });
    if let Some(fields) = line.as_object_mut() {
        fields.extend(metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
    }
    say(&line.to_string())
}

type Columns = Vec<(String, Vec<String>)>;

/// All columns but the target as text, and the target as 1 and 0.
fn read(path: &Path, target: &str) -> anyhow::Result<(Columns, Vec<f32>)> {
    let mut table = Table::open(container::open_text(path)?, b',')?;
    let Some(target_column) = table.column(&[target]) else {
        bail!("{}: no column {target} among {}", path.display(), table.header().join(", "));
    };
    let mut columns: Columns = table.header().iter().map(|name| (name.clone(), Vec::new())).collect();
    let mut labels = Vec::new();
    while let Some(line) = table.next_row()? {
        let text = table.field(target_column);
        let label = number(text).filter(|label| *label == 0.0 || *label == 1.0);
        labels.push(label.with_context(|| format!("{}, line {line}: {target} is {text:?}", path.display()))?);
        for (index, (_, texts)) in columns.iter_mut().enumerate() {
            texts.push(table.field(index).to_owned());
        }
    }
    columns.remove(target_column);
    Ok((columns, labels))
}

/// The fold of each row of the table.
fn folds_of(path: &Path, n_rows: usize) -> anyhow::Result<Vec<usize>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let folds: Vec<usize> = text
        .lines()
        .zip(1..)
        .map(|(line, number)| {
            let fold = line.trim().parse().ok().filter(|fold| *fold < MOST_FOLDS);
            fold.with_context(|| {
                format!("{}, line {number}: a fold is 0…{}, not {line:?}", path.display(), MOST_FOLDS - 1)
            })
        })
        .collect::<anyhow::Result<_>>()?;
    if folds.len() != n_rows {
        bail!(
            "{}: a line for each of the {n_rows} rows is needed, there are {}",
            path.display(),
            folds.len()
        );
    }
    if folds.iter().all(|fold| Some(fold) == folds.first()) {
        bail!("{}: all rows are in one fold, nothing is left to learn from", path.display());
    }
    Ok(folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_read_apart_and_a_value_that_is_neither_is_named_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("visits.csv");
        std::fs::write(&path, "pages,bought,month\n1,TRUE,Feb\n2,FALSE,Mar\n").unwrap();
        let (columns, labels) = read(&path, "bought").unwrap();
        assert_eq!(labels, [1.0, 0.0]);
        assert_eq!(columns[1], ("month".to_owned(), vec!["Feb".to_owned(), "Mar".to_owned()]));
        assert!(read(&path, "sold").unwrap_err().to_string().contains("pages, bought, month"));
        std::fs::write(&path, "pages,bought\n1,maybe\n").unwrap();
        assert!(read(&path, "bought").unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn folds_are_read_a_line_a_row_and_a_bad_file_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folds.txt");
        std::fs::write(&path, "0\n1\n0\n").unwrap();
        assert_eq!(folds_of(&path, 3).unwrap(), [0, 1, 0]);
        assert!(folds_of(&path, 4).unwrap_err().to_string().contains("4 rows"));
        for (text, said) in [("0\nx\n", "line 2"), ("0\n100\n", "0…99"), ("2\n2\n", "one fold")] {
            std::fs::write(&path, text).unwrap();
            let error = folds_of(&path, 2).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
