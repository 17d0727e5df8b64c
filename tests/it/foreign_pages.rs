//! What a page of another site can make a browser ask, and the headers that keep answers to whom they are for.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::event_stream::EventStream as Stream;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::Server;
use crate::helpers::tokens::{SECRET, token};

fn start(settings: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let server = Server::start(&database.url, &arguments);
    (database, server)
}

fn with(server: &Server, headers: &[(&str, &str)]) -> Http {
    let mut http = server.http();
    http.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    http
}

/// A request of each route that takes no identifiers of its own.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("GET", "/v1/sse?user_id=1", Value::Null),
        ("GET", "/v1/recommendations", Value::Null),
        ("GET", "/v1/users/1/recommendations", Value::Null),
        ("GET", "/v1/users/1/profile", Value::Null),
        ("GET", "/v1/users/1/inbox", Value::Null),
        ("GET", "/v1/items", Value::Null),
        ("GET", "/admin/users", Value::Null),
        ("GET", "/admin/metrics", Value::Null),
        ("GET", "/metrics", Value::Null),
        ("POST", "/v1/events", json!({"kind": "view", "user_id": 1, "item_id": 1})),
        ("POST", "/v1/users/1/inbox/read", json!({"all": true})),
        ("POST", "/admin/retrain", Value::Null),
        ("PUT", "/v1/items", json!([{"item_id": 1}])),
        ("DELETE", "/v1/items/1", Value::Null),
        ("POST", "/", Value::Null),
    ]
}

#[test]
fn a_page_of_another_site_can_make_a_browser_ask_nothing_of_anybody() {
    let (_database, server) = start(&[]);
    // Pictures, frames, links and forms: no `Origin`, or that of the page; another port of this machine is another page.
    let pages: [&[(&str, &str)]; 6] = [
        &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
        &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
        &[("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "no-cors")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
    ];
    for headers in pages {
        for (method, path, body) in requests() {
            let mut page = with(&server, headers);
            let answer = page.send(method, path, "application/json", body.to_string().as_bytes()).unwrap();
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
        }
        let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        assert_eq!(Stream::open(server.address, "user_id=1", &extra).status(), 403, "{headers:?}");
        assert_eq!(with(&server, headers).get("/ws").status, 403);
    }
    assert!(server.http().get("/admin/sessions").json()["sessions"].as_array().is_none_or(Vec::is_empty));
    // The server's own pages, an address that was typed, and programs that are no browsers; and a link to the dashboard.
    for headers in [&[("Sec-Fetch-Site", "same-origin")][..], &[("Sec-Fetch-Site", "none")], &[]] {
        assert_eq!(with(&server, headers).get("/v1/items").status, 200, "{headers:?}");
    }
    assert_eq!(with(&server, &[("Sec-Fetch-Site", "cross-site")]).get("/").status, 200);
}

#[test]
fn a_page_of_a_configured_site_asks_with_its_origin() {
    let (_database, server) = start(&["server.allowed_origins=https://shop.example"]);
    let cross = ("Sec-Fetch-Site", "cross-site");
    let mut shop = with(&server, &[cross, ("Origin", "https://shop.example")]);
    let answer = shop.get("/v1/items");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://shop.example"))
    );
    assert_eq!(with(&server, &[cross]).get("/v1/items").status, 403, "a picture on its pages");
}

#[test]
fn answers_carry_the_headers_that_keep_them_to_whom_they_are_for() {
    let secret = format!("auth.secret={SECRET}");
    let (_database, server) = start(&["auth.mode=token", &secret, "server.trusted_proxies=127.0.0.1"]);
    let service = format!("Bearer {}", token(&["--role", "service"]));
    let by_tls = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "push.example")];
    let mut shop = with(&server, &[("Authorization", &service)]);
    let mut secure = with(&server, &by_tls);
    let answers: Vec<(&str, Response)> = vec![
        ("an answer", shop.get("/v1/items")),
        ("an inbox", shop.get("/v1/users/1/inbox")),
        (
            "an answer to a change",
            shop.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 1})),
        ),
        ("a refusal", shop.post("/v1/events", &json!("nonsense"))),
        ("no token", server.http().get("/v1/items")),
        ("no path", shop.get("/v1/nothing")),
        ("another page", with(&server, &[("Origin", "https://evil.example")]).get("/v1/items")),
        ("a page", server.http().get("/")),
        ("by TLS", secure.get("/")),
    ];
    for (what, answer) in &answers {
        let has = |name: &str, part: &str| answer.header(name).is_some_and(|value| value.contains(part));
        assert!(has("x-content-type-options", "nosniff"), "{what}: {}", answer.head);
        assert!(has("content-security-policy", "default-src 'self'"), "{what}: {}", answer.head);
        assert!(has("content-security-policy", "frame-ancestors 'none'"), "{what}: {}", answer.head);
        let is_page = ["a page", "by TLS"].contains(what);
        assert!(
            has("cache-control", if is_page { "no-cache" } else { "no-store" }),
            "{what}: {}",
            answer.head
        );
        assert_eq!(answer.header("strict-transport-security").is_some(), *what == "by TLS", "{what}");
    }
    let page = server.http().get("/");
    for (name, part) in [
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("permissions-policy", "camera=()"),
    ] {
        assert!(page.header(name).is_some_and(|value| value.contains(part)), "{name}: {}", page.head);
    }
}
