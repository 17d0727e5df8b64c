//! Web Push against a push service on a real socket, with messages read by other primitives than they are made with.

use std::process::Command;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Integer, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use tidings::base::{ExternalId, Millis, NotificationId, Timestamp, UserId};
use tidings::store::push_outbox::{self, PushOrder};
use tidings::store::{Store, users};
use uuid::Uuid;

use crate::helpers::browser::Browser;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::push_service::{BrowserKeys, PushService};
use crate::helpers::server::{Server, wait_for};

pub const SUBSCRIPTIONS: &str = "/v1/webpush/subscriptions";

/// A server that may push to loopback, without TLS.
pub fn lax(database: &TestDatabase) -> Server {
    start(database, &[("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true")])
}

pub fn start(database: &TestDatabase, settings: &[(&str, &str)]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &database.url);
    command.env("TIDINGS_WEBPUSH_CONTACT", "mailto:ops@shop.example");
    Server::spawn(command.envs(settings.iter().copied()))
}

pub fn subscribe(http: &mut Http, user: Value, endpoint: &str) -> BrowserKeys {
    let keys = BrowserKeys::new();
    let mut body = keys.subscription(endpoint);
    body["user_id"] = user;
    let answer = http.post(SUBSCRIPTIONS, &body);
    assert!([200, 201].contains(&answer.status), "{}", answer.body);
    keys
}

pub fn user(store: &Store, id: i64) -> UserId {
    store.run_blocking(|conn| users::resolve(conn, &[ExternalId::Integer(id)])).unwrap()[0]
}

/// Stores a message as the server does and orders its push. Its channel is Web Push: what had been given to a page would
/// be handed over a second time once the server looks for what earlier ones left behind, ten seconds after its start.
pub fn order(store: &Store, to: i64, offset: i64, frame: Value, lasts: Millis) -> NotificationId {
    let id = NotificationId(Uuid::now_v7());
    let (user, now) = (user(store, to), Timestamp::now());
    let mut frame = frame;
    frame["notification_id"] = json!(id.0);
    let expires_at = now + lasts;
    store
        .run_blocking(|conn| {
            diesel::sql_query(
                "INSERT INTO notifications (notification_id, user_id, stream_offset, kind, category, trigger, \
                 model_version, items, frame, created_at, expires_at, channel) \
                 VALUES ($1, $2, $3, 'announcement', 'news', 'api', 0, '{}', $4, now(), $5::timestamptz, 1)",
            )
            .bind::<SqlUuid, _>(id.0)
            .bind::<Integer, _>(user.to_sql())
            .bind::<BigInt, _>(offset)
            .bind::<Text, _>(frame.to_string())
            .bind::<Text, _>(expires_at.to_string())
            .execute(conn)?;
            push_outbox::order(conn, &[PushOrder { notification: id, user, due_at: now, expires_at }])
        })
        .unwrap();
    id
}

pub fn waiting(store: &Store) -> i64 {
    store.run_blocking(push_outbox::waiting).unwrap()
}

/// Over a connection of its own: a kept one is closed while one waits.
pub fn numbers(server: &Server) -> Value {
    server.http().get("/admin/metrics").json()["webpush"].clone()
}

#[test]
fn a_push_arrives_encrypted_signed_and_with_its_headers() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    let frame = json!({"title": "Order 17", "body": "is on its way", "url": "https://shop.example/17",
        "collapse_key": "order/17", "priority": "high"});
    let id = order(&database.store, 1, 1, frame, Millis::hours(2));
    let pushed = service.wait_for(1).remove(0);
    assert_eq!(pushed.path, "/push/a");
    assert_eq!(pushed.header("content-encoding"), "aes128gcm");
    assert_eq!(pushed.header("urgency"), "high");
    assert_eq!(pushed.header("topic").len(), 32);
    let ttl: u64 = pushed.header("ttl").parse().unwrap();
    assert!((7_000..=7_200).contains(&ttl), "{ttl}");
    let (claims, key) = pushed.claims();
    assert_eq!(claims["aud"], format!("http://{}", service.address));
    assert_eq!(claims["sub"], "mailto:ops@shop.example");
    let lasts = claims["exp"].as_i64().unwrap() - pushed.at.as_seconds();
    assert!((0..=86_400).contains(&lasts), "RFC 8292: at most a day, not {lasts} s");
    assert_eq!(server.http().get("/v1/webpush/key").json()["public_key"], key);
    let message = keys.read(&pushed.body);
    assert_eq!(message["notification_id"], json!(id.0));
    assert_eq!((&message["title"], &message["url"]), (&json!("Order 17"), &json!("https://shop.example/17")));
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
    wait_for("the count", || numbers(&server)["sent"] == 1);

    // The service worker may say what came of it without a login, of this message and nothing else.
    let report = |token: &str, outcome: &str| {
        server.http().post("/v1/webpush/reports", &json!({"token": token, "outcome": outcome})).status
    };
    let token = message["report_token"].as_str().unwrap();
    assert_eq!(report(token, "clicked"), 204);
    assert_eq!(report(token, "converted"), 400);
    assert_eq!(report(&format!("B{}", &token[1..]), "clicked"), 401);
    wait_for("the click to be counted", || {
        server.http().get("/admin/metrics").json()["feedback"]["overall"]["clicked"] == 1
    });
}

