//! Memory of the server while clients try to make it grow: bodies, packed bodies, frames, templates, and all of them at once.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::Server;

/// Largest body that the server reads.
const BODY_BYTES: usize = 4 << 20;
/// Bytes that a few threads keep of their largest request: pages of an allocator for each size, and the bodies themselves.
const ONCE_BYTES: u64 = 96 << 20;

/// A text repeated to nearly the largest body.
fn filled(begin: &str, one: &str, end: &str) -> String {
    let n = (BODY_BYTES - begin.len() - end.len() - 16) / one.len();
    format!("{begin}{}{end}", one.repeat(n))
}

/// Bodies of 4 MiB that would be hundreds as trees.
fn bombs() -> Vec<(&'static str, String)> {
    let fields: String = (0..300_000).map(|n| format!("\"{n}\":0,")).collect();
    vec![
        ("objects", filled("[", "{\"\":0},", "{}]")),
        ("empty objects", filled("[", "{},", "{}]")),
        ("arrays", filled("[", "[0],", "[]]")),
        ("numbers", filled("[", "0,", "0]")),
        ("texts", filled("[", "\"\",", "\"\"]")),
        ("an object in an object", filled("", "{\"a\":", "")),
        ("an array in an array", filled("", "[", "")),
        ("one element with many", filled("[{\"a\":[", "{\"\":0},", "0]}]")),
        ("attributes", filled("[{\"item_id\":1,\"attributes\":{", "\"\":\"\",", "\"a\":\"\"}}]")),
        ("data", filled("[{\"user_id\":1,\"title\":\"t\",\"data\":{\"a\":[", "{\"\":0},", "0]}}]")),
        ("variables", filled("[{\"user_id\":1,\"template\":\"t\",\"variables\":{\"a\":[", "[0],", "0]}}]")),
        ("users", filled("{\"title\":\"t\",\"user_ids\":[", "1,", "1]}")),
        ("names", format!("{{{fields}\"a\":0}}")),
        ("attributes of a user", format!("{{\"attributes\":{{{fields}\"a\":0}}}}")),
        ("lines", filled("", "{}\n", "{}")),
    ]
}

/// Routes that read JSON, of both sizes.
const ROUTES: [(&str, &str); 12] = [
    ("POST", "/v1/events"),
    ("PUT", "/v1/items"),
    ("POST", "/v1/notifications"),
    ("POST", "/v1/recommend"),
    ("PATCH", "/v1/users/1"),
    ("PUT", "/v1/users/1/preferences"),
    ("POST", "/v1/users/1/inbox/read"),
    ("PUT", "/v1/topics/t/subscribers"),
    ("POST", "/v1/triggers/order_status"),
    ("POST", "/v1/webhooks"),
    ("PUT", "/admin/templates/login"),
    ("POST", "/admin/templates/preview"),
];

fn server() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "server.body_timeout_ms=5000"]);
    (database, server)
}

/// Status of an answer; 0 where the server closed the connection while the body was being sent.
fn status(server: &Server, method: &str, path: &str, body: &[u8], headers: &[(&str, &str)]) -> u16 {
    let mut http = Http::connect(server.address);
    http.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    http.send(method, path, "application/json", body).map_or(0, |answer| answer.status)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
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
            let status = status(&server, method, path, body.as_bytes(), &[]);
            // One element of a batch that is refused is named in a 202.
            assert!([0, 200, 202, 400, 404, 413, 429].contains(&status), "{what} {method} {path}: {status}");
        }
        let keyed =
            status(&server, "POST", "/v1/notifications", body.as_bytes(), &[("Idempotency-Key", what)]);
        assert!([0, 200, 202, 400, 413].contains(&keyed), "{what}: {keyed}");
        let grown = server.resident_bytes().saturating_sub(before);
        println!("{what}: {} MiB more are resident", grown >> 20);
        assert!(grown < ONCE_BYTES, "{what}: {grown} more bytes are resident");
    }
    let zeros = gzip(&vec![b' '; 256 << 20]);
    for (method, path) in ROUTES {
        let status = status(&server, method, path, &zeros, &[("Content-Encoding", "gzip")]);
        assert!([0, 413].contains(&status), "{method} {path}: {status}");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < ONCE_BYTES, "{grown} more bytes are resident");
    // A packed body that is a body is read.
    let event = gzip(br#"{"kind":"view","user_id":1,"item_id":1}"#);
    assert_eq!(status(&server, "POST", "/v1/events", &event, &[("Content-Encoding", "gzip")]), 202);
    assert_eq!(status(&server, "POST", "/v1/events", &event, &[("Content-Encoding", "br")]), 415);
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
    let bombs = bombs();
    let packed = gzip(&vec![b' '; 64 << 20]);
    let over = AtomicBool::new(false);
    let (mut most, mut slowest, mut served) = (0, Duration::ZERO, 0);
    std::thread::scope(|scope| {
        for attacker in 0..6usize {
            let (server, bombs, packed, over) = (&server, &bombs, &packed, &over);
            scope.spawn(move || {
                let mut n = attacker;
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    let (method, path) = ROUTES[n % ROUTES.len()];
                    match n % 4 {
                        0 => drop(status(server, method, path, packed, &[("Content-Encoding", "gzip")])),
                        _ => drop(status(server, method, path, bombs[n % bombs.len()].1.as_bytes(), &[])),
                    }
                }
            });
        }
        let (server_ref, over_ref) = (&server, &over);
        // Bodies and frames that are announced and never come, headers of frames of a terabyte, floods of pings.
        scope.spawn(move || {
            let mut held: Vec<TcpStream> = Vec::new();
            while !over_ref.load(Ordering::Relaxed) {
                for text in [
                    "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000000\r\n\r\n[",
                    "POST /v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n[",
                ] {
                    let mut stream = TcpStream::connect(server_ref.address).unwrap();
                    let _ = stream.write_all(text.as_bytes());
                    held.push(stream);
                }
                let mut client = Client::connect(server_ref.address);
                let _ = client.tcp().write_all(&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                let _ = client.tcp().write_all(&vec![0; 1 << 20]);
                let mut client = Client::connect(server_ref.address);
                let _ = client.tcp().write_all(&[0x89, 0x80, 0, 0, 0, 0].repeat(2_000));
                if held.len() > 400 {
                    held.clear();
                }
            }
        });
        let doubling = format!("{{%set a='x'%}}{}{{{{a}}}}", "{%set a=a~a%}".repeat(31));
        let template = json!({"name": "login", "variants": [{"name": "a", "texts": {"en": {"title": doubling, "body": ""}}}]});
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
