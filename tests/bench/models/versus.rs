//! The same task by another program in the same run: ours and theirs in turn, medians.

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use rand::seq::SliceRandom;
use serde_json::{Value, json};
use tidings::base::random;
use tidings::ml::kmeans;
use tidings::profile::SegmentParameters;

use crate::report::{Aim, Report};

use super::data::Data;
use super::process::{mean_of, median_of, number, tidings};
use super::reference::{Maybe, Python};
use super::{RUNS, evaluate, text};

/// Either side's run of a number, in turn.
fn in_turn(
    ours: impl Fn(usize) -> Result<Value, String>,
    theirs: impl Fn(usize) -> Result<Value, String>,
) -> Result<(Vec<Value>, Vec<Value>), String> {
    (0..RUNS)
        .map(|run| Ok((ours(run)?, theirs(run)?)))
        .collect::<Result<Vec<_>, String>>()
        .map(|runs| runs.into_iter().unzip())
}

/// Time and memory of both sides, and ours as a part of theirs.
fn costs(report: &mut Report, name: &str, ours: &[Value], theirs: &[Value], time: f64, memory: f64) {
    let seconds = (median_of(ours, "train_seconds"), median_of(theirs, "seconds"));
    report.versus(&format!("{name}: time"), seconds, "s", Aim::AtMost(time));
    let mib = (median_of(ours, "peak_rss_mib"), median_of(theirs, "peak_rss_mib"));
    report.versus(&format!("{name}: peak memory"), mib, "MiB", Aim::AtMost(memory));
}

struct Task<'a> {
    name: &'a str,
    algorithm: &'a str,
    reference: &'a str,
    /// Ours, and theirs in their order.
    parameters: Vec<(&'a str, f64)>,
}

/// Recommenders with the same parameters, on one split of each set.
pub fn recommenders(report: &mut Report, data: &Data, python: &Maybe) {
    let python = match python {
        Ok(python) => python,
        Err(why) => return report.absent("EASE, iALS, item-kNN against NumPy and implicit", why),
    };
    if data.splits.is_empty() {
        report.absent("EASE, iALS, item-kNN against NumPy and implicit", &data.lacks("a split"));
    }
    for split in data.one_of_each_set() {
        // As tuned by others on the validation part; the middle of their range for what they did not see.
        let (lambda, [factors, penalty, alpha]) = match split {
            "online-retail/r80" => (100.0, [128.0, 10.0, 1.0]),
            _ => (200.0, [64.0, 50.0, 16.0]),
        };
        let tasks = [
            Task {
                name: "EASE",
                algorithm: "ease",
                reference: "NumPy",
                parameters: vec![("lambda", lambda)],
            },
            Task {
                name: "iALS",
                algorithm: "ials",
                reference: "implicit",
                parameters: vec![("factors", factors), ("regularisation", penalty), ("alpha", alpha)],
            },
            Task {
                name: "item-kNN",
                algorithm: "item_knn",
                reference: "implicit",
                parameters: vec![("neighbours", 100.0)],
            },
        ];
        for task in &tasks {
            recommender(report, data, python, split, task);
        }
    }
}

fn recommender(report: &mut Report, data: &Data, python: &Python, split: &str, task: &Task) {
    let Task { name, algorithm, reference, parameters } = task;
    let name = format!("{split} {name} against {reference}");
    let seeded = *algorithm == "ials";
    let ours = |run: usize| {
        let mut arguments = evaluate(data, split, algorithm, &[]);
        for (parameter, value) in parameters {
            arguments.extend([format!("--{parameter}"), value.to_string()]);
        }
        if seeded {
            arguments.extend(["--seed".to_owned(), (run + 1).to_string()]);
        }
        tidings(&arguments)
    };
    let theirs = |run: usize| {
        let mut arguments = vec![(*algorithm).to_owned(), text(&data.root.join(split))];
        arguments.extend(parameters.iter().map(|(_, value)| value.to_string()));
        if seeded {
            arguments.push((run + 1).to_string());
        }
        python.line("recommenders.py", &arguments)
    };
    match in_turn(ours, theirs) {
        Err(why) => report.absent(&name, &why),
        Ok((ours, theirs)) => {
            costs(report, &name, &ours, &theirs, 0.5, 1.0);
            let difference = mean_of(&ours, "ndcg@10") - mean_of(&theirs, "ndcg@10");
            let name = format!("{name}: NDCG@10 {:.4}, difference", mean_of(&ours, "ndcg@10"));
            // Ties at the last neighbour are broken differently; a gain is no fault.
            report.row(&name, difference, "", Aim::AtLeast(-0.003));
        }
    }
}

/// Frequent itemsets and rules of baskets against mlxtend.
pub fn itemsets(report: &mut Report, data: &Data, python: &Maybe) {
    if data.baskets.is_empty() {
        report.absent("itemsets and rules against mlxtend", &data.lacks("a baskets.txt"));
    }
    for (set, path) in &data.baskets {
        let name = format!("{set} itemsets and rules against mlxtend");
        let python = match python {
            Ok(python) => python,
            Err(why) => {
                report.absent(&name, why);
                continue;
            }
        };
        let arguments = ["rules", "--json", "--top", "0", "--baskets", path, "--support", "0.01"];
        let arguments = arguments.into_iter().chain(["--confidence", "0.3"]).map(str::to_owned);
        let arguments: Vec<String> = arguments.collect();
        let ours = |_| {
            let mut line = tidings(&arguments)?;
            line["train_seconds"] = line["seconds"].clone();
            Ok(line)
        };
        let theirs = |_| python.line("rules.py", &[path.clone(), "0.01".to_owned(), "0.3".to_owned()]);
        match in_turn(ours, theirs) {
            Err(why) => report.absent(&name, &why),
            Ok((ours, theirs)) => {
                for found in ["itemsets", "rules"] {
                    let (mine, other) = (number(&ours[0], found), number(&theirs[0], found));
                    let name = format!("{set} {found} ({mine}): more or fewer than mlxtend");
                    report.row(&name, (mine - other).abs(), "", Aim::AtMost(0.0));
                }
                costs(report, &name, &ours, &theirs, 0.1, 0.1);
            }
        }
    }
}

