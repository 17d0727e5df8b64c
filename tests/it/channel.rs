//! The socket, Web Push or the inbox: one of them for each message, also when the page closes in between.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
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
    use tidings::store::schema::notifications::dsl;
    let id: uuid::Uuid = serde_json::from_value(notification["notification_id"].clone()).unwrap();
    dsl::notifications.find(id).select(dsl::channel).first(&mut database.connection()).unwrap()
}

fn acknowledge(client: &mut Client, message: &Value) {
    client.send(&json!({"type": "ack", "offset": message["offset"]}));
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
}

/// The shop tells a user something; the frame as the open page gets it.
fn tell(server: &Server, client: &mut Client, user: i64, title: &str) -> Value {
    let answer =
        server.http().post("/v1/notifications", &json!({"user_id": user, "kind": "news", "title": title}));
    assert_eq!(answer.status, 202, "{}", answer.body);
    loop {
        let frame = client.expect("notification");
        if frame["title"] == title {
            return frame;
        }
    }
}

/// After this the server knows whether somebody looks.
fn look(client: &mut Client, visible: bool) {
    client.send(&json!({"type": "presence", "visible": visible}));
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
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

#[test]
fn who_looks_gets_it_there_and_who_does_not_gets_a_push() {
    let database = TestDatabase::new();
    let (server, service) = (shop(&database), PushService::start());
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    let (mut client, greeting) = server.login(1);
    let seen = tell(&server, &mut client, 1, "while looking");
    acknowledge(&mut client, &seen);
    assert_eq!((channel_of(&database, &greeting), channel_of(&database, &seen)), (0, 0));
    // The tab goes into the background: it still gets the frame, for its list, but the browser shows the message.
    look(&mut client, false);
    let hidden = tell(&server, &mut client, 1, "while hidden");
    assert_eq!(channel_of(&database, &hidden), 1);
    assert_eq!(wait_for_push(&service, keys, "one", &hidden), 1, "only that one was pushed");
    // Nobody subscribed for user 2: it waits.
    let (mut other, _) = server.login(2);
    look(&mut other, false);
    let waits = tell(&server, &mut other, 2, "nobody's browser");
    assert_eq!(channel_of(&database, &waits), 2);
}

#[test]
fn what_a_page_closed_on_is_handed_over_and_what_it_acknowledged_is_not() {
    let database = TestDatabase::new();
    let (server, service) = (shop(&database), PushService::start());
    let _quiet = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    let keys = subscribe(&mut server.http(), json!(2), &service.endpoint("two"));
    let (mut client, greeting) = server.login(1);
    acknowledge(&mut client, &greeting);
    drop(client);
    let (client, greeting) = server.login(2);
    drop(client);
    // User 1 left first: were anything handed over for them, it would have come before this.
    assert_eq!(wait_for_push(&service, keys, "two", &greeting), 1);
    assert_eq!(channel_of(&database, &greeting), 1);
}

#[test]
fn a_page_that_comes_back_in_time_gets_it_itself() {
    let database = TestDatabase::new();
    let (server, service) = (shop(&database), PushService::start());
    let _quiet = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    let keys = subscribe(&mut server.http(), json!(2), &service.endpoint("two"));
    let (client, greeting) = server.login(1);
    drop(client);
    let mut again = Client::connect(server.address);
    let resume = json!({"epoch": greeting["epoch"], "offset": 0});
    again.send(&json!({"type": "login", "user_id": 1, "resume": resume}));
    let resumed = again.expect("recommendation");
    assert_eq!(resumed["notification_id"], greeting["notification_id"]);
    acknowledge(&mut again, &resumed);
    let (client, greeting) = server.login(2);
    drop(client);
    assert_eq!(wait_for_push(&service, keys, "two", &greeting), 1, "user 1 got no push");
}

#[test]
fn what_a_killed_server_had_given_to_pages_is_pushed_after_its_restart() {
    let database = TestDatabase::new();
    let (mut server, service) = (shop(&database), PushService::start());
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    let (_client, greeting) = server.login(1);
    server.kill();
    let _again = shop(&database);
    assert_eq!(wait_for_push(&service, keys, "one", &greeting), 1);
    assert_eq!(channel_of(&database, &greeting), 1);
}

#[test]
fn a_message_for_somebody_absent_is_pushed_whatever_dies() {
    let database = TestDatabase::new();
    let (mut server, service) = (shop(&database), PushService::start());
    let keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    let message = json!({"user_id": 1, "kind": "order_status", "category": "orders", "priority": "transactional",
        "title": "Order 17", "body": "is on its way", "url": "https://shop.example/17", "collapse_key": "order/17"});
    let answer = server.http().post("/v1/notifications", &message);
    assert_eq!(answer.status, 202, "{}", answer.body);
    server.kill();
    let again = shop(&database);
    let pushed = service.wait_for(1).remove(0);
    assert_eq!((pushed.header("urgency"), pushed.header("topic").len()), ("high", 32));
    let read = keys.read(&pushed.body);
    assert_eq!((&read["title"], &read["kind"]), (&json!("Order 17"), &json!("order_status")));
    assert_eq!(channel_of(&database, &read), 1);
    // Somebody who looks needs no push.
    let (mut client, _) = again.login(1);
    let seen = tell(&again, &mut client, 1, "For who looks");
    assert_eq!(channel_of(&database, &seen), 0);
    acknowledge(&mut client, &seen);
}
