//! What a client's frame was answered is stored, over either transport, and every list agrees with it.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::line::{Line, TRANSPORTS, Transport};
use crate::helpers::server::Server;
use crate::helpers::shop::shop;

/// As much at once as a transport can: a WebSocket's frames without a pause, or one request.
fn all_at_once(transport: Transport, line: &mut Line, frames: &[Value]) {
    match transport {
        Transport::WebSocket => frames.iter().for_each(|frame| line.send(frame)),
        Transport::Sse => line.send(&json!(frames)),
    }
}

fn each(check: impl Fn(Transport, Server, TestDatabase)) {
    for transport in TRANSPORTS {
        let (database, server) = shop(&[]);
        check(transport, server, database);
    }
}

#[test]
fn changes_of_one_topic_hold_in_the_order_of_the_frames() {
    each(|transport, server, database| {
        let mut line = transport.open(&server, 1);
        let frame = |kind: &str, n: usize| json!({"type": kind, "topic": format!("t{n}")});
        for n in 0..20 {
            all_at_once(transport, &mut line, &[frame("subscribe", n), frame("unsubscribe", n)]);
        }
        for _ in 0..20 {
            line.expect("subscribed");
            line.expect("unsubscribed");
        }
        assert_eq!(database.count("SELECT count(*) AS n FROM topic_subscribers"), 0, "{transport:?}");
    });
}

#[test]
fn more_changes_of_topics_than_may_wait_are_to_be_sent_again() {
    let (database, server) = shop(&[]);
    let mut line = Transport::WebSocket.open(&server, 1);
    let mut locker = database.connection();
    locker.batch_execute("BEGIN; LOCK TABLE topic_subscribers IN ACCESS EXCLUSIVE MODE").unwrap();
    // One is under way, 128 wait.
    for n in 0..150 {
        line.send(&json!({"type": "subscribe", "topic": format!("t{n}")}));
    }
    for n in 129..150 {
        let error = line.expect("error");
        assert_eq!((&error["code"], &error["temporary"]), (&json!("busy"), &json!(true)), "{n}");
    }
    drop(locker);
    for n in 0..129 {
        assert_eq!(line.expect("subscribed")["topic"], format!("t{n}"));
    }
    assert_eq!(database.count("SELECT count(*) AS n FROM topic_subscribers"), 129);
}

#[test]
fn what_a_pong_or_a_response_answers_is_stored_by_then() {
    each(|transport, server, database| {
        let mut line = transport.open(&server, 1);
        for n in 0..20 {
            let title = format!("m{n}");
            server.http().post("/v1/notifications", &json!({"user_id": 1, "title": title}));
            let id = line.expect_title(&title)["notification_id"].clone();
            line.send(&json!({"type": "read", "notification_id": id}));
            if transport == Transport::WebSocket {
                line.settle();
            }
            let unread = format!(
                "SELECT count(*) AS n FROM notifications WHERE notification_id = '{}' AND read_at IS NULL",
                id.as_str().unwrap()
            );
            assert_eq!(database.count(&unread), 0, "{transport:?} {n}");
        }
    });
}

#[test]
fn a_list_of_the_inbox_agrees_with_the_counts_that_the_connection_was_told() {
    each(|transport, server, _| {
        let mut line = transport.open(&server, 1);
        for n in 0..20 {
            let title = format!("m{n}");
            server.http().post("/v1/notifications", &json!({"user_id": 1, "title": title}));
            let id = line.expect_title(&title)["notification_id"].clone();
            line.expect_counts(1, 1);
            line.send(&json!({"type": "read", "notification_id": id}));
            line.expect_counts(0, 0);
            let inbox = server.http().get("/v1/users/1/inbox?state=unread").json();
            assert_eq!((&inbox["unread"], &inbox["messages"]), (&json!(0), &json!([])), "{transport:?} {n}");
        }
    });
}
