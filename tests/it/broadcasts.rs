//! Messages to many and messages that wait for their time: one id for each call, by which they are listed, changed and taken back.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};

const PATH: &str = "/v1/notifications";
const SCHEDULED: &str = "/v1/notifications/scheduled";

/// Users 1 to `n`, the even ones in segment B, the odd ones in segment A.
fn start(n: u32) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    database
        .connection()
        .batch_execute(&format!(
            "INSERT INTO users (external_id) SELECT n::text FROM generate_series(1, {n}) n; \
             INSERT INTO user_features (user_id, purchases_per_month, browsing_minutes_per_month, \
             searches_per_month, monetary, segment) \
             SELECT user_id, 0, 0, 0, 0, 1 - external_id::integer % 2 FROM users"
        ))
        .unwrap();
    let server = Server::start(&database.url, &[]);
    (database, server)
}

fn count(database: &TestDatabase, what: &str) -> i64 {
    database.count(&format!("SELECT count(*) AS n FROM {what}"))
}

/// Messages with a title that are to be shown.
fn live(database: &TestDatabase, title: &str) -> i64 {
    count(
        database,
        &format!("notifications WHERE frame::json->>'title' = '{title}' AND withdrawn_at IS NULL"),
    )
}

fn after(milliseconds: u64) -> String {
    (Timestamp::now() + Millis(milliseconds)).to_string()
}

fn accepted(answer: &Response) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()
}

fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

fn device(server: &Server, user: Value) -> Client {
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": user, "device": "test"}));
    client.expect("welcome");
    client
}

fn to_segment_b(http: &mut Http, hour: &str) -> Value {
    let message =
        json!({"segment": "B", "title": "Sael", "body": "today", "send_at": hour, "data": {"a": 1, "b": 2}});
    let answer = accepted(&http.post(PATH, &message));
    assert_eq!(answer["accepted"], 3);
    answer
}

#[test]
fn a_scheduled_message_to_a_segment_is_listed_and_changed() {
    let (database, server) = start(6);
    let mut http = server.http();
    let hour = after(3_600_000);
    let answer = to_segment_b(&mut http, &hour);
    let path = format!("{SCHEDULED}/{}", id(&answer));
    let list = http.get(SCHEDULED).json();
    let shown = &list["scheduled"][0];
    assert_eq!(*shown, http.get(&path).json());
    assert_eq!((&shown["id"], &shown["state"]), (&answer["id"], &json!("scheduled")));
    assert_eq!((&shown["audience"], &shown["users"]), (&json!({"segment": "B"}), &json!(3)));
    assert_eq!((&shown["message"]["title"], &shown["due_at"]), (&json!("Sael"), &json!(hour)));
    assert_eq!(count(&database, "outbox"), 0, "nobody is chosen yet");
    // Words and time, one by one; what is wrong changes nothing.
    let changed = http.patch(&path, &json!({"title": "Sale", "data": {"b": null}})).json();
    assert_eq!(
        (&changed["message"]["title"], &changed["message"]["body"]),
        (&json!("Sale"), &json!("today"))
    );
    assert_eq!((&changed["message"]["data"], &changed["due_at"]), (&json!({"a": 1}), &json!(hour)));
    for (wrong, status) in [
        (json!({"title": ""}), 400),
        (json!({"segment": "A"}), 400),
        (json!({"expires_at": after(60_000)}), 400),
        (json!([]), 400),
    ] {
        assert_eq!(http.patch(&path, &wrong).status, status, "{wrong}");
    }
    assert_eq!(http.get(&path).json(), changed);
    let lifetime = |shown: &Value| {
        let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        at(&shown["message"]["expires_at"]).duration_since(at(&shown["due_at"]))
    };
    let later = http.patch(&path, &json!({"send_at": after(7_200_000)})).json();
    assert_eq!(lifetime(&later), lifetime(&changed), "its lifetime moves along");
}

