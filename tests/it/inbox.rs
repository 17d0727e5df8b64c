//! The inbox: pages, counts, and what is read, seen or taken back on one device is so on all of them.

use serde_json::{Value, json};
use tidings::base::{ExternalId, Millis, NotificationId, Timestamp};
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
        let rows = outbox::due(connection, (Timestamp(0), 0), in_an_hour, 10)?;
        Ok(rows.into_iter().find(|row| row.message.contains("both")).unwrap().batch)
    });
    let of_a = NotificationId::of_batch(batch.unwrap(), &ExternalId::Text("a".into()));
    assert_eq!(http.delete(&format!("/v1/notifications/{}", of_a.0)).status, 204);
    assert_eq!(database.count("SELECT count(*) AS n FROM outbox WHERE users = '{b}'"), 1);
}
