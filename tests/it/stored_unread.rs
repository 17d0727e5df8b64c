//! Something is stored, and the database is gone when it is to be read again: it is accepted, and memory follows.

use std::thread::{self, JoinHandle};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

/// Advisory lock under which entries of the audit log are added, the last step before a commit.
const CHAIN: i64 = 0x0061_7564_6974;
/// Sessions of the database that wait for a lock.
const WAITING: &str =
    "pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT granted";

type Request = fn(&mut Http) -> Response;

fn send(server: &Server, request: Request) -> JoinHandle<Response> {
    let mut http = server.http();
    thread::spawn(move || request(&mut http))
}

/// The answers to changes of one row of a table, each of which waits for the one before it, while whoever reads the table after their
/// commits loses its connection.
fn cut_off(database: &TestDatabase, server: &Server, table: &str, changes: &[Request]) -> Vec<Response> {
    let count = |from: &str| database.count(&format!("SELECT count(*) AS n FROM {from}"));
    let waiting = |of: &str| count(&format!("{WAITING} AND {of}"));
    let readers = format!("relation = '{table}'::regclass");
    let mut chain = database.connection();
    chain.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({CHAIN})")).unwrap();
    let mut under_way = Vec::new();
    for change in changes {
        let (what, before) = match under_way.len() {
            0 => ("locktype = 'advisory'", waiting("locktype = 'advisory'")),
            _ => ("locktype = 'transactionid'", waiting("locktype = 'transactionid'")),
        };
        under_way.push(send(server, *change));
        wait_for("a change to be before its commit, or to wait for the row", || waiting(what) > before);
    }
    // Nobody reads the table once all are committed.
    let mut locker = database.connection();
    let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    let locked = thread::spawn(move || {
        locker.batch_execute(&lock).unwrap();
        locker
    });
    wait_for("the lock to wait", || waiting(&readers) >= 1);
    drop(chain);
    let locked = locked.join().unwrap();
    let mut ended = 0;
    wait_for("the answers", || {
        ended += count(&format!("(SELECT pg_terminate_backend(pid) FROM {WAITING} AND {readers}) t"));
        under_way.iter().all(JoinHandle::is_finished)
    });
    assert!(ended > 0, "nothing was read again");
    drop(locked);
    under_way.into_iter().map(|answer| answer.join().unwrap()).collect()
}

#[test]
fn items_that_are_stored_and_can_not_be_read_again_are_accepted_and_memory_follows() {
    let (database, server) = shop(&[]);
    let changes: [Request; 2] = [
        |http| http.put("/v1/items", &json!({"item_id": 101, "title": "First"})),
        |http| http.put("/v1/items", &json!({"item_id": 101, "title": "Second"})),
    ];
    let answers = cut_off(&database, &server, "items", &changes);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    wait_for("memory to follow", || server.http().get("/v1/items/101").json()["title"] == "Second");
    let stored = "SELECT count(*) AS n FROM items WHERE external_id = '101' AND title = 'Second'";
    assert_eq!(database.count(stored), 1);
}

#[test]
fn so_are_definitions() {
    let (database, server) = shop(&[]);
    let change: Request = |http| http.put("/admin/placements/landing", &json!({"name": "landing", "n": 3}));
    let answers = cut_off(&database, &server, "definitions", &[change]);
    assert_eq!(answers[0].status, 200, "{}", answers[0].body);
    wait_for("memory to follow", || {
        server.http().get("/v1/users/1/recommendations?placement=landing").status == 200
    });
}

#[test]
fn so_are_api_keys_of_which_the_answer_is_the_only_copy_and_revocations() {
    let (database, server) = shop(&[]);
    let made: Request = |http| http.post("/v1/admin/keys", &json!({"name": "shop", "role": "service"}));
    let answers = cut_off(&database, &server, "api_keys", &[made]);
    assert_eq!(answers[0].status, 201, "{}", answers[0].body);
    let key = answers[0].json()["key"].as_str().unwrap().to_owned();
    let status = || {
        let mut http = server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {key}")));
        http.get("/v1/items/101").status
    };
    wait_for("the key to be known", || status() == 200);
    let revoked: Request =
        |http| http.post("/v1/admin/revocations", &json!({"user_id": 17, "reason": "lost phone"}));
    let answers = cut_off(&database, &server, "revocations", &[revoked]);
    assert_eq!((answers[0].status, &answers[0].json()["closed"]), (201, &Value::Null), "{}", answers[0].body);
}

#[test]
fn so_are_ids_of_erased_users_that_are_released() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    assert_eq!(http.post("/v1/events", &json!({"user_id": 7, "kind": "view", "item_id": 101})).status, 202);
    let erasure = http.delete("/v1/users/7").json()["erasure_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/erasures/{erasure}");
    wait_for("the erasure", || http.get(&path).json()["erased_at"].is_string());
    static ERASURE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ERASURE.set(path).unwrap();
    let release: Request = |http| http.post(&format!("{}/release", ERASURE.get().unwrap()), &Value::Null);
    let answers = cut_off(&database, &server, "tombstones", &[release]);
    assert_eq!(answers[0].status, 200, "{}", answers[0].body);
    wait_for("the id to be free", || {
        http.post("/v1/events", &json!({"user_id": 7, "kind": "view", "item_id": 101})).status == 202
    });
}
