//! What others do between two trainings: it changes the next recommendation of everybody, and counting it live and counting it
//! again from the tables give the same.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

fn shop(database: &TestDatabase) -> Server {
    let server =
        Server::start(&database.url, &["--set", "policy.caps=[]", "--set", "policy.min_new_items=0"]);
    // No two have a word or a category in common.
    let items: Value = (101..161)
        .map(|id| json!({"item_id": id, "title": format!("Thing{id}"), "category": [format!("C{id}")]}))
        .collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    server
}

fn view(user: i64, item: i64) -> Value {
    json!({"kind": "view", "user_id": user, "item_id": item, "dwell_ms": 20_000})
}

fn ids(items: &Value) -> Vec<i64> {
    items.as_array().unwrap().iter().map(|item| item["item_id"].as_i64().unwrap()).collect()
}

#[test]
fn what_others_do_now_changes_what_a_stranger_is_shown_and_what_goes_with_an_item() {
    let database = TestDatabase::new();
    let server = shop(&database);
    let mut http = server.http();
    let (_, before) = server.login(900);
    assert!(!ids(&before["items"]).contains(&144), "{before}");
    for user in 1..=12 {
        assert_eq!(http.post("/v1/events", &json!([view(user, 144), view(user, 117)])).status, 202);
    }
    let began = Instant::now();
    let mut stranger = 1_000;
    wait_for("what has become popular to be shown", || {
        stranger += 1;
        let (_, first) = server.login(stranger);
        let items = first["items"].as_array().unwrap().clone();
        let found = items.iter().find(|item| item["item_id"] == 144);
        found.is_some_and(|item| item["reason"].as_str().unwrap().to_lowercase().contains("popular"))
    });
    assert!(began.elapsed() < Duration::from_secs(10), "within a second, and ten for a busy machine");
    assert_eq!(ids(&http.get("/v1/items/144/similar?n=3").json()["items"]).first(), Some(&117));
    // The one that goes with it comes while it is looked at.
    let (mut client, _) = server.login(2_000);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 117, "dwell_ms": 20_000}));
    loop {
        let push = client.expect("recommendation");
        if push["trigger"] == "view" {
            assert!(ids(&push["items"]).contains(&144), "{push}");
            break;
        }
    }
}

/// Five hundred events of all kinds, spread over forty users and sixty items.
fn write(server: &Server, writer: i64) {
    let mut http = server.http();
    for round in 0..25i64 {
        let events: Value = (0..20)
            .map(|n| {
                let kind = ["view", "add_to_cart", "purchase", "like"][((n + round) % 4) as usize];
                let mut event = view((writer * 7 + n * round) % 40, 101 + (n * 11 + round * writer) % 60);
                event["kind"] = kind.into();
                if kind == "purchase" {
                    event["value"] = 5.into();
                    event["currency"] = "EUR".into();
                }
                if kind != "view" {
                    event.as_object_mut().unwrap().remove("dwell_ms");
                }
                event
            })
            .collect();
        let answer = http.post("/v1/events", &events);
        assert_eq!((answer.status, answer.json()["accepted"].as_i64()), (202, Some(20)), "{}", answer.body);
    }
}

#[test]
fn counting_live_and_counting_again_from_the_tables_give_the_same() {
    let database = TestDatabase::new();
    let server = shop(&database);
    thread::scope(|scope| {
        for writer in 0..4i64 {
            let server = &server;
            scope.spawn(move || write(server, writer));
        }
    });
    let tables = |server: &Server| -> Vec<Value> {
        let mut http = server.http();
        (101..161).map(|item| http.get(&format!("/admin/live?item={item}")).json()).collect()
    };
    let live = tables(&server);
    assert_eq!(live[0]["events"], 2_000);
    assert!(live.iter().any(|table| table["near"][0]["visitors"].as_i64() > Some(2)));
    drop(server);
    let server = Server::start(&database.url, &[]);
    wait_for("what is stored to be counted", || server.http().get("/admin/live").json()["events"] == 2_000);
    let again = tables(&server);
    for (live, again) in live.iter().zip(&again) {
        assert_eq!((&live["events"], &live["near"]), (&again["events"], &again["near"]));
        let sums = |table: &Value| -> Vec<(i64, f64)> {
            let row = |row: &Value| (row["item_id"].as_i64().unwrap(), row["interest"].as_f64().unwrap());
            let mut sums: Vec<_> = table["popular"].as_array().unwrap().iter().map(row).collect();
            sums.sort_by_key(|(item, _)| *item);
            sums
        };
        let (live, again) = (sums(live), sums(again));
        assert_eq!(live.len(), again.len());
        for (a, b) in live.iter().zip(&again) {
            // Some seconds of ageing lie between them.
            assert!(a.0 == b.0 && (a.1 - b.1).abs() <= 1e-4 * a.1, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_training_takes_over_what_was_counted_and_what_came_meanwhile_stays() {
    let database = TestDatabase::new();
    let server = shop(&database);
    let mut http = server.http();
    for user in 1..=30 {
        let events = json!([view(user, 101 + user % 9), view(user, 120 + user % 5)]);
        assert_eq!(http.post("/v1/events", &events).status, 202);
    }
    assert_eq!(http.get("/admin/live").json()["events"], 60);
    let trained = server.retrain();
    assert_eq!(trained["state"], "succeeded", "{trained}");
    let after = http.get("/admin/live").json();
    assert_eq!((&after["events"], &after["popular"]), (&json!(0), &json!([])), "{after}");
    assert_eq!(http.post("/v1/events", &view(1, 150)).status, 202);
    let counted = http.get("/admin/live").json();
    assert_eq!((&counted["events"], &counted["popular"][0]["item_id"]), (&json!(1), &json!(150)));
    drop(server);
    let server = Server::start(&database.url, &[]);
    wait_for("what is stored to be counted", || server.http().get("/admin/live").json()["events"] == 1);
    let again = server.http().get("/admin/live").json();
    assert_eq!((&again["events"], &again["popular"][0]["item_id"]), (&json!(1), &json!(150)), "{again}");
}
