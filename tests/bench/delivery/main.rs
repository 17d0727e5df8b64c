//! `make bench-delivery`: what delivery costs and how fast it is, beside servers a user could install instead, all
//! driven by the same load generator, which is this process and checks every message it receives.
//! `make chaos`: what comes of the messages when things die. Prints tables, writes `target/bench/delivery.json`.
//! Nothing here asserts a time; a message lost, doubled or mixed up ends with an error.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that can't go on has nothing better to do than to end"
)]

#[path = "../load.rs"]
#[expect(dead_code, reason = "shared with the other benchmarks")]
mod load;
#[path = "../report.rs"]
#[expect(dead_code, reason = "shared with the other benchmarks")]
mod report;
#[path = "../server.rs"]
#[expect(dead_code, reason = "shared with the other benchmarks")]
mod server;

mod chaos;
mod clients;
mod dialect;
mod fleet;
mod ledger;
mod peers;
mod process;
mod publish;
mod rows;
mod subject;
mod table;
mod wire;

use subject::Subject;
use table::Table;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str()));
    let files = load::raise_file_limit() as usize;
    if wanted.first().is_some_and(|first| first == "chaos") {
        let mut table = Table::new("chaos", files);
        chaos::run(&mut table, wanted.get(1).and_then(|clients| clients.parse().ok()));
        return table.finish();
    }
    let mut table = Table::new("delivery", files);
    if wants("tidings") {
        rows::tidings(&mut table, files);
    }
    for name in peers::names() {
        if wants(name) {
            match peers::start(name) {
                Some(peer) => rows::peer(&mut table, Subject::of_peer(peer), files),
                None => println!("  absent: {name} (did not start)"),
            }
        }
    }
    table.finish();
}
