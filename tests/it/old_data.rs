//! A history that ends years ago, and money of several currencies: what features, segments and sums say about them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tidings::base::Timestamp;
use tidings::import::{Format, ImportOptions, run};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

const HEADER: &str = "user_id,item_id,kind,occurred_at,value,currency\n";

fn imported(rows: &str) -> (TestDatabase, TempDir) {
    let (database, files) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let path: PathBuf = files.path().join("orders.csv");
    std::fs::write(&path, format!("{HEADER}{rows}")).unwrap();
    let options = ImportOptions {
        rejects: Some(files.path().join("rejects.csv")),
        quiet: true,
        ..ImportOptions::default()
    };
    let summary = run(&database.store, Format::Csv, &[path], &options).unwrap();
    assert_eq!(summary.rejects, 0, "{summary:?}");
    (database, files)
}

fn at(start: &str, days: f64) -> Timestamp {
    Timestamp::parse(start).unwrap().plus_days(days)
}

fn profile(server: &Server, user: &str) -> Value {
    server.http().get(&format!("/v1/users/{user}/profile")).json()
}

#[test]
fn orders_of_years_ago_have_the_frequency_of_their_time() {
    let mut rows = String::new();
    for user in 0..60 {
        // Each buys twelve times in the year after a first order in 2017; of different weeks.
        for n in 0..12 {
            let at = at("2017-01-02T10:00:00Z", f64::from(user) * 5.0 + f64::from(n) * 30.0);
            writeln!(rows, "u{user},{},purchase,{at},10,EUR", (user * 7 + n) % 30).unwrap();
        }
    }
    let (database, _files) = imported(&rows);
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    assert_eq!(server.retrain()["state"], "succeeded");
    let last = at("2017-01-02T10:00:00Z", 59.0 * 5.0 + 11.0 * 30.0);
    for user in [0, 30, 59] {
        let features = profile(&server, &format!("u{user}"))["features"].clone();
        let first = at("2017-01-02T10:00:00Z", f64::from(user) * 5.0);
        let months = last.days_since(first) / tidings::base::time::DAYS_PER_MONTH;
        let rate = features["purchases_per_month"].as_f64().unwrap();
        assert!((rate - 12.0 / months).abs() < 1e-6, "u{user}: {features}");
        let recency = features["recency_days"].as_f64().unwrap();
        assert!((recency - f64::from(59 - user) * 5.0).abs() < 1e-6, "u{user}: {features}");
    }
    // An event of today neither ages everybody's history nor its user's.
    let view = json!([{"kind": "view", "user_id": "u0", "item_id": 1}]);
    assert_eq!(server.http().post("/v1/events", &view).status, 202);
    for user in ["u0", "u1"] {
        let rate = profile(&server, user)["features"]["purchases_per_month"].as_f64().unwrap();
        assert!(rate > 0.4, "{user}: {rate}");
    }
}

#[test]
fn the_same_purchases_at_other_times_are_one_segment() {
    let mut rows = String::new();
    for user in 0..120 {
        for n in 0..7 {
            let at = at("2016-03-01T08:00:00Z", f64::from(user) * 5.5 + f64::from(n) * 9.0);
            writeln!(rows, "u{user},{n},purchase,{at},10,EUR").unwrap();
        }
    }
    let (database, _files) = imported(&rows);
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    assert_eq!(server.retrain()["state"], "succeeded");
    let segments: BTreeSet<String> =
        (0..120).map(|user| profile(&server, &format!("u{user}"))["segment"].to_string()).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    let rates = profile(&server, "u3")["segment_rates"].clone();
    assert_eq!(rates, profile(&server, "u77")["segment_rates"]);
    assert!(rates["purchases_per_month"].as_f64().unwrap() > 0.5, "{rates}");
}

#[test]
fn the_segment_of_an_absent_user_is_measured_by_the_time_of_the_data() {
    let mut rows = String::new();
    for user in 0..120 {
        // Half of them buy every week for a year, the others twice in that time.
        let n = if user % 2 == 0 { 50 } else { 2 };
        for order in 0..n {
            let at =
                at("2016-03-01T08:00:00Z", f64::from(order) * 350.0 / f64::from(n) + f64::from(user % 7));
            writeln!(rows, "u{user},{},purchase,{at},10,EUR", (user + order) % 20).unwrap();
        }
    }
    let (database, _files) = imported(&rows);
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    assert_eq!(server.retrain()["state"], "succeeded");
    for user in 0..4 {
        let name = format!("u{user}");
        let absent = profile(&server, &name)["segment"].clone();
        let stored = database.count(&format!(
            "SELECT f.segment::bigint AS n FROM user_features f JOIN users USING (user_id) WHERE external_id = '{name}'"
        ));
        let letter = char::from(b'A' + u8::try_from(stored).unwrap()).to_string();
        assert_eq!(absent, letter, "as the training placed {name}");
    }
    assert_ne!(profile(&server, "u0")["segment"], profile(&server, "u1")["segment"]);
}

#[test]
fn yen_and_euros_are_not_added_up() {
    let rows = "u1,a,purchase,2026-01-02T10:00:00Z,25000,JPY\nu1,b,purchase,2026-01-03T10:00:00Z,100,EUR\n\
                u2,c,purchase,2026-01-03T10:00:00Z,40,EUR\n";
    let (database, _files) = imported(rows);
    let monetary = |settings: &[&str]| {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        let server = Server::start(&database.url, &settings);
        let profile = profile(&server, "u1");
        let money = json!([{"currency": "EUR", "amount": 100.0}, {"currency": "JPY", "amount": 25_000.0}]);
        assert_eq!(profile["money"], money);
        profile["features"]["monetary"].as_f64().unwrap()
    };
    assert_eq!(monetary(&["money.base=EUR"]), 100.0);
    assert_eq!(monetary(&["money.base=EUR", "money.rates={JPY = 0.006}"]), 250.0);
    assert_eq!(monetary(&["money.base=JPY", "money.rates={EUR = 160}"]), 41_000.0);
    // Without a base, and no priced item to take it from, the largest of the sums: no rate is made up.
    assert_eq!(monetary(&[]), 25_000.0);
}
