//! The HTTP API as its clients see it: catalogue, errors, access, operation.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

#[test]
fn the_catalogue_can_be_filled_searched_and_emptied() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    let item = json!({"item_id": "A-1", "title": "Blue mug", "category": "Kitchen > Mugs", "tags": ["gift"], "price": 9.5, "currency": "EUR", "stock": 3, "url": "/p/1", "attributes": {"colour": "blue"}});
    assert_eq!(http.put("/v1/items", &item).json()["items"], 1);
    assert_eq!(http.put("/v1/items", &json!({"item_id": "A-1", "price": 8.0})).status, 200);
    let stored = http.get("/v1/items/A-1").json();
    assert_eq!(
        (stored["title"].as_str(), stored["price"].as_f64()),
        (Some("Blue mug"), Some(8.0)),
        "absent fields are kept"
    );
    assert_eq!(stored["category"], json!(["Kitchen", "Mugs"]));
    http.put("/v1/items", &json!([{"item_id": 2, "title": "Red mug", "category": "Kitchen"}, {"item_id": 3, "title": "Lamp", "category": "Light"}]));
    let found = http.get("/v1/items?q=mug").json();
    assert_eq!(found["total"], 2);
    assert_eq!(found["categories"], json!([{"name": "Kitchen", "count": 2}]));
    // A new item is recommended for its content at once.
    let similar = http.get("/v1/items/A-1/similar").json();
    assert_eq!(similar["items"][0]["title"], "Red mug");
    partly_bad_updates(&mut http);
    assert_eq!(http.delete("/v1/items/2").status, 204);
    assert_eq!(http.get("/v1/items/2").status, 404);
    assert_eq!(http.delete("/v1/items/2").status, 404);
    // An open product page still reports views of it.
    assert_eq!(
        http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 2})).json()["accepted"],
        1
    );
    assert_eq!(http.get("/v1/items/2").status, 404, "deleted stays deleted");
    http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 77}));
    assert_eq!(http.get("/v1/items/77").status, 200, "named by an event");
}

/// The good items of an update are taken, the bad ones named; `null` clears.
fn partly_bad_updates(http: &mut Http) {
    let mut items: Vec<Value> =
        (1_000..6_000).map(|id| json!({"item_id": id, "title": "Part", "price": 2.0, "stock": 1})).collect();
    items[4_321]["stock"] = json!(-1);
    items[7]["titel"] = json!("Part");
    let partly = http.put("/v1/items", &Value::Array(items));
    let answer = partly.json();
    assert_eq!((partly.status, answer["items"].as_u64()), (200, Some(4_998)), "{answer}");
    let named = |place: usize| {
        let rejected = &answer["rejected"][place];
        (rejected["index"].as_u64().unwrap(), rejected["code"].clone(), rejected["field"].clone())
    };
    assert_eq!(named(0), (7, json!("unknown_field"), json!("titel")));
    assert!(answer["rejected"][0]["message"].as_str().unwrap().ends_with("did you mean title?"), "{answer}");
    assert_eq!(named(1), (4_321, json!("bad_item"), json!("stock")));
    assert_eq!(http.get("/v1/items/1000").status, 200);
    assert_eq!(http.get("/v1/items/5321").status, 404);
    let cleared = json!([{"item_id": 1_000, "price": null, "stock": null, "category": "A"}, {"item_id": 1_000, "stock": 4}]);
    assert_eq!(http.put("/v1/items", &cleared).status, 200);
    let stored = http.get("/v1/items/1000").json();
    assert_eq!(
        (&stored["price"], &stored["stock"], &stored["title"]),
        (&Value::Null, &json!(4), &json!("Part"))
    );
    assert_eq!(
        http.put("/v1/items", &json!({"item_id": 1_000, "title": null, "category": null})).status,
        200
    );
    let stored = http.get("/v1/items/1000").json();
    assert_ne!(stored["title"], "Part", "{stored}");
    for (body, code, field) in [
        (json!({"item_id": 1, "Price": 3}), "unknown_field", "Price"),
        (json!([{"item_id": 1, "title": "a\u{0}"}]), "bad_item", "title"),
        (json!({"item_id": "a\u{0}"}), "bad_id", "item_id"),
    ] {
        let refused = http.put("/v1/items", &body);
        let error = &refused.json()["error"];
        assert_eq!(
            (refused.status, &error["code"], &error["field"]),
            (400, &json!(code), &json!(field)),
            "{body}"
        );
    }
}

