//! The way of one event, over real sockets: login, event, commit, push, acknowledgement, feedback.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::clock::quiet_now;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

fn catalogue(n: i64) -> Value {
    (101..101 + n)
        .map(|id| {
            let kind = if id % 2 == 0 { "Watch" } else { "Mug" };
            json!({"item_id": id, "title": format!("{kind} number {id}"), "category": [format!("{kind}es")], "price": 10.0, "currency": "EUR", "url": format!("/p/{id}")})
        })
        .collect()
}

fn shop(n: i64, arguments: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, arguments);
    let answer = server.http().put("/v1/items", &catalogue(n));
    assert_eq!(answer.status, 200, "{}", answer.body);
    (database, server)
}

/// The next push that a view caused.
fn view_push(client: &mut Client) -> Value {
    loop {
        let frame = client.expect("recommendation");
        if frame["trigger"] == "view" {
            return frame;
        }
    }
}

#[test]
fn the_minimal_exchange_works() {
    let (_database, server) = shop(5, &[]);
    // What a stranger writes: one frame out, one frame in.
    let mut client = Client::connect(server.address);
    client.send_text(r#"{"type":"login","user_id":1}"#);
    let first = client.next().unwrap();
    assert_eq!(first["type"], "recommendation");
    assert_eq!(first["user_id"], 1);
    let mut ids: Vec<i64> =
        first["recommendations"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [101, 102, 103, 104, 105]);
    for item in first["items"].as_array().unwrap() {
        assert!(!item["title"].as_str().unwrap().is_empty() && !item["reason"].as_str().unwrap().is_empty());
        let score = item["score"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score));
    }
    assert_eq!(client.next().unwrap()["type"], "welcome");
}

#[test]
fn an_empty_shop_answers_a_login_too() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let (_client, first) = server.login("anna");
    assert_eq!(first["user_id"], "anna");
    assert_eq!(first["recommendations"], json!([]));
}

#[test]
fn a_full_client_is_welcomed_first() {
    let (_database, server) = shop(5, &[]);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": 1, "device": "test", "time_zone": "Europe/Berlin"}));
    let welcome = client.next().unwrap();
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["offset"], 0);
    assert_eq!(welcome["recovered"], true);
    assert_eq!(client.next().unwrap()["type"], "recommendation");
    let preferences = server.http().get("/v1/users/1/preferences").json();
    assert_eq!(preferences["time_zone"], "Europe/Berlin");
}

#[test]
fn viewing_a_watch_pushes_watches_to_every_tab() {
    let (_database, server) = shop(30, &[]);
    let (mut first, _) = server.login(1);
    let (mut second, _) = server.login(1);
    first.send(&json!({"type": "event", "kind": "view", "item_id": 110, "event_id": "e1", "dwell_ms": 900}));
    let push = view_push(&mut first);
    assert_eq!(push["category"], "similar_items");
    assert!(push["title"].as_str().unwrap().contains("Watch number 110"));
    for item in push["items"].as_array().unwrap() {
        assert!(item["title"].as_str().unwrap().starts_with("Watch"), "{item}");
        assert_ne!(item["item_id"], 110);
    }
    let same = view_push(&mut second);
    assert_eq!(same, push, "one decision, delivered to each tab");
}

#[test]
fn quiet_hours_hold_a_push_back() {
    let (_database, server) = shop(30, &[]);
    let mut http = server.http();
    let [from, to] = quiet_now(9);
    let wish = json!({"time_zone": "Asia/Tokyo", "quiet_hours": {"from": from, "to": to}});
    let answer = http.put("/v1/users/1/preferences", &wish);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (mut client, _) = server.login(1);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 110}));
    client.expect("accepted");
    wait_for("the deferred decision", || {
        let last = http.get("/admin/decisions?user_id=1&limit=1").json()["decisions"][0].clone();
        last["outcome"] == "defer" && last["until"].is_string()
    });
}

#[test]
fn retraining_swaps_the_model_and_tells_connected_users() {
    let (_database, server) = shop(30, &[]);
    let (mut client, _) = server.login(1);
    client.expect("welcome");
    let events: Vec<Value> = (0..400)
        .map(|n| json!({"kind": "purchase", "user_id": 2 + n % 40, "item_id": 101 + (n * 7 + n / 40) % 10, "value": 5.0, "occurred_at": 1_700_000_000 + n * 3600}))
        .collect();
    // What is bought most stands last in the catalogue, so that the list changes.
    let more = (0..80).map(|n| {
        json!({"kind": "purchase", "user_id": 2 + n % 40, "item_id": 110 - n / 40, "value": 5.0, "occurred_at": 1_701_500_000 + n * 3600})
    });
    let events: Vec<Value> = events.into_iter().chain(more).collect();
    assert_eq!(server.http().post("/v1/events", &json!(events)).json()["accepted"], 480);
    let job = server.retrain();
    assert_eq!(job["state"], "succeeded", "{job}");
    let push = client.expect("recommendation");
    assert_eq!(push["trigger"], "retrain");
    assert_eq!(push["model"], 1);
    let models = server.http().get("/admin/models").json();
    assert_eq!(models["active"], 1);
    assert_eq!(models["models"][0]["state"], "active");
    let segments = server.http().get("/admin/segments").json();
    assert!(!segments["segments"].as_array().unwrap().is_empty());
}

#[test]
fn wrong_first_frames_are_closed_with_their_code() {
    let (_database, server) = shop(5, &["--set", "socket.login_deadline_ms=300"]);
    for (frame, code) in
        [(r#"{"type":"event","kind":"view"}"#, 3501), ("nonsense", 3501), (r#"{"type":"login"}"#, 3501)]
    {
        let mut client = Client::connect(server.address);
        client.send_text(frame);
        assert_eq!(client.close_code(), code, "{frame}");
    }
    let mut silent = Client::connect(server.address);
    assert_eq!(silent.close_code(), 3502);
}