/// Purchase of a session by boosted trees, five folds, the same for both sides.
pub fn classification(report: &mut Report, data: &Data, python: &Maybe) {
    let name = "Online Shoppers";
    let Some(path) = data.file("online-shoppers/online_shoppers_intention.csv") else {
        return report.absent(&format!("{name} AUC"), &data.lacks("online-shoppers"));
    };
    let folds = folds_file(&path);
    let arguments = ["evaluate", "--protocol", "classification", "--target", "Revenue", "--json", "--train"];
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.extend([path.clone(), "--fold-file".to_owned(), folds.clone()]);
    let line = match tidings(&arguments) {
        Ok(line) => line,
        Err(why) => return report.absent(&format!("{name} AUC"), &why),
    };
    let theirs = python
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|python| python.lines("boosting.py", &[path, "Revenue".to_owned(), folds]));
    let auc = number(&line, "auc");
    match theirs {
        Err(why) => {
            report.absent("scikit-learn's boosting on the same folds", &why);
            report.row(&format!("{name} AUC, 5 folds"), auc, "", Aim::None);
        }
        Ok(lines) => {
            for line in &lines {
                let which = line["name"].as_str().unwrap_or_default();
                report.row(&format!("{name} AUC, scikit-learn {which}"), number(line, "auc"), "", Aim::None);
            }
            let best = lines.iter().map(|line| number(line, "auc")).fold(0.0, f64::max);
            report.row(&format!("{name} AUC, 5 folds"), auc, "", Aim::AtLeast(best - 0.005));
        }
    }
    let off = (number(&line, "observed_expected") - 1.0).abs();
    report.row(&format!("{name} observed/expected, distance from 1"), off, "", Aim::AtMost(0.05));
    report.row(&format!("{name} expected calibration error"), number(&line, "ece"), "", Aim::AtMost(0.02));
    report.row(&format!("{name} 5 folds, 6 fits each"), number(&line, "train_seconds"), "s", Aim::None);
}

/// The fold of each row, written down for both sides: a seeded shuffle, position modulo five.
fn folds_file(table: &str) -> String {
    let rows = unpacked(table).lines().filter(|line| !line.trim().is_empty()).count().saturating_sub(1);
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(&mut random::rng(1, "folds of the benchmark"));
    let mut fold_of = vec![0; rows];
    for (position, row) in order.into_iter().enumerate() {
        fold_of[row] = position % 5;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/folds.txt");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text: Vec<String> = fold_of.iter().map(usize::to_string).collect();
    fs::write(&path, text.join("\n") + "\n").unwrap();
    path.display().to_string()
}

fn unpacked(path: &str) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    if path.ends_with(".gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// Segments of generated users against scikit-learn with ten starts. Ours runs in this process: only time and result
/// are compared.
pub fn k_means(report: &mut Report, data: &Data, python: &Maybe) {
    for file in ["points_100000x3_logz.csv", "points_100000x3.csv"] {
        let name = format!("{file} k = 5 against scikit-learn, n_init = 10");
        let python = match (python, data.file(&format!("kmeans/{file}"))) {
            (Ok(python), Some(path)) => (python, path),
            (Err(why), _) => {
                report.absent(&name, why);
                continue;
            }
            (_, None) => {
                report.absent(&name, &data.lacks("kmeans"));
                continue;
            }
        };
        let (python, path) = python;
        let rows: Vec<kmeans::Row> = unpacked(&path)
            .lines()
            .skip(1)
            .map(|line| {
                let numbers: Vec<f64> = line.split(',').map(|number| number.parse().unwrap()).collect();
                numbers.try_into().unwrap()
            })
            .collect();
        let ours = |_| {
            let started = Instant::now();
            let found =
                kmeans::fit(&rows, &SegmentParameters::default().kmeans(), |_| ControlFlow::Continue(()));
            let found = found.ok_or("no clusters")?;
            Ok(json!({"train_seconds": started.elapsed().as_secs_f64(), "inertia": found.inertia}))
        };
        let theirs = |_| python.line("kmeans.py", std::slice::from_ref(&path));
        match in_turn(ours, theirs) {
            Err(why) => report.absent(&name, &why),
            Ok((ours, theirs)) => {
                let inertia = median_of(&ours, "inertia") / median_of(&theirs, "inertia");
                report.row(&format!("{name}: inertia above"), 100.0 * (inertia - 1.0), "%", Aim::AtMost(0.1));
                let seconds = (median_of(&ours, "train_seconds"), median_of(&theirs, "seconds"));
                report.versus(&format!("{name}: time"), seconds, "s", Aim::AtMost(1.0));
            }
        }
    }
}
