//! The registry of models: roll-back, a version beside the one that serves, what moved since, what is refused.

use diesel::RunQueryDsl;
use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};

/// Sixty users of two tastes who buy an item a day for eight days, so that the last of them can be held out.
fn history() -> Value {
    let mut events = Vec::new();
    for day in 0..8 {
        for user in 0..60 {
            events.push(json!({
                "kind": "purchase", "user_id": user, "item_id": user % 2 * 100 + (user / 2 + day * 3) % 10,
                "occurred_at": format!("2026-03-{:02}T12:00:{user:02}Z", day + 1),
            }));
        }
    }
    json!(events)
}

/// What a command prints beside the running server.
fn tidings(url: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .env("DATABASE_URL", url)
        .env("TIDINGS_LOG", "warn")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Over HTTP and on the command line alike.
fn the_second_version_has_a_card(http: &mut Http, url: &str) {
    let card = http.get("/admin/models/2/card").json();
    assert_eq!((&card["card"]["version"], &card["card"]["compared_with"]), (&json!(2), &json!(1)));
    assert_eq!(card["card"]["data"]["users"], 60);
    assert_eq!(http.get("/admin/models/99/card").status, 404);
    let printed = tidings(url, &["models", "card", "2"]);
    assert_eq!(printed.trim_end(), card["text"].as_str().unwrap().trim_end());
    assert!(
        printed.contains("changed against version 1") && printed.contains(&format!("{:<16} all", "served")),
        "{printed}"
    );
}

#[test]
fn versions_can_be_rolled_back_and_compared_while_one_serves() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    let mut http = server.http();
    assert_eq!(http.post("/admin/models/rollback", &Value::Null).status, 404, "nothing served before");
    assert_eq!(http.post("/v1/events", &history()).status, 202);
    for _ in 0..2 {
        let job = server.retrain();
        assert_eq!(job["state"], "succeeded", "{job}");
    }
    // The connection was idle for as long as that took.
    let mut http = server.http();
    let list = http.get("/admin/models").json();
    assert_eq!((&list["active"], &list["shadow"]), (&json!(2), &Value::Null));
    let newest = &list["models"][0];
    assert!(newest["bytes"].as_i64().unwrap() > 1_000);
    // The same data and parameters twice: the gate sees the same figure, of the same slice.
    let metrics = &newest["metrics"];
    assert_eq!(metrics["ndcg@10"], metrics["current.ndcg@10"], "{metrics}");
    assert!(newest["gate"]["reason"].as_str().unwrap().contains("without this slice"), "{}", newest["gate"]);
    let of_segments: f64 = metrics
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with("segment.") && name.ends_with(".users"))
        .map(|(_, users)| users.as_f64().unwrap())
        .sum();
    assert_eq!(of_segments, metrics["users"].as_f64().unwrap());

    assert!(metrics["served.ndcg@10"].as_f64().unwrap() > 0.0, "the list as shown: {metrics}");
    the_second_version_has_a_card(&mut http, &database.url);
    let measured: Value = serde_json::from_str(&tidings(&database.url, &["evaluate", "--json"])).unwrap();
    assert_eq!(measured["served.ndcg@10"], metrics["served.ndcg@10"], "the same list, and nothing stored");
    assert!(measured["ndcg@10"].is_number());

    assert_eq!(http.post("/admin/models/rollback", &Value::Null).json()["active"], 1);
    assert_eq!(http.get("/admin/models").json()["active"], 1);
    assert_eq!(http.post("/admin/models/rollback", &Value::Null).json()["active"], 2);

    assert_eq!(http.post("/admin/models/99/shadow", &Value::Null).status, 404);
    assert_eq!(http.post("/admin/models/1/shadow", &Value::Null).json()["shadow"], 1);
    let (_client, _) = server.login(7);
    // The login, and what is due after a long absence.
    wait_for("the shadow to be asked", || {
        http.get("/admin/models").json()["shadow"]["decisions"].as_u64().is_some_and(|n| n >= 1)
    });
    let shadow = http.get("/admin/models").json()["shadow"].clone();
    // The same model, whatever its number.
    assert_eq!(
        (&shadow["version"], &shadow["overlap_at_10"], &shadow["rank_agreement"]),
        (&json!(1), &json!(1.0), &json!(1.0))
    );
    assert_eq!(http.delete("/admin/models/shadow").status, 204);
    assert_eq!(http.get("/admin/models").json()["shadow"], Value::Null);
}

#[test]
fn what_moved_since_training_is_told() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    let mut http = server.http();
    http.post("/v1/events", &history());
    assert_eq!(server.retrain()["state"], "succeeded");
    let mut http = server.http();
    assert_eq!(http.get("/admin/models").json()["drift"]["items"], Value::Null, "too few events to tell");
    let views = |item: fn(usize) -> usize| -> Value {
        (0..400).map(|n| json!({"kind": "view", "user_id": n % 60, "item_id": item(n)})).collect()
    };
    http.post("/v1/events", &views(|n| n % 2 * 100 + n / 2 % 10));
    let drift = http.get("/admin/models").json()["drift"].clone();
    assert_eq!(drift["events_since"], 400);
    assert!(drift["items"].as_f64().unwrap() < 0.1, "as before: {drift}");
    http.post("/v1/events", &views(|_| 3));
    let drift = http.get("/admin/models").json()["drift"].clone();
    assert!(drift["items"].as_f64().unwrap() > 0.25, "everybody looks at one thing: {drift}");
    let metrics = http.get("/metrics").body;
    let exposed = metrics.lines().find_map(|line| line.strip_prefix("tidings_drift_items ")).unwrap();
    assert!(exposed.parse::<f64>().is_ok(), "{exposed}");
}

#[test]
fn a_damaged_version_is_refused_and_the_one_that_serves_goes_on() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    let mut http = server.http();
    http.post("/v1/events", &history());
    server.retrain();
    server.retrain();
    let mut http = server.http();
    for (artefact, said) in [("\\xdeadbeef", "not a model"), ("\\x544944494e4753ff", "not a model")] {
        diesel::sql_query(format!("UPDATE models SET artefact = '{artefact}' WHERE model_version = 1"))
            .execute(&mut database.connection())
            .unwrap();
        for path in ["activate", "shadow"] {
            let answer = http.post(&format!("/admin/models/1/{path}"), &Value::Null);
            assert_eq!(answer.status, 409);
            assert!(answer.body.contains(said), "{}", answer.body);
        }
        assert_eq!(http.post("/admin/models/rollback", &Value::Null).status, 409);
    }
    assert_eq!(http.get("/admin/models").json()["active"], 2);
    assert_eq!(http.get("/v1/users/7/recommendations?n=3").json()["items"].as_array().unwrap().len(), 3);
}
