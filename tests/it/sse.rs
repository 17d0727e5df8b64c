//! Server-Sent Events over a raw socket, as a proxy would see them.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::event_stream::EventStream as Stream;
use crate::helpers::http::Http;
use crate::helpers::server::Server;

fn start(arguments: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, arguments);
    (database, server)
}

fn send(server: &Server, user: i64, title: &str) {
    let answer = server.http().post("/v1/notifications", &json!({"user_id": user, "title": title}));
    assert_eq!(answer.status, 202, "{}", answer.body);
}

#[test]
fn a_stream_begins_with_a_welcome_and_carries_messages_with_their_place() {
    let (_database, server) = start(&[]);
    let mut stream = Stream::open(server.address, "user_id=1", "");
    assert_eq!(stream.status(), 200);
    for header in
        ["content-type: text/event-stream", "cache-control: no-store, no-transform", "x-accel-buffering: no"]
    {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    let welcome = stream.next().unwrap();
    assert_eq!((welcome.kind.as_str(), &welcome.id), ("welcome", &None));
    send(&server, 1, "hello");
    let message = stream.expect("notification");
    assert_eq!(message.data["title"], "hello");
    let place = format!("{}:{}", message.data["epoch"].as_str().unwrap(), message.data["offset"]);
    assert_eq!(message.id.as_deref(), Some(place.as_str()));
}

#[test]
fn a_stream_resumes_by_its_last_event_id_after_a_crash() {
    let (database, mut server) = start(&[]);
    let mut stream = Stream::open(server.address, "user_id=1", "");
    stream.expect("welcome");
    send(&server, 1, "seen");
    let id = stream.expect("notification").id.unwrap();
    drop(stream);
    send(&server, 1, "missed 1");
    send(&server, 1, "missed 2");
    server.kill();
    let server = Server::start(&database.url, &[]);
    for (query, headers) in [
        ("user_id=1".to_owned(), format!("Last-Event-ID: {id}\r\n")),
        (format!("user_id=1&last_event_id={id}"), String::new()),
    ] {
        let mut stream = Stream::open(server.address, &query, &headers);
        assert_eq!(stream.expect("welcome").data["recovered"], true);
        let titles: Vec<Value> =
            (0..2).map(|_| stream.expect("notification").data["title"].clone()).collect();
        assert_eq!(titles, ["missed 1", "missed 2"]);
    }
    let mut stream = Stream::open(server.address, "user_id=1", "Last-Event-ID: elsewhere:1\r\n");
    assert_eq!(stream.expect("welcome").data["recovered"], false);
}

#[test]
fn a_stream_of_another_site_needs_to_be_allowed() {
    let (_database, server) = start(&["--set", "server.allowed_origins=[\"https://shop.example\"]"]);
    let evil = Stream::open(server.address, "user_id=1", "Origin: https://evil.example\r\n");
    assert_eq!(evil.status(), 403);
    let shop = Stream::open(server.address, "user_id=1", "Origin: https://shop.example\r\n");
    assert_eq!(shop.status(), 200);
    assert!(shop.head.contains("access-control-allow-origin: https://shop.example"), "{}", shop.head);
    assert_eq!(Stream::open(server.address, "", "").status(), 400, "nobody named");
}

#[test]
fn a_token_opens_its_own_stream_only() {
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let (_database, server) = start(&["--set", "auth.mode=token", "--set", &format!("auth.secret={secret}")]);
    let token = |user: &str, days: f64| {
        let until = tidings::base::Timestamp::now().plus_days(days);
        tidings::privacy::token::issue(secret, tidings::privacy::Role::User, user, until).unwrap()
    };
    assert_eq!(Stream::open(server.address, "user_id=1", "").status(), 401);
    assert_eq!(Stream::open(server.address, &format!("token={}", token("1", -1.0)), "").status(), 401);
    assert_eq!(
        Stream::open(server.address, &format!("user_id=2&token={}", token("1", 1.0)), "").status(),
        403
    );
}

/// Opens a stream, with the connection id of its welcome.
fn open(server: &Server, query: &str, headers: &str) -> (Stream, String) {
    let mut stream = Stream::open(server.address, query, headers);
    let welcome = stream.expect("welcome").data;
    let id = welcome["connection_id"].as_str().unwrap().to_owned();
    (stream, format!("/v1/connections/{id}/frames"))
}

#[test]
fn frames_are_posted_one_or_several_and_answered_in_their_order() {
    let (_database, server) = start(&[]);
    let ((mut stream, path), mut http) = (open(&server, "user_id=1", ""), server.http());
    let answer = http.post(&path, &json!({"type": "ping"}));
    assert_eq!(
        (answer.status, &answer.json()["replies"][0]["type"]),
        (200, &json!("pong")),
        "{}",
        answer.body
    );
    assert_eq!(http.post(&path, &json!([])).body, r#"{"replies":[]}"#);
    let answer = http.post(
        &path,
        &json!([
            {"type": "event", "kind": "view", "item_id": 7, "event_id": "a"},
            {"type": "ack", "offset": 0},
            {"type": "dance"},
            {"type": "events", "events": [{"kind": "view", "item_id": 7}, {"kind": "dance", "event_id": "b"}]},
            {"type": "ping"},
            {"type": "login", "user_id": 1},
            7,
            {"type": "mute", "of": "brand", "name": "Acme"},
        ]),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    let replies = answer.json()["replies"].as_array().unwrap().clone();
    let said: Vec<String> = replies
        .iter()
        .map(|reply| format!("{} {}", reply["type"].as_str().unwrap(), reply["code"].as_str().unwrap_or("-")))
        .collect();
    let expected = [
        "accepted -",
        "error bad_frame",
        "error unknown_kind",
        "accepted -",
        "pong -",
        "error already_logged_in",
        "error bad_frame",
        "muted -",
    ];
    assert_eq!(said, expected);
    assert_eq!(replies[0], json!({"type": "accepted", "event_id": "a", "duplicate": false}));
    assert_eq!(replies[2]["reply_to"], "b");
    assert_eq!((&replies[3]["accepted"], &replies[3]["duplicates"]), (&json!(1), &json!(0)));
    assert_eq!(http.get("/v1/users/1/profile").json()["events"], 2, "stored before they were answered");
    // Answers come in the response and nowhere else.
    send(&server, 1, "after");
    let mut kinds = Vec::new();
    loop {
        let event = stream.next().unwrap();
        if event.data["title"] == "after" {
            break;
        }
        kinds.push(event.kind);
    }
    assert!(kinds.iter().all(|kind| kind == "inbox" || kind == "recommendation"), "{kinds:?}");
}

#[test]
fn a_post_is_refused_as_a_whole_with_the_reason() {
    let (_database, server) = start(&["--set", "socket.max_frame_bytes=4096"]);
    let ((stream, path), mut http) = (open(&server, "user_id=1", ""), server.http());
    let mut refused = |method: &str, path: &str, body: &str, status: u16, code: &str| {
        let answer = http.send(method, path, "application/json", body.as_bytes()).unwrap();
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (status, Some(code)),
            "{body:.60}"
        );
    };
    let ping = r#"{"type":"ping"}"#;
    refused("POST", &path, "nonsense", 400, "bad_json");
    refused("POST", &path, &format!("[{ping}"), 400, "bad_json");
    refused("POST", &path, "7", 400, "bad_json");
    refused("POST", &path, "", 400, "bad_json");
    refused("POST", &path, &json!(vec![json!({"type": "ping"}); 129]).to_string(), 400, "too_many_frames");
    refused(
        "POST",
        &path,
        &format!(r#"[{ping},{{"type":"ping","x":"{}"}}]"#, "x".repeat(4_096)),
        413,
        "too_large",
    );
    for method in ["GET", "PUT", "DELETE"] {
        refused(method, &path, "", 405, "method_not_allowed");
    }
    for unknown in ["1", "AAAAAAAAAAAAAAAAAAAAAA", "%C3%A4"] {
        refused("POST", &format!("/v1/connections/{unknown}/frames"), ping, 404, "unknown_connection");
    }
    assert_eq!(http.post(&path, &json!({"type": "ping"})).status, 200);
    let mut elsewhere = http;
    elsewhere.headers.push(("Origin".into(), "https://evil.example".into()));
    assert_eq!(elsewhere.post(&path, &json!({"type": "ping"})).status, 403);
    // The id goes with its stream.
    drop(stream);
    let mut http = server.http();
    crate::helpers::server::wait_for("the stream to be forgotten", || {
        http.post(&path, &json!({"type": "ping"})).status == 404
    });
}

#[test]
fn the_id_of_a_connection_is_not_enough_to_post_to_it() {
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let (_database, server) = start(&["--set", "auth.mode=token", "--set", &format!("auth.secret={secret}")]);
    let token = |role, user: &str, days: f64| {
        let until = tidings::base::Timestamp::now().plus_days(days);
        tidings::privacy::token::issue(secret, role, user, until).unwrap()
    };
    let (user, service) = (tidings::privacy::Role::User, tidings::privacy::Role::Service);
    let own = token(user, "1", 1.0);
    let (_stream, path) = open(&server, "", &format!("Authorization: Bearer {own}\r\n"));
    let post = |path: &str, token: Option<String>| {
        let mut http: Http = server.http();
        http.headers.extend(token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}"))));
        http.post(path, &json!({"type": "ping"})).status
    };
    assert_eq!(post(&path, None), 401);
    assert_eq!(post(&path, Some(token(user, "1", -1.0))), 401);
    assert_eq!(post(&path, Some(token(user, "2", 1.0))), 403);
    assert_eq!(post(&path, Some(own.clone())), 200);
    assert_eq!(post(&path, Some(token(service, "shop", 1.0))), 200);
    assert_eq!(post(&format!("{path}?token={own}"), None), 200, "a page that is closing sets no header");
    assert_eq!(
        post("/v1/connections/AAAAAAAAAAAAAAAAAAAAAA/frames", None),
        401,
        "nothing is told to strangers"
    );
}

#[test]
fn a_page_of_a_configured_site_may_post_and_read_the_answer() {
    let (_database, server) = start(&["--set", "server.allowed_origins=[\"https://shop.example\"]"]);
    let (_stream, path) = open(&server, "user_id=1", "");
    let mut http = server.http();
    http.headers.push(("Origin".into(), "https://shop.example".into()));
    let preflight = http.send("OPTIONS", &path, "", b"").unwrap();
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    let answer = http.post(&path, &json!({"type": "ping"}));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
}