#[test]
fn out_of_stock_and_bought_items_are_not_recommended() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    let items: Value = (1..=8).map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "stock": if id == 8 { 0 } else { 5 }, "consumable": id == 2})).collect();
    http.put("/v1/items", &items);
    http.post("/v1/events", &json!([{"kind": "purchase", "user_id": 1, "item_id": 1}, {"kind": "purchase", "user_id": 1, "item_id": 2}]));
    let list = http.get("/v1/users/1/recommendations?n=20").json();
    let mut ids: Vec<i64> =
        list["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_tab_left_open_over_night_is_not_a_night_of_reading() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 2, "dwell_ms": 8 * 3_600_000}));
    let profile = http.get("/v1/users/1/profile").json();
    assert_eq!(profile["features"]["browsing_minutes_per_month"], 30.0);
    assert!(http.get("/metrics").body.contains("tidings_events_winsorised_total 1"));
}

#[test]
fn ndjson_and_broken_bodies_are_told_apart() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "server.max_body_bytes=2000"]);
    let mut http = server.http();
    let body = b"{\"kind\":\"view\",\"user_id\":1,\"item_id\":2}\nnonsense\n{\"kind\":\"view\",\"user_id\":1,\"item_id\":3}\n";
    let answer = http.send("POST", "/v1/events", "application/x-ndjson", body).unwrap().json();
    assert_eq!(answer["accepted"], 2);
    assert_eq!(
        (answer["rejected"][0]["index"].as_i64(), answer["rejected"][0]["code"].as_str()),
        (Some(1), Some("bad_json"))
    );
    // Of which nothing is accepted, and everything named.
    let body = b"nonsense\n{\"kind\":\"view\",\"user_id\":1}\n";
    let refused = http.send("POST", "/v1/events", "application/x-ndjson", body).unwrap();
    let answer = refused.json();
    assert_eq!((refused.status, &answer["error"]["code"]), (400, &json!("bad_json")), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("none of the 2 events"), "{answer}");
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["field"]), (&json!(0), &Value::Null));
    assert_eq!(
        (&answer["rejected"][1]["index"], &answer["rejected"][1]["field"]),
        (&json!(1), &json!("item_id"))
    );
    for (body, code) in [("", "bad_json"), ("[]", "empty"), ("7", "bad_json"), ("{", "bad_json")] {
        let answer = http.send("POST", "/v1/events", "application/json", body.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str().unwrap()), (400, code), "{body}");
    }
    let large = http.send("POST", "/v1/events", "application/json", &[b' '; 3000]).unwrap();
    assert_eq!(large.status, 413);
    assert_eq!(large.json()["error"]["code"], "too_large");
}

