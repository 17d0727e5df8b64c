//! Rates by address, user and service, and for refused tokens, over real sockets; and who is never in their way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

fn start(settings: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let secret = format!("auth.secret={SECRET}");
    let mut settings = settings.to_vec();
    settings.extend(["auth.mode=token", &secret]);
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let server = Server::start(&database.url, &arguments);
    (database, server)
}

fn with(server: &Server, headers: &[(&str, &str)]) -> Http {
    let mut http = server.http();
    http.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    http
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn code(response: &Response) -> String {
    response.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn assert_refused(response: &Response, policy: &str) {
    assert_eq!((response.status, code(response)), (429, "rate_limited".to_owned()), "{}", response.body);
    let retry_after: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{}", response.head);
    let left = response.header("ratelimit").unwrap();
    assert!(left.starts_with(&format!("\"{policy}\";r=0;t=")), "{left}");
    assert!(response.header("ratelimit-policy").unwrap().starts_with(&format!("\"{policy}\";q=")));
    assert!(response.body.contains("limits."), "{}", response.body);
}

#[test]
fn refused_tokens_are_answered_429_after_some_and_good_ones_as_ever() {
    let (_database, server) = start(&["limits.failures_per_min=20"]);
    let bad = bearer("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwiZXhwIjo5OTk5OTk5OTk5fQ.AAAA");
    let mut http = with(&server, &[("Authorization", &bad)]);
    let mut statuses = std::collections::BTreeMap::new();
    let mut last = None;
    for n in 0..500 {
        let path = ["/v1/items", "/v1/users/1/inbox", "/admin/metrics"][n % 3];
        let response = http.get(path);
        *statuses.entry(response.status).or_insert(0) += 1;
        last = Some(response);
    }
    assert!(statuses[&401] <= 30 && statuses[&429] >= 470, "{statuses:?}");
    assert_refused(&last.unwrap(), "failures");
    // In the query, for streams, it is the same token.
    assert_eq!(server.http().get("/v1/sse?user_id=1&token=nonsense").status, 429);
    for (arguments, path) in [
        (&["--role", "user", "--user", "1"][..], "/v1/users/1/inbox"),
        (&["--role", "service"], "/v1/items"),
        (&["--role", "admin"], "/admin/metrics"),
    ] {
        let mut http = with(&server, &[("Authorization", &bearer(&token(arguments)))]);
        assert_eq!(http.get(path).status, 200, "{path}");
    }
    // Nobody in particular is still told what is missing.
    assert_eq!(code(&server.http().get("/v1/items")), "token_missing");
}

#[test]
fn a_user_has_a_rate_for_reading_and_one_for_changing_and_a_service_has_none() {
    let (_database, server) = start(&["limits.user_per_s=2"]);
    let mut user = with(&server, &[("Authorization", &bearer(&token(&["--role", "user", "--user", "1"])))]);
    let first = user.get("/v1/users/1/inbox");
    assert_eq!(first.header("ratelimit-policy"), Some("\"user\";q=20;w=10"));
    assert_eq!(first.header("ratelimit"), Some("\"user\";r=19;t=1"));
    let mut refused = None;
    for _ in 0..100 {
        let response = user.get("/v1/users/1/inbox");
        if response.status == 429 {
            refused = Some(response);
            break;
        }
    }
    assert_refused(&refused.unwrap(), "user");
    let event = json!({"kind": "search", "query": "x"});
    assert_eq!(user.post("/v1/events", &event).status, 202, "changing is counted apart");
    let other = bearer(&token(&["--role", "user", "--user", "2"]));
    assert_eq!(with(&server, &[("Authorization", &other)]).get("/v1/users/2/inbox").status, 200);
    let mut service = with(&server, &[("Authorization", &bearer(&token(&["--role", "service"])))]);
    let batch: Value = (0..20).map(|n| json!({"kind": "view", "user_id": n, "item_id": 1})).collect();
    for _ in 0..300 {
        let response = service.post("/v1/events", &batch);
        assert_eq!((response.status, response.header("ratelimit")), (202, None), "{}", response.body);
    }
}

#[test]
fn a_service_may_be_given_a_rate_under_its_name() {
    let (_database, server) = start(&["limits.service_per_s=1"]);
    let named = |name: &str| bearer(&token(&["--role", "service", "--user", name]));
    let mut shop = with(&server, &[("Authorization", &named("shop"))]);
    let refused = (0..50).map(|_| shop.get("/v1/items")).find(|response| response.status == 429);
    assert_refused(&refused.unwrap(), "service");
    assert_eq!(with(&server, &[("Authorization", &named("erp"))]).get("/v1/items").status, 200);
}

#[test]
fn strangers_are_counted_by_the_address_that_a_trusted_proxy_tells_and_an_ipv6_network_is_one() {
    let (_database, server) = start(&["limits.address_per_s=2", "server.trusted_proxies=127.0.0.1"]);
    let get = |address: &str, path: &str| with(&server, &[("X-Forwarded-For", address)]).get(path);
    for path in ["/v1/items", "/healthz", "/", "/v1/nothing"] {
        for address in ["203.0.113.7", "2001:db8:1:2::1"] {
            let other = |n: usize| match address.contains(':') {
                true => format!("2001:db8:1:2::{n:x}"),
                false => address.to_owned(),
            };
            let refused = (0..100).map(|n| get(&other(n), path)).find(|response| response.status == 429);
            assert_refused(&refused.unwrap(), "address");
        }
    }
    assert_eq!(get("203.0.113.8", "/healthz").status, 200);
    assert_eq!(get("2001:db8:1:3::1", "/healthz").status, 200);
    // The shop's own backend comes through, from wherever.
    let service = bearer(&token(&["--role", "service"]));
    let mut http = with(&server, &[("X-Forwarded-For", "203.0.113.7"), ("Authorization", &service)]);
    assert!((0..100).all(|_| http.get("/v1/items").status == 200));
    // This machine is not counted.
    let mut own = server.http();
    assert!((0..300).all(|_| own.get("/healthz").status == 200));
}

#[test]
fn a_token_that_no_route_reads_does_not_switch_the_rate_of_its_address_off() {
    let (_database, server) = start(&["limits.address_per_s=2", "server.trusted_proxies=127.0.0.1"]);
    let body = json!({"token": "a.b.c", "outcome": "clicked"});
    let service = bearer(&token(&["--role", "service"]));
    for (n, (method, path)) in [
        ("GET", "/v1/webpush/key"),
        ("POST", "/v1/webpush/reports"),
        ("GET", "/v1/people/sign-in"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/items?unknown=1"),
        ("GET", "/v1/items"),
        ("PUT", "/v1/events"),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("203.0.113.{n}");
        let mut stranger = with(&server, &[("X-Forwarded-For", &address), ("Authorization", "x")]);
        let mut send = || match method {
            "GET" => stranger.get(path),
            "POST" => stranger.post(path, &body),
            _ => stranger.put(path, &body),
        };
        let refused = (0..100).map(|_| send()).find(|response| response.status == 429);
        let refused = refused.unwrap_or_else(|| panic!("{method} {path} is never refused: {}", send().head));
        assert_refused(&refused, "address");
        let mut http = with(&server, &[("X-Forwarded-For", &address), ("Authorization", &service)]);
        let answers: Vec<Response> = (0..30).map(|_| http.get("/v1/items")).collect();
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.header("ratelimit").is_none()));
    }
}

/// Head of the answer to a handshake of a client behind the proxy.
fn handshake(server: &Server, address: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: {address}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[test]
fn new_connections_have_a_rate_by_address() {
    for backend in ["direct", "actix-web-actors"] {
        let backend = format!("socket.backend={backend}");
        let (_database, server) =
            start(&["limits.connections_per_s=1", "server.trusted_proxies=127.0.0.1", &backend]);
        let heads: Vec<String> = (0..20).map(|_| handshake(&server, "203.0.113.7")).collect();
        let upgraded = heads.iter().filter(|head| head.starts_with("http/1.1 101")).count();
        assert!((10..=15).contains(&upgraded), "{heads:?}");
        let refused = heads.last().unwrap();
        assert!(refused.starts_with("http/1.1 429") && refused.contains("retry-after: "), "{refused}");
        assert!(handshake(&server, "203.0.113.8").starts_with("http/1.1 101"));
    }
}

#[test]
fn refused_logins_of_sockets_close_the_door_to_their_address() {
    let (_database, server) = start(&["limits.failures_per_min=5", "server.trusted_proxies=127.0.0.1"]);
    // Of this machine they count as well, and close nothing: a proxy may hide others behind it.
    for _ in 0..10 {
        let mut client = Client::connect(server.address);
        client.send(&json!({"type": "login", "token": "nonsense"}));
        assert_eq!(client.close_code(), 3500);
    }
    let mut bad = with(&server, &[("Authorization", "Bearer nonsense")]);
    assert_eq!(bad.get("/v1/items").status, 429);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": token(&["--role", "user", "--user", "1"]), "device": "t"}));
    client.expect("welcome");
    // A stranger's do.
    let mut stranger =
        with(&server, &[("X-Forwarded-For", "203.0.113.7"), ("Authorization", "Bearer nonsense")]);
    wait_for("refusals", || stranger.get("/v1/items").status == 429);
    let refused = handshake(&server, "203.0.113.7");
    assert!(refused.starts_with("http/1.1 429") && refused.contains("\"failures\";r=0"), "{refused}");
    assert!(handshake(&server, "203.0.113.8").starts_with("http/1.1 101"));
}
