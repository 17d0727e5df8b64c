//! Memory of the server while clients try to make it grow: bodies, packed bodies, frames, templates, and all of them at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::helpers::attack::{Attack, ROUTES, bombs, growing_template, gzip, status};
use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

/// Bytes that a few threads keep of their largest request: pages of an allocator for each size, and the bodies themselves.
const ONCE_BYTES: u64 = 96 << 20;

fn server() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "server.body_timeout_ms=5000"]);
    (database, server)
}

#[test]
fn no_body_becomes_many_times_its_size() {
    let (_database, server) = server();
    // Everything once, so that what is kept is kept.
    assert_eq!(
        server.http().post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 1})).status,
        202
    );
    let before = server.resident_bytes();
    for (what, body) in bombs() {
        for (method, path) in ROUTES {
            let status = status(server.address, method, path, body.as_bytes(), &[]);
            // One element of a batch that is refused is named in a 202.
            assert!([0, 200, 202, 400, 404, 413, 429].contains(&status), "{what} {method} {path}: {status}");
        }
        let keyed = status(
            server.address,
            "POST",
            "/v1/notifications",
            body.as_bytes(),
            &[("Idempotency-Key", what)],
        );
        assert!([0, 200, 202, 400, 413].contains(&keyed), "{what}: {keyed}");
        let grown = server.resident_bytes().saturating_sub(before);
        println!("{what}: {} MiB more are resident", grown >> 20);
        assert!(grown < ONCE_BYTES, "{what}: {grown} more bytes are resident");
    }
    let zeros = gzip(&vec![b' '; 256 << 20]);
    for (method, path) in ROUTES {
        let status = status(server.address, method, path, &zeros, &[("Content-Encoding", "gzip")]);
        assert!([0, 413].contains(&status), "{method} {path}: {status}");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < ONCE_BYTES, "{grown} more bytes are resident");
    // A packed body that is a body is read.
    let event = gzip(br#"{"kind":"view","user_id":1,"item_id":1}"#);
    assert_eq!(status(server.address, "POST", "/v1/events", &event, &[("Content-Encoding", "gzip")]), 202);
    assert_eq!(status(server.address, "POST", "/v1/events", &event, &[("Content-Encoding", "br")]), 415);
}

#[test]
fn a_flood_of_control_frames_ends_its_connection() {
    let (_database, server) = server();
    for opcode in [0x89, 0x8a] {
        let mut client = Client::connect(server.address);
        client.send(&json!({"type": "login", "user_id": 1, "device": "test"}));
        client.expect("welcome");
        let frames = [&[opcode, 0xfd, 0, 0, 0, 0][..], &[b'x'; 125]].concat().repeat(600);
        client.tcp().write_all(&frames).unwrap();
        assert_eq!(client.close_code(), 3013, "{opcode:x}");
    }
}

#[test]
fn memory_stays_bounded_and_others_are_served_while_all_of_it_comes_at_once() {
    const ATTACK: Duration = Duration::from_secs(8);
    /// Bodies that may be in memory at once, and what the allocator keeps beside them.
    const BOUND: u64 = 512 << 20;
    let (_database, server) = server();
    let before = server.resident_bytes();
    let (attack, over) = (Attack::on(server.address), AtomicBool::new(false));
    let template = growing_template();
    let (mut most, mut slowest, mut served) = (0, Duration::ZERO, 0);
    std::thread::scope(|scope| {
        let (attack, over) = (&attack, &over);
        for attacker in 0..6 {
            scope.spawn(move || attack.bodies(attacker, over));
        }
        scope.spawn(|| attack.sockets(over));
        scope.spawn(|| attack.templates(over));
        let begin = Instant::now();
        while begin.elapsed() < ATTACK {
            let mut http = server.http();
            let asked = Instant::now();
            assert_eq!(http.get("/v1/items").status, 200);
            assert_eq!(
                http.post("/v1/events", &json!({"kind": "view", "user_id": 7, "item_id": 1})).status,
                202
            );
            slowest = slowest.max(asked.elapsed());
            served += 1;
            assert_eq!(http.put("/admin/templates/login", &template).status, 400);
            most = most.max(server.resident_bytes());
        }
        over.store(true, Ordering::Relaxed);
    });
    let grown = most.saturating_sub(before);
    println!("{} MiB more at most, {served} served, the slowest in {} ms", grown >> 20, slowest.as_millis());
    assert!(grown < BOUND, "{grown} more bytes are resident");
}
