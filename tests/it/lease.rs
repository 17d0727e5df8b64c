//! One server a database: a second one waits a little and refuses, a successor takes over, and what a server that was replaced
//! still wants to store is refused.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::json;
use tidings::base::{ModelVersion, NotificationId, Timestamp, UserId};
use tidings::notify::{Channel, Priority};
use tidings::store::lease::{self, Attempt, Lease};
use tidings::store::notifications::NewNotification;
use tidings::store::{Store, StoreError, decision_log, in_transaction};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

/// A second server on the same database, which says on its standard error what it thinks of that.
fn second(database: &TestDatabase) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &database.url);
    command.env("TIDINGS_LOG", "warn").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

const LEASES: &str = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'tidings lease' \
     AND datname = current_database()";

/// Ends the connection that holds the lease, as a restart of the database does; it is gone when this returns.
fn cut(database: &TestDatabase) {
    let cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE application_name = 'tidings lease' AND datname = current_database()";
    database.connection().batch_execute(cut).unwrap();
}

fn taken(store: &Store) -> Option<Lease> {
    match Lease::try_take(store).unwrap() {
        Attempt::Taken(lease) => Some(lease),
        Attempt::Held(_) => None,
    }
}

#[test]
fn a_second_server_is_refused_with_the_fix_and_work_beside_one_is_not() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut child = second(&database);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(said.contains("waiting for it to end"), "{said}");
    assert!(said.contains("another server has been serving this database since 20"), "{said}");
    assert!(said.contains("Stop it first, or give this one a database of its own"), "{said}");
    // A training reads and writes the same database; what it lacks here is events.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let trained = command.arg("train").env("DATABASE_URL", &database.url).output().unwrap();
    let said = String::from_utf8_lossy(&trained.stderr);
    assert!(!said.contains("another server"), "{said}");
    let events = std::env::temp_dir().join(format!("{}.ndjson", database.name()));
    std::fs::write(
        &events,
        "{\"user_id\":1,\"item_id\":2,\"kind\":\"view\",\"occurred_at\":\"2026-01-01T00:00:00Z\"}\n",
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["import", "ndjson"]).arg(&events).env("DATABASE_URL", &database.url);
    let imported = command.output().unwrap();
    std::fs::remove_file(&events).unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert_eq!(database.count("SELECT count(*) AS n FROM events"), 1);
    server.login(1);
}

#[test]
fn a_successor_waits_for_the_one_before_it_to_end() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &[]);
    let mut child = second(&database);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let waits = said.find(|line| line.as_ref().unwrap().contains("waiting for it to end"));
    assert!(waits.is_some());
    assert!(server.terminate().success());
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let address = ready.strip_prefix("tidings is ready at http://").unwrap().trim_end().trim_end_matches('/');
    let successor = Server::of(address.parse().unwrap(), child);
    successor.login(1);
}

#[test]
fn a_lost_connection_is_made_again_and_the_server_goes_on() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    cut(&database);
    wait_for("the lease to be taken again", || database.count(LEASES) == 1);
    assert!(taken(&database.store).is_none(), "it is held");
    let (mut client, _) = server.login(1);
    let message = json!({"user_id": 1, "kind": "news", "title": "t", "body": "b"});
    assert_eq!(server.http().post("/v1/notifications", &message).status, 202);
    client.expect("notification");
}

#[test]
fn a_server_that_was_replaced_ends_and_stores_nothing_more() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &[]);
    let (mut client, _) = server.login(1);
    let mut mine = None;
    // The server looks once a second: whoever comes right after the cut is first.
    wait_for("the lease", || {
        cut(&database);
        mine = taken(&database.store);
        mine.is_some()
    });
    mine.as_mut().unwrap().raise_fence().unwrap();
    let before = database.count("SELECT count(*) AS n FROM notifications");
    for n in 0..20 {
        client.send(&json!({"type": "event", "kind": "view", "item_id": n, "event_id": n}));
    }
    // Nor does it accept what its successor would not look for.
    let pair = json!([{"user_id": 2, "title": "a"}, {"user_id": 3, "title": "b"}]).to_string();
    let sent = server.http().send("POST", "/v1/notifications", "application/json", pair.as_bytes());
    assert_ne!(sent.map_or(0, |answer| answer.status), 202);
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it still serves");
        std::thread::park_timeout(Duration::from_millis(10));
    };
    assert!(!status.success());
    assert_eq!(database.count("SELECT count(*) AS n FROM notifications"), before);
    assert_eq!(database.count("SELECT count(*) AS n FROM outbox"), 0);
}

fn message() -> NewNotification {
    NewNotification {
        notification_id: NotificationId(uuid::Uuid::now_v7()),
        user: UserId(1),
        offset: 1,
        kind: "recommendation".into(),
        category: "similar_items".into(),
        trigger: "view".into(),
        model_version: ModelVersion(0),
        segment: None,
        items: Vec::new(),
        frame: "{}".into(),
        created_at: Timestamp::now(),
        expires_at: Timestamp::now(),
        collapse_key: None,
        priority: Priority::default(),
        channel: Channel::Socket,
        call: None,
    }
}

/// Stores with connections of their own, as two processes have.
#[test]
fn who_takes_the_lease_waits_for_what_has_begun_and_refuses_what_comes_later() {
    let database = TestDatabase::new();
    let [first, next] = [(); 2].map(|()| Store::connect(&database.url, 2).unwrap());
    let insert = "INSERT INTO users (external_id) VALUES ('late')";
    let mut lease = taken(&first).unwrap();
    lease.raise_fence().unwrap();
    assert!(taken(&next).is_none());
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let under_way = std::thread::spawn({
        let first = first.clone();
        move || {
            first.run_blocking(|connection| {
                in_transaction(connection, |connection| {
                    decision_log::insert(connection, &first, &[] as &[NewNotification], &[])?;
                    begun.send(()).unwrap();
                    may_go.recv().unwrap();
                    Ok(connection.batch_execute(insert)?)
                })
            })
        }
    });
    has_begun.recv().unwrap();
    drop(lease); // Its connection is lost; the process lives.
    let mut lease = None;
    wait_for("the lease", || {
        lease = taken(&next);
        lease.is_some()
    });
    let mut lease = lease.unwrap();
    let raised = std::thread::spawn(move || {
        lease.raise_fence().unwrap();
        lease
    });
    let waits = format!("{LEASES} AND wait_event_type = 'Lock'");
    wait_for("the successor to wait", || database.count(&waits) == 1);
    go.send(()).unwrap();
    under_way.join().unwrap().unwrap();
    let _lease = raised.join().unwrap();
    assert_eq!(database.count("SELECT count(*) AS n FROM users WHERE external_id = 'late'"), 1);
    let say = |store: &Store| {
        store.run_blocking(|connection| decision_log::insert(connection, store, &[message()], &[]))
    };
    let late = say(&first);
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(database.count("SELECT count(*) AS n FROM notifications"), 0);
    let holds = |store: &Store| store.run_blocking(|connection| lease::hold(connection, store));
    assert!(matches!(holds(&first), Err(StoreError::LeaseLost)));
    holds(&next).unwrap();
    // Nor does it show what it reads, which its successor may have stored.
    let confirms = |store: &Store| store.run_blocking(|connection| lease::confirm_read(connection, store));
    assert!(matches!(confirms(&first), Err(StoreError::LeaseLost)));
    confirms(&next).unwrap();
    say(&next).unwrap();
    assert_eq!(database.count("SELECT count(*) AS n FROM notifications"), 1);
}
