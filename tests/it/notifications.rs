//! `POST /v1/notifications`: what was accepted is shown once, whatever dies in between.

use std::collections::HashSet;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::base::Timestamp;
use tidings::store::outbox;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

pub const PATH: &str = "/v1/notifications";

pub fn start(arguments: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, arguments);
    (database, server)
}

pub fn count(database: &TestDatabase, what: &str) -> i64 {
    database.count(&format!("SELECT count(*) AS n FROM {what}"))
}

pub fn accepted(answer: &crate::helpers::http::Response) -> (i64, i64, usize) {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let answer = answer.json();
    let n = |field: &str| answer[field].as_i64().unwrap();
    (n("accepted"), n("duplicates"), answer["rejected"].as_array().unwrap().len())
}

/// Logs in as a client that was never here.
pub fn welcomed(server: &Server, user: Value) -> Client {
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": user, "device": "test"}));
    client.expect("welcome");
    client
}

#[test]
fn a_message_reaches_the_users_it_names_and_nobody_else() {
    let (database, server) = start(&[]);
    let (mut anna, mut ben, mut cleo) =
        (welcomed(&server, json!("anna")), welcomed(&server, json!(2)), welcomed(&server, json!(3)));
    let message = json!({"to": {"user_ids": ["anna", 2]}, "kind": "order_status", "priority": "transactional",
        "title": "On its way", "body": "Tomorrow.", "url": "/orders/1", "data": {"order": 1}});
    assert_eq!(accepted(&server.http().post(PATH, &message)), (2, 0, 0));
    for client in [&mut anna, &mut ben] {
        let frame = client.expect("notification");
        assert_eq!(frame["kind"], "order_status");
        assert_eq!(frame["category"], "order_status");
        assert_eq!(frame["priority"], "transactional");
        assert_eq!((&frame["title"], &frame["body"]), (&json!("On its way"), &json!("Tomorrow.")));
        assert_eq!((&frame["url"], &frame["data"]), (&json!("/orders/1"), &json!({"order": 1})));
        assert!(
            frame["offset"].is_i64() && frame["epoch"].is_string() && frame["notification_id"].is_string()
        );
    }
    // The next thing Cleo hears is what was meant for her.
    assert_eq!(accepted(&server.http().post(PATH, &json!({"user_id": 3, "title": "Yours"}))), (1, 0, 0));
    assert_eq!(cleo.expect("notification")["title"], "Yours");
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
}

#[test]
fn an_array_carries_a_message_of_its_own_for_each_and_bad_ones_are_named() {
    let (_database, server) = start(&[]);
    let mut clients: Vec<Client> = (0..5).map(|user| welcomed(&server, json!(user))).collect();
    let mut messages: Vec<Value> =
        (0..5).map(|user| json!({"user_id": user, "title": format!("For {user}")})).collect();
    messages.push(json!({"user_id": 1, "title": ""}));
    messages.push(json!({"user_id": 1, "titel": "t"}));
    let answer = server.http().post(PATH, &json!(messages));
    assert_eq!(accepted(&answer), (5, 0, 2));
    let rejected = &answer.json()["rejected"];
    assert_eq!((&rejected[0]["index"], &rejected[0]["field"]), (&json!(5), &json!("title")));
    assert_eq!((&rejected[1]["index"], &rejected[1]["code"]), (&json!(6), &json!("bad_message")));
    for (user, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.expect("notification")["title"], format!("For {user}"));
    }
}

#[test]
fn everyone_and_a_segment_are_those_who_are_known() {
    let (database, server) = start(&[]);
    database
        .connection()
        .batch_execute(
            "INSERT INTO users (external_id) SELECT n::text FROM generate_series(1, 2500) n; \
             INSERT INTO user_features (user_id, purchases_per_month, browsing_minutes_per_month, \
             searches_per_month, monetary, segment) \
             SELECT user_id, 0, 0, 0, 0, 1 FROM users WHERE external_id IN ('5', '6')",
        )
        .unwrap();
    let (mut five, mut seven) = (welcomed(&server, json!(5)), welcomed(&server, json!(7)));
    assert_eq!(
        accepted(&server.http().post(PATH, &json!({"everyone": true, "title": "All"}))),
        (2_500, 0, 0)
    );
    assert_eq!(five.expect("notification")["title"], "All");
    assert_eq!(seven.expect("notification")["title"], "All");
    wait_for("everyone's turn", || count(&database, "outbox") == 0);
    assert_eq!(count(&database, "notifications WHERE kind = 'announcement'"), 2_500);
    assert_eq!(accepted(&server.http().post(PATH, &json!({"segment": "B", "title": "Two"}))), (2, 0, 0));
    assert_eq!(five.expect("notification")["title"], "Two");
    wait_for("the segment's turn", || count(&database, "outbox") == 0);
    assert_eq!(count(&database, "notifications WHERE frame LIKE '%\"Two\"%'"), 2);
}