#[test]
fn with_tokens_on_each_role_may_do_its_own() {
    let database = TestDatabase::new();
    let server = Server::start(
        &database.url,
        &["--set", "auth.mode=token", "--set", &format!("auth.secret={SECRET}")],
    );
    let (user, service, admin) = (
        token(&["--role", "user", "--user", "17"]),
        token(&["--role", "service"]),
        token(&["--role", "admin"]),
    );
    let status = |token: Option<&str>, method: &str, path: &str, body: &str| {
        let mut http = server.http();
        http.headers.extend(token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}"))));
        http.send(method, path, "application/json", body.as_bytes()).unwrap().status
    };
    for (path, none, as_user, as_service, as_admin) in [
        ("/healthz", 200, 200, 200, 200),
        ("/v1/users/17/recommendations", 401, 200, 200, 200),
        ("/v1/users/18/recommendations", 401, 403, 200, 200),
        ("/metrics", 401, 403, 200, 200),
        ("/admin/metrics", 401, 403, 403, 200),
    ] {
        let got = [
            status(None, "GET", path, ""),
            status(Some(&user), "GET", path, ""),
            status(Some(&service), "GET", path, ""),
            status(Some(&admin), "GET", path, ""),
        ];
        assert_eq!(got, [none, as_user, as_service, as_admin], "{path}");
    }
    assert_eq!(status(Some(&user), "PUT", "/v1/items", r#"{"item_id":1}"#), 403);
    assert_eq!(status(Some("nonsense"), "GET", "/admin/metrics", ""), 401);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": 17}));
    assert_eq!(client.close_code(), 3500);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": 18, "token": user}));
    assert_eq!(client.close_code(), 3507);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": user}));
    assert_eq!(client.expect("welcome")["user_id"], 17);
}

#[test]
fn pages_of_other_sites_and_foreign_host_names_are_refused() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    http.headers.push(("Origin".to_owned(), "https://evil.example".to_owned()));
    let refused = http.post("/admin/retrain", &Value::Null);
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str().unwrap()),
        (403, "origin_not_allowed")
    );
    let mut http = server.http();
    http.headers.push(("Origin".to_owned(), "https://evil.example".to_owned()));
    assert_eq!(http.get("/ws").status, 403);
    let mut raw = std::net::TcpStream::connect(server.address).unwrap();
    use std::io::{Read, Write};
    raw.write_all(b"GET /admin/metrics HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn operators_find_health_metrics_and_a_dashboard() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    assert_eq!(http.get("/healthz").status, 200);
    assert_eq!(http.get("/readyz").json()["status"], "ready");
    let metrics = http.get("/metrics").body;
    assert!(
        metrics.contains("# TYPE tidings_events_total counter") && !metrics.contains("# EOF"),
        "{metrics}"
    );
    http.headers.push(("Accept".to_owned(), "application/openmetrics-text; version=1.0.0".to_owned()));
    let open = http.get("/metrics");
    http.headers.clear();
    assert!(open.body.contains("# TYPE tidings_events counter") && open.body.ends_with("# EOF\n"));
    let page = http.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self'"));
    assert_eq!(http.get("/no/such/page").status, 404);
    assert_eq!(http.get("/v1/nothing").json()["error"]["code"], "not_found");
    drop(database);
    // Without its database the server lives, and says that it can't serve.
    wait_for("readyz to notice", || http.get("/readyz").status == 503);
    assert_eq!(http.get("/healthz").status, 200);
    let answer = http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 1}));
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_training_is_single_flight_and_can_be_cancelled() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    let events: Vec<Value> = (0..10_000).map(|n| json!({"kind": "purchase", "user_id": n % 500, "item_id": (n * 31) % 400, "occurred_at": 1_750_000_000 + n * 60})).collect();
    assert_eq!(http.post("/v1/events", &json!(events)).json()["accepted"], 10_000);
    let first = http.post("/admin/retrain", &Value::Null).json();
    assert_eq!(http.post("/admin/retrain", &Value::Null).json(), first, "one at a time");
    let path = format!("/admin/jobs/{}", first["job"].as_str().unwrap());
    let cancelled = http.delete(&path).status;
    wait_for("the end of the job", || http.get(&path).json()["state"] != "running");
    let job = http.get(&path).json();
    // It may have been done before the request came; then that is said.
    match job["state"].as_str() {
        Some("cancelled") => assert_eq!(cancelled, 202),
        Some("succeeded") => assert!(cancelled == 202 || cancelled == 409, "{cancelled}"),
        _ => panic!("{job}"),
    }
    let job = server.retrain();
    assert_eq!(job["state"], "succeeded", "{job}");
    let version = http.get("/admin/models").json()["active"].as_i64().unwrap();
    assert_eq!(
        http.post(&format!("/admin/models/{version}/activate"), &Value::Null).json()["active"],
        version
    );
    assert_eq!(http.post("/admin/models/99/activate", &Value::Null).status, 404);
    assert_eq!(http.get("/admin/jobs/0190a5c8-0000-7000-8000-000000000000").status, 404);
}

#[test]
fn an_empty_server_fails_a_training_with_a_clear_reason() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let job = server.retrain();
    assert_eq!(job["state"], "failed");
    assert!(job["message"].as_str().unwrap().contains("not enough data"), "{job}");
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(arguments)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        )
    };
    let (code, text) = run(&["serve", "--listen", "0.0.0.0:0"], &[]);
    assert_eq!(code, 2);
    assert!(text.contains("auth.mode"), "{text}");
    let (code, text) = run(&["config"], &[("TIDINGS_SOCKET_PING_MS", "1000")]);
    assert_eq!(code, 0);
    let line = text.lines().find(|line| line.starts_with("socket.ping_ms")).unwrap();
    assert!(line.contains("1000") && line.ends_with("environment"), "{line}");
    let (code, text) = run(&["serve", "--set", "socket.png_ms=1"], &[]);
    assert_eq!(code, 2);
    assert!(text.contains("socket.png_ms"), "{text}");
    let (code, text) = run(&["serve"], &[("DATABASE_URL", "postgres://nobody:hunter2@127.0.0.1:1/none")]);
    assert_eq!(code, 1);
    assert!(!text.contains("hunter2"), "{text}");
    for command in ["serve", "demo", "import", "train", "evaluate", "simulate", "token", "config", "migrate"]
    {
        let (code, text) = run(&[command, "--help"], &[]);
        assert_eq!(code, 0, "{command}");
        assert!(text.contains("Usage: tidings"), "{command}");
    }
}
