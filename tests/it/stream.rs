//! The durable stream over WebSockets: what is owed survives crashes, tokens end connections, a deploy is no storm.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

fn device(server: &Server, user: Value) -> Client {
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": user, "device": "test"}));
    client.expect("welcome");
    client
}

#[test]
fn what_nobody_acknowledged_survives_a_crash_and_what_was_is_not_said_again() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &[]);
    let messages: Vec<Value> = (0..6).map(|n| json!({"user_id": 1, "title": format!("m{n}")})).collect();
    // Nobody is there.
    assert_eq!(server.http().post("/v1/notifications", &json!(messages)).status, 202);
    server.kill();
    let mut server = Server::start(&database.url, &[]);
    let mut client = device(&server, json!(1));
    let mut received: Vec<Value> = (0..6).map(|_| client.expect("notification")).collect();
    received.sort_by_key(|frame| frame["offset"].as_i64());
    let titles: HashSet<String> =
        received.iter().map(|frame| frame["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles.len(), 6);
    client.send(&json!({"type": "ack", "offset": received[3]["offset"]}));
    // An answer to what was said after it means that it was taken; a moment later it is stored.
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
    crate::helpers::server::wait_for("the acknowledgement to be stored", || {
        database.count("SELECT coalesce(max(up_to), 0) AS n FROM acknowledgements") >= 4
    });
    server.kill();
    let server = Server::start(&database.url, &[]);
    let mut client = device(&server, json!(1));
    let again: Vec<Value> = (0..2).map(|_| client.expect("notification")).collect();
    assert_eq!(again, received[4..], "the same messages, the same numbers");
}

#[test]
fn a_minimal_client_is_answered_first_and_gets_what_it_is_owed_then() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    assert_eq!(server.http().post("/v1/notifications", &json!({"user_id": 1, "title": "t"})).status, 202);
    let mut client = Client::connect(server.address);
    client.send_text(r#"{"type":"login","user_id":1}"#);
    assert_eq!(client.next().unwrap()["type"], "recommendation");
    assert_eq!(client.next().unwrap()["type"], "welcome");
    assert_eq!(client.expect("notification")["title"], "t");
}

#[test]
fn a_socket_does_not_outlive_its_token() {
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let database = TestDatabase::new();
    let arguments = ["--set", "auth.mode=token", "--set", &format!("auth.secret={secret}")];
    let server = Server::start(&database.url, &arguments);
    let until = tidings::base::Timestamp::now().plus_days(3.0 / 86_400.0);
    let token = tidings::privacy::token::issue(secret, tidings::privacy::Role::User, "1", until).unwrap();
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": token}));
    client.expect("welcome");
    assert_eq!(client.close_code(), 3005);
}

#[test]
fn a_deploy_tells_each_client_when_to_come_back() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &[]);
    let mut clients: Vec<Client> = (0..20).map(|user| device(&server, json!(user))).collect();
    assert!(server.terminate().success());
    let mut hints = HashSet::new();
    for client in &mut clients {
        let (code, reason) = client.close();
        assert_eq!(code, 3001);
        let hint = reason.split_once("retry_ms=").unwrap_or_else(|| panic!("{reason}")).1;
        hints.insert(hint.parse::<u32>().unwrap());
    }
    assert!(hints.len() > 1, "spread: {hints:?}");
}