#[test]
fn messages_to_everyone_within_a_millisecond_are_messages_of_their_own() {
    let (_database, server) = start(&[]);
    let (mut anna, mut ben) = (welcomed(&server, json!("anna")), welcomed(&server, json!("ben")));
    let all: Value = (0..20)
        .map(|n| json!({"everyone": true, "title": format!("All {n}"), "priority": "transactional"}))
        .collect();
    assert_eq!(accepted(&server.http().post(PATH, &all)), (40, 0, 0));
    for client in [&mut anna, &mut ben] {
        let titles: HashSet<String> =
            (0..20).map(|_| client.expect("notification")["title"].as_str().unwrap().to_owned()).collect();
        assert_eq!(titles.len(), 20, "{titles:?}");
    }
}

#[test]
fn an_ephemeral_message_is_shown_to_whoever_is_connected_and_wants_it_and_is_not_kept() {
    let (database, server) = start(&[]);
    let mut http = server.http();
    let (mut anna, mut ben) = (welcomed(&server, json!("anna")), welcomed(&server, json!("ben")));
    assert_eq!(http.put("/v1/users/ben/preferences", &json!({"muted": ["score"]})).status, 200);
    let message =
        json!({"everyone": true, "ephemeral": true, "title": "2:1", "kind": "score", "data": {"minute": 80}});
    let answer = http.post(PATH, &message);
    assert_eq!(accepted(&answer), (0, 0, 0));
    assert_eq!(answer.json()["told"], 2);
    let frame = anna.expect("notification");
    assert_eq!((&frame["title"], &frame["data"]["minute"]), (&json!("2:1"), &json!(80)));
    assert!(frame["offset"].is_null() && frame["user_id"].is_null(), "{frame}");
    assert_eq!(frame["ephemeral"], true);
    // The number after the one of the login.
    assert_eq!(accepted(&http.post(PATH, &json!({"everyone": true, "title": "Kept"}))), (2, 0, 0));
    for client in [&mut anna, &mut ben] {
        let frame = client.expect("notification");
        assert_eq!((&frame["title"], &frame["offset"]), (&json!("Kept"), &json!(2)), "{frame}");
    }
    assert_eq!(count(&database, "notifications WHERE trigger = 'api'"), 2);
    let refused =
        http.post(PATH, &json!({"user_id": 1, "title": "t", "ephemeral": true, "collapse_key": "k"}));
    assert_eq!(refused.json()["rejected"][0]["code"], "bad_ephemeral");
}

#[test]
fn what_is_sent_twice_is_accepted_once() {
    let (database, server) = start(&[]);
    let mut http = server.http();
    let mut client = welcomed(&server, json!(1));
    let message = json!({"user_ids": [1, 2], "title": "Once", "dedupe_key": "k"});
    assert_eq!(accepted(&http.post(PATH, &message)), (2, 0, 0));
    assert_eq!(accepted(&http.post(PATH, &message)), (0, 2, 0));
    assert_eq!(
        accepted(&http.post(PATH, &json!({"user_ids": [2, 3], "title": "x", "dedupe_key": "k"}))),
        (1, 1, 0)
    );
    http.headers.push(("Idempotency-Key".into(), "request-1".into()));
    let pair = json!([{"user_id": 1, "title": "a"}, {"user_id": 1, "title": "b"}]);
    let first = http.post(PATH, &pair);
    assert_eq!(accepted(&first), (2, 0, 0));
    // The same answer again, with the names of the messages.
    let again = http.post(PATH, &pair);
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.json()["notifications"].as_array().unwrap().len(), 2);
    assert_eq!(
        (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
        (None, Some("true"))
    );
    // Spacing and order say nothing; another word, or another message, is another request.
    let respelt = br#"[ {"title":"a","user_id":1}, {"title":"b","user_id":1} ]"#;
    assert_eq!(http.send("POST", PATH, "application/json", respelt).unwrap().body, first.body);
    for other in [json!([{"user_id": 1, "title": "a"}]), json!({"user_id": 1, "title": "a"})] {
        let refused = http.post(PATH, &other);
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (422, &json!("idempotency_key_reused"))
        );
    }
    // What was refused leaves no key behind, so that it can be put right.
    http.headers[0].1 = "request-2".into();
    assert_eq!(http.post(PATH, &json!({"user_id": 2, "title": ""})).status, 400);
    assert_eq!(accepted(&http.post(PATH, &json!({"user_id": 2, "title": "c"}))), (1, 0, 0));
    let mut shown =
        |n| -> Vec<Value> { (0..n).map(|_| client.expect("notification")["title"].clone()).collect() };
    assert_eq!(shown(3), ["Once", "a", "b"]);
    // Only what is kept for nobody is in it: told once.
    http.headers[0].1 = "request-3".into();
    let goal = json!({"user_id": 1, "title": "goal", "ephemeral": true});
    let told = http.post(PATH, &goal);
    assert_eq!((told.status, &told.json()["told"]), (202, &json!(1)));
    assert_eq!(http.post(PATH, &goal).body, told.body);
    assert_eq!(accepted(&server.http().post(PATH, &json!({"user_id": 1, "title": "last"}))), (1, 0, 0));
    assert_eq!(shown(2), ["goal", "last"]);
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
    let kept = "notifications WHERE user_id = (SELECT user_id FROM users WHERE external_id = '1') AND kind = 'announcement'";
    assert_eq!(count(&database, kept), 4);
    // Its keys are forgotten some at a time, and only when they are old enough.
    let receipts = count(&database, "notification_receipts");
    let prune = |before, limit| outbox::prune_receipts(&mut database.connection(), before, limit).unwrap();
    assert_eq!(prune(Timestamp::now().plus_days(-7.0), 10), 0);
    assert_eq!(prune(Timestamp::now().plus_days(1.0), 2), 2);
    assert_eq!(count(&database, "notification_receipts"), receipts - 2);
}

