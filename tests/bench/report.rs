//! A table for people, JSON for programs.

use std::fs;
use std::path::Path;

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

    pub fn row(&mut self, name: &str, value: f64, unit: &str, aim: Aim) {
        let (aim_text, met) = match aim {
            Aim::AtMost(limit) => (format!("≤ {limit}"), Some(value <= limit)),
            Aim::AtLeast(limit) => (format!("≥ {limit}"), Some(value >= limit)),
            Aim::None => (String::new(), None),
        };
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        println!("  {name:<52} {value:>12.3} {unit:<6} {aim_text:>10}  {verdict}");
        self.rows.push(json!({"name": name, "value": value, "unit": unit, "aim": aim_text, "met": met}));
    }

    pub fn finish(self) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        fs::create_dir_all(&directory).unwrap();
        let report = json!({"machine": machine(), "settings": self.settings, "rows": self.rows});
        let path = directory.join(format!("{}.json", self.name));
        fs::write(&path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

/// Processor, cores, memory, kernel.
fn machine() -> String {
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

/// Exact percentile of raw samples; sorts them.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let index = ((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len().max(1)) - 1;
    samples.get(index).copied().unwrap_or(f64::NAN)
}

/// Median of several runs.
pub fn median(samples: &mut [f64]) -> f64 {
    percentile(samples, 0.5)
}
