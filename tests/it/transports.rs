//! Delivery by WebSocket and by Server-Sent Events with `POST`: every scenario is written once and has one outcome.

use std::collections::HashSet;

use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};

use crate::helpers::database::TestDatabase;
use crate::helpers::line::{Line, Login, TRANSPORTS, Transport};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

/// A database and a server for each transport.
fn each(arguments: &[&str], check: impl Fn(Transport, Server, &TestDatabase)) {
    for transport in TRANSPORTS {
        let database = TestDatabase::new();
        let arguments: Vec<&str> = arguments.iter().flat_map(|set| ["--set", set]).collect();
        check(transport, Server::start(&database.url, &arguments), &database);
    }
}

fn send(server: &Server, messages: &Value) {
    let answer = server.http().post("/v1/notifications", messages);
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// The place of a message, for a client that resumes behind it.
fn place(message: &Value) -> Option<(String, i64)> {
    Some((message["epoch"].as_str()?.to_owned(), message["offset"].as_i64()?))
}

fn resumed(transport: Transport, server: &Server, resume: Option<(String, i64)>) -> (Line, Value) {
    transport.welcomed(server, &Login { user: Some(json!(1)), resume, ..Login::default() })
}

#[test]
fn a_login_is_welcomed_then_greeted_and_messages_follow_in_order() {
    each(&[], |transport, server, _| {
        let (mut line, welcome) = resumed(transport, &server, None);
        assert_eq!((&welcome["user_id"], &welcome["offset"]), (&json!(1), &json!(0)));
        assert_eq!(welcome["recovered"], true);
        let greeting = line.expect("recommendation");
        assert_eq!((&greeting["trigger"], &greeting["epoch"]), (&json!("login"), &welcome["epoch"]));
        send(&server, &json!([{"user_id": 1, "title": "a"}, {"user_id": 1, "title": "b"}]));
        let (a, b) = (line.expect("notification"), line.expect("notification"));
        assert_eq!((&a["title"], &b["title"]), (&json!("a"), &json!("b")), "{transport:?}");
        assert_eq!((a["offset"].as_i64(), b["offset"].as_i64()), (Some(2), Some(3)));
    });
}

#[test]
fn a_client_that_resumes_gets_what_it_missed_in_order_and_nothing_twice() {
    each(&[], |transport, mut server, database| {
        let (mut line, _) = resumed(transport, &server, None);
        send(&server, &json!({"user_id": 1, "title": "seen"}));
        let seen = line.expect("notification");
        drop(line);
        // Another device goes on, then the server dies.
        let mut other = transport.open(&server, 1);
        for n in 0..4 {
            send(&server, &json!({"user_id": 1, "title": format!("missed {n}")}));
            other.expect_title(&format!("missed {n}"));
        }
        server.kill();
        let server = Server::start(&database.url, &[]);
        let (mut line, welcome) = resumed(transport, &server, place(&seen));
        assert_eq!(welcome["recovered"], true, "{transport:?}");
        assert_eq!(line.titles(4), ["missed 0", "missed 1", "missed 2", "missed 3"]);
        send(&server, &json!({"user_id": 1, "title": "live"}));
        assert_eq!(line.titles(1), ["live"], "nothing came twice");
        let elsewhere = Some(("another".to_owned(), 1));
        assert_eq!(resumed(transport, &server, elsewhere).1["recovered"], false);
    });
}

#[test]
fn what_nobody_acknowledged_survives_a_crash_and_what_was_is_not_said_again() {
    each(&[], |transport, mut server, database| {
        let messages: Value = (0..6).map(|n| json!({"user_id": 1, "title": format!("m{n}")})).collect();
        // Nobody is there.
        send(&server, &messages);
        server.kill();
        let mut server = Server::start(&database.url, &[]);
        let mut line = transport.open(&server, 1);
        let mut received: Vec<Value> = (0..6).map(|_| line.expect("notification")).collect();
        received.sort_by_key(|frame| frame["offset"].as_i64());
        let titles: HashSet<&str> = received.iter().map(|frame| frame["title"].as_str().unwrap()).collect();
        assert_eq!(titles.len(), 6);
        line.acknowledge(&received[3]);
        // Taken when what was said after it is answered; a moment later it is stored.
        wait_for("the acknowledgement to be stored", || {
            database.count("SELECT coalesce(max(up_to), 0) AS n FROM acknowledgements") >= 4
        });
        server.kill();
        let server = Server::start(&database.url, &[]);
        let mut line = transport.open(&server, 1);
        let again: Vec<Value> = (0..2).map(|_| line.expect("notification")).collect();
        assert_eq!(again, received[4..], "the same messages, the same numbers");
    });
}

/// As many messages over one connection, read as they come.
fn flood(server: &Server, line: &mut Line, n: usize, acknowledges: bool) {
    for n in 0..n {
        let title = format!("m{n}");
        send(server, &json!({"user_id": 1, "title": title}));
        let message = line.expect_title(&title);
        if acknowledges {
            line.acknowledge(&message);
        }
    }
}

#[test]
fn messages_that_were_acknowledged_are_kept_and_not_sent_to_a_second_device() {
    each(&[], |transport, server, database| {
        let mut line = transport.open(&server, 1);
        flood(&server, &mut line, 180, true);
        let inbox = server.http().get("/v1/users/1/inbox?limit=100").json();
        assert_eq!(
            (inbox["messages"].as_array().unwrap().len(), inbox["next_before"].is_null()),
            (100, false)
        );
        let withdrawn = "SELECT count(*) AS n FROM notifications WHERE withdrawn_at IS NOT NULL";
        assert_eq!(database.count(withdrawn), 0, "{transport:?}");
        let mut second = transport.open(&server, 1);
        send(&server, &json!({"user_id": 1, "title": "new"}));
        assert_eq!(second.titles(1), ["new"], "{transport:?}");
    });
}

#[test]
fn beyond_128_unacknowledged_messages_the_oldest_give_way() {
    each(&[], |transport, server, database| {
        let mut line = transport.open(&server, 1);
        flood(&server, &mut line, 140, false);
        let withdrawn = "SELECT count(*) AS n FROM notifications WHERE withdrawn_at IS NOT NULL";
        wait_for("the withdrawals to be stored", || database.count(withdrawn) == 12);
        // The greeting gave way too, and nobody misses that.
        send(&server, &json!({"user_id": 1, "title": "one more"}));
        assert_eq!(line.expect("withdraw")["reason"], "superseded", "{transport:?}");
        let mut second = transport.open(&server, 1);
        assert_eq!(second.titles(1), ["m13"], "{transport:?}");
        wait_for("the last withdrawal to be stored", || database.count(withdrawn) == 13);
    });
}

#[test]
fn a_newer_message_with_the_same_collapse_key_supersedes_the_older_one() {
    each(&[], |transport, mut server, database| {
        let mut line = transport.open(&server, 1);
        send(&server, &json!({"user_id": 1, "title": "price 9", "collapse_key": "p"}));
        let old = line.expect("notification");
        send(&server, &json!({"user_id": 1, "title": "price 8", "collapse_key": "p"}));
        let withdrawn = line.expect("withdraw");
        assert_eq!(withdrawn["notification_id"], old["notification_id"]);
        assert_eq!(withdrawn["reason"], "superseded");
        let new = line.expect("notification");
        assert_eq!(new["title"], "price 8");
        server.kill();
        let server = Server::start(&database.url, &[]);
        let mut line = transport.open(&server, 1);
        let owed = line.expect("notification");
        assert_eq!(owed["notification_id"], new["notification_id"], "the old one is history");
        line.expect_counts(1, 1);
    });
}

#[test]
fn a_message_that_is_taken_back_leaves_every_page_and_is_not_replayed() {
    each(&[], |transport, server, _| {
        let mut line = transport.open(&server, 1);
        send(&server, &json!([{"user_id": 1, "title": "wrong"}, {"user_id": 1, "title": "right"}]));
        let (wrong, right) = (line.expect("notification"), line.expect("notification"));
        let mut http = server.http();
        let path = format!("/v1/notifications/{}", wrong["notification_id"].as_str().unwrap());
        assert_eq!(http.delete(&path).status, 204);
        let withdrawn = line.expect("withdraw");
        assert_eq!(withdrawn["notification_id"], wrong["notification_id"]);
        assert_eq!(withdrawn["reason"], "withdrawn");
        assert_eq!(http.delete(&path).status, 404, "once");
        let inbox = http.get("/v1/users/1/inbox").json();
        assert_eq!(inbox["messages"].as_array().unwrap().len(), 1);
        drop(line);
        let mut again = transport.open(&server, 1);
        assert_eq!(again.expect("notification")["notification_id"], right["notification_id"]);
    });
}

#[test]
fn a_message_that_expires_leaves_an_open_page_at_once() {
    each(&[], |transport, server, _| {
        let mut line = transport.open(&server, 1);
        let now = Timestamp::now();
        let in_s = |s: u64| (now + Millis::seconds(s)).to_string();
        send(
            &server,
            &json!([
                {"user_id": 1, "title": "stays"},
                {"user_id": 1, "title": "third", "expires_at": in_s(5)},
                {"user_id": 1, "title": "first", "expires_at": in_s(2)},
                {"user_id": 1, "title": "second", "expires_at": in_s(3)},
            ]),
        );
        let messages: Vec<Value> = (0..4).map(|_| line.expect("notification")).collect();
        line.expect_counts(4, 4);
        for (title, seconds) in [("first", 2), ("second", 3), ("third", 5)] {
            let message = messages.iter().find(|message| message["title"] == title).unwrap();
            let withdrawn = line.expect("withdraw");
            let late_ms = (Timestamp::now().0 - (now + Millis::seconds(seconds)).0) / 1_000;
            assert_eq!(withdrawn["notification_id"], message["notification_id"], "{transport:?}");
            assert_eq!(withdrawn["reason"], "expired");
            assert!((0..2_000).contains(&late_ms), "{transport:?}: {title} left {late_ms} ms late");
        }
        line.expect_counts(1, 1);
    });
}

#[test]
fn read_and_seen_follow_the_user_across_devices_and_transports_at_once() {
    for (phone, laptop) in TRANSPORTS.iter().flat_map(|one| TRANSPORTS.map(|other| (*one, other))) {
        let database = TestDatabase::new();
        let server = Server::start(&database.url, &[]);
        let (mut phone, mut laptop) = (phone.open(&server, 1), laptop.open(&server, 1));
        send(&server, &json!([{"user_id": 1, "title": "a"}, {"user_id": 1, "title": "b"}]));
        let (a, b) = (phone.expect("notification"), phone.expect("notification"));
        assert_eq!((&a["title"], &b["title"]), (&json!("a"), &json!("b")));
        laptop.expect_counts(2, 2);
        phone.send(&json!({"type": "seen", "up_to": b["offset"]}));
        laptop.expect_counts(2, 0);
        phone.send(&json!({"type": "read", "notification_id": a["notification_id"]}));
        let withdrawn = laptop.expect("withdraw");
        assert_eq!(withdrawn["notification_id"], a["notification_id"]);
        assert_eq!(withdrawn["reason"], "read_elsewhere");
        laptop.expect_counts(1, 0);
        phone.expect_counts(1, 0);
        let mut http = server.http();
        let answer = http.post("/v1/users/1/inbox/read", &json!({"all": true}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!((&answer.json()["unread"], &answer.json()["unseen"]), (&json!(0), &json!(0)));
        for line in [&mut phone, &mut laptop] {
            assert_eq!(line.expect("withdraw")["notification_id"], b["notification_id"]);
            line.expect_counts(0, 0);
        }
    }
}

#[test]
fn a_retried_event_is_stored_once_and_bad_ones_are_named() {
    each(&[], |transport, server, _| {
        let mut line = transport.open(&server, 1);
        let event = json!({"type": "event", "kind": "add_to_cart", "item_id": 101, "event_id": "e1"});
        line.send(&event);
        let accepted = json!({"type": "accepted", "event_id": "e1", "duplicate": false});
        assert_eq!(line.expect("accepted"), accepted, "{transport:?}");
        assert_eq!(server.http().get("/v1/users/1/profile").json()["events"], 1, "stored before the answer");
        line.send(&event);
        assert_eq!(line.expect("accepted")["duplicate"], true);
        line.send(&json!({"type": "event", "kind": "dance", "event_id": "e2"}));
        let error = line.expect("error");
        assert_eq!((&error["code"], &error["reply_to"]), (&json!("unknown_kind"), &json!("e2")));
        let events =
            json!([{"kind": "view", "item_id": 1}, {"kind": "view"}, {"kind": "view", "item_id": 2}]);
        line.send(&json!({"type": "events", "events": events}));
        assert_eq!(line.expect("error")["code"], "missing_field");
        assert_eq!(line.expect("accepted"), json!({"type": "accepted", "accepted": 2, "duplicates": 0}));
        let answer = server.http().post(
            "/v1/events",
            &json!([
                {"kind": "view", "user_id": 1, "item_id": 101, "event_id": 7},
                {"kind": "view", "user_id": 1, "item_id": 101, "event_id": 7},
                {"kind": "view", "user_id": 1},
                {"kind": "rate", "user_id": 1, "item_id": 101, "value": 9},
            ]),
        );
        assert_eq!(answer.status, 202);
        let answer = answer.json();
        assert_eq!((answer["accepted"].as_i64(), answer["duplicates"].as_i64()), (Some(1), Some(1)));
        let rejected = answer["rejected"].as_array().unwrap().iter();
        let rejected: Vec<_> = rejected.map(|one| (one["index"].as_i64().unwrap(), &one["code"])).collect();
        assert_eq!(rejected, [(2, &json!("missing_field")), (3, &json!("out_of_range"))]);
    });
}

/// The next message that a view caused.
fn view(line: &mut Line, item: i64) -> Value {
    line.send(&json!({"type": "event", "kind": "view", "item_id": item}));
    line.expect("accepted");
    loop {
        let frame = line.expect("recommendation");
        if frame["trigger"] == "view" {
            return frame;
        }
    }
}

#[test]
fn feedback_is_counted_and_changes_the_next_decision() {
    for transport in TRANSPORTS {
        let (_database, server) = shop(&[]);
        let mut line = transport.open(&server, 1);
        let feedback = |line: &mut Line, frame: &Value, outcome: &str| {
            let id = &frame["notification_id"];
            line.send(&json!({"type": "feedback", "notification_id": id, "outcome": outcome}));
        };
        let first = view(&mut line, 110);
        for outcome in ["displayed", "clicked", "clicked", "dismissed"] {
            feedback(&mut line, &first, outcome);
        }
        // Dismissed items rest.
        let dismissed: Vec<Value> = first["recommendations"].as_array().unwrap().clone();
        let second = view(&mut line, 112);
        for item in second["recommendations"].as_array().unwrap() {
            assert!(!dismissed.contains(item), "{transport:?}: {item} was dismissed");
        }
        // A purchase of a recommended item is the message's conversion.
        let bought = &second["recommendations"][0];
        line.send(&json!({"type": "event", "kind": "purchase", "item_id": bought, "value": 10.0, "currency": "EUR"}));
        line.expect("accepted");
        feedback(&mut line, &second, "muted");
        feedback(&mut line, &json!({"notification_id": "0190a5c8-0000-7000-8000-000000000000"}), "clicked");
        assert_eq!(line.expect("error")["code"], "unknown_notification");
        let mut http = server.http();
        wait_for("feedback to be counted", || {
            let overall = http.get("/admin/metrics").json()["feedback"]["overall"].clone();
            ["clicked", "displayed", "dismissed", "converted", "muted"].iter().all(|of| overall[of] == 1)
        });
        // Muted: no more of this category, and the reason is stored.
        line.send(&json!({"type": "event", "kind": "view", "item_id": 120}));
        line.expect("accepted");
        wait_for("the muted decision", || {
            let decisions = http.get("/admin/decisions?user_id=1&limit=5").json();
            let last = &decisions["decisions"][0];
            last["outcome"] == "drop" && last["reasons"][0].as_str().unwrap().starts_with("muted")
        });
    }
}

#[test]
fn a_mute_holds_at_once_and_after_a_crash() {
    each(&[], |transport, mut server, database| {
        let mut line = transport.open(&server, 1);
        line.send(&json!({"type": "mute", "of": "category", "name": "promotion"}));
        assert_eq!(line.expect("muted"), json!({"type": "muted", "of": "category", "name": "promotion"}));
        line.send(&json!({"type": "mute", "of": "brand"}));
        assert_eq!(line.expect("error")["code"], "nothing_to_mute");
        let offer = |title: &str| json!({"user_id": 1, "title": title, "category": "promotion"});
        let order = |title: &str| json!({"user_id": 1, "title": title, "category": "orders"});
        send(&server, &json!([offer("an offer"), order("an order")]));
        assert_eq!(line.titles(1), ["an order"], "{transport:?}");
        let mut http = server.http();
        wait_for("the mute to be stored", || {
            http.get("/v1/users/1/preferences").json()["muted"] == json!(["promotion"])
        });
        line.acknowledge(&json!({"offset": 1_000}));
        wait_for("the acknowledgement to be stored", || {
            database.count("SELECT count(*) AS n FROM acknowledgements") == 1
        });
        server.kill();
        let server = Server::start(&database.url, &[]);
        let mut line = transport.open(&server, 1);
        send(&server, &json!([offer("another offer"), order("another order")]));
        assert_eq!(line.titles(1), ["another order"], "{transport:?}");
    });
}
