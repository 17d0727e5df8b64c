//! `make bench`: measures what the README claims, on this machine, against the real server as a process of its own.
//! Prints a table with machine and settings, and writes `target/bench/<name>.json`. Nothing here asserts a time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that can't go on has nothing better to do than to end"
)]

mod answers;
mod attack;
#[path = "../it/helpers/attack.rs"]
mod attacker;
mod audit;
mod catalogue;
mod encryption;
#[path = "../it/helpers/engines.rs"]
mod engines;
#[path = "../it/golden_lists.rs"]
mod golden_lists;
#[path = "../it/helpers/http.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use all of it")]
mod http;
mod import;
mod ingest;
#[path = "../it/helpers/kafka.rs"]
#[expect(clippy::expect_used, reason = "shared with the integration tests")]
mod kafka;
mod lists;
mod load;
#[path = "../it/helpers/mariadb.rs"]
#[expect(dead_code, clippy::expect_used, reason = "shared with the integration tests, which use all of it")]
mod mariadb;
mod memory;
mod models;
#[path = "../it/models_data.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod models_data;
mod months;
mod policy;
mod push;
#[path = "../it/helpers/push_service.rs"]
#[expect(dead_code, clippy::expect_used, reason = "shared with the integration tests, which use all of it")]
mod push_service;
mod report;
mod retail;
mod scale;
mod server;
mod sources;
#[path = "../it/helpers/tokens.rs"]
mod tokens;
mod uplift;
mod webpush;
#[path = "../it/helpers/workbook.rs"]
mod workbook;

use report::Report;

type Run = fn(&mut Report);

fn main() {
    // cargo passes `--bench`; anything else is a part of a benchmark's name.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let benches: [(&str, Run); 18] = [
        ("push", push::run),
        ("ingest", ingest::run),
        ("months", months::run),
        ("memory", memory::run),
        ("attack", attack::run),
        ("audit", audit::run),
        ("webpush", webpush::run),
        ("retail", retail::run),
        ("import", import::run),
        ("scale", scale::run),
        ("models", models::run),
        ("policy", policy::run),
        ("uplift", uplift::run),
        ("lists", lists::run),
        ("catalogue", catalogue::run),
        ("sources", sources::run),
        ("kafka", sources::kafka),
        ("encryption", encryption::run),
    ];
    let mut ran = 0;
    for (name, run) in &benches {
        // Ten million events and Python's side take minutes: only when asked for; sources need their engines.
        let by_default = wanted.is_empty()
            && ![
                "import",
                "scale",
                "models",
                "policy",
                "uplift",
                "lists",
                "catalogue",
                "sources",
                "kafka",
                "encryption",
                "audit",
            ]
            .contains(name);
        if by_default || wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            let mut report = Report::new(name);
            run(&mut report);
            report.finish();
            ran += 1;
        }
    }
    let names = benches.map(|(name, _)| name).join(", ");
    assert!(
        ran > 0,
        "no benchmark is named {wanted:?}; there are {names}; delivery is measured by `make bench-delivery`"
    );
}
