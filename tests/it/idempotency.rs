//! `Idempotency-Key`, as in draft-ietf-httpapi-idempotency-key-header: 409 while the first request is under way, then its answer.
//! Other bodies and messages accepted once: `notifications.rs`.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};

fn keyed(server: &Server, key: &str) -> Http {
    let mut http = server.http();
    http.headers.push(("Idempotency-Key".into(), key.into()));
    http
}

#[test]
fn a_key_is_held_while_its_request_is_under_way_and_then_has_an_answer() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    database.connection().batch_execute("INSERT INTO users (external_id) VALUES ('1')").unwrap();
    let routes = [
        (
            "/v1/notifications",
            json!({"user_id": 1, "title": "Once"}),
            json!({"user_id": 1, "title": "Other"}),
        ),
        ("/v1/triggers/announcement", json!({"user_ids": [1]}), json!({"user_ids": [1, 2]})),
    ];
    for (path, body, other) in routes {
        // Whoever asks for a key waits.
        let mut locked = database.connection();
        locked.batch_execute("BEGIN; LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE").unwrap();
        let post = |key: &str, body: &Value| -> Response { keyed(&server, key).post(path, body) };
        let first = std::thread::scope(|scope| {
            let first = scope.spawn(|| post("\"k\"", &body));
            // Retention deletes old keys at the start and waits as well.
            let blocked = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                           AND datname = current_database() AND query NOT LIKE 'DELETE%'";
            wait_for("the first to wait", || database.count(blocked) > 0);
            let again = post("k", &body);
            let code = again.json()["error"]["code"].clone();
            assert_eq!((again.status, code), (409, json!("request_under_way")), "{path}");
            assert_eq!(again.header("retry-after"), Some("1"));
            assert_eq!(post("k", &other).status, 422, "{path}");
            locked.batch_execute("COMMIT").unwrap();
            first.join().unwrap()
        });
        assert_eq!(first.status, 202, "{}", first.body);
        let again = post("k", &body);
        assert_eq!((again.status, &again.body), (202, &first.body), "{path}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert!(again.json()["id"].is_string(), "{path}: {}", again.body);
        assert_eq!(post("k", &other).json()["error"]["code"], "idempotency_key_reused", "{path}");
    }
    wait_for("both messages", || {
        database.count("SELECT count(*) AS n FROM notifications WHERE frame LIKE '%Once%'") == 1
    });
    assert_eq!(database.count("SELECT count(*) AS n FROM broadcasts"), 1, "the trigger was fired once");
}
