//! Definitions over HTTP: drafts beside what is in force, older versions, and changes that would leave others without something.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::clock::quiet_now;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

fn put(http: &mut Http, path: &str, body: &Value) -> Value {
    let answer = http.put(path, body);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn post(http: &mut Http, path: &str) -> Value {
    let answer = http.post(path, &json!({}));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// Refused with this status; the message.
fn refused(http: &mut Http, path: &str, status: u16) -> String {
    let answer = http.post(path, &json!({}));
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}

/// As listed.
fn listed(http: &mut Http, kind: &str, name: &str) -> Value {
    let all = http.get(&format!("/admin/{kind}")).json();
    let found = all["definitions"].as_array().unwrap().iter().find(|one| one["name"] == name);
    found.cloned().unwrap_or_default()
}

fn template(title: &str, variants: &[&str]) -> Value {
    let variant = |name: &&str| json!({"name": name, "texts": {"en": {"title": format!("{title} {name}"), "body": "for you"}}});
    json!({"name": "steal", "variants": variants.iter().map(variant).collect::<Vec<_>>()})
}

fn trigger(category: &str) -> Value {
    json!({"name": "steal", "when": {"kind": "api"}, "category": category, "template": "steal",
           "priority": "transactional"})
}

/// Sets `steal` off for a connected user; the message.
fn told(server: &Server, client: &mut Client, user: i64) -> Value {
    let answer = server.http().post("/v1/triggers/steal", &json!({"user_ids": [user]}));
    assert_eq!(answer.status, 202, "{}", answer.body);
    loop {
        let frame = client.expect("notification");
        if frame["trigger"] == "steal" {
            return frame;
        }
    }
}

#[test]
fn a_draft_changes_nothing_until_it_is_activated() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    put(&mut http, "/admin/templates/steal", &template("First", &["a"]));
    put(&mut http, "/admin/triggers/steal", &trigger("steals"));
    put(&mut http, "/admin/templates/steal?state=draft", &template("Second", &["a"]));
    put(&mut http, "/admin/triggers/steal?state=draft", &trigger("others"));
    let (mut client, _) = server.login(1);
    let frame = told(&server, &mut client, 1);
    assert_eq!((frame["title"].as_str(), frame["category"].as_str()), (Some("First a"), Some("steals")));
    for kind in ["templates", "triggers"] {
        let both = listed(&mut http, kind, "steal");
        assert_eq!((both["state"].as_str(), both["version"].as_i64()), (Some("active"), Some(1)), "{both}");
        assert_eq!(
            (both["draft"]["state"].as_str(), both["draft"]["version"].as_i64()),
            (Some("draft"), Some(2))
        );
        let one = http.get(&format!("/admin/{kind}/steal")).json();
        assert_eq!(
            (&one["active"]["version"], &one["draft"]["version"], &one["latest"]["version"]),
            (&json!(1), &json!(2), &json!(2))
        );
    }
    let published = post(&mut http, "/admin/templates/steal/activate");
    assert_eq!((published["version"].as_i64(), published["repeats"].as_i64()), (Some(3), Some(2)));
    assert_eq!(listed(&mut http, "templates", "steal")["draft"], Value::Null);
    assert_eq!(told(&server, &mut client, 1)["title"], "Second a");
}

#[test]
fn a_draft_of_the_policy_leaves_its_quiet_hours_in_force_and_a_pause_says_what_applies_then() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let [from, to] = quiet_now(0);
    put(&mut http, "/admin/policies/default", &json!({"quiet_from": from, "quiet_to": to}));
    put(&mut http, "/admin/policies/default?state=draft", &json!({"items": 3}));
    let (mut client, _) = server.login(1);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 105}));
    wait_for("a decision by version 1", || {
        let decisions = http.get("/admin/decisions?user_id=1").json();
        let view =
            decisions["decisions"].as_array().unwrap().iter().find(|one| one["trigger"] == "view").cloned();
        view.is_some_and(|one| {
            assert_eq!((&one["policy_version"], &one["outcome"]), (&json!(1), &json!("defer")), "{one}");
            true
        })
    });
    let paused = post(&mut http, "/admin/policies/default/pause");
    assert_eq!((paused["state"].as_str(), paused["version"].as_i64()), (Some("paused"), Some(3)));
    assert_eq!(paused["definition"]["quiet_to"], *to, "the one in force is paused, not the draft");
    assert_eq!(
        (paused["in_force"]["version"].as_i64(), paused["in_force"]["definition"]["holdout"].as_f64()),
        (Some(0), Some(0.0))
    );
    let listed = listed(&mut http, "policies", "default");
    assert_eq!((listed["state"].as_str(), listed["in_force"]["version"].as_i64()), (Some("paused"), Some(0)));
    assert_eq!(listed["draft"]["version"], 2);
    let resumed = post(&mut http, "/admin/policies/default/activate");
    assert_eq!(
        (resumed["repeats"].as_i64(), resumed["definition"]["quiet_to"].as_str()),
        (Some(1), Some(to.as_str()))
    );
}

