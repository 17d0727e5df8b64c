//! The server behind proxies, balancers and other issuers of tokens: what they send, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::browser::Browser;
use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};

const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";

fn start(settings: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let server = Server::start(&database.url, &arguments);
    (database, server)
}

fn with_tokens(more: &[&str]) -> (TestDatabase, Server) {
    let secret = format!("auth.secret={SECRET}");
    let mut settings = vec!["auth.mode=token", &secret];
    settings.extend(more);
    start(&settings)
}

fn user_token() -> String {
    let until = Timestamp::now().plus_days(1.0);
    tidings::privacy::token::issue(SECRET, tidings::privacy::Role::User, "7", until).unwrap()
}

fn with(server: &Server, headers: &[(&str, &str)]) -> Http {
    let mut http = server.http();
    http.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    http
}

/// Sends a request as it is written and reads until the server closes the connection.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Answer to a handshake: its head, and the body of a refusal.
fn handshake(server: &Server, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let is_whole = |answer: &str| {
        answer
            .split_once("\r\n\r\n")
            .is_some_and(|(head, body)| head.starts_with("HTTP/1.1 101") || body.ends_with('}'))
    };
    while !is_whole(&answer) {
        let mut part = [0; 4_096];
        let length = stream.read(&mut part).unwrap();
        assert!(length > 0, "{answer}");
        answer += std::str::from_utf8(&part[..length]).unwrap();
    }
    answer
}

#[test]
fn a_page_s_own_origin_works_behind_a_trusted_proxy_and_a_stranger_s_headers_do_not() {
    let token = format!("Bearer {}", user_token());
    let event = json!({"kind": "search", "user_id": 7, "query": "mug"});
    let told = [
        ("Authorization", token.as_str()),
        ("Origin", "https://push.example"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Host", "push.example"),
        ("X-Forwarded-Proto", "https"),
    ];
    let lines: String = told[1..].iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    for backend in ["direct", "actix-web-actors"] {
        let backend = format!("socket.backend={backend}");
        let (_database, server) = with_tokens(&["server.trusted_proxies=127.0.0.1", &backend]);
        assert_eq!(with(&server, &told).post("/v1/events", &event).status, 202);
        assert!(handshake(&server, "/ws", &lines).starts_with("HTTP/1.1 101"));
        let standard =
            "Forwarded: for=203.0.113.9;host=push.example;proto=https\r\nOrigin: https://push.example\r\n";
        assert!(handshake(&server, "/ws", standard).starts_with("HTTP/1.1 101"));
        let other = lines.replace("Origin: https://push.example", "Origin: https://evil.example");
        assert!(handshake(&server, "/ws", &other).starts_with("HTTP/1.1 403"));
        let elsewhere = with(&server, &told).get("/v1/sse?user_id=8");
        assert_eq!(elsewhere.status, 403, "the origin is right, the token is not");
        assert_eq!(elsewhere.json()["error"]["code"], "not_permitted");

        let (_database, server) = with_tokens(&["server.trusted_proxies=192.0.2.0/24", &backend]);
        let refused = with(&server, &told).post("/v1/events", &event);
        assert_eq!(refused.status, 403);
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("server.trusted_proxies"), "{message}");
        let refused = handshake(&server, "/ws", &lines);
        assert!(
            refused.starts_with("HTTP/1.1 403") && refused.contains("server.trusted_proxies"),
            "{refused}"
        );
    }
}

