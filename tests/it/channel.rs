//! The page, Web Push or the inbox: one of them for each message, also when the page closes in between, over both transports.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::line::{Line, Login, TRANSPORTS, Transport};
use crate::helpers::push_service::{BrowserKeys, PushService};
use crate::helpers::server::{Server, wait_for};
use crate::webpush::{start, subscribe};

/// A shop whose every message may be pushed, soon after a page has closed on it.
fn shop(database: &TestDatabase) -> Server {
    let server = start(
        database,
        &[
            ("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true"),
            ("TIDINGS_WEBPUSH_NOT_FOR", ""),
            ("TIDINGS_WEBPUSH_GRACE_MS", "1500"),
        ],
    );
    let items: Value = (101..161).map(|id| json!({"item_id": id, "title": format!("Mug {id}")})).collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    server
}

fn channel_of(database: &TestDatabase, notification: &Value) -> i16 {
    use diesel::prelude::*;
    use tidings::schema::notifications::dsl;
    let id: uuid::Uuid = serde_json::from_value(notification["notification_id"].clone()).unwrap();
    dsl::notifications.find(id).select(dsl::channel).first(&mut database.connection()).unwrap()
}

/// The shop tells a user something; the frame as the open page gets it.
fn tell(server: &Server, client: &mut Line, user: i64, title: &str) -> Value {
    let answer =
        server.http().post("/v1/notifications", &json!({"user_id": user, "kind": "news", "title": title}));
    assert_eq!(answer.status, 202, "{}", answer.body);
    client.expect_title(title)
}

/// Waits for the push of a message; how many pushes there were until then.
fn wait_for_push(service: &PushService, keys: BrowserKeys, path: &str, message: &Value) -> usize {
    let mut found = None;
    wait_for("the push", || {
        found = service.pushed().into_iter().find(|pushed| pushed.path.ends_with(path));
        found.is_some()
    });
    let read = keys.read(&found.unwrap().body);
    assert_eq!(read["notification_id"], message["notification_id"]);
    service.pushed().len()
}

/// A page that somebody has opened, and its greeting.
fn page(server: &Server, transport: Transport, user: i64) -> (Line, Value) {
    let mut page = transport.open(server, user);
    let greeting = page.expect("recommendation");
    (page, greeting)
}

/// A shop, a push service and a transport for each check.
fn each(check: impl Fn(Server, &PushService, &TestDatabase, Transport)) {
    for transport in TRANSPORTS {
        let database = TestDatabase::new();
        check(shop(&database), &PushService::start(), &database, transport);
    }
}

#[test]
fn who_looks_gets_it_there_and_who_does_not_gets_a_push() {
    each(|server, service, database, transport| {
        let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
        let (mut client, greeting) = page(&server, transport, 1);
        let seen = tell(&server, &mut client, 1, "while looking");
        client.acknowledge(&seen);
        assert_eq!((channel_of(database, &greeting), channel_of(database, &seen)), (0, 0));
        // The tab goes into the background: it still gets the frame, for its list, but the browser shows the message.
        client.look(false);
        let hidden = tell(&server, &mut client, 1, "while hidden");
        assert_eq!(channel_of(database, &hidden), 1);
        assert_eq!(wait_for_push(service, keys, "one", &hidden), 1, "only that one was pushed");
        // Nobody subscribed for user 2: it waits.
        let (mut other, _) = page(&server, transport, 2);
        other.look(false);
        let waits = tell(&server, &mut other, 2, "nobody's browser");
        assert_eq!(channel_of(database, &waits), 2);
    });
}

#[test]
fn what_a_page_closed_on_is_handed_over_and_what_it_acknowledged_is_not() {
    each(|server, service, database, transport| {
        let _quiet = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
        let keys = subscribe(&mut server.http(), json!(2), &service.endpoint("two"));
        let (mut client, greeting) = page(&server, transport, 1);
        client.acknowledge(&greeting);
        drop(client);
        let (client, greeting) = page(&server, transport, 2);
        drop(client);
        // User 1 left first: were anything handed over for them, it would have come before this.
        assert_eq!(wait_for_push(service, keys, "two", &greeting), 1);
        assert_eq!(channel_of(database, &greeting), 1);
    });
}

#[test]
fn a_page_that_comes_back_in_time_gets_it_itself() {
    each(|server, service, _, transport| {
        let _quiet = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
        let keys = subscribe(&mut server.http(), json!(2), &service.endpoint("two"));
        let (client, greeting) = page(&server, transport, 1);
        drop(client);
        let resume = Some((greeting["epoch"].as_str().unwrap().to_owned(), 0));
        let (mut again, _) =
            transport.welcomed(&server, &Login { user: Some(json!(1)), resume, ..Login::default() });
        let resumed = again.expect("recommendation");
        assert_eq!(resumed["notification_id"], greeting["notification_id"]);
        again.acknowledge(&resumed);
        let (client, greeting) = page(&server, transport, 2);
        drop(client);
        assert_eq!(wait_for_push(service, keys, "two", &greeting), 1, "user 1 got no push");
    });
}

#[test]
fn what_a_killed_server_had_given_to_pages_is_pushed_after_its_restart() {
    each(|mut server, service, database, transport| {
        let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
        let (_client, greeting) = page(&server, transport, 1);
        server.kill();
        let _again = shop(database);
        assert_eq!(wait_for_push(service, keys, "one", &greeting), 1);
        assert_eq!(channel_of(database, &greeting), 1);
    });
}

#[test]
fn a_message_for_somebody_absent_is_pushed_whatever_dies() {
    each(|mut server, service, database, transport| {
        let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
        let message = json!({"user_id": 1, "kind": "order_status", "category": "orders", "priority": "transactional",
            "title": "Order 17", "body": "is on its way", "url": "https://shop.example/17", "collapse_key": "order/17"});
        let answer = server.http().post("/v1/notifications", &message);
        assert_eq!(answer.status, 202, "{}", answer.body);
        server.kill();
        let again = shop(database);
        let pushed = service.wait_for(1).remove(0);
        assert_eq!((pushed.header("urgency"), pushed.header("topic").len()), ("high", 32));
        let read = keys.read(&pushed.body);
        assert_eq!((&read["title"], &read["kind"]), (&json!("Order 17"), &json!("order_status")));
        assert_eq!(channel_of(database, &read), 1);
        // Somebody who looks needs no push.
        let (mut client, _) = page(&again, transport, 1);
        let seen = tell(&again, &mut client, 1, "For who looks");
        assert_eq!(channel_of(database, &seen), 0);
        client.acknowledge(&seen);
    });
}