#[test]
fn a_scheduled_message_to_a_segment_is_sent_once_to_who_is_in_it_then() {
    let (database, mut server) = start(6);
    let mut http = server.http();
    let path = format!("{SCHEDULED}/{}", id(&to_segment_b(&mut http, &after(3_600_000))));
    // User 1 comes into the segment, 2 leaves it; the server dies, and is down when it is due.
    database
        .connection()
        .batch_execute(
            "UPDATE user_features f SET segment = 1 - segment FROM users u \
             WHERE u.user_id = f.user_id AND external_id IN ('1', '2')",
        )
        .unwrap();
    assert_eq!(http.patch(&path, &json!({"send_at": after(3_000), "title": "Sale"})).status, 200);
    server.kill();
    let due = Timestamp::now() + Millis(3_000);
    wait_for("its time", || Timestamp::now() > due);
    let server = Server::start(&database.url, &[]);
    wait_for("everybody's turn", || live(&database, "Sale") == 3 && count(&database, "outbox") == 0);
    let who = "notifications n JOIN users u USING (user_id) WHERE u.external_id IN ('1', '4', '6')";
    assert_eq!(count(&database, who), 3);
    let mut http = server.http();
    let sent = http.get(&path).json();
    assert_eq!((&sent["state"], &sent["users"]), (&json!("sent"), &json!(3)));
    assert_eq!(http.get(SCHEDULED).json()["scheduled"], json!([]));
    for answer in [http.patch(&path, &json!({"title": "late"})), http.delete(&path)] {
        assert_eq!(answer.status, 409, "{}", answer.body);
    }
    // Sent once, also when the next server looks.
    drop(server);
    let server = Server::start(&database.url, &[]);
    assert_eq!(accepted(&server.http().post(PATH, &json!({"user_id": 1, "title": "mark"})))["accepted"], 1);
    wait_for("what came after it", || live(&database, "mark") == 1);
    assert_eq!(count(&database, "notifications"), 4);
}

#[test]
fn a_scheduled_message_is_sent_at_its_time_and_not_when_it_was_stopped() {
    let (database, server) = start(2_500);
    let mut http = server.http();
    let mut watcher = device(&server, json!(1));
    let soon = after(1_500);
    let all = accepted(&http.post(PATH, &json!({"everyone": true, "title": "All", "send_at": soon})));
    let stopped = accepted(&http.post(PATH, &json!({"everyone": true, "title": "Stopped", "send_at": soon})));
    let named = accepted(&http.post(PATH, &json!({"user_ids": [1, 2], "title": "Named", "send_at": soon})));
    let single = accepted(&http.post(PATH, &json!({"user_id": 1, "title": "Single", "send_at": soon})));
    let listed: Vec<Value> = http.get(SCHEDULED).json()["scheduled"].as_array().unwrap().clone();
    let titles: Vec<&Value> = listed.iter().map(|one| &one["message"]["title"]).collect();
    assert_eq!(titles, ["All", "Stopped", "Named", "Single"]);
    let users: Vec<&Value> = listed.iter().map(|one| &one["users"]).collect();
    assert_eq!(users, [2_500, 2_500, 2, 1]);
    let first = http.get(&format!("{SCHEDULED}?limit=3")).json();
    let rest = http.get(&format!("{SCHEDULED}?after={}", first["next_after"].as_str().unwrap())).json();
    assert_eq!(rest["scheduled"], json!([listed[3]]));
    let unknown = http.get(&format!("{SCHEDULED}?after=00000000-0000-0000-0000-000000000000"));
    assert_eq!((unknown.status, &unknown.json()["error"]["field"]), (400, &json!("after")));
    assert_eq!(http.delete(&format!("{SCHEDULED}/{}", id(&stopped))).status, 204);
    assert_eq!(http.delete(&format!("{SCHEDULED}/{}", id(&stopped))).status, 404, "once");
    assert_eq!(http.get(&format!("{SCHEDULED}/{}", id(&stopped))).json()["state"], "withdrawn");
    for named in [&named, &single] {
        assert_eq!(http.delete(&format!("/v1/notifications/{}", id(named))).status, 204);
    }
    assert_eq!(watcher.expect("notification")["title"], "All");
    assert!(Timestamp::now().to_string() >= soon, "not before its time");
    wait_for("everybody's turn", || live(&database, "All") == 2_500 && count(&database, "outbox") == 0);
    assert_eq!(count(&database, "notifications WHERE trigger = 'api'"), 2_500);
    assert_eq!(http.get(&format!("{SCHEDULED}/{}", id(&all))).json()["state"], "sent");
    // What can't be sent any more when its time comes is sent to nobody.
    let never =
        json!({"everyone": true, "title": "Never", "send_at": after(3_000), "expires_at": after(3_600_000)});
    let never = accepted(&http.post(PATH, &never));
    database
        .connection()
        .batch_execute(&format!(
            "UPDATE broadcasts SET message = jsonb_set(message::jsonb, '{{expires_at}}', to_jsonb(created_at))::text \
             WHERE broadcast_id = '{}'",
            id(&never)
        ))
        .unwrap();
    let path = format!("{SCHEDULED}/{}", id(&never));
    wait_for("its end", || http.get(&path).json()["state"] == "expired");
    assert_eq!(http.get(&path).json()["unsent_reason"], "lifetime_ended");
    assert_eq!(http.delete(&path).status, 409);
    assert_eq!(live(&database, "Never"), 0);
}

