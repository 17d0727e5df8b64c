//! Topics: followed by users and for them, and messages to whoever follows one when it is due.

use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

const PATH: &str = "/v1/notifications";

fn start(n: u32) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let users = format!("INSERT INTO users (external_id) SELECT n::text FROM generate_series(1, {n}) n");
    diesel::connection::SimpleConnection::batch_execute(&mut database.connection(), &users).unwrap();
    let server = Server::start(&database.url, &[]);
    (database, server)
}

fn titled(database: &TestDatabase, title: &str) -> i64 {
    database
        .count(&format!("SELECT count(*) AS n FROM notifications WHERE frame::json->>'title' = '{title}'"))
}

#[test]
fn a_message_goes_to_who_follows_the_topic_when_it_is_due() {
    let (database, server) = start(6);
    let mut http = server.http();
    let answer = http.put("/v1/topics/vinyl/subscribers", &json!({"user_ids": [1, 2, 3, 3, 99]}));
    let expected = json!({"topic": "vinyl", "subscribed": 3, "unknown": [99], "full": [], "subscribers": 3});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let soon = (Timestamp::now() + Millis(3_000)).to_string();
    let wish = json!({"topic": "vinyl", "title": "Record fair", "send_at": soon});
    let answer = http.post(PATH, &wish);
    assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(3)), "{}", answer.body);
    // One leaves, one comes by themself, before it is due.
    assert_eq!(
        http.delete_with("/v1/topics/vinyl/subscribers", &json!({"user_ids": [1]})).json()["unsubscribed"],
        1
    );
    assert_eq!(http.put("/v1/users/5/topics/vinyl", &json!({})).status, 204);
    let shown = format!("{PATH}/{}", answer.json()["id"].as_str().unwrap());
    wait_for("all of them", || http.get(&shown).json()["state"] == "sent");
    let who = "SELECT count(*) AS n FROM notifications JOIN users USING (user_id) WHERE external_id IN ('2', '3', '5')";
    assert_eq!(database.count(who), 3);
    let shown = http.get(&shown).json();
    assert_eq!(
        (&shown["audience"], &shown["users"], &shown["state"]),
        (&json!({"topic": "vinyl"}), &json!(3), &json!("sent"))
    );
    // At once, and everybody has left.
    assert_eq!(http.post(PATH, &json!({"to": {"topic": "vinyl"}, "title": "Now"})).json()["accepted"], 3);
    wait_for("all of them", || titled(&database, "Now") == 3);
    let left = http.delete_with("/v1/topics/vinyl/subscribers", &json!({"user_ids": [2, 3, 5]})).json();
    assert_eq!(left["subscribers"], 0);
    let nobody = http.post(PATH, &json!({"topic": "vinyl", "title": "Now"}));
    assert_eq!((nobody.status, &nobody.json()["error"]["code"]), (400, &json!("nobody")));
}

#[test]
fn a_topic_that_nobody_ever_followed_is_refused_with_the_nearest_name() {
    let (_database, server) = start(1);
    let mut http = server.http();
    assert_eq!(http.put("/v1/users/1/topics/jazz", &json!({})).status, 204);
    for answer in [
        http.post(PATH, &json!({"topic": "jaz", "title": "t"})),
        http.get("/v1/topics/jaz/subscribers"),
        http.delete_with("/v1/topics/jaz/subscribers", &json!({"user_ids": [1]})),
    ] {
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["code"]), (400, &json!("unknown_topic")), "{}", answer.body);
        assert!(error["message"].as_str().unwrap().ends_with("did you mean jazz?"), "{error}");
    }
    let long = "x".repeat(129);
    for answer in [
        http.put(&format!("/v1/topics/{long}/subscribers"), &json!({"user_ids": [1]})),
        http.post(PATH, &json!({"topic": long, "title": "t"})),
        http.put("/v1/topics/jazz/subscribers", &json!({"user_ids": []})),
        http.put("/v1/topics/jazz/subscribers", &json!({"users": [1]})),
        http.post(PATH, &json!({"topic": "jazz", "title": "t", "ephemeral": true})),
    ] {
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
}

#[test]
fn followers_are_paged_and_a_user_follows_a_thousand_topics_at_most() {
    let (database, server) = start(25);
    let mut http = server.http();
    let everyone: Vec<u32> = (1..=25).collect();
    http.put("/v1/topics/blues/subscribers", &json!({"user_ids": everyone}));
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/v1/topics/blues/subscribers?limit=10{after}")).json();
        assert_eq!(page["count"], 25);
        seen.extend(page["subscribers"].as_array().unwrap().iter().map(|one| one["user_id"].clone()));
        match &page["next_after"] {
            Value::Null => break,
            user => after = format!("&after={user}"),
        }
    }
    assert_eq!(seen, everyone.iter().map(|user| json!(user)).collect::<Vec<_>>());
    // A page that can't be told is refused: the first one again would be read twice.
    for (query, says) in [("after=nobody", "next_after"), ("limt=10", "limt")] {
        let refused = http.get(&format!("/v1/topics/blues/subscribers?{query}"));
        assert!(refused.status == 400 && refused.body.contains(says), "{}", refused.body);
    }
    let many = "INSERT INTO topics (name) SELECT 't' || n FROM generate_series(1, 999) n; \
                INSERT INTO topic_subscribers (topic_id, user_id) \
                SELECT topic_id, user_id FROM topics, users WHERE name LIKE 't%' AND external_id = '1'";
    diesel::connection::SimpleConnection::batch_execute(&mut database.connection(), many).unwrap();
    assert_eq!(http.get("/v1/users/1/topics").json()["topics"].as_array().unwrap().len(), 1_000);
    assert_eq!(http.put("/v1/users/1/topics/more", &json!({})).status, 409);
    assert_eq!(http.put("/v1/users/1/topics/blues", &json!({})).status, 204, "followed already");
    let bulk = http.put("/v1/topics/more/subscribers", &json!({"user_ids": [1, 2]})).json();
    assert_eq!((&bulk["subscribed"], &bulk["full"]), (&json!(1), &json!([1])));
    assert_eq!(http.delete("/v1/users/1/topics/blues").status, 204);
    assert_eq!(http.put("/v1/users/1/topics/more", &json!({})).status, 204);
}
