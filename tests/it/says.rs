//! Who may say what: what users' clients report, and what the shop asserts.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::event_stream::EventStream;
use crate::helpers::http::Http;
use crate::helpers::server::Server;
use crate::helpers::tokens::{SECRET, token};

/// A server with tokens and items 101…110, and the shop's connection to it.
fn shop(more: &[&str]) -> (TestDatabase, Server, Http) {
    let database = TestDatabase::new();
    let secret = format!("auth.secret={SECRET}");
    let mut arguments = vec!["--set", "auth.mode=token", "--set", &secret];
    arguments.extend(more);
    let server = Server::start(&database.url, &arguments);
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {}", token(&["--role", "admin"]))));
    let items: Value = (101..=110)
        .map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "category": "Mugs", "price": 10.0}))
        .collect();
    assert_eq!(http.put("/v1/items", &items).status, 200);
    (database, server, http)
}

/// A user's connection, and its token.
fn user(server: &Server, id: &str) -> (Http, String) {
    let token = token(&["--role", "user", "--user", id]);
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    (http, token)
}

/// The code of the first refusal.
fn refusal(answer: &Value) -> (&str, &str) {
    let first = &answer["rejected"][0];
    (first["code"].as_str().unwrap_or(""), first["field"].as_str().unwrap_or(""))
}

#[test]
fn a_client_reports_what_its_user_did_lately_with_items_that_exist() {
    let (_database, server, mut shop) = shop(&[]);
    let (mut http, token) = user(&server, "7");
    let old = json!([{"kind": "view", "item_id": 101, "occurred_at": "2003-05-01T00:00:00Z"}]);
    let answer = http.post("/v1/events", &old);
    assert_eq!((answer.status, refusal(&answer.json())), (400, ("too_old", "occurred_at")));
    let advert = json!({"kind": "like", "item_id": "BUY-NOW-example.com"});
    assert_eq!(refusal(&http.post("/v1/events", &advert).json()), ("unknown_item", "item_id"));
    let recent = json!([{"kind": "view", "item_id": 101}, {"kind": "view", "item_id": 102, "dwell": 2400}]);
    let answer = http.post("/v1/events", &recent).json();
    assert_eq!((answer["accepted"].as_i64(), refusal(&answer)), (Some(1), ("unknown_field", "dwell")));
    assert!(
        answer["rejected"][0]["message"].as_str().unwrap().ends_with("did you mean dwell_ms?"),
        "{answer}"
    );
    let nul = json!({"kind": "search", "query": "a\u{0}b"});
    assert_eq!(refusal(&http.post("/v1/events", &nul).json()), ("bad_text", "query"));

    // The same on a socket, each event by itself.
    let mut socket = Client::connect(server.address);
    socket.send(&json!({"type": "login", "token": token}));
    socket.expect("welcome");
    let told = |event: Value| json!({"type": "events", "events": [event, {"kind": "view", "item_id": 103}]});
    for (event, code) in [
        (old[0].clone(), "too_old"),
        (advert.clone(), "unknown_item"),
        (recent[1].clone(), "unknown_field"),
        (nul.clone(), "bad_text"),
    ] {
        socket.send(&told(event));
        assert_eq!(socket.expect("error")["code"], code);
        assert_eq!(socket.expect("accepted")["accepted"], 1);
    }
    socket.send(&json!({"type": "mute", "of": "item", "name": "a\u{0}"}));
    assert_eq!(socket.expect("error")["type"], "error");
    socket.send(&json!({"type": "feedback", "notification_id": "0190a5c8-0000-7000-8000-000000000000",
        "outcome": "converted"}));
    assert_eq!(socket.expect("error")["code"], "bad_outcome");
    // And on a stream of events, by the token of the request.
    let mut stream = EventStream::open(server.address, &format!("token={token}"), "");
    let key = stream.expect("welcome").data["connection_id"].as_str().unwrap().to_owned();
    let frame = json!({"type": "event", "kind": "like", "item_id": "BUY-NOW-example.com"});
    let path = format!("/v1/connections/{key}/frames");
    assert_eq!(http.post(&path, &frame).json()["replies"][0]["code"], "unknown_item");
    assert_eq!(shop.post(&path, &frame).json()["replies"][0]["type"], "accepted", "the shop may");

    // The shop asserts: history, and items that nobody knew. What only events have named is never recommended.
    let history =
        json!([{"kind": "view", "user_id": 7, "item_id": "nan", "occurred_at": "2003-05-01T00:00:00Z"}]);
    assert_eq!(shop.post("/v1/events", &history).json()["accepted"], 1);
    let bought: Value = (0..40)
        .map(|n| json!({"kind": "purchase", "user_id": 100 + n, "item_id": "nan", "value": 5}))
        .collect();
    assert_eq!(shop.post("/v1/events", &bought).json()["accepted"], 40);
    for path in
        ["/v1/users/7/recommendations?n=20", "/v1/users/9/recommendations?n=20", "/v1/items/101/similar?n=20"]
    {
        let list = shop.get(path).json();
        let items = list["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.iter().all(|item| item["item_id"].is_i64()), "{path}: {list}");
    }
}

#[test]
fn what_a_client_says_it_bought_is_a_claim_until_the_shop_confirms_it() {
    let (_database, server, mut shop) = shop(&[]);
    let (mut http, token) = user(&server, "7");
    let mut socket = Client::connect(server.address);
    socket.send(&json!({"type": "login", "token": token}));
    let items = socket.expect("recommendation")["items"].clone();
    let item = &items[0]["item_id"];
    let converted = |shop: &mut Http| {
        let overall = shop.get("/admin/outcomes?by=trigger").json()["overall"].clone();
        (overall["converted"].as_i64().unwrap(), overall["revenue"].as_f64().unwrap())
    };
    let claim = json!({"kind": "purchase", "item_id": item, "value": 1e9, "quantity": 1e9, "order_id": "o-1",
        "event_id": "o-1/1"});
    assert_eq!(http.post("/v1/events", &claim).json()["accepted"], 1);
    let mut frame = claim.clone();
    frame["type"] = json!("event");
    frame["event_id"] = json!("o-1/2");
    socket.send(&frame);
    socket.expect("accepted");
    assert_eq!(converted(&mut shop), (0, 0.0));
    let profile = shop.get("/v1/users/7/profile").json();
    assert_eq!(profile["features"]["purchases_per_month"], 0.0, "{profile}");
    // Under the same event_id the shop says what was paid.
    let paid = json!({"kind": "purchase", "user_id": 7, "item_id": item, "value": 12.5, "currency": "EUR",
        "order_id": "o-1", "event_id": "o-1/1"});
    let answer = shop.post("/v1/events", &paid).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(0)));
    assert_eq!(shop.post("/v1/events", &paid).json()["duplicates"], 1);
    assert_eq!(converted(&mut shop), (1, 12.5));
    // Nor does a client take it back.
    let back = json!({"kind": "return", "item_id": item, "value": 12.5, "order_id": "o-1"});
    assert_eq!(http.post("/v1/events", &back).json()["accepted"], 1);
    assert_eq!(converted(&mut shop), (1, 12.5));
}