#[test]
fn what_goes_to_nobody_is_refused_and_says_what_is_wrong() {
    let (database, server) = start(&[]);
    let mut http = server.http();
    let refused = http.post(PATH, &json!({"everyone": true, "title": "All"}));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("nobody")));
    database
        .connection()
        .batch_execute(
            "INSERT INTO users (external_id) VALUES ('1'), ('2'); \
             INSERT INTO user_features (user_id, purchases_per_month, browsing_minutes_per_month, \
             searches_per_month, monetary, segment) SELECT user_id, 0, 0, 0, 0, user_id FROM users",
        )
        .unwrap();
    for message in [
        json!({"segment": "Q", "title": "Hello"}),
        json!([{"segment": "Q", "title": "Hello"}]),
        json!({"segment": "Q", "title": "Hello", "send_at": jiff::Timestamp::now().as_millisecond() + 3_600_000}),
    ] {
        let refused = http.post(PATH, &message);
        assert_eq!(refused.status, 400, "{}", refused.body);
        let said = refused.json();
        assert_eq!(
            (&said["error"]["code"], &said["error"]["field"]),
            (&json!("unknown_segment"), &json!("segment"))
        );
        assert_eq!(said["error"]["message"], "there is no segment Q; there are A, B");
        assert_eq!(said["rejected"][0]["index"], 0);
    }
    for (message, field) in [
        (json!({"user_id": 1, "title": ""}), "title"),
        (json!({"user_id": 1, "titel": "t"}), "message"),
        (json!([{"user_id": 1, "title": ""}, {"user_id": 1, "title": "t", "url": "x"}]), "title"),
    ] {
        let refused = http.post(PATH, &message);
        assert_eq!(
            (refused.status, &refused.json()["error"]["field"]),
            (400, &json!(field)),
            "{}",
            refused.body
        );
    }
    // Partly refused: what is good is accepted, and each other one named. Users nobody has heard of are named, and get theirs when
    // they come.
    let mixed =
        json!([{"user_ids": [1, "new"], "title": "a\tb", "body": "c\r\nd"}, {"segment": "Q", "title": "t"}]);
    let answer = http.post(PATH, &mixed);
    assert_eq!(accepted(&answer), (2, 0, 1));
    assert_eq!(
        (&answer.json()["unknown"], &answer.json()["rejected"][0]["code"]),
        (&json!(["new"]), &json!("unknown_segment"))
    );
    let frame = welcomed(&server, json!("new")).expect("notification");
    assert_eq!((&frame["title"], &frame["body"]), (&json!("a\tb"), &json!("c\nd")));
    assert_eq!(http.post(PATH, &json!({"user_id": "new", "title": "t"})).json()["unknown"], json!([]));
}

