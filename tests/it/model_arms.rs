//! Experiments over models: who is in an arm gets lists by the version, or the baseline, that it names.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::feedback::experiments::Experiment;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

const SETTINGS: [&str; 4] = ["--set", "training.interval_s=0", "--set", "recommend.exploration=0"];

/// Sixty users who buy an item a day; every `period`-th has the same taste.
fn history(month: u32, period: usize) -> Value {
    let mut events = Vec::new();
    for day in 0..8 {
        for user in 0..60 {
            events.push(json!({
                "kind": "purchase", "user_id": user,
                "item_id": user % period * 100 + (user / period + day * 3) % 10,
                "occurred_at": format!("2026-{month:02}-{:02}T12:00:{user:02}Z", day + 1),
            }));
        }
    }
    json!(events)
}

/// Two versions, the second of which has seen more and serves.
fn trained() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &SETTINGS);
    for (version, (month, period)) in [(1, (3, 2)), (2, (4, 3))] {
        assert_eq!(server.http().post("/v1/events", &history(month, period)).status, 202);
        assert_eq!(server.retrain()["state"], "succeeded");
        // Whatever the gate says of it.
        let path = format!("/admin/models/{version}/activate");
        assert_eq!(server.http().post(&path, &Value::Null).json()["active"], version);
    }
    (database, server)
}

fn definition() -> Value {
    json!({"name": "ranking", "arms": [{"name": "serving", "share": 3300},
        {"name": "before", "share": 3300, "model": 1}, {"name": "baseline", "share": 3300, "model": "popularity"}]})
}

fn put(server: &Server, body: &Value) -> (u16, String) {
    let answer = server.http().put("/admin/experiments/ranking", body);
    (answer.status, answer.body)
}

/// Some users of an arm, by its place.
fn users_of(place: usize, n: usize) -> Vec<i64> {
    let experiment: Experiment = serde_json::from_value(definition()).unwrap();
    (0..60).filter(|user| experiment.arm_of(&i64::to_string(user)) == Some(place)).take(n).collect()
}

fn items(answer: &Value) -> Vec<i64> {
    answer["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_i64().unwrap()).collect()
}

fn list(server: &Server, user: i64) -> (i64, Vec<i64>) {
    let answer = server.http().get(&format!("/v1/users/{user}/recommendations?n=5")).json();
    (answer["model"].as_i64().unwrap(), items(&answer))
}

/// What the latest login's decision says: the model that ranked and the arms.
fn decided(server: &Server, user: i64) -> (i64, Value) {
    let mut found = Value::Null;
    wait_for("the decision", || {
        let answer = server.http().get(&format!("/admin/decisions?user_id={user}")).json();
        let login =
            answer["decisions"].as_array().unwrap().iter().find(|one| one["trigger"] == "login").cloned();
        found = login.unwrap_or_default();
        found.is_object()
    });
    (found["model_version"].as_i64().unwrap(), found["arms"].clone())
}

#[test]
fn an_arm_is_ranked_by_the_model_it_names_and_the_decision_says_so() {
    let (_database, server) = trained();
    // By version 1, for everybody. (Where it served, what happened since its training would count as news to it.)
    let only = json!({"name": "all", "arms": [{"name": "first", "share": 9999, "model": 1}, {"name": "none", "share": 1}]});
    assert_eq!(server.http().put("/admin/experiments/all", &only).status, 200);
    let by_first: Vec<_> = (0..60).map(|user| list(&server, user)).collect();
    assert!(by_first.iter().all(|(version, _)| *version == 1), "{by_first:?}");
    let by_first: Vec<_> = by_first.into_iter().map(|(_, items)| items).collect();
    assert_eq!(server.http().post("/admin/experiments/all/pause", &Value::Null).status, 200);
    let by_second: Vec<_> = (0..60).map(|user| list(&server, user).1).collect();
    assert_ne!(by_first, by_second, "there is something to tell apart");
    assert_eq!(put(&server, &definition()).0, 200);
    let mut popular = Vec::new();
    for (place, arm, version) in [(0, "serving", 2), (1, "before", 1), (2, "baseline", 0)] {
        for user in users_of(place, 5) {
            let (model, asked) = list(&server, user);
            let (_client, pushed) = server.login(user);
            assert_eq!((model, &asked), (version, &items(&pushed)), "arm {arm}, user {user}");
            assert_eq!(decided(&server, user), (version, json!({"ranking": arm})));
            match place {
                0 => assert_eq!(asked, by_second[user as usize]),
                1 => assert_eq!(asked, by_first[user as usize]),
                _ => popular.push(pushed["items"].clone()),
            }
        }
    }
    // The baseline is nobody's own: each item is there for being popular.
    assert_eq!(popular.len(), 5);
    for item in popular.iter().flat_map(|list| list.as_array().unwrap()) {
        assert!(item["reason"].as_str().unwrap().to_lowercase().contains("popular"), "{item}");
    }
    // Another version takes over: the arms keep theirs.
    assert_eq!(server.retrain()["state"], "succeeded");
    server.http().post("/admin/models/3/activate", &Value::Null);
    let user = users_of(1, 1)[0];
    assert_eq!(list(&server, user), (1, by_first[user as usize].clone()));
    assert_eq!(list(&server, users_of(0, 1)[0]).0, 3);
}

#[test]
fn a_version_that_is_not_there_is_refused_and_later_not_pretended_to_be_served() {
    let (database, mut server) = trained();
    let mut body = definition();
    body["arms"][1]["model"] = json!(99);
    let (status, said) = put(&server, &body);
    assert!(status == 400 && said.contains("there is no model version 99"), "{said}");
    body["arms"][1]["model"] = json!("best");
    let (status, said) = put(&server, &body);
    assert!(status == 400 && said.contains("the number of a version or"), "{said}");
    // More than can be held.
    assert_eq!(server.retrain()["state"], "succeeded");
    let mut body = definition();
    body["arms"][0]["model"] = json!(2);
    body["arms"][2]["model"] = json!(3);
    let (status, said) = put(&server, &body);
    assert!(status == 400 && said.contains("versions 1, 2, 3; 2 at most"), "{said}");
    assert_eq!(put(&server, &definition()).0, 200);
    // A training keeps what an experiment names, so somebody else must have deleted it.
    database.connection().batch_execute("DELETE FROM models WHERE model_version = 1").unwrap();
    let user = users_of(1, 1)[0];
    assert_eq!(list(&server, user).0, 1, "it is still held");
    let serving = list(&server, users_of(0, 1)[0]).0;
    server.kill();
    let server = Server::start(&database.url, &SETTINGS);
    let (_client, _) = server.login(user);
    assert_eq!(
        decided(&server, user),
        (serving, json!({})),
        "ranked by what serves, and not counted to the arm"
    );
    let baseline = users_of(2, 1)[0];
    let (_other, _) = server.login(baseline);
    assert_eq!(decided(&server, baseline), (0, json!({"ranking": "baseline"})));
    let (status, said) = put(&server, &definition());
    assert!(status == 400 && said.contains("there is no model version 1"), "{said}");
    assert_eq!(server.http().post("/admin/experiments/ranking/pause", &Value::Null).status, 200);
    assert_eq!(list(&server, baseline).0, serving);
    let answer = server.http().post("/admin/experiments/ranking/activate", &Value::Null);
    assert_eq!(answer.status, 400, "{}", answer.body);
}
