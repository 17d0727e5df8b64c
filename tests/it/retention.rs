//! Data goes when it is older than it is kept, and only then.

use diesel::connection::SimpleConnection;
use serde_json::Value;
use tidings::base::Timestamp;
use tidings::privacy::audit::AuditEntry;
use tidings::store::audit;

use crate::helpers::command::tidings;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

/// Two users with rows of every kind, `old` and new.
const ROWS: &str = "
    INSERT INTO users (external_id) VALUES ('1'), ('2');
    INSERT INTO items (external_id) VALUES ('a');
    SELECT ensure_event_partition('2020-01-01'), ensure_event_partition(now());
    INSERT INTO events (event_key, occurred_at, received_at, user_id, item_id, kind)
        SELECT gen_random_uuid(), '2020-06-01', now() - age, 0, 0, 1
        FROM unnest(ARRAY[interval '40 days', '20 days', '0']) age;
    INSERT INTO decisions (decision_id, decided_at, user_id, trigger, category, outcome, reasons, model_version, items, propensity, channel)
        SELECT gen_random_uuid(), now() - age, 0, 'view', 'tips', 'drop', '{}', 0, '{}', 1, 'socket'
        FROM unnest(ARRAY[interval '40 days', '20 days']) age;
    INSERT INTO notifications (notification_id, user_id, stream_offset, kind, category, trigger, model_version, items, frame, created_at, expires_at, priority)
        SELECT gen_random_uuid(), u, n, 'message', 'tips', 'view', 0, '{}', '{}', now() - age, now() - age + lasts, 0
        FROM (VALUES (0, 1, interval '50 days', interval '1 day'), (0, 2, '50 days', '30 days'), (0, 3, '2 days', '1 day'),
            (1, 1, '50 days', '1 day')) AS v (u, n, age, lasts);
    INSERT INTO feedback (notification_id, outcome, user_id, occurred_at)
        SELECT notification_id, 1, user_id, created_at FROM notifications;
    INSERT INTO lists (list_id, user_id, placement, items, made_at)
        SELECT gen_random_uuid(), 0, 'home', '{0}', now() - age FROM unnest(ARRAY[interval '40 days', '20 days']) age;
    INSERT INTO event_receipts (event_key, received_at) VALUES (gen_random_uuid(), now() - interval '40 days'), (gen_random_uuid(), now());
";

fn serve(database: &TestDatabase, settings: &[&str]) -> Server {
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    Server::start(&database.url, &arguments)
}

/// Counter of removed rows of a kind.
fn removed(server: &Server, kind: &str) -> u64 {
    let metrics = server.http().get("/metrics").body;
    let name = format!("tidings_retention_removed_total{{outcome=\"{kind}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse().unwrap()
}

#[test]
fn rows_that_are_older_than_they_are_kept_go_and_the_others_stay() {
    let database = TestDatabase::new();
    database.connection().batch_execute(ROWS).unwrap();
    let server = serve(
        &database,
        &["retention.events_days=30", "retention.decisions_days=30", "retention.messages_days=30"],
    );
    // The last kind of all.
    wait_for("the upkeep", || removed(&server, "receipts") == 1);
    let count = |table: &str| database.count(&format!("SELECT count(*) AS n FROM {table}"));
    assert_eq!(
        ["events", "decisions", "lists", "event_receipts"].map(count),
        [2, 1, 1, 1],
        "old by receipt, not by its own date"
    );
    // One that had not expired so long, the newest of one user, and the only one of another.
    assert_eq!(["notifications", "feedback"].map(count), [3, 3]);
    assert_eq!(["events", "decisions", "messages"].map(|kind| removed(&server, kind)), [1, 1, 1]);
    assert_eq!(database.count("SELECT count(*) AS n FROM notifications WHERE user_id = 1"), 1);
}

#[test]
fn what_has_no_time_is_kept() {
    let database = TestDatabase::new();
    database.connection().batch_execute(ROWS).unwrap();
    let server = serve(
        &database,
        &["retention.events_days=0", "retention.decisions_days=0", "retention.messages_days=0"],
    );
    wait_for("the upkeep", || removed(&server, "receipts") == 1);
    let count = |table: &str| database.count(&format!("SELECT count(*) AS n FROM {table}"));
    assert_eq!(["events", "decisions", "notifications", "feedback"].map(count), [3, 2, 4, 4]);
}

#[test]
fn the_chain_of_the_audit_log_goes_on_from_the_last_entry_that_was_removed() {
    let database = TestDatabase::new();
    let entries: Vec<AuditEntry> = [400.0, 300.0, 200.0, 10.0, 0.0]
        .into_iter()
        .map(|age| AuditEntry {
            occurred_at: Timestamp::now().plus_days(-age),
            role: "admin".to_owned(),
            action: "PUT /v1/items".to_owned(),
            object: format!("/v1/items/{age}"),
            ..AuditEntry::default()
        })
        .collect();
    database.store.run_blocking(|connection| audit::append(connection, &entries)).unwrap();
    let chain = database.store.run_blocking(|connection| audit::after(connection, 0, 10)).unwrap();
    let server = serve(&database, &["retention.audit_days=100"]);
    wait_for("the upkeep", || removed(&server, "audit") == 3);
    assert_eq!(database.count("SELECT min(seq) AS n FROM audit_log"), 4);
    let (whole, text) = tidings(&database, &["audit", "verify"]);
    assert!(whole && text.starts_with("2 entries, whole; the 3 before them are older"), "{text}");
    let hash: String = chain[2].hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(tidings(&database, &["audit", "verify", "--contains", &hash]).0, "where the log begins");

    let direct = database.connection().batch_execute("DELETE FROM audit_log WHERE seq = 4");
    assert!(direct.unwrap_err().to_string().contains("rows are added only"));
    database
        .connection()
        .batch_execute("SET tidings.pruning = 'on'; DELETE FROM audit_log WHERE seq = 4")
        .unwrap();
    let (whole, text) = tidings(&database, &["audit", "verify"]);
    assert!(!whole && text.contains("entry 4 is missing"), "{text}");
}

#[test]
fn the_record_of_processing_says_how_long_each_kind_is_kept() {
    let database = TestDatabase::new();
    let arguments = ["privacy", "report", "--json", "--set", "retention.decisions_days=77"];
    let (done, text) = tidings(&database, &arguments);
    assert!(done, "{text}");
    let rows: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let kept = |kind: &str| rows.iter().find(|row| row["kind"] == kind).unwrap()["kept"].clone();
    assert_eq!(kept("decisions"), "77 days");
    assert_eq!(kept("consents"), "until it is changed or the user erased");
}