#[test]
fn a_long_message_is_cut_to_what_a_push_holds() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    let frame = json!({"title": "Long", "body": "ü".repeat(9_000), "url": "https://shop.example/long"});
    order(&database.store, 1, 1, frame, Millis::hours(1));
    let pushed = service.wait_for(1).remove(0);
    assert!(pushed.body.len() <= 4_096, "{}", pushed.body.len());
    let message = keys.read(&pushed.body);
    assert_eq!(message["url"], "https://shop.example/long");
    assert!(message["body"].as_str().unwrap().ends_with("ü…"));
}

#[test]
fn a_subscription_that_has_ended_is_forgotten() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    for (name, status) in [("gone", 410), ("missing", 404)] {
        subscribe(&mut server.http(), json!(1), &service.endpoint(name));
        service.answer_next(Some((status, "")));
        order(&database.store, 1, i64::from(status), json!({"title": "Hello"}), Millis::hours(1));
        wait_for("the subscription to go", || {
            database.store.run_blocking(tidings::store::push_subscriptions::count).unwrap() == 0
        });
        assert_eq!(waiting(&database.store), 0);
    }
    wait_for("the count", || numbers(&server)["gone"] == 2);
    order(&database.store, 1, 3, json!({"title": "Nobody"}), Millis::hours(1));
    assert_eq!(waiting(&database.store), 0, "nothing waits for nobody");
}

#[test]
fn what_does_not_fit_is_dropped_a_refusal_is_tried_again_and_a_redirect_is_not_followed() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    service.answer_next(Some((413, "")));
    order(&database.store, 1, 1, json!({"title": "Too long"}), Millis::hours(1));
    wait_for("the refusal to be counted", || numbers(&server)["refused"] == 1);
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
    let elsewhere = format!("Location: {}", service.endpoint("elsewhere"));
    for (offset, answer) in (2..).zip([(400, ""), (307, elsewhere.as_str())]) {
        service.answer_next(Some(answer));
        order(&database.store, 1, offset, json!({"title": "Hello"}), Millis::hours(1));
        wait_for("the message to be taken", || numbers(&server)["sent"] == offset - 1);
    }
    assert!(service.pushed().iter().all(|pushed| pushed.path == "/push/a"));
    assert_eq!(service.pushed().len(), 5, "one, and two twice");
}

#[test]
fn a_busy_service_is_tried_again_when_it_says() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    service.answer_next(Some((429, "Retry-After: 3")));
    service.answer_next(Some((503, "")));
    order(&database.store, 1, 1, json!({"title": "Hello"}), Millis::hours(1));
    let pushed = service.wait_for(3);
    let waited = pushed[1].at.millis_since(pushed[0].at).0;
    assert!(waited >= 3_000, "asked for 3 s, came after {waited} ms");
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
    wait_for("both retries to be counted", || numbers(&server)["retried"].as_u64() >= Some(2));
    let sent = numbers(&server);
    assert_eq!(sent["sent"], 1, "{sent}");
}

#[test]
fn what_would_expire_before_the_next_attempt_is_given_up() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    service.answer_next(Some((429, "Retry-After: 7200")));
    order(&database.store, 1, 1, json!({"title": "Hello"}), Millis::hours(1));
    wait_for("the expiry to be counted", || numbers(&server)["expired"] == 1);
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
}

