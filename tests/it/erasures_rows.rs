//! Nothing of an erased user is left in any table or model.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidings::base::{ItemId, Timestamp, UserId};
use tidings::event::{Event, EventKind};
use tidings::recommend::ModelSet;
use tidings::store::models;
use tidings::store::personal_data::HOLDINGS;

use crate::erasures::{ANNA, PATH, SETTINGS, VISITOR, erase, receipt, tables_with, wait_until_erased};
use crate::helpers::client::Client;
use crate::helpers::command::tidings;
use crate::helpers::database::TestDatabase;
use crate::helpers::push_service::{BrowserKeys, PushService};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

/// A word that only Anna searched for.
const WORD: &str = "zaubertrankwort";
/// An item that only Anna saw, and only her events have named.
const ITEM: &str = "annas-own-item-9";

/// Sixty others who buy one item a day.
fn others() -> Value {
    let event = |day: i64, user: i64| {
        json!({"kind": "purchase", "user_id": user, "item_id": 101 + (user / 2 + day * 3) % 30, "value": 10, "currency": "EUR",
               "occurred_at": format!("2026-10-{:02}T12:00:{user:02}Z", day + 1)})
    };
    (0..8).flat_map(|day| (0..60).map(move |user| event(day, user))).collect()
}

/// Four views of Anna's in a row.
fn visit() -> Value {
    let view = |step: i64, item: Value| json!({"kind": "view", "user_id": ANNA, "item_id": item, "occurred_at": format!("2026-10-09T12:0{step}:00Z")});
    json!([view(0, json!(131)), view(1, json!(133)), view(2, json!(ITEM)), view(3, json!(135))])
}

/// Fills every table that holds something of a user with something of Anna's.
fn with_a_past(server: &Server, push: &PushService) -> Client {
    let mut http = server.http();
    let ok = |answer: crate::helpers::http::Response| {
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
    };
    let names = [
        "message.sent",
        "message.dropped",
        "consent.changed",
        "preference.changed",
        "subscription.started",
        "subscription.ended",
    ];
    ok(http.post("/v1/webhooks", &json!({"url": "https://localhost:1/a", "events": names})));
    ok(http.post("/v1/events", &others()));
    ok(http.post("/v1/events", &visit()));
    ok(http.post(
        "/v1/events",
        &json!([{"kind": "search", "user_id": ANNA, "query": WORD},
                {"kind": "view", "user_id": VISITOR, "item_id": 137},
                {"kind": "purchase", "user_id": ANNA, "item_id": ITEM, "value": 5, "currency": "EUR"}]),
    ));
    ok(http.post(&format!("{PATH}/merge"), &json!({"anonymous_id": VISITOR})));
    ok(http.patch(PATH, &json!({"attributes": {"first_name": WORD}})));
    ok(http.put(&format!("{PATH}/preferences"), &json!({"locale": "de", "opted_out": true})));
    ok(http.put(&format!("{PATH}/preferences"), &json!({"locale": "de", "opted_out": false})));
    for purpose in ["profiling", "marketing", "push"] {
        let consent = json!({"purpose": purpose, "granted": true, "source": "form", "text_version": "1"});
        ok(http.post(&format!("{PATH}/consent"), &consent));
    }
    ok(http.put(&format!("{PATH}/topics/deals"), &json!({})));
    let mut subscription = BrowserKeys::new().subscription(&push.endpoint("anna"));
    subscription["user_id"] = json!(ANNA);
    ok(http.post("/v1/webpush/subscriptions", &subscription));
    ok(http.post("/v1/notifications", &json!({"user_id": ANNA, "title": WORD, "priority": "transactional"})));
    let later = json!({"user_ids": [ANNA, 1], "title": "Later", "send_at": Timestamp::now().plus_days(30.0)});
    ok(http.post("/v1/notifications", &later));
    let (mut client, _) = server.login(ANNA);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 139}));
    client.expect("accepted");
    ok(http.get(&format!("{PATH}/recommendations?placement=home")));
    ok(http.post(&format!("{PATH}/sign-out"), &Value::Null));
    let (client, _) = server.login(ANNA);
    assert_eq!(server.retrain()["state"], "succeeded");
    client
}

