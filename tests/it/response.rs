//! Propensities end to end: a decision carries them, training learns from stored messages and feedback, and what it
//! learned from are the numbers that were decided by.

use diesel::PgConnection;
use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};
use tidings::recommend::ModelSet;
use tidings::response::{FEATURE_NAMES, Response};
use tidings::store::{decisions, models, response_examples};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

const WINDOW: Millis = Millis::hours(72);

const WITHOUT_LIMITS: [&str; 8] = [
    "--set",
    "training.interval_s=0",
    "--set",
    "policy.repeat_window_min=0",
    "--set",
    "policy.caps=[]",
    "--set",
    "ingest.robot_events_per_minute=100000",
];

#[test]
fn decisions_carry_probabilities_which_training_learns_from_the_same_numbers() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &WITHOUT_LIMITS);
    let mut http = server.http();
    let items: Value = (1..=20)
        .map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "category": ["Mugs"], "price": 5.0}))
        .collect();
    http.put("/v1/items", &items);
    shop_with_and_without_clicks(&server);
    let first = http.get("/admin/decisions?limit=1").json()["decisions"][0].clone();
    for name in ["p_click", "p_purchase", "p_mute"] {
        assert!((0.0..1.0).contains(&first[name].as_f64().unwrap()), "{first}");
    }
    let mut conn = database.connection();
    let clicked =
        |messages: &[response_examples::Message]| messages.iter().filter(|m| m.has(Response::Click)).count();
    wait_for("the clicks to be stored", || {
        clicked(&response_examples::messages(&mut conn, Timestamp(0), 1_000, WINDOW).unwrap()) == 120
    });
    assert_eq!(server.retrain()["state"], "succeeded");

    let (keen, dull) = (p_click_after_a_view(&server, 1), p_click_after_a_view(&server, 2));
    assert!(keen > 0.7 && dull < 0.3, "{keen} {dull}");

    let version = models::active_version(&mut conn).unwrap().unwrap();
    let artefact = models::load(&mut conn, version).unwrap().unwrap();
    let model = ModelSet::decode(&artefact).unwrap();
    training_reads_what_was_served(&mut conn, &model);
    let metrics = &model.metrics;
    assert!(metrics["propensity.click.auc"] > 0.9, "{metrics:?}");
    assert!((0.9..1.1).contains(&metrics["propensity.click.observed_expected"]), "{metrics:?}");
}

/// Two shoppers of whom one clicks everything and one nothing, 120 messages each, in turn: whatever else changes with time
/// is the same for both.
fn shop_with_and_without_clicks(server: &Server) {
    let mut shoppers = [(1, true), (2, false)].map(|(user, clicks)| (server.login(user).0, clicks));
    for round in 0..120 {
        for (client, clicks) in &mut shoppers {
            client.send(&json!({"type": "event", "kind": "view", "item_id": 1 + round % 20}));
            let message = loop {
                let message = client.expect("recommendation");
                if message["trigger"] == "view" {
                    break message;
                }
            };
            if *clicks {
                let id = &message["notification_id"];
                client.send(&json!({"type": "feedback", "notification_id": id, "outcome": "clicked"}));
            }
        }
    }
    for (client, _) in &mut shoppers {
        // Closing with unread frames may take what was sent last with it.
        client.send(&json!({"type": "ping"}));
        client.expect("pong");
    }
}

/// The probability of a click that the newest message about a view was decided with.
fn p_click_after_a_view(server: &Server, user: i64) -> f64 {
    let (mut client, _) = server.login(user);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 3}));
    while client.expect("recommendation")["trigger"] != "view" {}
    let decisions = server.http().get(&format!("/admin/decisions?user_id={user}&limit=20")).json();
    let mut decisions = decisions["decisions"].as_array().unwrap().iter();
    decisions.find(|decision| decision["trigger"] == "view").unwrap()["p_click"].as_f64().unwrap()
}

/// By the stored model, what training reads of the newest messages gives the probabilities they were decided with.
fn training_reads_what_was_served(conn: &mut PgConnection, model: &ModelSet) {
    let filter = decisions::DecisionFilter { limit: 20, user: None, after: None };
    let rows = decisions::recent(conn, &filter).unwrap();
    let messages = response_examples::messages(conn, Timestamp(0), 1_000, WINDOW).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for row in rows.iter().rev().filter(|row| row.model_version == model.version && !row.features.is_empty())
    {
        let message = messages.iter().find(|message| message.sent_at == row.decided_at).unwrap();
        assert_eq!(message.features.len(), FEATURE_NAMES.len());
        let again = model.response.probabilities(
            &message.trigger,
            &message.category,
            message.segment,
            &message.features,
        );
        if !seen.insert(row.trigger.clone()) {
            continue; // What came of the first has corrected it already.
        }
        let said = row.expected.unwrap();
        assert!((again.click - said.click).abs() < 1e-6, "{again:?} {said:?}");
    }
    assert!(seen.contains("view"), "{seen:?}");
}
