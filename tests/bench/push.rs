//! Event received → personalised push written to the socket, durable commits in between; and one recommendation.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;

use crate::http::Http;
use crate::load;
use crate::report::{Aim, Report, median, percentile};
use crate::server::{FREE_DEMO, Server, data_dir};

const USERS: i64 = 1_000;
const EVENTS_PER_S: i64 = 500;
const SECONDS: i64 = 30;
const TURNS: i64 = 5;
const TURN_SECONDS: i64 = 16;
/// Logins are work as well, and set off messages of their own: the first event comes when that is over.
const AFTER_LOGIN: Duration = Duration::from_secs(3);

pub fn run(report: &mut Report) {
    load::raise_file_limit();
    let directory = data_dir();
    report.setting("users connected", USERS);
    report.setting("events per second", EVENTS_PER_S);
    report.setting("seconds", SECONDS);
    report.setting("pause after the logins, seconds", AFTER_LOGIN.as_secs());
    report.setting("shop", "the demo's, 3 months of history, trained model; caps and repeats off");
    let server = Server::start("demo", directory.path(), &FREE_DEMO);
    report.row(
        "demo: empty directory → ready, history and training",
        server.ready_after.as_secs_f64(),
        "s",
        Aim::AtMost(60.0),
    );
    let cpu = server.cpu_seconds();
    let (latencies, unanswered) = browse(server.address, 1, SECONDS);
    let cpu = server.cpu_seconds() - cpu;
    let metrics = Http::connect(server.address).get("/admin/metrics").json();
    if std::env::var_os("BENCH_HISTORY").is_some() {
        for sample in metrics["history"].as_array().unwrap() {
            println!("  {sample}");
        }
    }
    let server_side =
        |timing: &str, field: &str| metrics["latency_ms"][timing][field].as_f64().unwrap_or(f64::NAN);
    report.row(
        "event received → push handed to the socket, p50",
        server_side("event_to_push", "p50"),
        "ms",
        Aim::AtMost(5.0),
    );
    report.row(
        "event received → push handed to the socket, p99",
        server_side("event_to_push", "p99"),
        "ms",
        Aim::AtMost(25.0),
    );
    report.row("event sent → push received by the client, p50", percentile(&latencies, 0.5), "ms", Aim::None);
    report.row(
        "event sent → push received by the client, p99",
        percentile(&latencies, 0.99),
        "ms",
        Aim::None,
    );
    report.row("pushes received", latencies.len() as f64, "", Aim::None);
    report.row("events without a push within 5 s", unanswered as f64, "", Aim::AtMost(0.0));
    report.row("one commit, p50", server_side("commit", "p50"), "ms", Aim::None);
    report.row("recommendations for one user, p99", server_side("recommend", "p99"), "ms", Aim::AtMost(2.0));
    report.row(
        "server CPU per event, logins included",
        cpu / latencies.len().max(1) as f64 * 1e6,
        "µs",
        Aim::None,
    );
    while_training(report, &server);
}

/// The same load at rest and while one training follows another, in turns: medians, since one slow flush of the disk in
/// 15 s is a p99 of its own, whoever asked for it.
fn while_training(report: &mut Report, server: &Server) {
    let (mut at_rest, mut training, mut trainings, mut unanswered) = (Vec::new(), Vec::new(), 0, 0);
    for turn in 0..TURNS {
        let (latencies, missed) = browse(server.address, 2 + 2 * turn, TURN_SECONDS);
        at_rest.push(percentile(&latencies, 0.99));
        let (begun, (latencies, missed_too)) =
            with_trainings(server.address, || browse(server.address, 3 + 2 * turn, TURN_SECONDS));
        training.push(percentile(&latencies, 0.99));
        trainings += begun;
        unanswered += missed + missed_too;
    }
    report.setting("at rest and while training, turns of seconds", format!("{TURNS} × {TURN_SECONDS}"));
    report.row("while training: trainings begun", f64::from(trainings), "", Aim::None);
    report.row("while training: events without a push within 5 s", unanswered as f64, "", Aim::AtMost(0.0));
    let list = |values: &[f64]| values.iter().map(|p99| format!("{p99:.1}")).collect::<Vec<_>>().join(", ");
    println!("  p99 by turn, ms: at rest {}; while training {}", list(&at_rest), list(&training));
    let (at_rest, training) = (median(&mut at_rest), median(&mut training));
    report.row("while training: event sent → push received, p99", training, "ms", Aim::None);
    report.versus("while training: p99 against at rest", (training, at_rest), "ms", Aim::AtMost(2.0));
}

/// Runs `work` while one training follows another; how many began.
fn with_trainings<T>(address: SocketAddr, work: impl FnOnce() -> T) -> (u32, T) {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let trainer = scope.spawn(|| {
            let mut trainings = 0;
            while !ended.load(Ordering::Relaxed) {
                // An idle connection is closed: a new one each time.
                let begun = Http::connect(address).post("/admin/retrain", &serde_json::Value::Null).json();
                trainings += 1;
                let job = format!("/admin/jobs/{}", begun["job"].as_str().unwrap());
                let state = || Http::connect(address).get(&job).json()["state"].clone();
                while matches!(state().as_str(), Some("running" | "queued")) {
                    thread::sleep(Duration::from_millis(200));
                }
            }
            trainings
        });
        let worked = work();
        ended.store(true, Ordering::Relaxed);
        (trainer.join().unwrap(), worked)
    })
}

/// Users look at things, each at their own moments: latencies in milliseconds, and events that got no push.
pub fn browse(address: SocketAddr, round: i64, seconds: i64) -> (Vec<f64>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sockets = join_all((1..=USERS).map(|user| load::login(address, user))).await;
        tokio::time::sleep(AFTER_LOGIN).await;
        let every = Duration::from_millis((USERS * 1_000 / EVENTS_PER_S) as u64);
        let each = seconds * EVENTS_PER_S / USERS;
        let parts = sockets.into_iter().enumerate().map(|(index, socket)| {
            let items = (0..each).map(|n| 101 + (index as i64 * 31 + n * 97 * round) % 500).collect();
            load::views(socket, items, every, every.mul_f64(index as f64 / USERS as f64))
        });
        let (mut latencies, mut unanswered) = (Vec::new(), 0);
        for (part, missed) in join_all(parts).await {
            latencies.extend(part);
            unanswered += missed;
        }
        (latencies, unanswered)
    })
}
