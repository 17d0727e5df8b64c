//! The process a server trains in: it stands back, ends with its server, and takes nothing with it when it is killed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

/// The worker that a training of `server` starts, standing still so that it can be looked at.
fn stopped_worker(server: &Server) -> i32 {
    let begin = Instant::now();
    loop {
        let found = std::fs::read_dir("/proc").unwrap().find_map(|entry| {
            let pid: i32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let is_child = fields(pid)?[1] == server.child.id().to_string();
            (is_child && command(pid)?.contains("training-worker")).then_some(pid)
        });
        if let Some(pid) = found {
            signal(pid, libc::SIGSTOP);
            return pid;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "no worker");
    }
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill(2) takes numbers.
    unsafe { libc::kill(pid, signal) };
}

fn command(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()
}

/// From the state on: field 3 of proc(5)'s stat is the first.
fn fields(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn is_alive(pid: i32) -> bool {
    fields(pid).is_some_and(|fields| fields[0] != "Z")
}

fn history() -> Value {
    let purchase = |n: i64| json!({"kind": "purchase", "user_id": n % 100, "item_id": (n * 31) % 80, "occurred_at": 1_750_000_000 + n * 60});
    (0..2_000).map(purchase).collect()
}

#[test]
fn a_killed_worker_fails_its_training_and_nothing_else() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    assert_eq!(http.post("/v1/events", &history()).json()["accepted"], 2_000);
    let job = http.post("/admin/retrain", &Value::Null).json();
    signal(stopped_worker(&server), libc::SIGKILL);
    let path = format!("/admin/jobs/{}", job["job"].as_str().unwrap());
    wait_for("the end of the job", || http.get(&path).json()["state"] != "running");
    let job = http.get(&path).json();
    assert_eq!(job["state"], "failed");
    assert!(job["message"].as_str().unwrap().contains("ended early, signal: 9"), "{job}");
    assert_eq!(http.get("/admin/models").json()["models"], json!([]));
    assert_eq!(server.retrain()["state"], "succeeded");
}

#[test]
fn a_worker_stands_back_in_a_session_of_its_own_and_ends_with_its_server() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &["--set", "training.niceness=15"]);
    let mut http = server.http();
    assert_eq!(http.post("/v1/events", &history()).json()["accepted"], 2_000);
    http.post("/admin/retrain", &Value::Null);
    // Field 19 is the niceness, 6 the session: the worker leads its own.
    let mut worker = stopped_worker(&server);
    // It may have been stopped half-way.
    wait_for("it to stand back", || {
        let fields = fields(worker).unwrap();
        let group = std::fs::read_to_string(format!("/proc/{worker}/autogroup"));
        let stands_back = fields[16] == "15"
            && fields[3] == worker.to_string()
            && group.map_or(true, |group| group.ends_with("nice 15\n"));
        if !stands_back {
            signal(worker, libc::SIGCONT);
            worker = stopped_worker(&server);
        }
        stands_back
    });
    // Standing still as it is.
    server.kill();
    wait_for("the worker to end", || !is_alive(worker));
    assert_eq!(database.count("SELECT count(*) AS n FROM models"), 0);
}
