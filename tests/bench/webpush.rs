//! Web Push to a service that is well, alone and beside one that never answers and one that answers 500.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::http::Http;
use crate::push_service::{BrowserKeys, PushService};
use crate::report::{Aim, Report, percentile};
use crate::server::{Server, data_dir, wait_for};

/// Messages to each service, one to a user each.
const MESSAGES: i64 = 1_000;
/// Messages to the service that is well, a second.
const PER_SECOND: i64 = 100;
/// The services in trouble have what they get before the first message to the other.
const HEAD_START: Duration = Duration::from_secs(2);

pub fn run(report: &mut Report) {
    let directory = data_dir();
    let settings = ["webpush.allow_loopback=true", "policy.caps=[]", "socket.linger_ms=0"];
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let server = Server::start("serve", directory.path(), &arguments);
    report.setting("messages to each service, one to a user each", MESSAGES);
    report.setting("messages to the service that is well, a second", PER_SECOND);
    report.setting("webpush.max_concurrent, …_per_service, timeout_ms", "256, 64, 10000 (defaults)");
    report.setting("build", if cfg!(debug_assertions) { "debug" } else { "release" });
    let (good, hangs, fails) = (PushService::start(), PushService::start(), PushService::start());
    hangs.answer_all(None);
    fails.answer_all(Some((500, "")));
    let mut http = Http::connect(server.address);
    for (index, service) in [&good, &hangs, &fails].into_iter().enumerate() {
        for user in 0..MESSAGES {
            let user = index as i64 * MESSAGES + user;
            let mut body = BrowserKeys::new().subscription(&service.endpoint(&user.to_string()));
            body["user_id"] = json!(user);
            assert_eq!(http.post("/v1/webpush/subscriptions", &body).status, 201);
        }
    }
    let alone = send_paced(&server, &good);
    report_latency(report, "alone: accepted by us → received by the push service", &alone, Aim::None);
    for index in 1..=2 {
        let users = index * MESSAGES..(index + 1) * MESSAGES;
        let answer = Http::connect(server.address).post("/v1/notifications", &users.map(message).collect());
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    std::thread::sleep(HEAD_START);
    let beside = send_paced(&server, &good);
    report_latency(report, "beside one that hangs and one that answers 500", &beside, Aim::AtMost(2_000.0));
    report.row("requests to the one that hangs", hangs.pushed().len() as f64, "", Aim::None);
    report.row("requests to the one that answers 500", fails.pushed().len() as f64, "", Aim::None);
    let metrics = Http::connect(server.address).get("/admin/metrics").json();
    report.row(
        "messages that still wait for the two",
        metrics["webpush"]["waiting"].as_f64().unwrap(),
        "",
        Aim::None,
    );
    report.row("server memory", server.resident_bytes() / 1e6, "MB", Aim::None);
    println!("  services as the server sees them: {}", metrics["webpush"]["services"]);
}

fn message(user: i64) -> Value {
    json!({"user_id": user, "title": "Order", "priority": "transactional"})
}

/// Sends one message to each user of the service at an even pace: milliseconds from the answer to the request to the push service.
fn send_paced(server: &Server, service: &PushService) -> Vec<f64> {
    let before = service.pushed().len();
    let started = Instant::now();
    let mut http = Http::connect(server.address);
    let mut accepted = HashMap::new();
    for user in 0..MESSAGES {
        let due = Duration::from_millis((user * 1_000 / PER_SECOND) as u64);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        assert_eq!(http.post("/v1/notifications", &message(user)).status, 202);
        accepted.insert(format!("/push/{user}"), Timestamp::now());
    }
    wait_for("all pushes", || service.pushed().len() >= before + MESSAGES as usize);
    let pushed = service.pushed();
    let all = pushed.iter().skip(before).filter_map(|pushed| Some((pushed.at, *accepted.get(&pushed.path)?)));
    all.map(|(at, accepted)| (at.0 - accepted.0).max(0) as f64 / 1_000.0).collect()
}

fn report_latency(report: &mut Report, name: &str, latencies: &[f64], aim: Aim) {
    report.row(&format!("{name}, p50"), percentile(latencies, 0.5), "ms", Aim::None);
    report.row(&format!("{name}, p99"), percentile(latencies, 0.99), "ms", aim);
    report.row(&format!("{name}, messages"), latencies.len() as f64, "", Aim::None);
}
