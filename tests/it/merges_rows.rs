//! Rows of a visitor that say the same of the user: consents and the flags of robots are joined.

use diesel::connection::SimpleConnection;
use serde_json::json;

use super::merges::merge;
use crate::helpers::server::wait_for;
use crate::helpers::shop::shop;

#[test]
fn of_two_answers_to_one_purpose_the_refusal_holds() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let mut say = |user: &str, purpose: &str, granted: bool| {
        let said = json!({"purpose": purpose, "granted": granted, "source": "banner", "text_version": "1"});
        assert_eq!(http.post(&format!("/v1/users/{user}/consent"), &said).status, 201);
    };
    // The refusal of either, whoever said it last; an earlier refusal that was taken back is none.
    for (user, purpose, granted) in [
        ("17", "marketing", false),
        ("anon-1", "marketing", true),
        ("anon-1", "push", false),
        ("17", "push", true),
        ("17", "profiling", false),
        ("17", "profiling", true),
        ("anon-1", "profiling", true),
        ("anon-2", "profiling", false),
    ] {
        say(user, purpose, granted);
    }
    merge(&mut http, "17", "anon-1");
    let consent = http.get("/v1/users/17/consent").json();
    let expected = json!({"marketing": false, "push": false, "profiling": true});
    assert_eq!(consent["consent"], expected, "{consent}");
    assert_eq!(
        consent["ledger"].as_array().unwrap().len(),
        9,
        "all that was said, and the refusals that hold"
    );
    // Whoever refused, the answer that holds is the latest one, of the moment of the merge.
    let latest = |purpose: &str| {
        let ledger = consent["ledger"].as_array().unwrap();
        let entry = ledger.iter().find(|entry| entry["purpose"] == purpose).unwrap();
        (entry["granted"].clone(), entry["source"].clone())
    };
    for purpose in ["marketing", "push"] {
        assert_eq!(latest(purpose), (json!(false), json!("merge")), "{purpose}");
    }
    merge(&mut http, "17", "anon-2");
    assert_eq!(http.get("/v1/users/17/consent").json()["consent"]["profiling"], false);
    // The live user as well: a message that advertises is not decided for.
    let (mut client, _) = server.login(17);
    merge(&mut http, "17", "anon-3");
    http.post("/v1/notifications", &json!({"user_id": 17, "title": "Sale", "kind": "promotion"}));
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
    wait_for("the decision", || {
        database.count(
            "SELECT count(*) AS n FROM decisions WHERE outcome = 'drop' AND reasons[1] LIKE '%consent%'",
        ) > 0
    });
}

#[test]
fn a_flag_of_a_robot_goes_with_its_visitor() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    for user in ["17", "18", "19", "anon-1", "anon-2"] {
        let event = json!({"kind": "view", "user_id": user, "item_id": 101});
        assert_eq!(http.post("/v1/events", &event).status, 202);
    }
    let flag = |user: &str, columns: &str| {
        let statement = format!("UPDATE users SET {columns} WHERE external_id = '{user}'");
        database.connection().batch_execute(&statement).unwrap();
    };
    flag("anon-1", "is_robot = true, robot_since = now(), robot_reason = 'fast'");
    flag("17", "robot_until = '2026-01-01'");
    flag("anon-2", "robot_until = '2026-02-01'");
    flag("18", "robot_until = '2026-01-01'");
    merge(&mut http, "17", "anon-1");
    merge(&mut http, "18", "anon-2");
    merge(&mut http, "19", "anon-3");
    let are = |user: &str, condition: &str| {
        database
            .count(&format!("SELECT count(*) AS n FROM users WHERE external_id = '{user}' AND {condition}"))
    };
    assert_eq!(are("17", "is_robot AND robot_reason = 'fast' AND robot_until IS NULL"), 1);
    assert_eq!(are("18", "NOT is_robot AND robot_until = '2026-02-01'"), 1);
    assert_eq!(are("19", "NOT is_robot AND robot_since IS NULL AND robot_until IS NULL"), 1);
    assert_eq!(are("anon-1", "NOT is_robot AND robot_reason IS NULL"), 1, "an alias is nobody");
    assert!(http.get("/v1/users/17/profile").json()["robot"].is_object());
}
