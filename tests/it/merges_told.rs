//! One message to several ids of one person, who were merged before it, beside it or after it: told once, and the other ids are
//! refused with a stored reason.

use serde_json::{Value, json};

use super::merges::merge;
use crate::helpers::clock::quiet_now;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;
use tidings::base::Timestamp;

const PATH: &str = "/v1/notifications";
const HOUR: u64 = 3_600_000;

fn after(ms: u64) -> String {
    (Timestamp::now() + tidings::base::Millis(ms)).to_string()
}

/// Makes users known.
fn know(http: &mut Http, users: &[&str]) {
    for user in users {
        let event = json!({"kind": "view", "user_id": user, "item_id": 101});
        assert_eq!(http.post("/v1/events", &event).status, 202);
    }
}

fn submit(http: &mut Http, message: &Value) -> Value {
    let answer = http.post(PATH, message);
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()
}

fn titles(http: &mut Http, user: &str) -> Vec<String> {
    let page = http.get(&format!("/v1/users/{user}/inbox?limit=100")).json();
    page["messages"].as_array().unwrap().iter().map(|m| m["title"].as_str().unwrap().to_owned()).collect()
}

fn progress(http: &mut Http, call: &Value) -> Value {
    http.get(&format!("{PATH}/{}", call.as_str().unwrap())).json()["progress"].clone()
}

fn is_empty(database: &TestDatabase, table: &str) -> bool {
    database.count(&format!("SELECT count(*) AS n FROM {table}")) == 0
}

/// The server dies, what waits is due, and another server begins.
fn when_all_is_due(database: &TestDatabase, mut server: Server) -> Server {
    server.kill();
    database.execute("UPDATE outbox SET due_at = now(); UPDATE broadcasts SET due_at = now()").unwrap();
    Server::start(&database.url, &[])
}

/// It is quiet for this user for some hours, or never.
fn quiet(http: &mut Http, user: &str, is_quiet: bool) {
    let [from, to] = quiet_now(0);
    let hours = if is_quiet { json!({"from": from, "to": to}) } else { Value::Null };
    let wish = json!({"quiet_hours": hours, "time_zone": "UTC"});
    assert_eq!(http.patch(&format!("/v1/users/{user}/preferences"), &wish).status, 200);
}

#[test]
fn a_message_that_waits_for_three_ids_of_one_person_is_told_once() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    know(&mut http, &["17", "18", "anon-1", "anon-2"]);
    let message = json!({"user_ids": ["anon-1", "anon-2", "17", "18"], "title": "Sale", "send_at": after(HOUR),
        "expires_at": after(9 * HOUR)});
    let call = submit(&mut http, &message)["id"].clone();
    merge(&mut http, "17", "anon-1");
    merge(&mut http, "17", "anon-2");
    let server = when_all_is_due(&database, server);
    let mut http = server.http();
    let expected = json!({"planned": 4, "sent": 2, "deferred": 0, "refused": {"said_before": 2}, "waiting": 0,
        "displayed": 0, "clicked": 0});
    wait_for("everybody's turn", || progress(&mut http, &call) == expected);
    assert_eq!(
        (titles(&mut http, "17"), titles(&mut http, "18")),
        (vec!["Sale".into()], vec!["Sale".into()])
    );
    wait_for("the outbox", || is_empty(&database, "outbox"));
}

#[test]
fn what_a_visitor_was_told_before_the_merge_is_not_told_to_the_user_after_it() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    know(&mut http, &["17", "18", "19", "anon-1", "anon-2"]);
    for user in ["17", "anon-2"] {
        quiet(&mut http, user, true);
    }
    let message = |title: &str, users: [&str; 2]| json!({"user_ids": users, "title": title, "kind": "news", "expires_at": after(30 * HOUR)});
    let first = submit(&mut http, &message("visitor first", ["anon-1", "17"]))["id"].clone();
    let second = submit(&mut http, &message("user first", ["anon-2", "18"]))["id"].clone();
    let is_half = |http: &mut Http, call: &Value| {
        let progress = progress(http, call);
        (&progress["sent"], &progress["deferred"]) == (&json!(1), &json!(1))
    };
    wait_for("one of each", || is_half(&mut http, &first) && is_half(&mut http, &second));
    merge(&mut http, "17", "anon-1");
    merge(&mut http, "18", "anon-2");
    for user in ["17", "18"] {
        quiet(&mut http, user, false);
    }
    let server = when_all_is_due(&database, server);
    let mut http = server.http();
    for call in [&first, &second] {
        wait_for("the other", || progress(&mut http, call)["refused"] == json!({"said_before": 1}));
        assert_eq!(progress(&mut http, call)["sent"], 1);
    }
    assert_eq!(titles(&mut http, "17"), ["visitor first"]);
    assert_eq!(titles(&mut http, "18"), ["user first"]);
    wait_for("the outbox", || is_empty(&database, "outbox"));
    // One more to both, who are one by now.
    let third = submit(&mut http, &message("third", ["anon-1", "17"]))["id"].clone();
    wait_for("both", || progress(&mut http, &third)["refused"] == json!({"said_before": 1}));
    assert_eq!(titles(&mut http, "17"), ["third", "visitor first"]);
}

