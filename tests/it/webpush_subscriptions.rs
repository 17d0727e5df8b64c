//! How push subscriptions end and begin again: refusals, a new key of the server, a browser that changes its endpoint.

use diesel::RunQueryDsl;
use diesel::sql_types::{Nullable, Text};
use serde_json::{Value, json};
use tidings::base::Millis;

use crate::helpers::database::TestDatabase;
use crate::helpers::push_service::{BrowserKeys, PushService};
use crate::helpers::server::wait_for;
use crate::webpush::{SUBSCRIPTIONS, lax, numbers, order, start, subscribe, waiting};

/// Reasons by endpoint; empty = has not ended.
fn reasons(database: &TestDatabase) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        end_reason: Option<String>,
    }
    let query = diesel::sql_query("SELECT end_reason FROM push_subscriptions ORDER BY endpoint");
    let rows: Vec<Row> = query.load(&mut database.connection()).unwrap();
    rows.into_iter().map(|row| row.end_reason.unwrap_or_default()).collect()
}

fn hello(database: &TestDatabase, user: i64, offset: i64) {
    order(&database.store, user, offset, json!({"title": "Hello"}), Millis::hours(1));
}

#[test]
fn a_few_refusals_in_a_row_end_a_subscription_with_a_reason_and_a_success_forgets_them() {
    let database = TestDatabase::new();
    let settings = [("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true"), ("TIDINGS_WEBPUSH_MAX_REFUSALS", "2")];
    let (server, service) = (start(&database, &settings), PushService::start());
    subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    service.answer_next(Some((403, "")));
    hello(&database, 1, 1);
    wait_for("the second try", || numbers(&server)["sent"] == 1);
    for status in [401, 400] {
        service.answer_next(Some((status, "")));
    }
    hello(&database, 1, 2);
    wait_for("the end", || reasons(&database) == ["refused 400"]);
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
    assert_eq!(service.pushed().len(), 4);
    // Nothing goes there any more, until its browser comes again and is told to subscribe anew.
    hello(&database, 1, 3);
    assert_eq!(waiting(&database.store), 0);
    let mut body = BrowserKeys::new().subscription(&service.endpoint("a"));
    body["user_id"] = json!(1);
    let answer = server.http().post(SUBSCRIPTIONS, &body);
    assert_eq!((answer.status, &answer.json()["ended"]), (200, &json!("refused 400")));
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).json()["ended"], Value::Null);
    hello(&database, 1, 4);
    service.wait_for(5);
}

#[test]
fn a_subscription_that_is_gone_keeps_its_reason() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    service.answer_next(Some((410, "")));
    hello(&database, 1, 1);
    wait_for("the end", || reasons(&database) == ["gone 410"]);
    wait_for("the count", || numbers(&server)["subscriptions"] == 0);
}

#[test]
fn a_new_key_of_the_server_ends_what_was_made_with_another_until_the_browser_subscribes_anew() {
    let database = TestDatabase::new();
    let service = PushService::start();
    let set = [
        ("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true"),
        ("TIDINGS_WEBPUSH_PRIVATE_KEY", "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
    ];
    let first = lax(&database);
    for n in 0..5 {
        subscribe(&mut first.http(), json!(1), &service.endpoint(&n.to_string()));
    }
    drop(first);
    let second = start(&database, &set);
    let key = second.http().get("/v1/webpush/key").json()["application_server_key"].clone();
    assert_eq!(reasons(&database), ["other_key"; 5]);
    hello(&database, 1, 1);
    assert_eq!(waiting(&database.store), 0, "none is tried");
    // The browser says nothing of its key, or says the wrong one: it is told to subscribe anew.
    let mut body = BrowserKeys::new().subscription(&service.endpoint("0"));
    body["user_id"] = json!(1);
    let mut other = body.clone();
    other["endpoint"] = json!(service.endpoint("new"));
    other["application_server_key"] = json!(format!("B{}", "A".repeat(86)));
    for body in [&body, &other] {
        let refused = second.http().post(SUBSCRIPTIONS, body);
        let said = refused.json();
        assert_eq!((refused.status, &said["error"]["code"]), (409, &json!("other_application_server_key")));
        assert_eq!(said["application_server_key"], key);
    }
    other["application_server_key"] = json!("AAAA");
    assert_eq!(second.http().post(SUBSCRIPTIONS, &other).status, 400);
    other["application_server_key"] = key.clone();
    other["replaces"] = json!(service.endpoint("0"));
    let answer = second.http().post(SUBSCRIPTIONS, &other);
    assert_eq!((answer.status, &answer.json()["application_server_key"]), (200, &key));
    hello(&database, 1, 2);
    assert_eq!(service.wait_for(1)[0].path, "/push/new");
    // The key before is back: so are those that still have it.
    drop(second);
    let _third = lax(&database);
    assert_eq!(reasons(&database), ["", "", "", "", "other_key"]);
}

#[test]
fn a_browser_that_changes_its_endpoint_takes_what_waits_along() {
    let database = TestDatabase::new();
    let (server, old, new) = (lax(&database), PushService::start(), PushService::start());
    subscribe(&mut server.http(), json!(1), &old.endpoint("a"));
    old.answer_all(Some((503, "Retry-After: 600")));
    hello(&database, 1, 1);
    old.wait_for(1);
    let keys = BrowserKeys::new();
    let mut body = keys.subscription(&new.endpoint("b"));
    (body["user_id"], body["replaces"]) = (json!(1), json!(old.endpoint("a")));
    let answer = server.http().post(SUBSCRIPTIONS, &body);
    assert_eq!((answer.status, &answer.json()["created"]), (200, &json!(false)));
    assert_eq!(keys.read(&new.wait_for(1)[0].body)["title"], "Hello");
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
    assert_eq!(reasons(&database), [""], "one subscription");
    // Said again, it changes nothing; one that nobody knows is simply new; another user's goes.
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 200);
    (body["endpoint"], body["replaces"]) = (json!(new.endpoint("c")), json!(new.endpoint("unknown")));
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 201);
    (body["user_id"], body["replaces"]) = (json!(2), json!(new.endpoint("b")));
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 200);
    assert_eq!(reasons(&database), [""]);
    body["replaces"] = json!("x".repeat(3_000));
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).json()["error"]["field"], "replaces");
}
