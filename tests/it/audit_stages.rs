//! The audit log of what is done in many steps: the request before the first of them, and the end with what is stored last.

use std::fs;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::command::tidings;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

/// Advisory lock under which entries are added.
const CHAIN: i64 = 0x0061_7564_6974;

/// Lets entries of a kind fail.
fn refuse(database: &TestDatabase, but: &str) {
    database.execute(&format!("ALTER TABLE audit_log ADD CONSTRAINT none CHECK ({but}) NOT VALID")).unwrap();
}

fn allow(database: &TestDatabase) {
    database.execute("ALTER TABLE audit_log DROP CONSTRAINT none").unwrap();
}

/// Values after the change in entries of an action, the oldest first.
fn told(http: &mut Http, action: &str) -> Vec<Value> {
    let page = http.get(&format!("/v1/admin/audit?action={action}&limit=500")).json();
    let mut told: Vec<Value> =
        page["entries"].as_array().unwrap().iter().map(|entry| entry["after"].clone()).collect();
    told.reverse();
    told
}

fn stages(http: &mut Http, action: &str) -> Vec<String> {
    told(http, action).iter().filter_map(|after| Some(after["state"].as_str()?.to_owned())).collect()
}

fn shop_with_history() -> (TestDatabase, Server) {
    let (database, server) = shop(&[]);
    let purchase = |n: i64| json!({"kind": "purchase", "user_id": n % 50, "item_id": 101 + (n * 7) % 40, "occurred_at": 1_750_000_000 + n * 60});
    let history: Value = (0..600).map(purchase).collect();
    assert_eq!(server.http().post("/v1/events", &history).json()["accepted"], 600);
    (database, server)
}

/// A session that holds something until it is dropped.
fn holding(database: &TestDatabase, statement: &str) -> PgConnection {
    let mut connection = database.connection();
    connection.batch_execute(&format!("BEGIN; {statement}")).unwrap();
    connection
}

fn verify(database: &TestDatabase) -> (bool, String) {
    tidings(database, &["audit", "verify"])
}

#[test]
fn a_training_starts_with_its_entry_and_its_model_is_stored_with_that_of_its_end() {
    let (database, server) = shop_with_history();
    let mut http = server.http();
    refuse(&database, "after NOT LIKE '%started%'");
    assert_eq!(http.post("/admin/retrain", &Value::Null).status, 503);
    assert_eq!(database.count("SELECT count(*) AS n FROM jobs"), 0);
    allow(&database);
    refuse(&database, "after NOT LIKE '%succeeded%'");
    assert_eq!(server.retrain()["state"], "failed");
    assert_eq!(database.count("SELECT count(*) AS n FROM models"), 0);
    wait_for("the end in the log", || stages(&mut http, "retrain") == ["started", "failed"]);
    allow(&database);
    let job = server.retrain();
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(stages(&mut http, "retrain"), ["started", "failed", "started", "succeeded"]);
    let end = told(&mut http, "retrain").pop().unwrap();
    let active = http.get("/admin/models").json()["active"].take();
    assert_eq!((&end["version"], &end["serves"], &end["job"]), (&active, &json!(true), &job["job"]));
    let (whole, text) = verify(&database);
    assert!(whole, "{text}");
}

#[test]
fn trainings_asked_for_while_one_begins_are_that_one() {
    let (database, server) = shop_with_history();
    let chain = holding(&database, &format!("SELECT pg_advisory_xact_lock({CHAIN})"));
    let ask = || {
        let mut http = server.http();
        std::thread::spawn(move || http.post("/admin/retrain", &Value::Null).json()["job"].take())
    };
    let first = ask();
    let running = holding(&database, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE");
    let waiting = "SELECT count(*) AS n FROM pg_locks JOIN pg_stat_activity USING (pid) \
                   WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
    wait_for("the start to be held", || database.count(waiting) == 1);
    let second = ask();
    assert_eq!(database.count("SELECT count(*) AS n FROM jobs"), 0, "nothing begins without its entry");
    drop(chain);
    let first = first.join().unwrap();
    assert!(first.is_string());
    assert_eq!(second.join().unwrap(), first);
    drop(running);
    assert_eq!(database.count("SELECT count(*) AS n FROM jobs"), 1);
}

#[test]
fn a_training_is_told_to_end_once_the_entry_is_stored() {
    let (database, server) = shop_with_history();
    let mut http = server.http();
    let held = holding(&database, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE");
    let job = http.post("/admin/retrain", &Value::Null).json()["job"].take();
    let path = format!("/admin/jobs/{}", job.as_str().unwrap());
    refuse(&database, "status >= 300");
    assert_eq!(http.delete(&path).status, 503);
    allow(&database);
    assert_eq!(http.delete(&path).status, 202);
    drop(held);
    wait_for("the end", || stages(&mut http, "retrain") == ["started", "cancelled"]);
    assert_eq!(http.get(&path).json()["state"], "cancelled");
    assert_eq!(told(&mut http, "jobs").len(), 2, "the failure and the change");
}

#[test]
fn a_version_is_scored_once_the_entry_is_stored() {
    let (database, server) = shop_with_history();
    let mut http = server.http();
    assert_eq!(server.retrain()["state"], "succeeded");
    let shadow = |http: &mut Http| http.get("/admin/models").json()["shadow"]["version"].take();
    let of_one = "/admin/models/1/shadow";
    refuse(&database, "status >= 300");
    assert_eq!(http.post(of_one, &Value::Null).status, 503);
    assert_eq!(shadow(&mut http), Value::Null);
    allow(&database);
    assert_eq!(http.post(of_one, &Value::Null).status, 200);
    refuse(&database, "status >= 300");
    assert_eq!(http.delete("/admin/models/shadow").status, 503);
    assert_eq!(shadow(&mut http), 1);
    allow(&database);
    assert_eq!(http.delete("/admin/models/shadow").status, 204);
    assert_eq!(shadow(&mut http), Value::Null);
}

#[test]
fn an_import_starts_with_its_entry_and_its_report_is_stored_with_that_of_its_end() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.csv");
    fs::write(&file, "event,user,item,timestamp\nview,1,101,1750000000\npurchase,1,102,1750000060\n")
        .unwrap();
    let file = file.to_str().unwrap();
    let import = ["import", "csv", file];
    let counts = || {
        ["events", "cleaning_reports"]
            .map(|table| database.count(&format!("SELECT count(*) AS n FROM {table}")))
    };
    refuse(&database, "after NOT LIKE '%started%'");
    assert!(!tidings(&database, &import).0);
    assert_eq!(counts(), [0, 0]);
    allow(&database);
    refuse(&database, "after NOT LIKE '%succeeded%'");
    assert!(!tidings(&database, &import).0);
    assert_eq!(counts()[1], 0);
    allow(&database);
    let (done, text) = tidings(&database, &import);
    assert!(done, "{text}");
    assert!(text.contains("a server works on this database"), "{text}");
    assert_eq!(counts(), [2, 1]);
    assert_eq!(stages(&mut http, "import"), ["started", "failed", "started", "succeeded"]);
    assert!(verify(&database).0);
}
