//! What the models are measured against: published figures on public splits, golden lists, and the same algorithm by
//! NumPy, implicit, scikit-learn and mlxtend in the same run. Each model is a process of its own, so that its memory is
//! its own. Without Python or data a row says so; nothing fails. `BENCH_ONLY=part` chooses sections (auto, golden,
//! classification, k-means, recommenders, itemsets); `TIDINGS_DATA=folder` other data of the same layout.

mod data;
mod process;
mod reference;
mod versus;

use std::path::Path;

use serde_json::Value;
use tidings::evaluate::files::Model;
use tidings::recommend::models::ease::EaseParameters;
use tidings::recommend::models::ridge::RidgeParameters;

use crate::golden_lists::{self, Agreement};
use crate::report::{Aim, Report};

use data::Data;
use process::{number, tidings};
use reference::Python;

/// Two-sided 95 % of the normal distribution: half of an interval in standard errors.
const Z_95: f64 = 1.96;
/// Runs of either side, of which the median counts.
pub const RUNS: usize = 3;

/// What the learnt blend should reach, and the best single method published beside the data.
struct Goal {
    split: &'static str,
    measure: &'static str,
    best_single: f64,
    aim: f64,
}

const GOALS: [Goal; 10] = [
    Goal { split: "online-retail/llo", measure: "ndcg@10", best_single: 0.206, aim: 0.225 },
    Goal { split: "online-retail/llo", measure: "hit_rate@10", best_single: 0.292, aim: 0.31 },
    Goal { split: "online-retail/r80", measure: "ndcg@10", best_single: 0.284, aim: 0.29 },
    Goal { split: "online-retail/time", measure: "ndcg@10", best_single: 0.1045, aim: 0.115 },
    Goal { split: "ml-100k/llo", measure: "ndcg@10", best_single: 0.105, aim: 0.115 },
    Goal { split: "ml-100k/r80", measure: "ndcg@10", best_single: 0.441, aim: 0.45 },
    Goal { split: "gowalla", measure: "recall@20", best_single: 0.1765, aim: 0.183 },
    Goal { split: "gowalla", measure: "ndcg@20", best_single: 0.1467, aim: 0.155 },
    // Best single: item-kNN on purchases and carts, with a bonus for what is in the cart.
    Goal { split: "taobao", measure: "hit_rate@10", best_single: 0.1829, aim: 0.195 },
    Goal { split: "taobao", measure: "ndcg@10", best_single: 0.0962, aim: 0.110 },
];
const SESSION_GOALS: [Goal; 2] = [
    Goal { split: "yoochoose-100k", measure: "hit_rate@20", best_single: 0.691, aim: 0.70 },
    Goal { split: "yoochoose-100k", measure: "mrr@20", best_single: 0.374, aim: 0.38 },
];
/// Measured on a split that has no published figure: the blend should be no worse than the best of them.
const SINGLES: [(&str, &[&str]); 4] = [
    ("item_knn", &[]),
    ("item_knn", &["--history-decay", "0.5"]),
    ("ease", &[]),
    ("ials", &["--factors", "64", "--regularisation", "50", "--alpha", "16"]),
];

type Section = fn(&mut Report, &Data, &reference::Maybe);

pub fn run(report: &mut Report) {
    let data = Data::find();
    report.setting("data", data.root.display().to_string());
    report.setting("runs of either side, medians", RUNS);
    report.setting("threads of either side", process::THREADS);
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let python = Python::prepare();
    report.setting("Python", python.as_ref().map_or_else(Clone::clone, Python::version));
    let sections: [(&str, Section); 6] = [
        ("auto", auto),
        ("golden", golden),
        ("classification", versus::classification),
        ("k-means", versus::k_means),
        ("recommenders", versus::recommenders),
        ("itemsets", versus::itemsets),
    ];
    for (name, section) in sections {
        if name.contains(&only) {
            report.section(name);
            section(report, &data, &python);
        }
    }
}