#[test]
fn everything_is_there_below_the_base_path_whether_or_not_a_proxy_takes_it_off() {
    for backend in ["direct", "actix-web-actors"] {
        let (_database, server) =
            start(&["server.base_path=/shop/push", &format!("socket.backend={backend}")]);
        let mut http = server.http();
        for base in ["", "/shop/push"] {
            assert_eq!(http.get(&format!("{base}/healthz")).status, 200);
            assert_eq!(http.get(&format!("{base}/v1/items?limit=1")).json()["total"], 0);
            assert!(http.get(&format!("{base}/")).body.contains("<title>"), "the dashboard");
            assert_eq!(http.get(&format!("{base}/tidings.js")).status, 200, "the client");
            assert_eq!(
                http.get(&format!("{base}/demo/images/boot/1.svg")).status,
                200,
                "a picture of the demo"
            );
            assert!(handshake(&server, &format!("{base}/ws"), "").starts_with("HTTP/1.1 101"));
            assert_eq!(http.get(&format!("{base}/no/such/page")).status, 404);
        }
        let leads = http.get("/shop/push?from=mail");
        assert_eq!((leads.status, leads.header("location")), (308, Some("/shop/push/?from=mail")));
        assert_eq!(http.get("/shop/pushy/healthz").status, 404);
        assert_eq!(http.get("/shop/push/shop/push/healthz").status, 404, "once");
    }
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["serve", "--set", "server.base_path=shop/"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(
        text.contains("server.base_path (from flag)") && text.contains("did you mean \"/shop\"?"),
        "{text}"
    );
}

#[test]
fn an_idempotency_key_means_the_same_with_and_without_the_base_path() {
    let (_database, server) = start(&["server.base_path=/push"]);
    let mut http = with(&server, &[("Idempotency-Key", "once")]);
    let message = json!({"user_id": 7, "title": "Once"});
    let first = http.post("/v1/notifications", &message);
    let second = http.post("/push/v1/notifications", &message);
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
}

#[test]
fn the_dashboard_works_below_the_base_path() {
    let (_database, server) = start(&["server.base_path=/push"]);
    let item = json!({"item_id": 1, "title": "Mug", "image_url": "/demo/images/boot/1.svg"});
    assert_eq!(server.http().put("/v1/items", &item).status, 200);
    let mut browser = Browser::launch();
    browser.open(&format!("http://{}/push/#/try/7", server.address));
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    browser.wait_for("document.querySelector('#products [data-item-id]')");
    browser.wait_for("[...document.querySelectorAll('#products img')].some(image => image.naturalWidth > 0)");
    let below = browser.wait_for(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).filter(path => /\\/v1\\/|images|css|js$/.test(path))",
    );
    let below = below.as_array().unwrap();
    assert!(
        !below.is_empty() && below.iter().all(|path| path.as_str().unwrap().starts_with("/push/")),
        "{below:?}"
    );
}

