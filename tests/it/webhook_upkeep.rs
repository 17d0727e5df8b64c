//! Upkeep of webhooks: large outboxes are given up, removed and replayed in steps, and nobody waits for it.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl};
use serde_json::json;
use tidings::base::Timestamp;
use tidings::store::webhook_outbox::{self, Attempted, End, MAX_REPLAYED, Replay};
use tidings::store::webhook_upkeep::{self, STEP, Sweep};
use tidings::store::webhooks::{self, EndpointChange};
use uuid::Uuid;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

/// Rows beyond what one step or one call takes.
const MANY: i64 = 12_000;

fn sql(database: &TestDatabase, statement: &str) {
    diesel::sql_query(statement).execute(&mut database.connection()).unwrap();
}

/// An endpoint with many deliveries that wait, each with an attempt.
fn crowded() -> (TestDatabase, PgConnection, Uuid) {
    let database = TestDatabase::new();
    let (mut connection, id) = (database.connection(), Uuid::now_v7());
    let new = EndpointChange {
        url: Some("https://shop.example/hooks".to_owned()),
        events: Some(vec!["message.sent".to_owned()]),
        ..EndpointChange::default()
    };
    assert!(webhooks::insert(&mut connection, id, &new, &[7; 32], "test").unwrap());
    sql(
        &database,
        &format!(
            "INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload) \
             SELECT '{id}', gen_random_uuid(), 'message.sent', '{{}}' FROM generate_series(1, {MANY})"
        ),
    );
    sql(
        &database,
        "INSERT INTO webhook_attempts (delivery_id, at, took_ms, status, answer) \
         SELECT delivery_id, now(), 1, 500, '' FROM webhook_deliveries",
    );
    (database, connection, id)
}

fn swept(connection: &mut PgConnection) -> usize {
    let sweep = Sweep { kept_since: Timestamp::now().plus_days(-7.0), given_up_before: None };
    webhook_upkeep::sweep(connection, &sweep).unwrap()
}

fn in_state(database: &TestDatabase, state: &str) -> i64 {
    database.count(&format!("SELECT count(*) AS n FROM webhook_deliveries WHERE state = '{state}'"))
}

#[test]
fn a_disabled_endpoint_gives_up_in_steps_and_is_replayed_in_parts() {
    let (database, mut connection, id) = crowded();
    assert_eq!(webhook_upkeep::waiting(&mut connection).unwrap(), MANY);
    let active = |active| EndpointChange { active: Some(active), ..EndpointChange::default() };
    assert!(webhooks::change(&mut connection, id, &active(false), "test").unwrap());
    assert_eq!(in_state(&database, "failed"), STEP, "no more in the transaction of the change");
    assert_eq!(swept(&mut connection), (MANY - STEP) as usize);
    assert_eq!(in_state(&database, "failed"), MANY);

    assert!(webhooks::change(&mut connection, id, &active(true), "test").unwrap());
    let since = Replay::FailedSince(Timestamp::now().plus_days(-1.0));
    let mut replay = || webhook_outbox::replay(&mut connection, id, since, Timestamp::now()).unwrap();
    assert_eq!(replay(), MAX_REPLAYED);
    assert_eq!(replay(), MANY as usize - MAX_REPLAYED);
    assert_eq!(replay(), 0);
    assert_eq!(in_state(&database, "pending"), MANY);
}

#[test]
fn an_endpoint_that_is_switched_off_while_its_attempts_are_recorded_stays_as_it_was_left() {
    let (database, mut connection, id) = crowded();
    let mut other = database.connection();
    let off = "UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'switched off'";
    other.batch_execute(&format!("BEGIN; {off}")).unwrap();
    let recorded = std::thread::spawn(move || {
        let (at, end) = (Timestamp::now(), End::Retry(Timestamp::now()));
        let attempt =
            Attempted { delivery: 1, endpoint: id, at, took_ms: 1, status: 500, answer: String::new(), end };
        webhook_outbox::finish(&mut connection, &[attempt], at.plus_days(-3.0), at)
    });
    let waits = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    wait_for("the recording to wait for the endpoint", || database.count(waits) == 1);
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(recorded.join().unwrap().unwrap(), []);
    let left = "SELECT count(*) AS n FROM webhook_endpoints WHERE disabled_reason = 'switched off' AND failing_since IS NULL";
    assert_eq!(database.count(left), 1);
}

#[test]
fn an_endpoint_is_removed_at_once_and_its_rows_in_steps_that_hold_up_nobody() {
    let (database, mut connection, id) = crowded();
    // Somebody stores a message for it, and has not committed.
    let mut journal = database.connection();
    journal.batch_execute("BEGIN").unwrap();
    webhook_outbox::put(&mut journal, id, Uuid::now_v7(), "message.sent", "{}").unwrap();
    connection.batch_execute("SET lock_timeout = '5s'").unwrap();
    assert!(webhooks::remove(&mut connection, id).unwrap(), "waits for nobody");
    assert!(!webhooks::remove(&mut connection, id).unwrap(), "once");
    assert!(webhooks::list(&mut connection, Some(id)).unwrap().is_empty());
    assert_eq!(webhook_upkeep::remove_endpoints(&mut connection, STEP).unwrap(), STEP as usize);
    journal.batch_execute("COMMIT").unwrap();
    assert_eq!(swept(&mut connection), (MANY + 1 - STEP) as usize);
    for table in ["webhook_endpoints", "webhook_deliveries", "webhook_attempts"] {
        assert_eq!(database.count(&format!("SELECT count(*) AS n FROM {table}")), 0, "{table}");
    }
    // While rows are removed the next message waits for nothing.
    connection.transaction(|connection| webhook_upkeep::remove_endpoints(connection, STEP)).unwrap();
}

#[test]
fn finished_deliveries_go_in_one_sweep_however_many_they_are() {
    let (database, mut connection, _) = crowded();
    sql(
        &database,
        "UPDATE webhook_deliveries SET state = 'delivered', finished_at = now() - interval '8 days'",
    );
    assert_eq!(swept(&mut connection), MANY as usize);
    assert_eq!(database.count("SELECT count(*) AS n FROM webhook_attempts"), 0);
}

#[test]
fn an_outbox_is_kept_small_while_webhooks_are_off() {
    let (database, _, id) = crowded();
    sql(
        &database,
        "UPDATE webhook_deliveries SET due_at = now() - interval '4 days' WHERE delivery_id % 2 = 0",
    );
    let server = Server::start(&database.url, &["--set", "webhooks.enabled=false"]);
    wait_for("what is too old to be given up", || in_state(&database, "failed") == MANY / 2);
    assert_eq!(in_state(&database, "pending"), MANY / 2, "the others wait");
    let shown = server.http().get(&format!("/v1/webhooks/{id}")).json();
    assert_eq!((&shown["pending"], &shown["active"]), (&json!(MANY / 2), &json!(true)));
}