/// The blend that is chosen and learnt without a hand on it, on every split and every file of sessions.
fn auto(report: &mut Report, data: &Data, _: &reference::Maybe) {
    let known = |split: &str| GOALS.iter().any(|goal| goal.split == split);
    for split in GOALS.iter().map(|goal| goal.split).filter(|split| !data.splits.iter().any(|s| s == split)) {
        report.absent(&format!("{split} auto"), &data.lacks(split));
    }
    for split in &data.splits {
        let arguments = evaluate(data, split, "auto", &[]);
        let name = format!("{split} auto");
        let Some(line) = measured(report, &name, &arguments) else { continue };
        let of_split: Vec<&Goal> = GOALS.iter().filter(|goal| goal.split == split).collect();
        goals(report, &name, &line, &of_split);
        against_best_member(report, &name, &line);
        if !known(split) {
            let best = SINGLES
                .iter()
                .filter_map(|(algorithm, parameters)| {
                    let name = format!("{split} {algorithm} {}", parameters.join(" "));
                    let line = measured(report, &name, &evaluate(data, split, algorithm, parameters))?;
                    let ndcg = number(&line, "ndcg@10");
                    report.row(&format!("{name} ndcg@10"), ndcg, "", Aim::None);
                    Some(ndcg)
                })
                .fold(0.0, f64::max);
            report.row(&format!("{name} ndcg@10"), number(&line, "ndcg@10"), "", Aim::AtLeast(best));
        }
        costs(report, &name, &line);
    }
    for (set, files) in &data.sessions {
        let mut arguments = vec!["evaluate", "--protocol", "sessions", "--algorithm", "auto", "--json"];
        arguments.extend(["--k", "20", "--train", &files.train, "--test", &files.test]);
        if let Some(valid) = &files.valid {
            arguments.extend(["--valid", valid]);
        }
        let name = format!("{set} sessions auto");
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let Some(line) = measured(report, &name, &arguments) else { continue };
        let of_set: Vec<&Goal> = SESSION_GOALS.iter().filter(|goal| goal.split == set).collect();
        goals(report, &name, &line, &of_set);
        if of_set.is_empty() {
            report.row(&format!("{name} hit_rate@20"), number(&line, "hit_rate@20"), "", Aim::None);
            report.row(&format!("{name} mrr@20"), number(&line, "mrr@20"), "", Aim::None);
        }
        costs(report, &name, &line);
    }
    for goal in SESSION_GOALS.iter().filter(|goal| !data.sessions.iter().any(|(set, _)| set == goal.split)) {
        report.absent(&format!("{} sessions auto {}", goal.split, goal.measure), &data.lacks(goal.split));
    }
}

fn goals(report: &mut Report, name: &str, line: &Value, goals: &[&Goal]) {
    for goal in goals {
        let value = number(line, goal.measure);
        let half = Z_95 * number(line, &format!("{}.error", goal.measure));
        let users = number(line, "users");
        let interval = match half.is_finite() {
            true => format!("; 95 % over {users} users {:.4}…{:.4}", value - half, value + half),
            false => String::new(),
        };
        let name = format!("{name} {} (best single {}{interval})", goal.measure, goal.best_single);
        report.row(&name, value, "", Aim::AtLeast(goal.aim));
    }
}

/// The blend that serves against its best member, on validation users that it was not learnt on.
fn against_best_member(report: &mut Report, name: &str, line: &Value) {
    let found = &line["parameters"];
    let best = number(found, "best_member_validation_ndcg@10");
    let name = format!(
        "{name} validation ndcg@10 (best member {}: {best:.4})",
        found["best_member"].as_str().unwrap_or_default()
    );
    report.row(&name, number(found, "validation_ndcg@10"), "", Aim::AtLeast(best));
}

fn costs(report: &mut Report, name: &str, line: &Value) {
    report.row(&format!("{name}: to choose and train"), number(line, "train_seconds"), "s", Aim::None);
    report.row(&format!("{name}: peak memory"), number(line, "peak_rss_mib"), "MiB", Aim::None);
}

/// One JSON line of the program, or a row that says why not.
fn measured(report: &mut Report, name: &str, arguments: &[String]) -> Option<Value> {
    tidings(arguments).map_err(|why| report.absent(name, &why)).ok()
}

/// Arguments of an evaluation of one algorithm on a split.
fn evaluate(data: &Data, split: &str, algorithm: &str, parameters: &[&str]) -> Vec<String> {
    let mut arguments = vec!["evaluate".to_owned(), "--json".to_owned()];
    arguments.extend(["--algorithm".to_owned(), algorithm.to_owned()]);
    for part in ["train", "valid", "test"] {
        if let Some(path) = data.table(split, part) {
            arguments.extend([format!("--{part}"), path]);
        }
    }
    if data.has_kinds(split) {
        arguments.extend(["--target", "purchase"].map(str::to_owned));
    }
    arguments.extend(parameters.iter().map(|parameter| (*parameter).to_owned()));
    arguments
}

/// The same mathematics as two independent programs: exact top-10 lists of 50 users.
fn golden(report: &mut Report, data: &Data, _: &reference::Maybe) {
    for (set, lambda, k) in [("online-retail", 50.0, 20), ("ml-100k", 100.0, 500)] {
        let split = format!("{set}/llo");
        let file = |algorithm: &str| format!("{set}_llo_{algorithm}_top10.csv");
        let ease =
            Model::Ease(EaseParameters { ridge: RidgeParameters::plain(lambda), ..Default::default() });
        let plain =
            |algorithm, model: Model| golden_lists::agreement(&split, &file(algorithm), &model.into());
        let rows: [(&str, Option<Agreement>); 3] = [
            ("popularity", plain("pop", Model::Popularity)),
            ("item-kNN", golden_lists::agreement_but_for_ties(&split, &file("itemknn"), k)),
            ("EASE", plain("ease", ease)),
        ];
        for (algorithm, agreement) in rows {
            let name = format!("{set} {algorithm}: top-10 lists as the golden ones");
            let Some(Agreement { users, differing, tied }) = agreement else {
                report.absent(&name, &data.lacks(&split));
                continue;
            };
            for text in &differing {
                println!("    {text}");
            }
            let name = if tied > 0 { format!("{name} ({tied} with ties)") } else { name };
            let same = (users - differing.len()) as f64;
            report.row(&name, same, "", Aim::AtLeast(users as f64));
        }
    }
}

/// A path as an argument.
fn text(path: &Path) -> String {
    path.display().to_string()
}