#[test]
fn a_name_that_leads_to_a_private_address_is_never_connected_to() {
    let database = TestDatabase::new();
    let (server, service) = (start(&database, &[]), PushService::start());
    // The name passes, what it resolves to does not.
    subscribe(&mut server.http(), json!(1), &format!("https://localhost:{}/push/a", service.address.port()));
    order(&database.store, 1, 1, json!({"title": "Hello"}), Millis::hours(1));
    wait_for("the refusal to be counted", || numbers(&server)["refused"].as_i64() >= Some(1));
    assert_eq!(service.connections(), 0);
    for bad in
        ["http://push.example/a", "https://127.0.0.1/a", "https://[::1]/a", "https://10.0.0.1/a", "nonsense"]
    {
        let mut body = BrowserKeys::new().subscription(bad);
        body["user_id"] = json!(1);
        let answer = server.http().post(SUBSCRIPTIONS, &body);
        assert_eq!(answer.status, 400, "{bad}");
        assert_eq!(answer.json()["error"]["field"], "endpoint");
    }
}

#[test]
fn a_sigkill_between_storing_and_sending_loses_no_push() {
    let database = TestDatabase::new();
    let (mut server, service) = (lax(&database), PushService::start());
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    service.answer_next(None); // The request is there and nobody knows what came of it.
    let id = order(&database.store, 1, 1, json!({"title": "Hello"}), Millis::hours(1));
    service.wait_for(1);
    server.kill();
    order(&database.store, 1, 2, json!({"title": "While it was away"}), Millis::hours(1));
    let _again = lax(&database);
    let pushed = service.wait_for(3);
    assert_eq!(keys.read(&pushed[0].body)["notification_id"], json!(id.0));
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
}

#[test]
fn the_key_is_made_once_and_can_be_set() {
    let database = TestDatabase::new();
    let key = |server: &Server| server.http().get("/v1/webpush/key").json()["public_key"].clone();
    let first = key(&start(&database, &[]));
    assert_eq!(first.as_str().unwrap().len(), 87);
    assert_eq!(key(&start(&database, &[])), first, "a new key would end every subscription");
    // RFC 8292 §2.4's example is not given as a private key; this one is RFC 8291's.
    let set =
        start(&database, &[("TIDINGS_WEBPUSH_PRIVATE_KEY", "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")]);
    assert_eq!(
        key(&set),
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    );
    drop(set);
    let off = start(&database, &[("TIDINGS_WEBPUSH_ENABLED", "false")]);
    assert_eq!(off.http().get("/v1/webpush/key").status, 404);
}

#[test]
fn subscriptions_are_checked_renewed_taken_over_and_bounded() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    let count = || database.store.run_blocking(tidings::store::push_subscriptions::count).unwrap();
    let mut body = BrowserKeys::new().subscription(&service.endpoint("a"));
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).json()["error"]["field"], "user_id");
    body["user_id"] = json!(1);
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 201);
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 200, "the same again is no second one");
    assert_eq!(count(), 1);
    for (key, bad) in [("p256dh", "AAAA"), ("auth", "AAAA"), ("auth", "!")] {
        let mut wrong = body.clone();
        wrong["keys"][key] = json!(bad);
        let answer = server.http().post(SUBSCRIPTIONS, &wrong);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!("bad_keys")));
    }
    // Somebody else signs in on the same browser: what waits for the first user must not be shown to the second.
    service.answer_next(Some((503, "Retry-After: 3600")));
    order(&database.store, 1, 1, json!({"title": "For user 1"}), Millis::hours(2));
    service.wait_for(1);
    body["user_id"] = json!(2);
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 200);
    assert_eq!((count(), waiting(&database.store)), (1, 0));
    // User 1 can't end it any more.
    let mut end = json!({"endpoint": service.endpoint("a"), "user_id": 1});
    assert_eq!(server.http().delete_with(SUBSCRIPTIONS, &end).status, 204);
    assert_eq!(count(), 1);
    end["user_id"] = json!(2);
    assert_eq!(server.http().delete_with(SUBSCRIPTIONS, &end).status, 204);
    assert_eq!(count(), 0);
    for n in 0..23 {
        subscribe(&mut server.http(), json!(3), &service.endpoint(&n.to_string()));
    }
    assert_eq!(count(), 20);
}

