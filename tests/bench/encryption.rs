//! Encryption at rest, on and off in turns: two servers with the same shop, one of them with a master key.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::http::Http;
use crate::load;
use crate::push::browse;
use crate::report::{Aim, Report, median, percentile};
use crate::server::{FREE_DEMO, Server, data_dir, tidings};

const TURNS: i64 = 5;
const TURN_SECONDS: i64 = 16;
const BATCH: usize = 100;
const BATCHES: usize = 200;
const CLIENTS: usize = 4;
/// One event in so many is a search, whose words are encrypted.
const SEARCH_EVERY: usize = 4;
const USERS: usize = 20_000;

pub fn run(report: &mut Report) {
    load::raise_file_limit();
    report.setting("turns of seconds, pushes", format!("{TURNS} × {TURN_SECONDS}"));
    report.setting("turns of events, ingest", format!("{TURNS} × {}", BATCH * BATCHES * CLIENTS));
    report.setting("searches among them", format!("1 in {SEARCH_EVERY}, of {USERS} users"));
    let (plain_directory, sealed_directory) = (data_dir(), data_dir());
    let plain = Server::start("demo", plain_directory.path(), &FREE_DEMO);
    let output = tidings().args(["encryption", "new-key"]).output().unwrap();
    let key = format!("encryption.master_key={}", String::from_utf8(output.stdout).unwrap().trim());
    let sealed = Server::start("demo", sealed_directory.path(), &[&FREE_DEMO[..], &["--set", &key]].concat());
    pushes(report, plain.address, sealed.address);
    ingest(report, plain.address, sealed.address);
}

fn pushes(report: &mut Report, plain: SocketAddr, sealed: SocketAddr) {
    let (mut off, mut on, mut unanswered) = (Vec::new(), Vec::new(), 0);
    for turn in 0..TURNS {
        for (address, p99) in [(plain, &mut off), (sealed, &mut on)] {
            let (latencies, missed) = browse(address, turn + 1, TURN_SECONDS);
            p99.push(percentile(&latencies, 0.99));
            unanswered += missed;
        }
    }
    report.row("events without a push within 5 s", unanswered as f64, "", Aim::AtMost(0.0));
    let (off, on) = (median(&mut off), median(&mut on));
    report.row("off: event sent → push received, p99", off, "ms", Aim::None);
    report.versus("on against off: event sent → push received, p99", (on, off), "ms", Aim::AtMost(1.15));
}

fn ingest(report: &mut Report, plain: SocketAddr, sealed: SocketAddr) {
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for turn in 0..TURNS as usize {
        // The first turn makes the keys of all users.
        for (address, rates) in [(plain, &mut off), (sealed, &mut on)] {
            rates.push(rate(address, turn));
        }
    }
    report.row("off: events ingested durably, first turn", off[0], "/s", Aim::None);
    report.row("on: events ingested durably, first turn, in which keys are made", on[0], "/s", Aim::None);
    let (off, on) = (median(&mut off), median(&mut on));
    report.row("off: events ingested durably", off, "/s", Aim::None);
    report.versus("on against off: events ingested durably", (on, off), "/s", Aim::AtLeast(0.85));
}

/// Events a second, from several clients at once.
fn rate(address: SocketAddr, turn: usize) -> f64 {
    let started = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut http = Http::connect(address);
                for batch in 0..BATCHES {
                    let body = body((turn * CLIENTS + client) * BATCHES + batch);
                    let answer = http.send("POST", "/v1/events", "application/json", &body).unwrap();
                    assert_eq!(answer.json()["accepted"], BATCH, "{}", answer.body);
                }
            });
        }
    });
    (BATCH * BATCHES * CLIENTS) as f64 / started.elapsed().as_secs_f64()
}

fn body(number: usize) -> Vec<u8> {
    let event = |n: usize| {
        let user = (number * 13 + n * 7) % USERS;
        match n % SEARCH_EVERY {
            0 => {
                json!({"kind": "search", "user_id": user, "query": format!("running shoes size {}", n % 50)})
            }
            _ => {
                json!({"kind": "view", "user_id": user, "item_id": 101 + (number + n * 31) % 500, "dwell_ms": 1200})
            }
        }
    };
    (0..BATCH).map(event).collect::<Value>().to_string().into_bytes()
}