#[test]
fn settings_say_whose_events_may_name_new_items() {
    let new = json!({"kind": "view", "user_id": 7, "item_id": "new"});
    for (from, shops, users) in [("never", 0, 0), ("anyone", 1, 1)] {
        let (_database, server, mut shop) = shop(&["--set", &format!("catalogue.from_events={from}")]);
        let (mut http, _) = user(&server, "7");
        assert_eq!(http.post("/v1/events", &new).json()["accepted"], users, "{from}");
        assert_eq!(shop.post("/v1/events", &new).json()["accepted"], shops, "{from}");
    }
}

#[test]
fn unknown_parameters_and_nul_are_refused_with_their_names() {
    let (_database, _server, mut shop) = shop(&[]);
    for (path, field) in [
        ("/v1/items?categry=Mugs", "categry"),
        ("/v1/items/101?lang=de", "lang"),
        ("/v1/users/7/inbox?limt=3", "limt"),
        ("/v1/users/7/profile?full=1", "full"),
        ("/v1/notifications?sate=sent", "sate"),
        ("/admin/users?prefix=7", "prefix"),
        ("/admin/decisions?user=7", "user"),
        ("/admin/metrics?days=3", "days"),
        ("/admin/outcomes?day=3", "day"),
    ] {
        let answer = shop.get(path);
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["code"], &error["field"]),
            (400, &json!("unknown_parameter"), &json!(field))
        );
    }
    for (method, path, body, field) in [
        ("PUT", "/v1/users/7/preferences", json!({"muted": ["a\u{0}"]}), "muted[0]"),
        ("POST", "/v1/users/7/mute", json!({"of": "item", "name": "\u{0}"}), "name"),
        (
            "POST",
            "/v1/triggers/order_status",
            json!({"user_ids": [7], "event": {"title": "\u{0}"}}),
            "event.title",
        ),
        ("PUT", "/v1/topics/news/subscribers", json!({"user_ids": ["a\u{0}"]}), "user_ids[0]"),
        ("PUT", "/admin/policies/default", json!({"time_zone": "\u{0}"}), "time_zone"),
        (
            "PUT",
            "/admin/experiments/x",
            json!({"name": "x", "arms": [{"name": "a\u{0}", "share": 5}]}),
            "arms[0].name",
        ),
        ("POST", "/v1/notifications", json!({"user_id": 7, "title": "a\u{0}"}), "title"),
        ("POST", "/v1/notifications", json!({"user_id": 7, "title": "t", "data": {"a": "\u{0}"}}), "data"),
        (
            "POST",
            "/v1/notifications",
            json!({"user_id": 7, "title": "t", "dedupe_key": "\u{0}"}),
            "dedupe_key",
        ),
    ] {
        let answer = shop.send(method, path, "application/json", body.to_string().as_bytes()).unwrap();
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["field"]),
            (400, &json!(field)),
            "{method} {path}: {}",
            answer.body
        );
    }
    for path in ["/v1/items?q=%00", "/v1/items/a%00", "/admin/templates/a%00", "/v1/topics/%00/subscribers"] {
        let answer = shop.get(path);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!("bad_text")), "{path}");
    }
}