#[test]
fn with_tokens_a_user_subscribes_only_for_themself() {
    let database = TestDatabase::new();
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let server = start(
        &database,
        &[
            ("TIDINGS_AUTH_MODE", "token"),
            ("TIDINGS_AUTH_SECRET", secret),
            ("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true"),
        ],
    );
    let service = PushService::start();
    let mut body = BrowserKeys::new().subscription(&service.endpoint("a"));
    assert_eq!(server.http().post(SUBSCRIPTIONS, &body).status, 401);
    let tomorrow = Timestamp::now().plus_days(1.0);
    let token = tidings::privacy::token::issue(secret, tidings::privacy::Role::User, "7", tomorrow).unwrap();
    let post = |body: &Value| {
        let mut http = server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        http.post(SUBSCRIPTIONS, body).status
    };
    assert_eq!(post(&body), 201, "the token says who");
    body["user_id"] = json!(8);
    assert_eq!(post(&body), 403);
}

/// What the browser shows, as JSON, once its service worker has said that it has shown this message. Asked earlier, Chromium
/// forgets what it is about to show.
fn shown(browser: &mut Browser, id: &str) -> Vec<Value> {
    browser.wait_for(&format!("window.told?.includes({})", json!(id)));
    let all = browser.evaluate(
        "navigator.serviceWorker.ready.then(registration => registration.getNotifications()) \
         .then(all => all.map(({title, body, data}) => ({title, body, data})))",
    );
    all.as_array().unwrap().clone()
}

#[test]
fn a_browser_shows_a_push_once_and_reports_it() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    // A real message for a real token, taken from the wire.
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    let frame = json!({"title": "Order 17", "body": "is on its way", "url": "/#/try/1"});
    let id = order(&database.store, 1, 1, frame, Millis::hours(1)).0.to_string();
    let message = keys.read(&service.wait_for(1)[0].body).to_string();

    let mut browser = Browser::launch();
    let origin = format!("http://{}", server.address);
    browser.open(&format!("{origin}/"));
    browser.evaluate(
        "window.told = []; navigator.serviceWorker.addEventListener('message', ({data}) => window.told.push(data.notification_id));",
    );
    browser.deliver_push(&origin, &message);
    let notification = shown(&mut browser, &id).remove(0);
    assert_eq!(
        (&notification["title"], &notification["body"]),
        (&json!("Order 17"), &json!("is on its way"))
    );
    let displayed = || server.http().get("/admin/metrics").json()["feedback"]["overall"]["displayed"].clone();
    wait_for("the report", || displayed() == 1);

    // The same again is nothing new, and neither is what the page has shown.
    browser.evaluate(
        "navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.forEach(n => n.close())).then(() => 1)",
    );
    browser.deliver_push(&origin, &message);
    assert_eq!(browser.evaluate("import('/webpush.js').then(push => push.claimShown('seen-by-page'))"), true);
    browser.deliver_push(&origin, &json!({"notification_id": "seen-by-page", "title": "Twice"}).to_string());
    browser.deliver_push(&origin, "nonsense");
    browser.deliver_push(&origin, &json!({"notification_id": "last", "title": "Last"}).to_string());
    let titles: Vec<Value> = shown(&mut browser, "last").iter().map(|seen| seen["title"].clone()).collect();
    assert_eq!(titles, ["Last"]);
    assert_eq!(browser.evaluate("import('/webpush.js').then(push => push.claimShown('last'))"), false);
}

#[test]
fn a_page_of_a_configured_site_may_subscribe_and_no_other() {
    let database = TestDatabase::new();
    let server = start(&database, &[("TIDINGS_SERVER_ALLOWED_ORIGINS", "https://shop.example")]);
    for (origin, may) in [("https://shop.example", true), ("https://evil.example", false)] {
        let mut http = server.http();
        http.headers.push(("Origin".to_owned(), origin.to_owned()));
        let allowed = may.then_some(origin);
        let key = http.get("/v1/webpush/key");
        assert_eq!(key.header("access-control-allow-origin"), allowed);
        assert_eq!(http.get("/webpush.js").header("access-control-allow-origin"), allowed, "a module too");
        let preflight = http.send("OPTIONS", SUBSCRIPTIONS, "", b"").unwrap();
        assert_eq!(preflight.header("access-control-allow-methods").is_some(), may);
        assert_eq!(http.post(SUBSCRIPTIONS, &json!({})).status, if may { 400 } else { 403 });
    }
}
