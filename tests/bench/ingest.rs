//! Durable ingest over HTTP, batches of 100.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::http::Http;
use crate::report::{Aim, Report, median};
use crate::server::{Server, data_dir};

const BATCH: usize = 100;
const BATCHES: usize = 400;
const CLIENTS: usize = 4;
const RUNS: usize = 3;

pub fn run(report: &mut Report) {
    let directory = data_dir();
    report.setting("batch", BATCH);
    report.setting("batches a run", BATCHES * CLIENTS);
    report.setting("clients", CLIENTS);
    report.setting("runs", RUNS);
    let server = Server::start("serve", directory.path(), &[]);
    let address = server.address;
    report.row("empty directory → ready", server.ready_after.as_secs_f64(), "s", Aim::AtMost(10.0));
    for (name, with_event_id) in [("without event_id", false), ("with event_id (retries are harmless)", true)]
    {
        let mut rates = Vec::new();
        for run in 0..RUNS {
            let bodies: Vec<Vec<Vec<u8>>> = (0..CLIENTS)
                .map(|client| {
                    (0..BATCHES)
                        .map(|batch| body(with_event_id, (run * CLIENTS + client) * BATCHES + batch))
                        .collect()
                })
                .collect();
            let started = Instant::now();
            thread::scope(|scope| {
                for bodies in &bodies {
                    scope.spawn(move || {
                        let mut http = Http::connect(address);
                        for body in bodies {
                            let answer = http.send("POST", "/v1/events", "application/json", body).unwrap();
                            assert_eq!(answer.json()["accepted"], BATCH, "{}", answer.body);
                        }
                    });
                }
            });
            rates.push((BATCH * BATCHES * CLIENTS) as f64 / started.elapsed().as_secs_f64());
        }
        report.row(
            &format!("events ingested durably, {name}"),
            median(&mut rates),
            "/s",
            Aim::AtLeast(20_000.0),
        );
    }
    drop(server);
    let again = Server::start("serve", directory.path(), &[]);
    report.row("warm start → ready", again.ready_after.as_secs_f64(), "s", Aim::AtMost(2.0));
}

fn body(with_event_id: bool, number: usize) -> Vec<u8> {
    let events: Value = (0..BATCH)
        .map(|n| {
            let mut event = json!({"kind": "view", "user_id": (number * 13 + n * 7) % 20_000, "item_id": (number + n * 31) % 5_000, "dwell_ms": 1200});
            if with_event_id {
                event["event_id"] = format!("{number}-{n}").into();
            }
            event
        })
        .collect();
    events.to_string().into_bytes()
}
