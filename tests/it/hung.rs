//! A PostgreSQL that is stopped in the middle (SIGSTOP), as one whose disk or machine hangs: it takes requests and answers none.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, data_dir, wait_for};

/// Paths that ask the database.
const GETS: [&str; 20] = [
    "/readyz",
    "/v1/notifications",
    "/v1/notifications/scheduled",
    "/v1/notifications/0197b0c4-a1e2-7d53-b1f3-a0e5c2d4f601",
    "/v1/users/2/recommendations",
    "/v1/users/2/profile",
    "/v1/users/2/inbox",
    "/v1/users/2/preferences",
    "/v1/users/2/consent",
    "/v1/users/2/topics",
    "/v1/topics/vinyl/subscribers",
    "/v1/webhooks",
    "/admin/models",
    "/admin/rules",
    "/admin/decisions",
    "/admin/outcomes",
    "/admin/experiments/readings",
    "/admin/cleaning",
    "/admin/users",
    "/admin/users/1/timeline",
];
/// Paths that are answered from memory as well.
const FROM_MEMORY: [&str; 4] = ["/healthz", "/metrics", "/v1/items/101", "/v1/users/1/recommendations"];

fn posts() -> Vec<(&'static str, &'static str, Value)> {
    let event = json!([{"user_id": 1, "kind": "view", "item_id": 101, "event_id": "e1"}]);
    vec![
        ("POST", "/v1/events", event),
        ("POST", "/v1/notifications", json!([{"user_id": 1, "title": "a", "body": "b"}])),
        ("POST", "/v1/notifications", json!([{"user_ids": [1, 2], "title": "a", "body": "b"}])),
        ("PUT", "/v1/items", json!([{"item_id": 1, "title": "a"}])),
        ("DELETE", "/v1/items/102", Value::Null),
        ("PUT", "/v1/users/1/preferences", json!({"locale": "de"})),
        (
            "POST",
            "/v1/users/1/consent",
            json!({"purpose": "marketing", "granted": true, "source": "a", "text_version": "1"}),
        ),
        ("POST", "/v1/users/2/inbox/read", json!({"all": true})),
        ("PUT", "/v1/users/1/topics/vinyl", Value::Null),
        ("POST", "/v1/webhooks", json!({"url": "https://shop.example/hooks", "events": ["message.sent"]})),
        ("POST", "/admin/models/rollback", Value::Null),
    ]
}

/// PostgreSQL's processes: the one that its data directory names, and its children.
pub fn processes(data_dir: &Path) -> Vec<i32> {
    let output = Command::new("find").arg(data_dir).args(["-name", "postmaster.pid"]).output().unwrap();
    let file = String::from_utf8(output.stdout).unwrap();
    let text = std::fs::read_to_string(file.trim()).unwrap();
    let postmaster: i32 = text.lines().next().unwrap().parse().unwrap();
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned);
        parent == Some(postmaster.to_string())
    };
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    [postmaster].into_iter().chain(all.filter(is_child)).collect()
}

pub fn signal(processes: &[i32], signal: i32) {
    for pid in processes {
        // SAFETY: kill(2) on PostgreSQL's processes of this test.
        unsafe { libc::kill(*pid, signal) };
    }
}

/// Asks everything at once; the longest wait for an answer.
fn refused_everywhere(server: &Server) -> Duration {
    let gets = GETS.map(|path| ("GET", path, Value::Null));
    let asked = gets.into_iter().chain(posts()).map(|(method, path, body)| {
        let mut http = Http::connect(server.address);
        std::thread::spawn(move || {
            let began = Instant::now();
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let kind = if body.is_empty() { "" } else { "application/json" };
            let answer = http.send(method, path, kind, body.as_bytes()).unwrap();
            let waited = began.elapsed();
            assert_eq!(answer.status, 503, "{method} {path} after {waited:?}: {}", answer.body);
            assert!(answer.header("retry-after").is_some(), "{method} {path}");
            waited
        })
    });
    let asked: Vec<_> = asked.collect();
    asked.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
}

#[test]
fn a_database_that_hangs_is_told_on_every_path_and_ends_no_socket_and_keeps_no_process() {
    let (_directory, data_dir) = data_dir();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).env_remove("DATABASE_URL");
    command.env("TIDINGS_SERVER_DATA_DIR", &data_dir);
    let mut server = Server::spawn(&mut command);
    let items = json!([{"item_id": 101, "title": "Watch"}, {"item_id": 102, "title": "Mug"}]);
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    let (mut client, _) = server.login(1);

    let stopped = processes(&data_dir);
    signal(&stopped, libc::SIGSTOP);
    let first = refused_everywhere(&server);
    let second = refused_everywhere(&server);
    println!("PostgreSQL stopped: first 503 after {first:?} at most, then after {second:?}");
    assert!(second < Duration::from_secs(1), "once it is known nobody waits: {second:?} after {first:?}");
    for path in FROM_MEMORY {
        assert_eq!(server.http().get(path).status, 200, "{path}");
    }
    for stream in ["/v1/sse?user_id=3", "/v1/recommendations?limit=5"] {
        let answer = server.http().get(stream);
        assert_eq!(answer.status, 503, "{stream}: {}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{stream}");
    }
    let mut other = Client::connect(server.address);
    other.send(&json!({"type": "login", "user_id": 4, "device": "t"}));
    assert_eq!(other.close_code(), 3010);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 101, "event_id": "meanwhile"}));
    let refused = client.expect("error");
    assert_eq!((&refused["code"], &refused["temporary"]), (&json!("unavailable"), &json!(true)), "{refused}");
    signal(&stopped, libc::SIGCONT);
    wait_for("PostgreSQL to answer again", || server.http().get("/readyz").status == 200);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 101, "event_id": "after"}));
    assert!(client.expect("accepted").is_object(), "the socket is still there");
    client.send(&json!({"type": "event", "kind": "view", "item_id": 101, "event_id": "meanwhile"}));
    assert_eq!(client.expect("accepted")["duplicate"], true, "what was committed late is not stored twice");
    assert_eq!(server.http().get("/v1/users/1/profile").status, 200);

    let stopped = processes(&data_dir);
    signal(&stopped, libc::SIGSTOP);
    // SAFETY: kill(2) on a child that has not been waited for.
    unsafe { libc::kill(server.child.id() as i32, libc::SIGTERM) };
    wait_for("the server to end", || server.child.try_wait().unwrap().is_some());
    signal(&stopped, libc::SIGCONT);
    wait_for("PostgreSQL to end with it", || !Path::new(&format!("/proc/{}", stopped[0])).exists());
}