#[test]
fn a_sigkill_right_after_the_answer_loses_and_doubles_nothing() {
    let (database, mut server) = start(&[]);
    let mut expected = HashSet::new();
    for round in 0..5 {
        let messages: Vec<Value> =
            (0..400).map(|n| json!({"user_id": n % 100, "title": format!("r{round} m{n}")})).collect();
        assert_eq!(accepted(&server.http().post(PATH, &json!(messages))), (400, 0, 0));
        expected.extend((0..400).map(|n| format!("r{round} m{n}")));
        server.kill();
        server = Server::start(&database.url, &[]);
    }
    wait_for("what is left in the outbox", || count(&database, "outbox") == 0);
    assert_eq!(count(&database, "notifications"), 2_000, "each once");
    assert_eq!(
        count(&database, "(SELECT DISTINCT frame::json->>'title' FROM notifications) t"),
        expected.len() as i64
    );
    let gaps = "(SELECT user_id FROM notifications GROUP BY user_id HAVING max(stream_offset) <> count(*)) t";
    assert_eq!(count(&database, gaps), 0, "numbered without a gap");
}

#[test]
fn a_message_waits_for_its_time_and_expires_unsent() {
    let (database, server) = start(&[]);
    let mut client = welcomed(&server, json!(1));
    let now = jiff::Timestamp::now().as_millisecond();
    let soon = json!([
        {"user_id": 1, "title": "later", "send_at": now + 1_500},
        {"user_id": 1, "title": "much later", "send_at": now + 3_600_000},
        {"user_id": 1, "title": "now"},
    ]);
    assert_eq!(accepted(&server.http().post(PATH, &soon)), (3, 0, 0));
    assert_eq!(client.expect("notification")["title"], "now");
    let later = client.expect("notification");
    assert_eq!(later["title"], "later");
    assert!(jiff::Timestamp::now().as_millisecond() >= now + 1_500, "not before its time");
    wait_for("only what waits", || count(&database, "outbox") == 1);
}

#[test]
fn a_muted_category_is_dropped_with_its_reason_and_transactional_passes() {
    let (database, server) = start(&[]);
    let mut http = server.http();
    let mut client = welcomed(&server, json!(1));
    assert_eq!(http.put("/v1/users/1/preferences", &json!({"muted": ["promotion"]})).status, 200);
    let messages = json!([
        {"user_id": 1, "title": "sale", "kind": "promotion"},
        {"user_id": 1, "title": "recall", "kind": "promotion", "priority": "transactional"},
    ]);
    assert_eq!(accepted(&http.post(PATH, &messages)), (2, 0, 0));
    assert_eq!(client.expect("notification")["title"], "recall");
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
    wait_for("the decision", || {
        let decisions = http.get("/admin/decisions?user_id=1&limit=10").json();
        decisions["decisions"].as_array().unwrap().iter().any(|decision| {
            decision["outcome"] == "drop" && decision["reasons"][0].as_str().unwrap().starts_with("muted")
        })
    });
}

/// Titles in a user's inbox, the newest first.
pub fn inbox(server: &Server, user: &str) -> Vec<String> {
    let page = server.http().get(&format!("/v1/users/{user}/inbox?limit=100")).json();
    page["messages"].as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_message_whose_time_ends_while_it_waits_leaves_a_decision_that_says_so() {
    let (database, mut server) = start(&[]);
    let now = jiff::Timestamp::now().as_millisecond();
    let message = json!({"user_ids": ["away", "gone"], "title": "lunch", "priority": "transactional",
        "send_at": now + 300, "expires_at": now + 600});
    assert_eq!(accepted(&server.http().post(PATH, &message)), (2, 0, 0));
    server.kill();
    wait_for("its end", || jiff::Timestamp::now().as_millisecond() > now + 600);
    let _server = Server::start(&database.url, &[]);
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
    assert_eq!(count(&database, "decisions WHERE outcome = 'drop' AND reasons[1] LIKE 'expired%'"), 2);
    assert_eq!(count(&database, "notifications"), 0);
}

#[test]
fn only_services_and_administrators_may_send() {
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let (_database, server) = start(&["--set", "auth.mode=token", "--set", &format!("auth.secret={secret}")]);
    let token = |role| {
        let tomorrow = tidings::base::Timestamp::now().plus_days(1.0);
        tidings::privacy::token::issue(secret, role, "1", tomorrow).unwrap()
    };
    assert_eq!(server.http().post(PATH, &json!({"user_id": 1, "title": "t"})).status, 401);
    for (role, status) in [
        (tidings::privacy::Role::User, 403),
        (tidings::privacy::Role::Service, 202),
        (tidings::privacy::Role::Admin, 202),
    ] {
        // A refused request ends its connection, since its body was not read.
        let mut http = server.http();
        http.headers = vec![("Authorization".into(), format!("Bearer {}", token(role)))];
        assert_eq!(http.post(PATH, &json!({"user_id": 1, "title": "t"})).status, status, "{role:?}");
    }
}
