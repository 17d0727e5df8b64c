//! Webhooks: what happens is told to real sockets, signed, at least once, whatever fails on the way.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use diesel::RunQueryDsl;
use ring::hmac;
use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Response;
use crate::helpers::push_service::{PushService as Receiver, Pushed};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

const PRIVATE: [&str; 2] = ["--set", "webhooks.allow_private=true"];

/// An endpoint of a receiver; its id and its key.
fn endpoint(server: &Server, receiver: &Receiver, name: &str, events: &[&str]) -> (String, String) {
    let body = json!({"url": receiver.endpoint(name), "events": events, "description": name});
    let answer = server.http().post("/v1/webhooks", &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let made = answer.json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("webhook_id"), text("secret"))
}

fn post(server: &Server, id: &str, action: &str, body: &Value) -> Response {
    server.http().post(&format!("/v1/webhooks/{id}/{action}"), body)
}

fn shown(server: &Server, id: &str) -> Value {
    server.http().get(&format!("/v1/webhooks/{id}")).json()
}

fn log(server: &Server, id: &str, query: &str) -> Vec<Value> {
    let answer = server.http().get(&format!("/v1/webhooks/{id}/deliveries{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["deliveries"].as_array().unwrap().clone()
}

/// The body; panics unless one of the signatures is that of the key.
fn verified(request: &Pushed, secret: &str) -> Value {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let (id, at) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let signed = [format!("{id}.{at}.").as_bytes(), &request.body].concat();
    let is_valid = |signature: &str| {
        let signature = BASE64.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &signature).is_ok()
    };
    assert!(request.header("webhook-signature").split(' ').any(is_valid), "no signature of this key");
    serde_json::from_slice(&request.body).unwrap()
}

/// Waits for an event of this type to come.
fn told(receiver: &Receiver, kind: &str) -> Pushed {
    let is_it = |request: &Pushed| {
        serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body["type"] == kind)
    };
    let mut found = None;
    wait_for(kind, || {
        found = receiver.pushed().into_iter().find(is_it);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn what_happens_is_told_signed() {
    let (_database, server) = shop(&PRIVATE);
    let receiver = Receiver::start();
    let events = [
        "message.sent",
        "message.clicked",
        "message.converted",
        "message.dropped",
        "preference.changed",
        "consent.changed",
    ];
    let (id, secret) = endpoint(&server, &receiver, "all", &events);
    let (mut client, _) = server.login(17);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 102}));
    let mut message = client.expect("recommendation");
    while message["trigger"] != "view" {
        message = client.expect("recommendation");
    }
    let (notification, item) = (&message["notification_id"], &message["items"][0]["item_id"]);
    let is_of_it =
        |body: &Value| body["type"] == "message.sent" && &body["data"]["notification_id"] == notification;
    let sent = || receiver.pushed().iter().map(|request| verified(request, &secret)).find(is_of_it);
    wait_for("the message to be told", || sent().is_some());
    let data = &sent().unwrap()["data"];
    assert_eq!((&data["user_id"], &data["trigger"], &data["items"][0]), (&json!(17), &json!("view"), item));

    client.send(&json!({"type": "feedback", "notification_id": notification, "outcome": "clicked"}));
    let clicked = verified(&told(&receiver, "message.clicked"), &secret);
    assert_eq!(
        (&clicked["data"]["notification_id"], &clicked["data"]["user_id"]),
        (notification, &json!(17))
    );
    let trade =
        json!([{"user_id": 17, "kind": "purchase", "item_id": item, "value": 30.5, "currency": "EUR"}]);
    assert_eq!(server.http().post("/v1/events", &trade).status, 202);
    let converted = verified(&told(&receiver, "message.converted"), &secret);
    let data = &converted["data"];
    assert_eq!(
        (&data["notification_id"], &data["item_id"], &data["value"]),
        (notification, item, &json!(30.5))
    );
    assert_eq!((&data["source"], &data["currency"]), (&json!("purchase"), &json!("EUR")));
    assert_eq!(server.http().put("/v1/users/17/preferences", &json!({"locale": "de"})).status, 200);
    let changed = verified(&told(&receiver, "preference.changed"), &secret);
    assert_eq!((&changed["data"]["locale"], &changed["data"]["user_id"]), (&json!("de"), &json!(17)));
    let consent = json!({"purpose": "marketing", "granted": false, "source": "form", "text_version": "1"});
    let answer = server.http().post("/v1/users/17/consent", &consent);
    assert!(answer.status < 300, "{}", answer.body);
    let told_consent = verified(&told(&receiver, "consent.changed"), &secret);
    assert_eq!(
        (&told_consent["data"]["purpose"], &told_consent["data"]["granted"]),
        (&json!("marketing"), &json!(false))
    );
    client.send(&json!({"type": "event", "kind": "view", "item_id": 104}));
    let dropped = verified(&told(&receiver, "message.dropped"), &secret);
    assert!(dropped["data"]["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{dropped}");

    let all = server.http().get("/v1/webhooks").body;
    assert!(all.contains(&id) && !all.contains("whsec_") && !all.contains(&secret[6..]), "{all}");
    assert!(receiver.pushed().iter().all(|request| request.header("webhook-id").starts_with("msg_")));
}

#[test]
fn a_new_key_and_the_one_before_both_sign() {
    let (_database, server) = shop(&PRIVATE);
    let receiver = Receiver::start();
    let (id, old) = endpoint(&server, &receiver, "rotated", &["message.sent"]);
    let answer = post(&server, &id, "rotate", &Value::Null).json();
    let new = answer["secret"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(post(&server, &id, "test", &Value::Null).status, 202);
    let request = &receiver.wait_for(1)[0];
    assert_eq!(request.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(verified(request, new), verified(request, &old));
    assert_eq!(verified(request, new)["type"], "webhook.test");
}

#[test]
fn what_was_refused_is_told_again_under_its_id_logged_and_replayed() {
    let (_database, server) = shop(&PRIVATE);
    let receiver = Receiver::start();
    let (id, secret) = endpoint(&server, &receiver, "log", &["message.sent"]);
    receiver.answer_next_with(500, "no, \u{1}not now");
    let answer = post(&server, &id, "test", &Value::Null);
    let delivery = answer.json()["delivery_id"].clone();
    let mut refused = Value::Null;
    wait_for("the refusal", || {
        refused = log(&server, &id, "?state=pending").pop().unwrap_or_default();
        // Counted as an attempt when it is claimed, due anew when it is answered.
        refused["requests"][0]["status"] == 500
    });
    let due: Timestamp = serde_json::from_value(refused["due_at"].clone()).unwrap();
    let requests = receiver.wait_for(2);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(verified(&requests[0], &secret), verified(&requests[1], &secret));
    let mut entry = Value::Null;
    wait_for("the log", || {
        entry = log(&server, &id, "?state=delivered").pop().unwrap_or_default();
        entry["attempts"] == 2
    });
    let planned = due.millis_since(requests[0].at).0;
    assert!((4_500..=8_500).contains(&planned), "due {planned} ms after the refusal");
    assert!(requests[1].at >= due, "tried before it was due: {entry}");
    assert_eq!((&entry["delivery_id"], &entry["requests"][1]["status"]), (&delivery, &json!(201)));
    let first = &entry["requests"][0];
    assert_eq!((&first["status"], &first["answer"]), (&json!(500), &json!("no,  not now")), "{entry}");
    assert!(first["took_ms"].is_u64() && shown(&server, &id)["failing_since"].is_null());

    assert_eq!(post(&server, &id, "replay", &json!({"delivery_id": delivery})).json()["replayed"], 1);
    assert_eq!(receiver.wait_for(3)[2].header("webhook-id"), requests[0].header("webhook-id"));
    for (body, status) in [
        (json!({"delivery_id": 999_999}), 404),
        (json!({}), 400),
        (json!({"delivery_id": 1, "failed_since": "2026-01-01T00:00:00Z"}), 400),
        (json!({"since": 1}), 400),
    ] {
        assert_eq!(post(&server, &id, "replay", &body).status, status, "{body}");
    }
}

#[test]
fn nothing_is_lost_when_the_server_is_killed_in_the_middle() {
    let (database, mut server) = shop(&PRIVATE);
    let receiver = Receiver::start();
    let (_, secret) = endpoint(&server, &receiver, "killed", &["message.sent"]);
    receiver.answer_all(None);
    let users: Vec<Value> =
        (1..=5).map(|user| json!({"user_id": user, "title": "Hello", "body": "you"})).collect();
    let answer = server.http().post("/v1/notifications", &json!(users));
    assert_eq!(answer.status, 202, "{}", answer.body);
    receiver.wait_for(1);
    server.kill();
    receiver.answer_all(Some((204, "")));
    let before = receiver.pushed().len();
    let server = Server::start(&database.url, &PRIVATE);
    let committed = || database.count("SELECT count(*) AS n FROM notifications");
    wait_for("all messages to be told", || {
        let waits = database.count("SELECT count(*) AS n FROM webhook_deliveries WHERE state <> 'delivered'");
        committed() == 5 && waits == 0
    });
    let after = receiver.pushed().split_off(before);
    let told: std::collections::BTreeSet<String> = after
        .iter()
        .map(|request| verified(request, &secret)["data"]["notification_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told.len(), 5, "each message of the five");
    drop(server);
}

fn sql(database: &TestDatabase, statement: &str) {
    diesel::sql_query(statement).execute(&mut database.connection()).unwrap();
}

#[test]
fn an_endpoint_that_takes_nothing_for_days_is_disabled_with_the_reason_and_comes_back_by_hand() {
    let (database, server) = shop(&PRIVATE);
    let receiver = Receiver::start();
    let (id, _) = endpoint(&server, &receiver, "dead", &["message.sent"]);
    receiver.answer_all(Some((500, "")));
    post(&server, &id, "test", &Value::Null);
    wait_for("the failure", || shown(&server, &id)["failing_since"].is_string());
    assert_eq!(shown(&server, &id)["active"], true);
    sql(&database, "UPDATE webhook_endpoints SET failing_since = now() - interval '6 days'");
    sql(&database, "UPDATE webhook_deliveries SET due_at = now()");
    wait_for("the end", || shown(&server, &id)["active"] == false);
    let reason = shown(&server, &id)["disabled_reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("nothing was delivered since 20"), "{reason}");
    assert_eq!(shown(&server, &id)["pending"], 0);
    assert_eq!(post(&server, &id, "test", &Value::Null).status, 409);

    receiver.answer_all(Some((200, "")));
    let path = format!("/v1/webhooks/{id}");
    let answer = server.http().patch(&path, &json!({"active": true})).json();
    assert_eq!((&answer["active"], &answer["disabled_reason"]), (&json!(true), &Value::Null));
    let replayed = post(&server, &id, "replay", &json!({"failed_since": "2020-01-01T00:00:00Z"})).json();
    assert_eq!(replayed["replayed"], 1);
    wait_for("the delivery", || log(&server, &id, "?state=delivered").len() == 1);

    receiver.answer_next(Some((410, "")));
    post(&server, &id, "test", &Value::Null);
    wait_for("the end", || shown(&server, &id)["active"] == false);
    assert_eq!(shown(&server, &id)["disabled_reason"], "it answered 410 Gone");
    assert_eq!(server.http().delete(&path).status, 204);
    assert_eq!(server.http().get(&path).status, 404);
    for table in ["webhook_attempts", "webhook_deliveries", "webhook_endpoints"] {
        assert_eq!(database.count(&format!("SELECT count(*) AS n FROM {table}")), 0, "{table}");
    }
}

#[test]
fn no_private_address_is_reached_and_no_redirect_followed() {
    let receiver = Receiver::start();
    let port = receiver.address.port();
    let (_database, server) = shop(&[]);
    for url in [
        format!("http://127.0.0.1:{port}/a"),
        format!("https://127.0.0.1:{port}/a"),
        "https://[::1]/a".to_owned(),
    ] {
        let answer = server.http().post("/v1/webhooks", &json!({"url": url, "events": ["message.sent"]}));
        assert_eq!((answer.status, &answer.json()["error"]["field"]), (400, &json!("url")), "{url}");
    }
    let body = json!({"url": format!("https://localhost:{port}/a"), "events": ["message.sent"]});
    let id = server.http().post("/v1/webhooks", &body).json()["webhook_id"].as_str().unwrap().to_owned();
    post(&server, &id, "test", &Value::Null);
    let answer = || log(&server, &id, "").pop().unwrap()["requests"][0].clone();
    wait_for("the refusal", || answer()["status"] == 0);
    assert!(answer()["answer"].as_str().unwrap().contains("not a public one"), "{}", answer());
    assert_eq!(receiver.connections(), 0);

    let (_database, server) = shop(&PRIVATE);
    let other = Receiver::start();
    let (id, _) = endpoint(&server, &receiver, "moved", &["message.sent"]);
    receiver.answer_next(Some((307, &format!("Location: {}", other.endpoint("b")))));
    post(&server, &id, "test", &Value::Null);
    wait_for("the redirect", || log(&server, &id, "").pop().unwrap()["requests"][0]["status"] == 307);
    assert_eq!(other.connections(), 0);
}

#[test]
fn an_endpoint_that_hangs_keeps_nobody_waiting() {
    let (_database, server) = shop(&PRIVATE);
    let (hanging, well) = (Receiver::start(), Receiver::start());
    hanging.answer_all(None);
    let (slow, _) = endpoint(&server, &hanging, "slow", &["message.sent"]);
    let (quick, _) = endpoint(&server, &well, "quick", &["message.sent"]);
    for _ in 0..100 {
        post(&server, &slow, "test", &Value::Null);
    }
    hanging.wait_for(1);
    for _ in 0..20 {
        post(&server, &quick, "test", &Value::Null);
    }
    well.wait_for(20);
    assert!(hanging.pushed().len() <= 8, "{} requests at once to one that hangs", hanging.pushed().len());
    let metrics = server.http().get("/metrics").body;
    assert!(metrics.contains("tidings_webhooks_total{outcome=\"delivered\"}"), "{metrics}");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_cure() {
    let (_database, server) = shop(&PRIVATE);
    let url = "https://shop.example/hooks";
    for (body, says) in [
        (json!({"url": url, "events": ["message.click"]}), "did you mean message.clicked?"),
        (json!({"url": url, "events": []}), "one event or more"),
        (json!({"url": "shop", "events": ["message.sent"]}), "such as https://"),
        (json!({"events": ["message.sent"]}), "url is missing"),
        (json!({"url": url, "event": ["message.sent"]}), "did you mean `events`?"),
        (json!({"url": url, "events": ["message.sent"], "description": "x".repeat(600)}), "500 bytes"),
    ] {
        let answer = server.http().post("/v1/webhooks", &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body.contains(says), "{body}: {}", answer.body);
    }
    for _ in 0..50 {
        let body = json!({"url": url, "events": ["message.sent"]});
        assert_eq!(server.http().post("/v1/webhooks", &body).status, 201);
    }
    let one_more = server.http().post("/v1/webhooks", &json!({"url": url, "events": ["message.sent"]}));
    assert_eq!(one_more.status, 409, "{}", one_more.body);
}

/// The program of the page between the first fences of its language.
fn program<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("a program");
    rest.split_once("\n```").unwrap().0
}

#[test]
fn the_verification_of_the_documentation_accepts_ours_and_nothing_else() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/webhooks.md")).unwrap();
    let (_database, server) = shop(&PRIVATE);
    let receiver = Receiver::start();
    let (id, secret) = endpoint(&server, &receiver, "node", &["message.sent"]);
    post(&server, &id, "test", &Value::Null);
    let request = &receiver.wait_for(1)[0];
    let body = String::from_utf8(request.body.clone()).unwrap();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names.iter().map(|name| ((*name).to_owned(), json!(request.header(name)))).collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("verify.mjs");
    let calls = format!(
        "const [secret, headers, body] = [{}, {headers}, {}];\n\
         const refused = (...given) => {{ try {{ verify(...given); return false; }} catch {{ return true; }} }};\n\
         const old = {{ ...headers, 'webhook-timestamp': String(headers['webhook-timestamp'] - 3600) }};\n\
         console.log(JSON.stringify([verify(secret, headers, body).type, refused(secret, headers, body + ' '), \
         refused(secret, old, body), refused('whsec_' + 'A'.repeat(43) + '=', headers, body)]));\n",
        json!(secret),
        json!(body),
    );
    std::fs::write(&file, format!("{}\n{calls}", program(&page, "js"))).unwrap();
    let Ok(output) = Command::new("node").arg(&file).output() else {
        return println!("no Node: the verification of docs/webhooks.md is not run");
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "[\"webhook.test\",true,true,true]",
        "{errors}"
    );
}
