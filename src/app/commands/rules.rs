//! `tidings rules`: association rules of a file of baskets, or of the stored model.

use std::collections::HashMap;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::memory::{peak_rss_mib, use_little_memory};
use super::say;
use crate::app::database::{Sharing, open};
use crate::app::usage::Usage;
use tidings_core::base::ItemId;
use tidings_core::catalogue::Catalogue;
use tidings_core::config::Config;
use tidings_core::ml::threads::Threads;
use tidings_core::recommend::models::association_rules::{AssociationRules, RuleParameters};
use tidings_core::recommend::models::frequent_itemsets::{self, Baskets, ItemsetParameters};
use tidings_import::container::open_text;
use tidings_store::rules::RuleFilter;
use tidings_store::{items, models};

/// Selection of rules.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// A basket a line, items separated by blanks, plain or gzip; without it the rules of the stored model.
    #[arg(long, value_name = "FILE")]
    baskets: Option<PathBuf>,
    /// Least share of baskets, 0…1.
    #[arg(long, default_value_t = 0.01)]
    support: f64,
    /// Least confidence, 0…1.
    #[arg(long, default_value_t = 0.3)]
    confidence: f64,
    /// Most items of a set, 2…12.
    #[arg(long, default_value_t = 12)]
    max_items: usize,
    /// Show this many, the greatest lift first [default: 20; with --json all].
    #[arg(long)]
    top: Option<usize>,
    /// One JSON object a line: first the summary, then the rules.
    #[arg(long)]
    json: bool,
}

/// Bounds of a search in a file: sets, rules, divisions of sets, items of a basket. What they cut is told.
const MOST_SETS: usize = 1_000_000;
const MOST_RULES: usize = 500_000;
const MOST_DIVISIONS: u64 = 50_000_000;
const LONGEST_BASKET: usize = 10_000;

/// A rule in words, ready to print.
struct Line {
    antecedent: Vec<String>,
    consequent: Vec<String>,
    support: f64,
    confidence: f64,
    lift: f64,
}

/// Finds and prints.
pub fn run(config: &Config, args: &RulesArgs) -> anyhow::Result<()> {
    let in_range = |share: f64| (0.0..=1.0).contains(&share);
    if !in_range(args.support) || !in_range(args.confidence) {
        return Err(Usage::error("--support and --confidence are shares, 0 to 1"));
    }
    if !(2..=12).contains(&args.max_items) {
        return Err(Usage::error("--max-items: 2 to 12"));
    }
    use_little_memory();
    match &args.baskets {
        Some(path) => of_file(path, args),
        None => of_model(config, args),
    }
}

fn of_file(path: &Path, args: &RulesArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let (baskets, names) = read(path)?;
    let threads = Threads::new(0)?;
    let parameters = ItemsetParameters {
        support: args.support,
        least_count: 1,
        max_items: args.max_items,
        max_itemsets: MOST_SETS,
        max_basket: LONGEST_BASKET,
    };
    let itemsets = frequent_itemsets::mine(&baskets, &parameters, &threads, |_| ControlFlow::Continue(()))
        .context("cancelled")?;
    let wanted = RuleParameters {
        confidence: args.confidence,
        lift: 0.0,
        max_consequent: args.max_items,
        prune: false,
        max_rules: MOST_RULES,
        max_divisions: MOST_DIVISIONS,
    };
    let rules = AssociationRules::new(&itemsets, &wanted);
    let seconds = started.elapsed().as_secs_f64();
    let name = |items: &[ItemId]| {
        items.iter().map(|item| names.get(item.index()).cloned().unwrap_or_default()).collect()
    };
    let lines = rules.rules().iter().map(|rule| Line {
        antecedent: name(&rule.antecedent),
        consequent: name(&rule.consequent),
        support: rule.support,
        confidence: rule.confidence,
        lift: rule.lift,
    });
    let summary = json!({
        "name": "tidings", "seconds": seconds, "peak_rss_mib": peak_rss_mib(), "baskets": itemsets.n_baskets,
        "itemsets": itemsets.len(), "rules": rules.rules().len(), "least_count": itemsets.least_count,
        "notes": rules.notes,
    });
    print(args, &summary, lines)
}

