//! The inbox: pages, counts, and what is read, seen or taken back on one device is so on all of them.

use serde_json::{Value, json};
use tidings::base::{ExternalId, Millis, NotificationId, Timestamp};
use tidings::store::Fields;
use tidings::store::outbox;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

fn start() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    (database, server)
}

fn device(server: &Server, user: Value) -> Client {
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": user, "device": "test"}));
    client.expect("welcome");
    client
}

fn send(server: &Server, message: Value) {
    let answer = server.http().post("/v1/notifications", &message);
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// Reads until the counts are these.
fn expect_counts(client: &mut Client, unread: i64, unseen: i64) {
    loop {
        let frame = client.expect("inbox");
        if frame["unread"] == unread && frame["unseen"] == unseen {
            return;
        }
    }
}

#[test]
fn pages_go_from_new_to_old_and_know_what_was_read() {
    let (_database, server) = start();
    let messages: Vec<Value> =
        (1..=25).map(|n| json!({"user_id": "eve", "title": format!("m{n}")})).collect();
    send(&server, json!(messages));
    let mut http = server.http();
    wait_for("all to arrive", || http.get("/v1/users/eve/inbox").json()["unread"] == 25);
    let first = http.get("/v1/users/eve/inbox?limit=10").json();
    let titles = |page: &Value| -> Vec<String> {
        page["messages"].as_array().unwrap().iter().map(|m| m["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(&first), (16..=25).rev().map(|n| format!("m{n}")).collect::<Vec<_>>());
    let next = first["next_before"].as_i64().unwrap();
    let second = http.get(&format!("/v1/users/eve/inbox?limit=20&before={next}")).json();
    assert_eq!(titles(&second), (1..=15).rev().map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(second["next_before"], Value::Null);
    let ids = json!({"notification_ids": [first["messages"][0]["notification_id"], first["messages"][1]["notification_id"]]});
    assert_eq!(http.post("/v1/users/eve/inbox/read", &ids).json()["unread"], 23);
    let page = http.get("/v1/users/eve/inbox?limit=3").json();
    let read: Vec<bool> =
        page["messages"].as_array().unwrap().iter().map(|m| m["read"].as_bool().unwrap()).collect();
    assert_eq!(read, [true, true, false]);
    assert_eq!(http.post("/v1/users/eve/inbox/read", &json!({})).status, 400);
    assert_eq!(http.get("/v1/users/nobody/inbox").json()["messages"], json!([]));
}

#[test]
fn a_message_to_one_user_is_named_when_it_is_accepted_and_can_be_taken_back_before_its_time() {
    let (database, server) = start();
    let mut client = device(&server, json!(1));
    let mut http = server.http();
    let in_an_hour = Timestamp::now() + Millis::hours(1);
    let answer = http
        .post(
            "/v1/notifications",
            &json!([{"user_id": 1, "title": "now"}, {"user_id": 1, "title": ""}, {"user_ids": [1, 2], "title": "both"},
                {"user_id": 1, "title": "later", "send_at": in_an_hour.to_string()}]),
        )
        .json();
    let names = answer["notifications"].as_array().unwrap();
    let places: Vec<&Value> = names.iter().map(|name| &name["index"]).collect();
    assert_eq!(places, [0, 3], "{answer}");
    assert_eq!(client.expect("notification")["notification_id"], names[0]["notification_id"]);
    let waiting = || database.count("SELECT count(*) AS n FROM outbox WHERE due_at > now()");
    assert_eq!(waiting(), 1);
    let path = format!("/v1/notifications/{}", names[1]["notification_id"].as_str().unwrap());
    assert_eq!(http.delete(&path).status, 204);
    assert_eq!(waiting(), 0);
    assert_eq!(http.delete(&path).status, 404, "once");

    // Of a row for several users only one is taken out.
    let both = json!({"user_ids": ["a", "b"], "title": "both", "send_at": in_an_hour.to_string()});
    assert_eq!(http.post("/v1/notifications", &both).status, 202);
    let batch = database.store.run_blocking(|connection| {
        let rows = outbox::due(connection, &Fields::default(), (Timestamp(0), 0), in_an_hour, 10)?;
        Ok(rows.into_iter().find(|row| row.message.contains("both")).unwrap().batch)
    });
    let of_a = NotificationId::of_batch(batch.unwrap(), &ExternalId::Text("a".into()));
    assert_eq!(http.delete(&format!("/v1/notifications/{}", of_a.0)).status, 204);
    assert_eq!(database.count("SELECT count(*) AS n FROM outbox WHERE users = '{b}'"), 1);
}

/// Posts a change of the inbox; the answer.
fn change(server: &Server, what: &str, body: &Value) -> Value {
    let answer = server.http().post(&format!("/v1/users/1/inbox/{what}"), body);
    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    answer.json()
}

fn inbox(server: &Server, query: &str) -> Value {
    let answer = server.http().get(&format!("/v1/users/1/inbox{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json()
}

fn titles(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|message| message["title"].as_str().unwrap()).collect()
}

/// Messages to user 1 with these titles, as a page gets them.
fn say(server: &Server, page: &mut Client, of: &[&str]) -> Vec<Value> {
    send(server, of.iter().map(|title| json!({"user_id": 1, "title": title, "category": "news"})).collect());
    of.iter().map(|_| page.expect("notification")).collect()
}

/// More than memory holds with their frames, each acknowledged by the page: what nobody acknowledges would give way.
fn two_hundred(server: &Server, page: &mut Client) {
    for half in 1..=2 {
        send(server, (0..100).map(|n| json!({"user_id": 1, "title": format!("m{half}{n}")})).collect());
        let last = (0..100).map(|_| page.expect("notification")["offset"].clone()).last();
        page.send(&json!({"type": "ack", "offset": last}));
    }
    expect_counts(page, 200, 200);
}

#[test]
fn two_hundred_unread_are_read_at_once_for_the_socket_and_over_http() {
    let (database, server) = start();
    let (mut phone, mut laptop) = (device(&server, json!(1)), device(&server, json!(1)));
    two_hundred(&server, &mut phone);
    expect_counts(&mut laptop, 200, 200);
    let page = inbox(&server, "");
    assert_eq!((&page["unread"], &page["unseen"]), (&json!(200), &json!(200)));
    phone.send(&json!({"type": "read", "all": true}));
    expect_counts(&mut phone, 0, 0);
    assert_eq!(inbox(&server, "?state=unread")["unread"], 0, "at once, from the same place");
    expect_counts(&mut laptop, 0, 0);
    let unread = "SELECT count(*) AS n FROM notifications WHERE trigger = 'api' AND read_at IS NULL";
    wait_for("the store to have it", || database.count(unread) == 0);
    assert_eq!(titles(&inbox(&server, "?state=unread")), [] as [&str; 0]);
}

#[test]
fn counts_of_older_messages_survive_a_restart() {
    let (database, mut server) = start();
    let mut phone = device(&server, json!(1));
    two_hundred(&server, &mut phone);
    let middle = inbox(&server, "?limit=100")["next_before"].as_i64().unwrap();
    phone.send(&json!({"type": "read", "all": true, "up_to": middle - 1}));
    expect_counts(&mut phone, 100, 100);
    phone.send(&json!({"type": "seen", "up_to": middle + 49}));
    expect_counts(&mut phone, 100, 50);
    let seen = "SELECT count(*) AS n FROM notifications WHERE trigger = 'api' AND seen_at IS NOT NULL";
    wait_for("the store to have it", || database.count(seen) == 150);
    server.kill();
    let server = Server::start(&database.url, &[]);
    assert_eq!((&inbox(&server, "")["unread"], &inbox(&server, "")["unseen"]), (&json!(100), &json!(50)));
    let mut phone = device(&server, json!(1));
    expect_counts(&mut phone, 100, 50);
    assert_eq!(change(&server, "read", &json!({"all": true}))["changed"], 100);
    expect_counts(&mut phone, 0, 0);
}

#[test]
fn each_change_on_a_socket_holds_on_the_other_device_and_over_http() {
    let (_database, server) = start();
    let (mut phone, mut laptop) = (device(&server, json!(1)), device(&server, json!(1)));
    let id = say(&server, &mut phone, &["a"])[0]["notification_id"].clone();
    let soon = Timestamp::now() + Millis::hours(1);
    for (frame, kind, reason, unread, state) in [
        ("read", "withdraw", "read_elsewhere", 0, "inbox"),
        ("unread", "restore", "unread", 1, "unread"),
        ("archive", "withdraw", "archived", 0, "archived"),
        ("unarchive", "restore", "unarchived", 0, "inbox"),
        ("snooze", "withdraw", "snoozed", 0, "snoozed"),
        ("unread", "restore", "unread", 1, "unread"),
        ("delete", "withdraw", "deleted", 0, ""),
    ] {
        let mut change = json!({"type": frame, "notification_id": id});
        if frame == "snooze" {
            change["until"] = json!(soon.to_string());
        }
        phone.send(&change);
        let told = laptop.expect(kind);
        assert_eq!((&told["notification_id"], &told["reason"]), (&id, &json!(reason)), "{frame}");
        assert_eq!(inbox(&server, "")["unread"], unread, "{frame}");
        let listed = |state: &str| titles(&inbox(&server, &format!("?state={state}"))).len();
        let of = ["inbox", "unread", "archived", "snoozed", "all"];
        let expected = match state {
            "" => [0, 0, 0, 0, 0],
            "unread" => [1, 1, 0, 0, 1],
            state => of.map(|of| usize::from(of == state || of == "all")),
        };
        wait_for(&format!("{frame} to be stored"), || of.map(listed) == expected);
    }
}

#[test]
fn each_change_over_http_is_told_to_every_page_and_answered_with_the_counts() {
    let (_database, server) = start();
    let mut phone = device(&server, json!(1));
    let told = say(&server, &mut phone, &["a", "b"]);
    let (a, b) = (&told[0]["notification_id"], &told[1]["notification_id"]);
    let unknown = json!("0190a5c8-0000-7000-8000-000000000000");
    let ids = json!({"notification_ids": [a, unknown]});
    let until = Timestamp::now() + Millis::hours(1);
    let snooze = json!({"notification_ids": [a, unknown], "until": until.to_string()});
    for (what, body, kind, reason, unread) in [
        ("read", &ids, "withdraw", "read_elsewhere", 1),
        ("unread", &ids, "restore", "unread", 2),
        ("archive", &ids, "withdraw", "archived", 1),
        ("unarchive", &ids, "restore", "unarchived", 1),
        ("snooze", &snooze, "withdraw", "snoozed", 1),
        ("delete", &ids, "withdraw", "deleted", 1),
    ] {
        let answer = change(&server, what, body);
        assert_eq!(
            (&answer["unread"], &answer["changed"], &answer["not_found"]),
            (&json!(unread), &json!(1), &json!([unknown])),
            "{what}"
        );
        let told = phone.expect(kind);
        assert_eq!((&told["notification_id"], &told["reason"]), (a, &json!(reason)), "{what}");
    }
    let again = change(&server, "delete", &ids);
    assert_eq!((&again["changed"], &again["not_found"]), (&json!(0), &json!([a, unknown])), "{again}");
    let seen = change(&server, "seen", &json!({"up_to": told[1]["offset"]}));
    assert_eq!((&seen["unread"], &seen["unseen"], &seen["changed"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!(change(&server, "read", &json!({"all": true, "up_to": told[0]["offset"]}))["unread"], 1);
    assert_eq!(change(&server, "read", &json!({"all": true}))["unread"], 0);
    assert_eq!(phone.expect("withdraw")["notification_id"], *b);
}

#[test]
fn a_snoozed_message_returns_by_itself_unread_and_unseen() {
    let (database, mut server) = start();
    let mut phone = device(&server, json!(1));
    let told = say(&server, &mut phone, &["a", "b"]);
    phone.send(&json!({"type": "seen", "up_to": told[1]["offset"]}));
    expect_counts(&mut phone, 2, 0);
    let until = Timestamp::now() + Millis(2_500);
    let id = &told[0]["notification_id"];
    phone.send(&json!({"type": "snooze", "notification_id": id, "until": until.to_string()}));
    expect_counts(&mut phone, 1, 0);
    phone.send(&json!({"type": "read", "all": true}));
    expect_counts(&mut phone, 0, 0);
    wait_for("the snooze to be stored", || titles(&inbox(&server, "?state=snoozed")) == ["a"]);
    assert_eq!(inbox(&server, "?state=snoozed")["messages"][0]["snoozed_until"], json!(until.to_string()));
    let back = phone.expect("restore");
    assert_eq!((&back["notification_id"], &back["reason"]), (id, &json!("returned")));
    assert!(Timestamp::now() >= until);
    expect_counts(&mut phone, 1, 1);
    server.kill();
    let server = Server::start(&database.url, &[]);
    let page = inbox(&server, "?state=unread");
    assert_eq!((titles(&page), &page["unseen"]), (vec!["a"], &json!(1)), "without an actor as well");
}

#[test]
fn pages_go_by_state_and_category_and_stay_the_same_while_messages_arrive() {
    let (_database, server) = start();
    let mut phone = device(&server, json!(1));
    let told = say(&server, &mut phone, &["a", "b", "c", "d"]);
    send(&server, json!({"user_id": 1, "title": "e", "category": "offers"}));
    phone.expect("notification");
    change(&server, "archive", &json!({"notification_ids": [told[1]["notification_id"]]}));
    assert_eq!(titles(&inbox(&server, "?category=offers")), ["e"]);
    assert_eq!(titles(&inbox(&server, "?category=news&state=archived")), ["b"]);
    let first = inbox(&server, "?limit=2");
    assert_eq!(titles(&first), ["e", "d"]);
    say(&server, &mut phone, &["f"]);
    let next = inbox(&server, &format!("?limit=2&before={}", first["next_before"]));
    assert_eq!(titles(&next), ["c", "a"]);
    assert_eq!(titles(&inbox(&server, "?state=all")), ["f", "e", "d", "c", "b", "a"]);
}

#[test]
fn bad_requests_and_frames_are_answered_with_what_was_meant() {
    let (_database, server) = start();
    let mut phone = device(&server, json!(1));
    let id = say(&server, &mut phone, &["a"])[0]["notification_id"].clone();
    let mut http = server.http();
    for (query, text) in
        [("sate=unread", "did you mean `state`?"), ("state=archved", "did you mean archived?")]
    {
        let answer = http.get(&format!("/v1/users/1/inbox?{query}"));
        assert!(answer.status == 400 && answer.body.contains(text), "{}", answer.body);
    }
    let (past, late) = (Timestamp::now() - Millis(1), Timestamp::now() + Millis::hours(10_000));
    let many: Vec<&Value> = vec![&id; 1_001];
    for (what, body, text) in [
        ("archive", json!({"notification_id": id}), "did you mean `notification_ids`?"),
        ("archive", json!({"notification_ids": []}), "1 to 1000"),
        ("delete", json!({"notification_ids": many}), "1 to 1000"),
        ("read", json!({"notification_ids": [id], "up_to": 3}), "with or without up_to"),
        ("snooze", json!({"notification_ids": [id], "until": past.to_string()}), "must lie ahead"),
        (
            "snooze",
            json!({"notification_ids": [id], "until": late.to_string()}),
            "before the message expires",
        ),
    ] {
        let answer = http.post(&format!("/v1/users/1/inbox/{what}"), &body);
        assert!(answer.status == 400 && answer.body.contains(text), "{what}: {}", answer.body);
    }
    assert_eq!(http.post("/v1/users/nobody/inbox/archive", &json!({"notification_ids": [id]})).status, 404);
    for (frame, code) in [
        (json!({"type": "snooze", "notification_id": id, "until": past.to_string()}), "bad_until"),
        (json!({"type": "snooze", "notification_id": id, "until": late.to_string()}), "bad_until"),
        (
            json!({"type": "unread", "notification_id": "0190a5c8-0000-7000-8000-000000000000"}),
            "unknown_notification",
        ),
    ] {
        phone.send(&frame);
        assert_eq!(phone.expect("error")["code"], code, "{frame}");
    }
    // Nothing of it changed the inbox.
    assert_eq!(inbox(&server, "")["unread"], 1);
}

#[test]
fn a_user_can_not_change_the_messages_of_another() {
    let (database, server) = start();
    let (mut eve, mut phone) = (device(&server, json!("eve")), device(&server, json!(1)));
    let id = say(&server, &mut phone, &["a"])[0]["notification_id"].clone();
    eve.send(&json!({"type": "delete", "notification_id": id}));
    phone.send(&json!({"type": "archive", "notification_id": id}));
    let answer = server.http().post("/v1/users/eve/inbox/delete", &json!({"notification_ids": [id]}));
    assert_eq!(answer.json()["not_found"], json!([id]));
    wait_for("the archive to have it", || titles(&inbox(&server, "?state=archived")) == ["a"]);
    eve.send(&json!({"type": "read", "all": true}));
    assert_eq!(database.count("SELECT count(*) AS n FROM notifications WHERE withdrawn_at IS NOT NULL"), 0);
}