#[test]
fn messages_of_one_request_with_words_of_their_own_are_told_each() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    know(&mut http, &["17", "anon-1"]);
    merge(&mut http, "17", "anon-1");
    let message = |user: &str, title: &str| json!({"user_id": user, "title": title});
    submit(&mut http, &json!([message("17", "one"), message("anon-1", "two"), message("17", "three")]));
    wait_for("all three", || titles(&mut http, "17").len() == 3);
}

#[test]
fn a_key_that_was_used_for_a_visitor_is_used_for_the_user() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    know(&mut http, &["17", "anon-1", "anon-2"]);
    let keyed = |users: &[&str]| json!({"user_ids": users, "title": "Shipped", "dedupe_key": "order-5"});
    let count =
        |answer: &Value| (answer["accepted"].as_u64().unwrap(), answer["duplicates"].as_u64().unwrap());
    assert_eq!(count(&submit(&mut http, &keyed(&["anon-1"]))), (1, 0));
    merge(&mut http, "17", "anon-1");
    merge(&mut http, "17", "anon-2");
    for users in [&["17"][..], &["anon-1"], &["anon-2"], &["anon-2", "17"]] {
        assert_eq!(count(&submit(&mut http, &keyed(users))), (0, users.len() as u64), "{users:?}");
    }
    assert_eq!(count(&submit(&mut http, &keyed(&["18"]))), (1, 0));
    wait_for("the outbox", || is_empty(&database, "outbox"));
    assert_eq!(titles(&mut http, "17"), ["Shipped"]);
}

#[test]
fn a_call_for_several_ids_of_one_person_is_told_once() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    know(&mut http, &["17", "anon-1", "anon-2"]);
    let fire = |http: &mut Http, title: &str, users: &[&str]| {
        let call = json!({"user_ids": users, "event": {"title": title, "body": "."}});
        let answer = http.post("/v1/triggers/announcement", &call);
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.json()
    };
    // Nobody is here: it waits for both.
    let call = fire(&mut http, "waits", &["anon-1", "17"])["id"].clone();
    assert_eq!(database.count("SELECT count(*) AS n FROM held_messages"), 2);
    merge(&mut http, "17", "anon-1");
    assert_eq!(database.count("SELECT count(*) AS n FROM held_messages"), 1);
    let refused = "SELECT count(*) AS n FROM decisions WHERE outcome = 'drop' AND steps->0->>'reason' = 'waits_already'";
    assert_eq!(database.count(refused), 1, "with a stored reason");
    let (mut client, _) = server.login(17);
    let told = |client: &mut crate::helpers::client::Client| client.expect("notification")["title"].clone();
    assert_eq!(told(&mut client), "waits");
    let shown = progress(&mut http, &call);
    assert_eq!((&shown["sent"], &shown["refused"]), (&json!(1), &json!({"waits_already": 1})), "{shown}");
    // Told to the visitor while the user is away, and the other way round.
    let mut visitor = crate::helpers::client::Client::login(server.address, json!("anon-2")).0;
    quiet(&mut http, "17", true);
    let call = fire(&mut http, "visitor first", &["anon-2", "17"])["id"].clone();
    assert_eq!(told(&mut visitor), "visitor first");
    wait_for("the user's to wait", || progress(&mut http, &call)["deferred"] == 1);
    merge(&mut http, "17", "anon-2");
    database.execute("UPDATE held_messages SET until = now()").unwrap();
    quiet(&mut http, "17", false);
    drop((client, visitor));
    let mut server = server;
    server.kill();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    let (mut client, _) = server.login(17);
    wait_for("the decision", || progress(&mut http, &call)["refused"] == json!({"said_before": 1}));
    // One person by now, whom several ids name.
    assert_eq!(fire(&mut http, "last", &["anon-1", "anon-2", "17"])["accepted"], 1);
    let mut said = Vec::new();
    while said.last() != Some(&json!("last")) {
        said.push(told(&mut client));
    }
    assert!(said.iter().filter(|title| *title == "visitor first").count() <= 1, "{said:?}");
    assert_eq!(titles(&mut http, "17"), ["last", "visitor first", "waits"]);
}

#[test]
fn what_is_shown_now_is_shown_once() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    know(&mut http, &["17", "anon-1"]);
    merge(&mut http, "17", "anon-1");
    let (mut client, _) = server.login(17);
    let message = json!({"user_ids": ["anon-1", "17"], "title": "2 : 1", "ephemeral": true});
    assert_eq!(submit(&mut http, &message)["told"], 1);
    assert_eq!(submit(&mut http, &json!({"user_id": 17, "title": "3 : 1", "ephemeral": true}))["told"], 1);
    let shown = [(); 2].map(|()| client.expect("notification")["title"].clone());
    assert_eq!(shown, ["2 : 1", "3 : 1"]);
}