fn head_of(response: &Response) -> Vec<String> {
    let kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or("").to_ascii_lowercase();
        name != "date"
    };
    let mut lines: Vec<String> = response.head.lines().filter(kept).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn head_is_answered_wherever_get_is_with_its_headers_and_no_body() {
    let (_database, server) = start(&[]);
    for path in [
        "/healthz",
        "/readyz",
        "/",
        "/tidings.js",
        "/v1/items",
        "/v1/users/7/inbox",
        "/admin/models",
        "/v1/items/none",
        "/ws",
    ] {
        let got = server.http().get(path);
        // Read to the end of the connection: a body would be seen.
        let answer = raw(
            &server,
            &format!("HEAD {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address),
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "", "{path}");
        let head = Response {
            status: 0,
            head: head.replace("connection: close\r\n", ""),
            body: String::new(),
            bytes: Vec::new(),
        };
        let wanted: Vec<String> = head_of(&got).into_iter().filter(|line| !line.is_empty()).collect();
        let found: Vec<String> = head_of(&head)
            .into_iter()
            .filter(|line| !line.is_empty() && !line.starts_with("connection"))
            .collect();
        assert_eq!(found, wanted, "{path}");
    }
    let metrics = raw(
        &server,
        &format!("HEAD /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address),
    );
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.ends_with("\r\n\r\n"), "{metrics}");
    let stream =
        format!("HEAD /v1/sse?user_id=7 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    let stream = raw(&server, &stream);
    assert!(stream.starts_with("HTTP/1.1 200") && stream.contains("text/event-stream"), "{stream}");
    assert!(stream.ends_with("\r\n\r\n"), "no stream is opened: {stream}");
}

#[test]
fn options_and_other_methods_are_answered_with_the_methods_that_there_are() {
    let (_database, server) = with_tokens(&["server.allowed_origins=https://shop.example"]);
    let mut http = server.http();
    for (path, allow) in [
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/tidings.js", "GET, HEAD, OPTIONS"),
        ("/v1/events", "OPTIONS, POST"),
        ("/v1/items/7", "DELETE, GET, HEAD, OPTIONS"),
        ("/admin/triggers/view", "GET, HEAD, OPTIONS, PUT"),
        ("*", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ] {
        let probe = http.send("OPTIONS", path, "", b"").unwrap();
        assert_eq!((probe.status, probe.header("allow")), (204, Some(allow)), "{path}, without a token");
        if path != "*" {
            let refused = http.send("BREW", path, "", b"").unwrap();
            assert_eq!((refused.status, refused.header("allow")), (405, Some(allow)), "{path}");
            assert_eq!(refused.json()["error"]["code"], "method_not_allowed");
        }
    }
    assert_eq!(http.get("/v1/events").status, 405);
    for path in ["/nothing", "/v1/nothing", "/admin/nothing", "/admin/triggers/a/b/c"] {
        assert_eq!(http.send("OPTIONS", path, "", b"").unwrap().status, 404, "{path}");
        assert_eq!(http.post(path, &Value::Null).status, 404, "{path}");
    }
    // HAProxy's check without a version of its own.
    let old = raw(&server, "OPTIONS / HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 204") || old.starts_with("HTTP/1.1 204"), "{old}");
    let preflight = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST")];
    let preflight = with(&server, &preflight).send("OPTIONS", "/v1/events", "", b"").unwrap();
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://shop.example"));
}

#[test]
fn an_idle_connection_is_kept_for_as_long_as_is_set() {
    let (_database, server) = start(&["server.keep_alive_s=7"]);
    let mut http = server.http();
    let begin = Instant::now();
    assert_eq!(http.get("/healthz").status, 200);
    // Longer than the five seconds of the framework.
    std::thread::park_timeout(Duration::from_millis(5_600));
    assert_eq!(http.get("/healthz").status, 200, "after {:?}", begin.elapsed());
    let last = Instant::now();
    wait_for("the connection to end", || {
        std::thread::park_timeout(Duration::from_millis(300));
        http.at_end()
    });
    assert!(last.elapsed() > Duration::from_secs(6), "{:?}", last.elapsed());
    assert!(last.elapsed() < Duration::from_secs(20), "{:?}", last.elapsed());
}

#[test]
fn slow_heads_and_slow_bodies_end() {
    let (_database, server) = start(&["server.header_timeout_ms=500", "server.body_timeout_ms=700"]);
    let begin = Instant::now();
    let head = raw(&server, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    let body = raw(
        &server,
        "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("server.body_timeout_ms"), "{body}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn tokens_of_other_issuers_are_accepted_over_http_and_on_sockets() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let signed = |claims: &Value| {
        let text = format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(claims.to_string()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        format!("{text}.{}", BASE64.encode(ring::hmac::sign(&key, text.as_bytes())))
    };
    let exp = Timestamp::now().as_seconds() as f64 + 3_600.5;
    let (_database, server) = with_tokens(&["auth.audiences=push,shop"]);
    let mine = signed(&json!({"sub": 7, "exp": exp, "aud": ["shop"], "iss": "accounts"}));
    for scheme in ["Bearer", "bearer"] {
        let mut http = with(&server, &[("Authorization", &format!("{scheme} {mine}"))]);
        assert_eq!(http.get("/v1/users/7/recommendations").status, 200, "{scheme}");
        assert_eq!(http.get("/v1/users/8/recommendations").status, 403, "{scheme}");
        assert_eq!(http.get("/admin/models").status, 403, "no role is the least one");
    }
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": mine}));
    assert_eq!(client.expect("welcome")["user_id"], 7);
    for (claims, code) in [
        (json!({"sub": 7, "exp": exp, "aud": "bank"}), "token_audience"),
        (json!({"sub": 7, "exp": exp, "nbf": exp - 60.0}), "token_not_yet_valid"),
        (json!({"sub": 7, "exp": exp - 7_200.0}), "token_expired"),
    ] {
        let answer = with(&server, &[("Authorization", &format!("Bearer {}", signed(&claims)))])
            .get("/v1/users/7/recommendations");
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (401, Some(code)), "{claims}");
    }
}
