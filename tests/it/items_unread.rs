//! Items are stored, and the database is gone when they are to be read again: they are accepted, and memory follows.

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::helpers::server::wait_for;
use crate::helpers::shop::shop;

/// Advisory lock under which entries of the audit log are added, the last step before a commit.
const CHAIN: i64 = 0x0061_7564_6974;
/// Sessions of the database that wait for a lock.
const WAITING: &str =
    "pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted";

#[test]
fn items_that_are_stored_and_can_not_be_read_again_are_accepted_and_memory_follows() {
    let (database, server) = shop(&[]);
    let count = |from: &str| database.count(&format!("SELECT count(*) AS n FROM {from}"));
    let waiting = |of: &str| count(&format!("{WAITING} AND {of}"));
    let readers = "relation = 'items'::regclass";
    let put = |title: &'static str| {
        let mut http = server.http();
        std::thread::spawn(move || http.put("/v1/items", &json!({"item_id": 101, "title": title})).status)
    };
    let mut chain = database.connection();
    chain.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({CHAIN})")).unwrap();
    let first = put("First");
    wait_for("the first to be before its commit", || waiting("locktype = 'advisory'") == 1);
    let second = put("Second");
    wait_for("the second to wait for the row", || waiting("locktype = 'transactionid'") == 1);
    // Nobody reads items once both are committed.
    let mut locker = database.connection();
    let locked = std::thread::spawn(move || {
        locker.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").unwrap();
        locker
    });
    wait_for("the lock to wait", || waiting(readers) == 1);
    drop(chain);
    let locked = locked.join().unwrap();
    let mut ended = 0;
    wait_for("the answers", || {
        ended += count(&format!("(SELECT pg_terminate_backend(pid) FROM {WAITING} AND {readers}) t"));
        first.is_finished() && second.is_finished()
    });
    assert!(ended > 0, "nothing was read again");
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (200, 200));
    drop(locked);
    wait_for("memory to follow", || server.http().get("/v1/items/101").json()["title"] == "Second");
    assert_eq!(count("items WHERE external_id = '101' AND title = 'Second'"), 1);
}
