//! A table for people, JSON for programs.

use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

pub struct Report {
    name: &'static str,
    settings: serde_json::Map<String, Value>,
    rows: Vec<Value>,
}

/// Which side of the aim is good.
#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
    None,
}

impl Report {
    pub fn new(name: &'static str) -> Self {
        println!("\n{name}: {}", machine());
        Self { name, settings: serde_json::Map::new(), rows: Vec::new() }
    }

    pub fn setting(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        println!("  {name} = {value}");
        self.settings.insert(name.to_owned(), value);
    }

    /// A part of the table.
    pub fn section(&self, name: &str) {
        println!("  — {name}");
    }

    pub fn row(&mut self, name: &str, value: f64, unit: &str, aim: Aim) {
        self.line(name, value, unit, aim, json!({}), "");
    }

    /// Ours and theirs, judged by ours as a part of theirs.
    pub fn versus(&mut self, name: &str, (ours, theirs): (f64, f64), unit: &str, aim: Aim) {
        let both = json!({"ours": ours, "reference": theirs, "of": unit});
        let note = format!("  {ours:.3} {unit} against {theirs:.3} {unit}");
        self.line(name, ours / theirs, "×", aim, both, &note);
    }

    /// A row without a number, and why.
    pub fn absent(&mut self, name: &str, why: &str) {
        println!("  {name}: not measured: {why}");
        self.rows.push(json!({"name": name, "not_measured": why}));
    }

    fn line(&mut self, name: &str, value: f64, unit: &str, aim: Aim, mut row: Value, note: &str) {
        let (aim_text, met) = match aim {
            Aim::AtMost(limit) => (format!("≤ {}", short(limit)), Some(value <= limit)),
            Aim::AtLeast(limit) => (format!("≥ {}", short(limit)), Some(value >= limit)),
            Aim::None => (String::new(), None),
        };
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let digits = if value.abs() < 10.0 { 4 } else { 2 };
        println!("  {name:<74} {value:>12.digits$} {unit:<4} {aim_text:>10}  {verdict:<7}{note}");
        for (field, value) in [
            ("name", json!(name)),
            ("value", json!(value)),
            ("unit", json!(unit)),
            ("aim", json!(aim_text)),
            ("met", json!(met)),
        ] {
            row[field] = value;
        }
        self.rows.push(row);
    }

    pub fn finish(self) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        fs::create_dir_all(&directory).unwrap();
        let report = json!({"machine": machine(), "settings": self.settings, "rows": self.rows});
        let path = directory.join(format!("{}.json", self.name));
        fs::write(&path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

/// At most four decimals.
fn short(limit: f64) -> f64 {
    (limit * 1e4).round() / 1e4
}

/// Processor, cores, memory, kernel.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split(':').nth(1))
            .unwrap_or("?")
            .trim()
            .to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let memory: f64 =
        memory.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1e6;
    format!(
        "{}, {cores} cores, {memory:.0} GB, Linux {}",
        field(&read("/proc/cpuinfo"), "model name"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// Percentile of samples ≥ 0, to three digits and a thousandth of their unit; NaN of none.
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    const STEPS: f64 = 1_000.0;
    let Ok(mut histogram) = Histogram::<u32>::new(3) else { return f64::NAN };
    for sample in samples {
        if histogram.record((sample * STEPS).round() as u64).is_err() {
            return f64::NAN;
        }
    }
    match histogram.is_empty() {
        true => f64::NAN,
        false => histogram.value_at_quantile(share) as f64 / STEPS,
    }
}

/// Median of several runs, exact: of an even number the lower of the two in the middle.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
