//! Outcomes of the policy itself: where messages end, opt-outs, refusals of consent, and keeping quiet, judged by what was really sent.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::recommend::ModelSet;
use tidings::response::FEATURE_NAMES;
use tidings::store::models;

use super::outcomes::{group, pushed};
use crate::helpers::server::wait_for;
use crate::helpers::shop::shop;

#[test]
fn where_messages_end_and_how_much_of_each_cap_is_used_is_counted() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let policy = json!({"caps": [{"category": "*", "window_min": 60, "max": 1}], "budget_per_hour": 50});
    assert_eq!(http.put("/admin/policies/default", &policy).status, 200);
    assert_eq!(http.post("/admin/policies/default/activate", &Value::Null).status, 200);
    let (mut client, _) = server.login(1);
    pushed(&mut client, 102);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 103, "event_id": "second"}));
    client.expect("accepted");
    let mut answer = Value::Null;
    wait_for("the cap to be used up", || {
        answer = http.get("/admin/limits").json();
        let endings = answer["endings"].as_array().unwrap();
        endings.iter().any(|end| end["step"] == "frequency_caps" && end["decisions"] == 1)
    });
    let cap = &answer["caps"][0];
    assert_eq!((&cap["max"], &cap["users"], &cap["at_limit"]), (&json!(1), &json!(1), &json!(1)), "{answer}");
    assert_eq!(answer["budget"]["per_hour"], 50);
    assert!(answer["budget"]["left"].as_u64().unwrap() < 50, "{answer}");
}

#[test]
fn an_opt_out_is_of_the_message_before_it_whatever_was_changed_later() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let (mut client, _) = server.login(1);
    pushed(&mut client, 102);
    let prefer = |http: &mut crate::helpers::http::Http, what: Value| {
        assert_eq!(http.put("/v1/users/1/preferences", &what).status, 200);
    };
    prefer(&mut http, json!({"opted_out": true}));
    // What is owed comes all the same; then something else about the preferences changes.
    let owed = json!({"user_id": 1, "kind": "order_status", "priority": "transactional", "title": "On its way", "body": "b"});
    assert_eq!(http.post("/v1/notifications", &owed).status, 202);
    client.expect("notification");
    prefer(&mut http, json!({"locale": "de-AT"}));
    prefer(&mut http, json!({"opted_out": true}));
    wait_for("the message that is owed", || group(&server, "trigger", "api")["sent"] == 1);
    assert_eq!(group(&server, "trigger", "view")["unsubscribed"], 1);
    assert_eq!(group(&server, "trigger", "api")["unsubscribed"], 0);
    let times = || {
        use diesel::prelude::*;
        use tidings::schema::opt_outs::dsl::opt_outs;
        opt_outs.count().get_result::<i64>(&mut database.connection()).unwrap()
    };
    assert_eq!(times(), 1, "saying it again is no other opt-out");
    prefer(&mut http, json!({"opted_out": false}));
    prefer(&mut http, json!({"opted_out": true}));
    assert_eq!(times(), 2);
}

#[test]
fn a_refusal_of_consent_that_is_repeated_counts_once_when_it_was_first_said() {
    let (database, server) = shop(&[]);
    let refuse = json!({"purpose": "marketing", "granted": false, "source": "test", "text_version": "v1"});
    let (mut client, _) = server.login(1);
    assert_eq!(server.http().post("/v1/users/1/consent", &refuse).status, 201);
    // Long ago, as far as the reading goes. The ledger itself can't be changed.
    database
        .connection()
        .batch_execute(
            "ALTER TABLE consents DISABLE TRIGGER USER; UPDATE consents SET recorded_at = now() - interval '20 days'; \
             ALTER TABLE consents ENABLE TRIGGER USER",
        )
        .unwrap();
    let owed = json!({"user_id": 1, "kind": "order_status", "priority": "transactional", "title": "On its way", "body": "b"});
    assert_eq!(server.http().post("/v1/notifications", &owed).status, 202);
    client.expect("notification");
    assert_eq!(server.http().post("/v1/users/1/consent", &refuse).status, 201);
    wait_for("the message", || group(&server, "trigger", "api")["sent"] == 1);
    assert_eq!(group(&server, "trigger", "api")["unsubscribed"], 0);
}

#[test]
fn sending_and_keeping_quiet_are_judged_by_the_coin_or_refused() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let empty = http.get("/admin/experiments/readings").json()["send"].clone();
    assert_eq!(empty["reward"], "bought within 72 h");
    assert!(empty["policies"][1]["refused"].as_str().unwrap().contains("the log is empty"), "{empty}");
    // Four days ago a coin said send to every even user; of ten told four bought within the window, of the others two.
    let days_ago = |days: f64| tidings::base::Timestamp::now().plus_days(-days).to_string();
    let bought = |user: usize| user / 2 % 10 < if user.is_multiple_of(2) { 4 } else { 2 };
    let events: Value = (0..600)
        .map(|user| {
            let (kind, days) = if bought(user) { ("purchase", 3.5) } else { ("purchase", 0.5) };
            json!({"kind": kind, "user_id": user, "item_id": 101, "value": 5.0, "currency": "EUR", "occurred_at": days_ago(days)})
        })
        .collect();
    assert_eq!(http.post("/v1/events", &events).status, 202);
    let n_features = FEATURE_NAMES.len();
    let decide = |hours: u32| {
        format!(
            "INSERT INTO decisions (decision_id, decided_at, user_id, trigger, category, outcome, reasons, model_version, items, \
             propensity, features, slice, steps) SELECT gen_random_uuid(), now() - interval '{hours} hours', user_id, 'view', 'x', \
             CASE WHEN external_id::int % 2 = 0 THEN 'send' ELSE 'drop' END, '{{}}', 0, '{{}}', 0.5, array_fill(0::real, ARRAY[{n_features}]), 'random', \
             '[{{\"step\": \"experiment\"}}]' FROM users WHERE external_id::int < 600"
        )
    };
    database.connection().batch_execute(&decide(90)).unwrap();
    // An hour later the coin was asked again: the same purchases are not counted twice. And what is not over does not count yet.
    database.connection().batch_execute(&decide(89)).unwrap();
    database.connection().batch_execute(&decide(2)).unwrap();
    let send = http.get("/admin/experiments/readings?days=7").json()["send"].clone();
    for (place, always, value) in [(0, "hold", 0.2), (1, "send", 0.4)] {
        let policy = &send["policies"][place];
        assert_eq!((&policy["always"], &policy["refused"]), (&json!(always), &Value::Null), "{send}");
        assert_eq!(policy["report"]["rows"], 600);
        let told = policy["report"]["estimates"]["snips"]["value"].as_f64().unwrap();
        assert!((told - value).abs() < 1e-9, "{policy}");
    }
    assert_eq!(send["by_trigger"][0]["trigger"], "view");
    // Training learns from the same decisions that messages bring purchases, and that no feature says whom.
    assert_eq!(server.retrain()["state"], "succeeded");
    let mut conn = database.connection();
    let version = models::active_version(&mut conn).unwrap().unwrap();
    let model = ModelSet::decode(&models::load(&mut conn, version).unwrap().unwrap()).unwrap();
    assert_eq!(model.metrics["uplift.decisions"], 600.0);
    assert!((model.metrics["uplift.effect"] - 0.2).abs() < 0.03, "{:?}", model.metrics);
    let refusal = model.response.uplift_report().unwrap().refusal.clone().unwrap();
    assert!(refusal.starts_with("can't tell whom it helps more"), "{refusal}");
}
