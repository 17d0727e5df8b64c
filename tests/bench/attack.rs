//! Memory of the server, and what honest clients wait, while attackers send what is worst: bodies that are large in memory, packed bodies,
//! slow heads and bodies, frames of a terabyte, floods of pings, templates that grow. Compared with the same clients before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::attacker::Attack;
use crate::http::Http;
use crate::report::{Aim, Report};
use crate::server::{Server, data_dir};

/// Time of each part.
const TIME: Duration = Duration::from_secs(20);
/// Honest clients, and the time between two requests of one.
const CLIENTS: usize = 8;
const PACE: Duration = Duration::from_millis(20);
/// Clients that send bodies, sockets, templates.
const ATTACKERS: (usize, usize, usize) = (6, 2, 1);
/// Niceness of the attackers' threads: on another machine they would take nothing from the server.
const NICENESS: i32 = 10;

/// Latencies and failures of honest clients.
#[derive(Default)]
struct Seen {
    millis: Vec<f64>,
    refused: usize,
}

/// A shopper: lists items, looks at one, asks for a list.
fn honest(server: &Server, user: usize, over: &AtomicBool) -> Seen {
    let (mut http, mut seen) = (Http::connect(server.address), Seen::default());
    let event = json!({"kind": "view", "user_id": user, "item_id": 101 + user});
    let wish = json!({"user_id": user, "n": 5});
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        let answer = match turn % 3 {
            0 => http.send("GET", "/v1/items?limit=20", "", b""),
            1 => http.send("POST", "/v1/events", "application/json", event.to_string().as_bytes()),
            _ => http.send("POST", "/v1/recommend", "application/json", wish.to_string().as_bytes()),
        };
        seen.millis.push(asked.elapsed().as_secs_f64() * 1e3);
        match answer {
            Ok(answer) if answer.status < 300 => {}
            Ok(_) => seen.refused += 1,
            Err(_) => {
                seen.refused += 1;
                http = Http::connect(server.address);
            }
        }
        std::thread::sleep(PACE.saturating_sub(asked.elapsed()));
    }
    seen
}

/// Runs the honest clients for some time, and `beside` them what is given; what they saw, and the most memory, bytes.
fn serve(server: &Server, beside: impl Fn(&AtomicBool) + Sync) -> (Seen, f64) {
    let over = AtomicBool::new(false);
    let (mut all, mut most) = (Seen::default(), 0f64);
    std::thread::scope(|scope| {
        let (over, beside) = (&over, &beside);
        scope.spawn(move || beside(over));
        let clients: Vec<_> =
            (1..=CLIENTS).map(|user| scope.spawn(move || honest(server, user, over))).collect();
        let begin = Instant::now();
        while begin.elapsed() < TIME {
            most = most.max(server.resident_bytes());
            std::thread::sleep(Duration::from_millis(10));
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            let seen = client.join().unwrap();
            all.millis.extend(seen.millis);
            all.refused += seen.refused;
        }
    });
    all.millis.sort_by(f64::total_cmp);
    (all, most)
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

fn attack(attack: &Attack, over: &AtomicBool) {
    let (bodies, sockets, templates) = ATTACKERS;
    // SAFETY: changes the priority of this thread; those it starts inherit it.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    std::thread::scope(|scope| {
        for nth in 0..bodies {
            scope.spawn(move || attack.bodies(nth, over));
        }
        for _ in 0..sockets {
            scope.spawn(move || attack.sockets(over));
        }
        for _ in 0..templates {
            scope.spawn(move || attack.templates(over));
        }
    });
}

pub fn run(report: &mut Report) {
    let directory = data_dir();
    let server = Server::start("serve", &directory.path().join("data"), &["--set", "training.interval_s=0"]);
    let items: Value = (101..141)
        .map(|id| json!({"item_id": id, "title": format!("Lamp {id}"), "price": 10.0, "currency": "EUR"}))
        .collect();
    assert_eq!(Http::connect(server.address).put("/v1/items", &items).status, 200);
    let worst = Attack::on(server.address);
    report.setting("seconds of each part", TIME.as_secs());
    report.setting("honest clients, a request each 20 ms", CLIENTS);
    report.setting("attackers: bodies, sockets, templates", format!("{ATTACKERS:?}, nice {NICENESS}"));
    let (before, idle) = serve(&server, |_| {});
    let (during, most) = serve(&server, |over| attack(&worst, over));
    let (after, left) = serve(&server, |_| {});
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    report.row("resident memory, honest clients alone", mib(idle), "MiB", Aim::None);
    report.row("memory above that under attack, at most", mib(most - idle), "MiB", Aim::AtMost(1024.0));
    report.row("memory above that afterwards", mib(left - idle), "MiB", Aim::None);
    report.versus(
        "p99 of honest requests under attack, against before",
        (percentile(&during.millis, 0.99), percentile(&before.millis, 0.99)),
        "ms",
        Aim::AtMost(5.0),
    );
    report.versus(
        "p50 of honest requests under attack, against before",
        (percentile(&during.millis, 0.5), percentile(&before.millis, 0.5)),
        "ms",
        Aim::None,
    );
    let share = |seen: &Seen| 100.0 * seen.refused as f64 / seen.millis.len().max(1) as f64;
    report.row("honest requests refused under attack", share(&during), "%", Aim::AtMost(0.1));
    report.row("honest requests refused afterwards", share(&after), "%", Aim::AtMost(0.0));
}