#[test]
fn an_older_version_is_activated_by_number_and_the_history_says_who() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    for title in ["First", "Second"] {
        put(&mut http, "/admin/templates/steal", &template(title, &["a"]));
    }
    put(&mut http, "/admin/triggers/steal", &trigger("steals"));
    let (mut client, _) = server.login(1);
    assert_eq!(told(&server, &mut client, 1)["title"], "Second a");
    let back = post(&mut http, "/admin/templates/steal/activate?version=1");
    assert_eq!(
        (back["version"].as_i64(), back["repeats"].as_i64(), back["changed_by"].as_str()),
        (Some(3), Some(1), Some("admin"))
    );
    assert_eq!(told(&server, &mut client, 1)["title"], "First a");
    let again = http.post("/admin/templates/steal/activate", &json!({"version": 1})).json();
    assert_eq!(again["version"], 3, "active already");
    let history = http.get("/admin/templates/steal").json();
    let states: Vec<&str> =
        history["history"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active"; 3]);
    assert!(
        refused(&mut http, "/admin/templates/steal/activate?version=9", 400).contains("the versions are 1…3")
    );
    assert!(
        refused(&mut http, "/admin/templates/steal/activate?versoin=1", 400)
            .contains("did you mean `version`?")
    );
    refused(&mut http, "/admin/templates/nothing/activate", 404);
}

#[test]
fn what_others_use_is_not_paused_and_they_are_named() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    put(&mut http, "/admin/templates/steal", &template("T", &["a", "b"]));
    put(&mut http, "/admin/triggers/steal", &trigger("steals"));
    let experiment = json!({"name": "words", "arms": [{"name": "control", "share": 5000},
        {"name": "short", "share": 5000, "variants": {"steal": "b"}}]});
    put(&mut http, "/admin/experiments/words", &experiment);
    let message = refused(&mut http, "/admin/templates/steal/pause", 409);
    assert!(message.contains("trigger \"steal\"") && message.contains("experiment \"words\""), "{message}");
    let answer = http.put("/admin/templates/steal", &template("T", &["a"]));
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("experiment \\\"words\\\" uses variant \\\"b\\\""), "{}", answer.body);
    let answer = http.put("/admin/templates/steal?validate_only=true", &template("T", &["a"]));
    assert_eq!(answer.status, 409, "as it would be stored");
    let (mut client, _) = server.login(1);
    assert!(told(&server, &mut client, 1)["title"].as_str().unwrap().starts_with("T "));

    post(&mut http, "/admin/experiments/words/pause");
    post(&mut http, "/admin/triggers/steal/pause");
    post(&mut http, "/admin/templates/steal/pause");
    for path in ["/admin/triggers/steal/activate", "/admin/experiments/words/activate"] {
        let message = refused(&mut http, path, 409);
        assert!(message.contains("template \"steal\""), "{message}");
    }
    for name in ["login", "digest"] {
        let message = refused(&mut http, &format!("/admin/triggers/{name}/pause"), 409);
        assert!(message.contains("is needed"), "{message}");
    }
    assert!(refused(&mut http, "/admin/templates/view/pause", 409).contains("trigger \"view\""));
}

#[test]
fn a_misspelt_name_is_refused_with_the_nearest_and_shares_with_their_sum() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let arms = |share: u32| json!({"name": "x", "arms": [{"name": "a", "share": share}, {"name": "b", "share": share}]});
    for (path, body, says) in [
        ("policies/default", json!({"quiet_form": "21:00"}), "did you mean `quiet_from`?"),
        (
            "policies/default",
            json!({"caps": [{"catgory": "*", "window_min": 1, "max": 1}]}),
            "did you mean `category`?",
        ),
        ("triggers/t", json!({"name": "t", "when": {"kind": "pricedrop"}}), "did you mean `price_drop`?"),
        (
            "triggers/t",
            json!({"name": "t", "when": {"kind": "segment", "rule": {"segments": ["Z"]}}, "category": "c", "template": "view"}),
            "there is no segment Z; there are A, B, C, D, E",
        ),
        ("triggers/t", json!({"name": "t", "whn": {"kind": "view"}}), "did you mean `when`?"),
        (
            "triggers/t",
            json!({"name": "t", "when": {"kind": "view"}, "category": "c", "template": "veiw"}),
            "did you mean \\\"view\\\"?",
        ),
        ("experiments/x", arms(50), "add up to 100 here"),
        ("experiments/x?stat=draft", arms(5_000), "did you mean `state`?"),
        (
            "experiments/x",
            json!({"name": "x", "arms": [{"name": "a", "share": 5_000}, {"name": "b", "share": 5_000, "modle": 1}]}),
            "did you mean `model`?",
        ),
    ] {
        let answer = http.put(&format!("/admin/{path}"), &body);
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.body.contains(says), "{} does not say {says}", answer.body);
    }
    let few = json!({"name": "x", "outside": 9_900, "arms": [{"name": "a", "share": 50}, {"name": "b", "share": 50}]});
    assert_eq!(put(&mut http, "/admin/experiments/x", &few)["outside"], 9_900);
}
