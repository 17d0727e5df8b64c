//! The minimal exchange over a WebSocket: its answer comes first, what is owed behind it.

use serde_json::json;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

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