/// Versions of models that remember the visit.
fn remembering(database: &TestDatabase, events: &[Event]) -> usize {
    let artefacts = database.store.run_blocking(|connection| {
        let versions = models::versions(connection)?;
        versions.into_iter().map(|version| models::load(connection, version)).collect::<Result<Vec<_>, _>>()
    });
    let models = artefacts.unwrap().into_iter().flatten().map(|bytes| ModelSet::decode(&bytes).unwrap());
    models.filter(|model| model.without_sessions_of(events).is_some()).count()
}

/// The visit with inner ids.
fn visited(database: &TestDatabase) -> Vec<Event> {
    let item = |name: &str| {
        let n =
            database.count(&format!("SELECT item_id::bigint AS n FROM items WHERE external_id = '{name}'"));
        ItemId(u32::try_from(n).unwrap())
    };
    let visit = [("131", 0), ("133", 1), (ITEM, 2), ("135", 3)];
    visit
        .into_iter()
        .map(|(name, minute)| Event {
            occurred_at: Timestamp::parse(&format!("2026-10-09T12:0{minute}:00Z")).unwrap(),
            user: Some(UserId(0)),
            item: Some(item(name)),
            kind: EventKind::View,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        })
        .collect()
}

#[test]
fn nothing_of_an_erased_user_is_left_in_any_table_or_model() {
    let (database, server) = shop(&SETTINGS);
    let push = PushService::start();
    let mut client = with_a_past(&server, &push);
    let mut http = server.http();
    for needle in [ANNA, VISITOR, WORD, ITEM] {
        assert!(!tables_with(&database, needle).is_empty(), "{needle}");
    }
    for table in ["users", "webhook_deliveries", "audit_log", "outbox"] {
        assert!(tables_with(&database, ANNA).contains(table), "{table}: {:?}", tables_with(&database, ANNA));
    }
    let events = visited(&database);
    assert_eq!(remembering(&database, &events), 1);
    let of_others = |database: &TestDatabase| {
        database.count(
            "SELECT count(*) AS n FROM events JOIN users USING (user_id) WHERE length(external_id) < 4",
        )
    };
    assert_eq!(of_others(&database), 480);

    let id = erase(&mut http, PATH);
    assert_eq!(client.close(), (3505, "user erased".to_owned()));
    let receipt_of_rows = wait_until_erased(&mut http, &id);
    for needle in [ANNA, "anna-4711%40shop.example", VISITOR, WORD, ITEM] {
        assert_eq!(tables_with(&database, needle), BTreeSet::new(), "{needle}");
    }
    assert_eq!(remembering(&database, &events), 0, "masked until the next training");

    let removed = |table: &str| receipt_of_rows["removed"][table].as_u64().unwrap_or(0);
    assert!(removed("events") >= 8 && removed("users") == 2 && removed("items") == 1, "{receipt_of_rows}");
    let held: BTreeSet<&str> = HOLDINGS.iter().map(|holding| holding.table).collect();
    let told = receipt_of_rows["removed"].as_object().unwrap();
    let told: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(
        told,
        &held | &BTreeSet::from(["items", "webhook_deliveries"]),
        "every table of the record is erased"
    );
    for table in [
        "consents",
        "opt_outs",
        "topic_subscribers",
        "push_subscriptions",
        "notifications",
        "outbox",
        "revocations",
    ] {
        assert!(removed(table) > 0, "{table}: {receipt_of_rows}");
    }
    let kept = &receipt_of_rows["kept"][0];
    assert!(kept["table"] == "audit_log" && kept["rows"].as_u64() > Some(2), "{receipt_of_rows}");
    let pseudonym = kept["named"].as_str().unwrap();
    assert!(tables_with(&database, pseudonym).contains("audit_log"));
    let (whole, text) = tidings(&database, &["audit", "verify"]);
    assert!(whole && text.contains("name an erased user by a pseudonym"), "{text}");

    wait_for("a model that was trained since", || receipt(&mut http, &id)["state"] == "done");
    assert_eq!(database.count("SELECT min(model_version)::bigint AS n FROM models"), 2);
    assert_eq!(of_others(&database), 480);
    let waiting = "SELECT count(*) AS n FROM outbox WHERE users = '{1}'";
    assert_eq!(database.count(waiting), 1, "the message to both goes to the other");
}
