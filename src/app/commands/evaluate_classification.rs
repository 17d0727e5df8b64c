//! `tidings evaluate --protocol classification`: probabilities of a yes-or-no column of a file, by cross-validation.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::json;

use super::evaluate::peak_rss_mib;
use super::say;
use crate::app::import::{input, table::Table};
use crate::evaluate::classification::{cross_validate, default_parameters, measure_probabilities};
use crate::evaluate::encoding::{encode, number};
use crate::recommend::Threads;
use crate::recommend::boosting::Dataset;

/// Measures and prints one line, or JSON. The target's values read as 1 and 0, true and false, yes and no.
pub fn run(train: &Path, target: &str, folds: usize, as_json: bool, bar: &ProgressBar) -> anyhow::Result<()> {
    if !(2..=100).contains(&folds) {
        bail!("--folds: 2…100");
    }
    let (columns, labels) = read(train, target)?;
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
        cross_validate(&data, folds, &parameters, &threads, &mut |_| ControlFlow::Continue(()))?;
    let took = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
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
    let mut table = Table::open(input::open(path, &input::BytesRead::default())?, b',')?;
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
}
