//! `tidings export` out of real PostgreSQL, and back by `tidings import exported`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::{Value, json};
use tidings::base::{EventKey, ExternalId, Timestamp};
use tidings::event::{EventKind, NewEvent};
use tidings::store::bulk::Loader;
use uuid::Uuid;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::wait_for;
use crate::helpers::shop::shop;

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(arguments).env("DATABASE_URL", url).env("TIDINGS_LOG", "warn");
    command
}

fn tidings(url: &str, arguments: &[&str]) -> Output {
    let output = command(url, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn rows(url: &str, arguments: &[&str]) -> Vec<Value> {
    let output = tidings(url, &[&["export"], arguments, &["--format", "ndjson"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Every column of every event but its arrival, with the shop's ids, in one order.
fn events_of(database: &TestDatabase) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let query = "SELECT (e.event_key, e.occurred_at, u.external_id, i.external_id, e.kind, e.dwell_ms, e.quantity, \
                 e.value, e.currency, e.basket, e.query, e.list_id)::text AS line FROM events e LEFT JOIN users u USING (user_id) \
                 LEFT JOIN items i USING (item_id) ORDER BY 1";
    let lines: Vec<Line> = diesel::sql_query(query).load(&mut database.connection()).unwrap();
    lines.into_iter().map(|line| line.line).collect()
}

fn event(number: u64, kind: EventKind, at: &str) -> NewEvent {
    NewEvent {
        key: EventKey::from_parts(&[&number.to_le_bytes()]),
        deduplicate: true,
        user: Some(ExternalId::parse(["17", "017", "ann, \"b\"", "é"][number as usize % 4]).unwrap()),
        item: Some(ExternalId::parse(["A/1", "5"][number as usize % 2]).unwrap()),
        kind,
        occurred_at: Timestamp::parse(at).unwrap(),
        dwell_ms: None,
        query: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
        list: number.is_multiple_of(3).then(|| Uuid::from_u128(u128::from(number))),
    }
}

/// Events that are hard to write down: of several months, anonymous, with fractions, quotes, lines and the largest numbers.
fn hard_events() -> Vec<NewEvent> {
    let times = ["1996-02-29T23:59:59.999999Z", "2010-12-01T08:26:00Z", "2024-03-31T01:30:00.5Z"];
    let mut events = Vec::new();
    for number in 0..300u64 {
        let kind = EventKind::ALL[number as usize % EventKind::ALL.len()];
        let plain = event(number, kind, times[number as usize % 3]);
        events.push(match kind {
            EventKind::Search => {
                let query = ["tab\tand \"quotes\"", "a,b;c\\N", "two words", "{\"value\":1}"]
                    [number as usize / 8 % 4];
                NewEvent { item: None, query: Some(query.to_owned()), ..plain }
            }
            EventKind::Purchase | EventKind::Return => NewEvent {
                user: (number % 16 != 4).then_some(plain.user.clone()).flatten(),
                value: Some((number as f64 + 1.0) / 7.0 + 0.1),
                quantity: 0.1 * number as f32 + 0.1,
                currency: Some("EUR".to_owned()),
                basket: Some([i64::MIN, i64::MAX, 0, -1][number as usize / 8 % 4]),
                ..plain
            },
            EventKind::View => NewEvent { dwell_ms: Some(86_400_000), ..plain },
            _ => plain,
        });
    }
    events
}

/// A file of each form.
const NAMES: [&str; 6] = [
    "events.csv",
    "events.ndjson",
    "events.csv.gz",
    "events.jsonl.gz",
    "events.ndjson.zst",
    "events.parquet",
];

#[test]
fn what_was_exported_is_imported_with_nothing_lost_or_doubled() {
    let (origin, copy) = (TestDatabase::new(), TestDatabase::new());
    let events = hard_events();
    origin.store.run_blocking(|conn| Loader::default().events(conn, &events)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let before = events_of(&origin);
    assert_eq!(before.len(), 300);
    for name in NAMES {
        let file = path(name);
        let output = tidings(&origin.url, &["export", "events", &file, "--json", "--quiet"]);
        let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
        let size = std::fs::metadata(&file).unwrap().len();
        assert_eq!((&counts["rows"], &counts["bytes"]), (&json!(300), &json!(size)), "{counts}");
        let import = |url: &str| {
            let output =
                tidings(url, &["import", "exported", &file, "--rejects", &path("rejects.csv"), "-q"]);
            String::from_utf8(output.stdout).unwrap()
        };
        let of_origin = import(&origin.url);
        assert!(of_origin.contains("0 new, 300 already there"), "{name}: {of_origin}");
        assert_eq!(events_of(&origin), before, "{name}: into the database it came from");
        import(&copy.url);
        assert_eq!(events_of(&copy), before, "{name}: into another one");
        let clear = "DELETE FROM events; DELETE FROM users; DELETE FROM items";
        copy.connection().batch_execute(clear).unwrap();
    }
    let mut names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut expected = NAMES;
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn a_window_of_time_holds_what_happened_in_it_in_order() {
    let database = TestDatabase::new();
    let events = hard_events();
    database.store.run_blocking(|conn| Loader::default().events(conn, &events)).unwrap();
    let window = ["events", "--since", "2010-12-01T08:26:00Z", "--until", "2024-03-31T01:30:00.5Z"];
    let found = rows(&database.url, &window);
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|row| row["occurred_at"] == "2010-12-01T08:26:00Z"));
    let all = rows(&database.url, &["events"]);
    let times: Vec<&str> = all.iter().map(|row| row["occurred_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.len() == 300);
    assert!(all.iter().any(|row| row["user_id"] == 17) && all.iter().any(|row| row["user_id"] == "017"));
    assert!(rows(&database.url, &["events", "--since", "2030-01-01"]).is_empty());
    let header = tidings(&database.url, &["export", "events", "--since", "2030-01-01"]).stdout;
    assert_eq!(String::from_utf8(header).unwrap().lines().count(), 1, "a header without rows");
}

#[test]
fn the_catalogue_comes_back_as_it_was() {
    let (origin, server) = shop(&[]);
    let item = json!([{"item_id": "odd", "title": "He said \"no, no\"", "category": ["A/B", "C > D"], "tags": ["x|y"],
        "price": 0.1, "currency": "EUR", "stock": 3, "attributes": {"price": "7", "a": "b"}, "consumable": true}]);
    assert_eq!(server.http().put("/v1/items", &item).status, 200);
    assert_eq!(server.http().delete("/v1/items/101").status, 204);
    let copy = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    for name in ["items.csv", "items.ndjson"] {
        let file = directory.path().join(name).to_str().unwrap().to_owned();
        tidings(&origin.url, &["export", "items", &file, "-q"]);
        tidings(&copy.url, &["import", "exported", &file, "-q"]);
        let strip = |mut row: Value| {
            let fields = row.as_object_mut().unwrap();
            fields.retain(|name, _| !["created_at", "updated_at"].contains(&name.as_str()));
            (row["item_id"].to_string(), row)
        };
        let active = |row: &Value| row["active"] == true;
        let of = |url: &str| -> BTreeMap<String, Value> {
            rows(url, &["items"]).into_iter().filter(active).map(strip).collect()
        };
        assert_eq!(of(&copy.url).len(), 40, "one left the catalogue: {name}");
        assert_eq!(of(&copy.url), of(&origin.url), "{name}");
        copy.connection().batch_execute("DELETE FROM items").unwrap();
    }
}

#[test]
fn decisions_outcomes_lists_and_users_say_what_the_server_says() {
    let (database, server) = shop(&[]);
    let (mut client, _) = server.login(17);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 102}));
    let mut message = client.expect("recommendation");
    while message["trigger"] != "view" {
        message = client.expect("recommendation");
    }
    let (id, bought) = (message["notification_id"].clone(), message["items"][0]["item_id"].clone());
    for outcome in ["displayed", "clicked"] {
        client.send(&json!({"type": "feedback", "notification_id": id, "outcome": outcome}));
    }
    let trade =
        json!([{"user_id": 17, "kind": "purchase", "item_id": bought, "value": 30.5, "currency": "EUR"}]);
    assert_eq!(server.http().post("/v1/events", &trade).status, 202);
    let find =
        |rows: Vec<Value>| rows.into_iter().find(|row| row["notification_id"] == id).unwrap_or_default();
    let mut outcome = Value::Null;
    wait_for("what came of the message", || {
        outcome = find(rows(&database.url, &["outcomes"]));
        outcome["clicked_at"].is_string() && outcome["delivered"] == true
    });
    assert_eq!((&outcome["converted"], &outcome["revenue"]), (&json!(true), &json!(30.5)), "{outcome}");
    assert_eq!((&outcome["user_id"], &outcome["items"][0]), (&json!(17), &bought), "{outcome}");
    assert_eq!(
        (&outcome["dismissed_at"], &outcome["channel"]),
        (&Value::Null, &json!("socket")),
        "{outcome}"
    );
    let decision = find(rows(&database.url, &["decisions"]));
    assert_eq!((&decision["outcome"], &decision["trigger"]), (&json!("send"), &json!("view")), "{decision}");
    assert!(decision["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{decision}");
    assert_eq!(decision["items"], outcome["items"]);

    drop(client);
    let mut of_server = Value::Null;
    let path = "/v1/users/17/recommendations?n=5";
    wait_for("the user to be away", || {
        of_server = server.http().get(path).json();
        server.http().get("/v1/users/17/profile").json()["connections"] == 0
    });
    let lists = rows(&database.url, &["recommendations", "-n", "5"]);
    let ids = |rows: &[Value]| rows.iter().map(|row| row["item_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&lists), ids(of_server["items"].as_array().unwrap()), "{lists:?}");
    assert_eq!((&lists[0]["rank"], &lists[0]["user_id"]), (&json!(1), &json!(17)));
    let users = rows(&database.url, &["users"]);
    assert_eq!((users.len(), &users[0]["user_id"], &users[0]["consents"]), (1, &json!(17), &json!({})));
}

/// Peak resident memory of an export whose rows are read and thrown away, KiB.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it")]
fn peak_kib(url: &str, arguments: &[&str]) -> i64 {
    let mut child = command(url, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    let (mut status, mut usage) = (0, unsafe { std::mem::zeroed::<libc::rusage>() });
    // SAFETY: wait4(2) on a child that has not been waited for, with two places of our own.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    assert_eq!((waited, status), (child.id() as i32, 0));
    usage.ru_maxrss
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let database = TestDatabase::new();
    let fill = |from: u32, to: u32| {
        let statement = format!(
            "SELECT ensure_event_partition('2024-05-01'); \
             INSERT INTO events (event_key, occurred_at, kind, query) SELECT gen_random_uuid(), \
             '2024-05-01'::timestamptz + make_interval(secs => n), 2, repeat('words ', 20) FROM generate_series({from}, {to}) n"
        );
        database.connection().batch_execute(&statement).unwrap();
    };
    fill(1, 2_000);
    let few = peak_kib(&database.url, &["export", "events", "-q"]);
    fill(2_001, 300_000);
    let many = peak_kib(&database.url, &["export", "events", "-q"]);
    assert!(many < few + 16 * 1_024, "{few} KiB for 2,000 rows, {many} KiB for 300,000");
}

#[test]
fn a_reader_that_goes_and_a_folder_that_is_not_there_are_told() {
    let database = TestDatabase::new();
    let many = "INSERT INTO users (external_id) SELECT 'user ' || n FROM generate_series(1, 50000) n";
    database.connection().batch_execute(many).unwrap();
    let mut child = command(&database.url, &["export", "users", "-q"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{text}");
    assert!(text.contains("the export ended after"), "{text}");
    let output = command(&database.url, &["export", "users", "/nowhere/users.csv"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("/nowhere/users.csv"), "{text}");
    assert!(!Path::new("/nowhere").exists());
}
