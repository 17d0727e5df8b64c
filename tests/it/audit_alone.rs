//! An entry of the audit log that can't be stored fails its own change and no other of the same round of the notifier.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

/// Lets the entry of an object fail so many times; sequences count what is rolled back, too.
fn fail(database: &TestDatabase, object: &str, times: i64) {
    database
        .execute(&format!(
            "DROP SEQUENCE IF EXISTS tries; CREATE SEQUENCE tries; \
             CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF NEW.object LIKE '%{object}%' AND NEW.status < 300 AND nextval('tries') <= {times} THEN \
                 RAISE EXCEPTION 'not stored'; \
               END IF; RETURN NEW; END $$; \
             CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
        .unwrap();
}

fn tries(database: &TestDatabase) -> i64 {
    database.count("SELECT last_value AS n FROM tries")
}

struct Shop {
    database: TestDatabase,
    server: Server,
}

impl Shop {
    fn start() -> Self {
        let database = TestDatabase::new();
        let secret = format!("auth.secret={SECRET}");
        let server = Server::start(&database.url, &["--set", "auth.mode=token", "--set", &secret]);
        Self { database, server }
    }

    fn with(&self, arguments: &[&str]) -> Http {
        let mut http = self.server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {}", token(arguments))));
        http
    }

    fn anna(&self) -> Http {
        self.with(&["--role", "admin", "--user", "anna"])
    }

    /// A message to two users in a month; its id.
    fn later(&self) -> String {
        let month = Timestamp::now().plus_days(30.0);
        let message = json!({"user_ids": [17, 18], "title": "Later", "send_at": month});
        let answer = self.anna().post("/v1/notifications", &message);
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Sends a message of the shop's backend, of which no entry is kept, by way of the outbox.
    fn send(&self, key: &str) -> std::thread::JoinHandle<Response> {
        let mut http = self.with(&["--role", "service"]);
        http.headers.push(("Idempotency-Key".to_owned(), key.to_owned()));
        std::thread::spawn(move || http.post("/v1/notifications", &json!({"user_id": 17, "title": "Now"})))
    }

    fn switch(&self, id: &str, to: &str) -> std::thread::JoinHandle<Response> {
        let (mut http, path) = (self.anna(), format!("/v1/notifications/{id}/{to}"));
        std::thread::spawn(move || http.post(&path, &Value::Null))
    }

    /// Has the next round of the notifier wait until the session is dropped, and what comes meanwhile go with the one after it.
    fn hold_round(&self, key: &str) -> (PgConnection, std::thread::JoinHandle<Response>) {
        let mut held = self.database.connection();
        held.batch_execute("BEGIN; LOCK TABLE outbox IN EXCLUSIVE MODE").unwrap();
        let first = self.send(key);
        let waiting = "SELECT count(*) AS n FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE datname = current_database() AND relation = 'outbox'::regclass AND NOT granted";
        wait_for("the round to be held", || self.database.count(waiting) > 0);
        (held, first)
    }

    fn entries(&self, path: &str) -> i64 {
        let of = format!("SELECT count(*) AS n FROM audit_log WHERE object LIKE '%{path}' AND status < 300");
        self.database.count(&of)
    }
}

fn status(asked: std::thread::JoinHandle<Response>) -> u16 {
    asked.join().unwrap().status
}

#[test]
fn an_entry_that_can_not_be_stored_at_first_is_tried_again_and_fails_nothing_else() {
    let shop = Shop::start();
    let (one, other) = (shop.later(), shop.later());
    fail(&shop.database, &one, 2);
    let (held, first) = shop.hold_round("first");
    let asked = [shop.switch(&one, "pause"), shop.switch(&other, "pause"), shop.send("second")];
    drop(held);
    assert_eq!(asked.map(status), [200, 200, 202]);
    assert_eq!(status(first), 202);
    assert_eq!(tries(&shop.database), 3);
    for id in [&one, &other] {
        let path = format!("/v1/notifications/{id}");
        assert_eq!(shop.anna().get(&path).json()["state"], "paused");
        assert_eq!(shop.entries(&format!("{path}/pause")), 1);
    }
}

#[test]
fn an_entry_that_can_never_be_stored_fails_its_own_change() {
    let shop = Shop::start();
    let (one, other) = (shop.later(), shop.later());
    fail(&shop.database, &one, i64::MAX);
    let (held, first) = shop.hold_round("first");
    let asked = [shop.switch(&one, "pause"), shop.switch(&other, "pause"), shop.send("second")];
    drop(held);
    assert_eq!(asked.map(status), [503, 200, 202]);
    assert_eq!(status(first), 202);
    let state = |id: &str| shop.anna().get(&format!("/v1/notifications/{id}")).json()["state"].take();
    assert_eq!((state(&one), state(&other)), (json!("scheduled"), json!("paused")));
    assert_eq!(shop.entries(&format!("{one}/pause")), 0);
    // While entries fail, others are stored; a message of a person is tried alone too.
    fail(&shop.database, "/v1/notifications", i64::MAX);
    assert_eq!(shop.anna().post("/v1/notifications", &json!({"user_id": 17, "title": "Lost"})).status, 503);
    assert_eq!(status(shop.send("third")), 202);
    shop.database.execute("DROP TRIGGER fail ON audit_log").unwrap();
    let message = json!({"user_id": 17, "title": "Kept"});
    assert_eq!(shop.anna().post("/v1/notifications", &message).status, 202);
    assert_eq!(status(shop.switch(&other, "resume")), 200);
    let titles = "SELECT count(*) AS n FROM notifications WHERE frame::text LIKE '%Lost%'";
    assert_eq!(shop.database.count(titles), 0);
}