#[test]
fn the_words_and_the_time_of_a_message_to_named_users_can_be_changed() {
    let (database, server) = start(3);
    let mut http = server.http();
    let mut one = device(&server, json!(1));
    let answer = accepted(
        &http.post(PATH, &json!({"user_ids": [1, 2], "title": "wrong", "send_at": after(3_600_000)})),
    );
    let path = format!("{SCHEDULED}/{}", id(&answer));
    assert_eq!(count(&database, "outbox"), 1);
    // What is in the outbox may be on its way for five seconds before its time.
    let before = Timestamp::now();
    let changed = http.patch(&path, &json!({"title": "right", "send_at": null})).json();
    assert!(changed["due_at"].as_str().unwrap() >= (before + Millis(5_000)).to_string().as_str());
    assert_eq!(one.expect("notification")["title"], "right");
    wait_for("both", || live(&database, "right") == 2);
    // A connection that was idle for so long is closed.
    assert_eq!(server.http().patch(&path, &json!({"title": "late"})).status, 409);
}

#[test]
fn everything_that_one_call_said_is_taken_back_by_its_id() {
    let (database, mut server) = start(1_200);
    let mut http = server.http();
    let mut watcher = device(&server, json!(2));
    let all = accepted(&http.post(PATH, &json!({"everyone": true, "title": "wrong"})));
    assert_eq!((&all["accepted"], &all["broadcasts"][0]["id"]), (&json!(1_200), &all["id"]));
    let frame = watcher.expect("notification");
    // At once: what is on its way is caught as well.
    assert_eq!(http.delete(&format!("{PATH}/{}", id(&all))).status, 204);
    let withdrawn = watcher.expect("withdraw");
    assert_eq!(
        (&withdrawn["notification_id"], &withdrawn["reason"]),
        (&frame["notification_id"], &json!("withdrawn"))
    );
    wait_for("what was on its way", || count(&database, "outbox") == 0 && live(&database, "wrong") == 0);
    assert_eq!(http.delete(&format!("{PATH}/{}", id(&all))).status, 404, "once");
    // Of several messages in one request all or one.
    let several = accepted(&http.post(
        PATH,
        &json!([{"user_ids": [2, 3], "title": "a"}, {"segment": "A", "title": "b"}, {"user_id": 2, "title": "c"}]),
    ));
    assert_eq!(several["broadcasts"].as_array().unwrap().len(), 2);
    wait_for("all of them", || {
        (live(&database, "a"), live(&database, "b"), live(&database, "c")) == (2, 600, 1)
    });
    let b = several["broadcasts"][1]["id"].as_str().unwrap();
    assert_eq!(http.delete(&format!("{PATH}/{b}")).status, 204);
    assert_eq!((live(&database, "a"), live(&database, "b"), live(&database, "c")), (2, 0, 1));
    assert_eq!(http.delete(&format!("{PATH}/{}", id(&several))).status, 204);
    assert_eq!((live(&database, "a"), live(&database, "c")), (0, 0));
    // One message to one user has the same id as the message.
    let single = accepted(&http.post(PATH, &json!({"user_id": 2, "title": "single"})));
    assert_eq!(single["id"], single["notifications"][0]["notification_id"]);
    // What a server that died was storing while it was taken back is found by the next.
    let late = accepted(&http.post(PATH, &json!({"user_ids": [4, 5], "title": "late"})));
    wait_for("both", || live(&database, "late") == 2);
    server.kill();
    database
        .connection()
        .batch_execute(&format!(
            "UPDATE broadcasts SET state = 'withdrawn', changed_at = now() WHERE broadcast_id = '{}'",
            id(&late)
        ))
        .unwrap();
    let _server = Server::start(&database.url, &[]);
    wait_for("the rest of it", || live(&database, "late") == 0);
    assert_eq!(live(&database, "single"), 1);
}