fn read(path: &Path) -> anyhow::Result<(Baskets, Vec<String>)> {
    let mut reader = std::io::BufReader::with_capacity(1 << 16, open_text(path)?);
    let mut ids: HashMap<String, u32> = HashMap::new();
    let mut baskets = Baskets::default();
    let (mut line, mut basket) = (String::new(), Vec::new());
    loop {
        line.clear();
        let read = reader
            .read_line(&mut line)
            .with_context(|| format!("{}, line {}: not text in UTF-8", path.display(), baskets.len() + 1))?;
        if read == 0 {
            break;
        }
        basket.clear();
        for word in line.split_whitespace() {
            let id = match ids.get(word) {
                Some(id) => *id,
                None => {
                    let id = u32::try_from(ids.len()).context("more than four billion items")?;
                    ids.insert(word.to_owned(), id);
                    id
                }
            };
            basket.push(id);
        }
        baskets.push(&mut basket);
    }
    let mut names = vec![String::new(); ids.len()];
    for (name, id) in ids {
        if let Some(slot) = names.get_mut(id as usize) {
            *slot = name;
        }
    }
    Ok((baskets, names))
}

fn of_model(config: &Config, args: &RulesArgs) -> anyhow::Result<()> {
    let database = open(config, Sharing::Existing)?;
    let limit = args.top.map_or(i64::MAX, |top| i64::try_from(top).unwrap_or(i64::MAX));
    let (version, total, rows, catalogue) = database.store.run_blocking(|connection| {
        let active = models::active_version(connection)?;
        let Some(version) = active else { return Ok((None, 0, Vec::new(), Catalogue::default())) };
        let filter = RuleFilter { version, item: None, after: -1, limit };
        let total = tidings_store::rules::count(connection, version, None)?;
        let rows = tidings_store::rules::list(connection, &filter)?;
        Ok((Some(version), total, rows, Catalogue::from_items(items::load_all(connection)?)))
    })?;
    let Some(version) = version else { bail!("no model serves yet: train first, or give --baskets") };
    let name = |items: &[ItemId]| {
        items
            .iter()
            .map(|item| catalogue.get(*item).map_or_else(|| "(gone)".to_owned(), |item| item.name()))
            .collect()
    };
    let lines = rows.iter().map(|row| Line {
        antecedent: name(&row.antecedent),
        consequent: name(&row.consequent),
        support: row.support,
        confidence: row.confidence,
        lift: row.lift,
    });
    print(args, &json!({"model_version": version.0, "rules": total}), lines)
}

fn print(args: &RulesArgs, summary: &Value, lines: impl Iterator<Item = Line>) -> anyhow::Result<()> {
    if args.json {
        say(&summary.to_string())?;
        for line in lines.take(args.top.unwrap_or(usize::MAX)) {
            say(&json!({
                "antecedent": line.antecedent, "consequent": line.consequent, "support": line.support,
                "confidence": line.confidence, "lift": line.lift,
            })
            .to_string())?;
        }
        return Ok(());
    }
    if let Some(fields) = summary.as_object() {
        let notes = fields.get("notes").and_then(Value::as_array).cloned().unwrap_or_default();
        let facts: Vec<String> = fields
            .iter()
            .filter(|(name, _)| *name != "notes")
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        say(&facts.join("  "))?;
        for note in notes.iter().filter_map(Value::as_str) {
            say(&format!("note: {note}"))?;
        }
    }
    say(&format!("{:>8} {:>10} {:>7}  rule", "support", "confidence", "lift"))?;
    for line in lines.take(args.top.unwrap_or(20)) {
        say(&format!(
            "{:>8.4} {:>10.3} {:>7.2}  {} \u{2192} {}",
            line.support,
            line.confidence,
            line.lift,
            line.antecedent.join(" + "),
            line.consequent.join(" + ")
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baskets_are_lines_and_an_empty_line_is_an_empty_basket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baskets.txt");
        std::fs::write(&path, "milk bread milk\n\nbread\n").unwrap();
        let (baskets, names) = read(&path).unwrap();
        assert_eq!(baskets.iter().map(<[u32]>::to_vec).collect::<Vec<_>>(), [vec![0, 1], vec![], vec![1]]);
        assert_eq!(names, ["milk", "bread"]);
        assert!(read(&dir.path().join("absent")).is_err());
    }
}
