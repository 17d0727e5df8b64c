//! Rows by server, ratios to ours, JSON.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::report::machine;

struct Cell {
    server: &'static str,
    row: String,
    value: f64,
    unit: &'static str,
    more_is_better: bool,
    note: String,
}

/// See the module.
pub struct Table {
    name: &'static str,
    cells: Vec<Cell>,
    faults: Vec<String>,
}

impl Table {
    pub fn new(name: &'static str, files: usize) -> Self {
        println!("\n{name}: {}, at most {files} open files a process", machine());
        Self { name, cells: Vec::new(), faults: Vec::new() }
    }

    /// One figure, printed at once.
    pub fn put(
        &mut self,
        server: &'static str,
        row: &str,
        value: f64,
        unit: &'static str,
        more_is_better: bool,
        note: impl Into<String>,
    ) {
        let note = note.into();
        println!("  {server:<14} {row:<58} {value:>12.2} {unit:<5} {note}");
        self.cells.push(Cell { server, row: row.to_owned(), value, unit, more_is_better, note });
    }

    /// What a server can't do.
    pub fn cannot(&self, server: &'static str, row: &str, why: &str) {
        println!("  {server:<14} {row:<58} {:>12} {:<5} {why}", "—", "");
    }

    /// Something that must not happen, did.
    pub fn fault(&mut self, fault: String) {
        println!("  FAULT: {fault}");
        self.faults.push(fault);
    }

    /// Ratios, the file, and an end with an error if anything was lost, doubled or mixed up by ours.
    pub fn finish(self) {
        if self.cells.iter().any(|cell| cell.server != "tidings") {
            println!("\nratios (> 1: tidings is better)");
        }
        for peer in self.cells.iter().filter(|cell| cell.server != "tidings") {
            let ours = self.cells.iter().find(|cell| cell.server == "tidings" && cell.row == peer.row);
            let Some(ours) = ours else { continue };
            let ratio = if peer.more_is_better { ours.value / peer.value } else { peer.value / ours.value };
            println!("  {:<14} {:<58} {ratio:>8.2}", peer.server, peer.row);
        }
        let cells: Vec<Value> = self
            .cells
            .iter()
            .map(|cell| {
                json!({"server": cell.server, "row": cell.row, "value": cell.value, "unit": cell.unit,
                    "more_is_better": cell.more_is_better, "note": cell.note})
            })
            .collect();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        fs::create_dir_all(&directory).unwrap();
        let text = json!({"machine": machine(), "rows": cells, "faults": self.faults});
        fs::write(
            directory.join(format!("{}.json", self.name)),
            serde_json::to_string_pretty(&text).unwrap(),
        )
        .unwrap();
        assert!(self.faults.is_empty(), "{:?}", self.faults);
    }
}