#[test]
fn what_a_call_set_off_is_taken_back_by_its_id() {
    let (database, server) = start(3);
    let mut http = server.http();
    let mut one = device(&server, json!(1));
    let call = |title: &str| json!({"user_ids": [1, 2, 3], "event": {"title": title, "body": "b"}});
    let wrong = accepted(&http.post("/v1/triggers/order_status", &call("wrong")));
    let frame = one.expect("notification");
    assert_eq!((&frame["title"], count(&database, "held_messages")), (&json!("wrong"), 2));
    let path = format!("{PATH}/{}", id(&wrong));
    assert_eq!(http.delete(&path).status, 204);
    assert_eq!(one.expect("withdraw")["notification_id"], frame["notification_id"]);
    assert_eq!((count(&database, "held_messages"), live(&database, "wrong")), (0, 0));
    assert_eq!(http.delete(&path).status, 404, "once");
    // The right one comes to all of them, and the wrong one to nobody, however many are taken back while they are decided.
    for n in 0..5 {
        let wrong = accepted(&http.post("/v1/triggers/order_status", &call(&format!("wrong {n}"))));
        assert_eq!(http.delete(&format!("{PATH}/{}", id(&wrong))).status, 204);
    }
    accepted(&http.post("/v1/triggers/order_status", &call("right")));
    for user in [2, 3] {
        assert_eq!(device(&server, json!(user)).expect("notification")["title"], "right");
    }
    wait_for("all of them", || live(&database, "right") == 3);
    let wrong = "notifications WHERE frame::json->>'title' LIKE 'wrong%' AND withdrawn_at IS NULL";
    wait_for("the last of the others", || count(&database, wrong) == 0);
    let inbox = http.get("/v1/users/1/inbox").json();
    let titles: Vec<&Value> =
        inbox["messages"].as_array().unwrap().iter().map(|message| &message["title"]).collect();
    assert_eq!(titles, ["right"]);
}

#[test]
fn what_was_taken_back_while_it_poured_in_is_seen_by_nobody() {
    let (database, server) = start(4_000);
    for round in 0..6 {
        let mut http = server.http();
        let title = format!("round {round}");
        let answer = accepted(&http.post(PATH, &json!({"everyone": true, "title": title})));
        wait_for("some of them", || live(&database, &title) > round * 500);
        assert_eq!(http.delete(&format!("{PATH}/{}", id(&answer))).status, 204);
        let mark = json!({"user_id": 4_000, "title": format!("mark {round}"), "priority": "transactional"});
        assert_eq!(accepted(&http.post(PATH, &mark))["accepted"], 1);
        wait_for("the end of it", || count(&database, "outbox") == 0 && live(&database, &title) == 0);
    }
    assert_eq!(count(&database, "notifications WHERE withdrawn_at IS NULL AND trigger = 'api'"), 6);
}
