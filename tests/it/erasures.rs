//! Erasure of users: begun by whomever, refused from then on, finished whatever happens meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl};
use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::client::Client;
use crate::helpers::command::tidings;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;
use crate::helpers::tokens::{SECRET, token};

pub(crate) const ANNA: &str = "anna-4711@shop.example";
pub(crate) const PATH: &str = "/v1/users/anna-4711%40shop.example";
/// A visitor who turned out to be Anna.
pub(crate) const VISITOR: &str = "visitor-of-anna-0815";
pub(crate) const SETTINGS: [&str; 10] = [
    "--set",
    "training.interval_s=0",
    "--set",
    "webhooks.allow_private=true",
    "--set",
    "webpush.allow_loopback=true",
    "--set",
    "training.gate_tolerance=1",
    "--set",
    "policy.time_zone=UTC",
];

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Tables of which a row has the text in it, whatever column.
pub(crate) fn tables_with(database: &TestDatabase, text: &str) -> BTreeSet<String> {
    let tables = "SELECT c.relname::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition \
                  AND c.relnamespace = 'public'::regnamespace";
    let tables = diesel::sql_query(tables).load::<Name>(&mut database.connection()).unwrap();
    let with = tables.into_iter().filter(|table| {
        let name = &table.name;
        // Bytes are shown in hexadecimal digits: searched as they are as well.
        let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        database.count(&format!(
            "SELECT count(*) AS n FROM {name} t WHERE position('{text}' IN t::text) > 0 OR position('{bytes}' IN t::text) > 0"
        )) > 0
    });
    with.map(|table| table.name).collect()
}

pub(crate) fn erase(http: &mut Http, path: &str) -> String {
    let answer = http.delete(path);
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["erasure_id"].as_str().unwrap().to_owned()
}

pub(crate) fn receipt(http: &mut Http, id: &str) -> Value {
    let answer = http.get(&format!("/v1/erasures/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

pub(crate) fn wait_until_erased(http: &mut Http, id: &str) -> Value {
    wait_for("the erasure", || !receipt(http, id)["erased_at"].is_null());
    receipt(http, id)
}

#[test]
fn whatever_names_an_erased_user_is_refused_until_an_administrator_releases_the_id() {
    let (database, server) = shop(&SETTINGS);
    let mut http = server.http();
    let view = json!({"kind": "view", "user_id": ANNA, "item_id": 101});
    assert_eq!(http.post("/v1/events", &view).status, 202);
    assert_eq!(http.delete("/v1/users/nobody").status, 404);
    let id = erase(&mut http, PATH);
    assert_eq!(erase(&mut http, PATH), id, "asked for twice, erased once");
    wait_until_erased(&mut http, &id);

    let of_other = json!({"kind": "view", "user_id": 2, "item_id": 101});
    let answer = http.post("/v1/events", &json!([view, of_other])).json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["code"]),
        (&json!(1), &json!("erased_user")),
        "{answer}"
    );
    for path in [format!("{PATH}/privacy"), format!("{PATH}/inbox"), format!("{PATH}/recommendations")] {
        let answer = http.get(&path);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (410, &json!("erased")), "{path}");
    }
    assert_eq!(http.patch(PATH, &json!({"attributes": {"a": 1}})).status, 410);
    assert_eq!(http.post("/v1/users/2/merge", &json!({"anonymous_id": ANNA})).status, 410);
    let message = json!({"user_id": ANNA, "title": "Late"});
    let answer = http.post("/v1/notifications", &message);
    assert_eq!(
        (answer.status, &answer.json()["rejected"][0]["code"]),
        (400, &json!("erased_user")),
        "{}",
        answer.body
    );
    let message =
        json!({"user_ids": [ANNA, 2], "title": "Late", "send_at": Timestamp::now().plus_days(30.0)});
    assert_eq!(http.post("/v1/notifications", &message).status, 202);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": ANNA}));
    assert_eq!(client.close_code(), 3505);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.csv");
    std::fs::write(&file, format!("user_id,item_id,kind,occurred_at\n{ANNA},101,view,2026-01-01T00:00:00Z\n3,101,view,2026-01-01T00:00:00Z\n")).unwrap();
    let (done, text) = tidings(&database, &["import", "csv", file.to_str().unwrap()]);
    assert!(done && text.contains("1 events of users that were erased"), "{text}");
    assert_eq!(tables_with(&database, ANNA), BTreeSet::new());
    assert_eq!(database.count("SELECT count(*) AS n FROM events WHERE user_id IS NULL"), 0);

    let answer = http.post(&format!("/v1/erasures/{id}/release"), &Value::Null);
    assert_eq!((answer.status, &answer.json()["tombstone_until"]), (200, &Value::Null), "{}", answer.body);
    assert_eq!(http.post("/v1/events", &view).json()["accepted"], 1);
    assert_eq!(http.get(&format!("{PATH}/privacy")).status, 200);
}

#[test]
fn events_that_come_while_a_user_is_erased_are_stored_before_it_or_refused() {
    let (database, server) = shop(&SETTINGS);
    let over = AtomicBool::new(false);
    let accepted: i64 = thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (server, over) = (&server, &over);
                scope.spawn(move || {
                    let (mut http, mut of_others) = (server.http(), 0);
                    // Some more once it is over.
                    let mut left = 20;
                    while left > 0 {
                        left -= i32::from(over.load(Ordering::Relaxed));
                        let of_anna = json!({"kind": "view", "user_id": ANNA, "item_id": 101});
                        let of_other = json!({"kind": "view", "user_id": writer, "item_id": 101});
                        let answer = http.post("/v1/events", &json!([of_anna, of_other]));
                        assert_eq!(answer.status, 202, "{}", answer.body);
                        let answer = answer.json();
                        let refused = answer["rejected"].as_array().unwrap();
                        assert!(
                            refused.iter().all(|one| one["code"] == "erased_user" && one["index"] == 0),
                            "{answer}"
                        );
                        assert_eq!(
                            answer["accepted"].as_i64().unwrap() + refused.len() as i64,
                            2,
                            "{answer}"
                        );
                        of_others += 1;
                    }
                    of_others
                })
            })
            .collect();
        wait_for("some events", || database.count("SELECT count(*) AS n FROM events") > 40);
        let mut http = server.http();
        let id = erase(&mut http, PATH);
        wait_until_erased(&mut http, &id);
        over.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(tables_with(&database, ANNA), BTreeSet::new());
    let nobodys = "SELECT count(*) AS n FROM events e WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id = e.user_id)";
    assert_eq!(database.count(nobodys), 0);
    assert_eq!(database.count("SELECT count(*) AS n FROM events"), accepted);
}

#[test]
fn an_erasure_that_was_killed_goes_on_at_the_next_start() {
    let (database, mut server) = shop(&SETTINGS);
    let mut http = server.http();
    let view = |n: i64| json!({"kind": "view", "user_id": ANNA, "item_id": 101 + n % 40, "occurred_at": 1_790_000_000 + n});
    for chunk in 0..2 {
        let events: Value = (0..6_000).map(|n| view(chunk * 6_000 + n)).collect();
        assert_eq!(http.post("/v1/events", &events).json()["accepted"], 6_000);
    }
    // It does not get past this row.
    let mut holder = database.connection();
    holder.begin_test_transaction().unwrap();
    holder.batch_execute("SELECT FROM decisions FOR UPDATE; SELECT FROM events WHERE occurred_at = (SELECT max(occurred_at) FROM events) FOR UPDATE").unwrap();
    let id = erase(&mut http, PATH);
    let removed = "SELECT coalesce(sum((removed ->> 'events')::bigint), 0)::bigint AS n FROM erasures";
    let held = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM events%' \
                AND datname = current_database()";
    wait_for("a batch that waits", || database.count(held) == 1);
    let before = database.count(removed);
    assert!(before < 12_000, "{before}");
    server.kill();
    drop(holder);

    let server = Server::start(&database.url, &SETTINGS);
    let mut http = server.http();
    let late = json!({"kind": "view", "user_id": ANNA, "item_id": 101});
    assert_eq!(
        http.post("/v1/events", &late).json()["rejected"][0]["code"],
        "erased_user",
        "from the first moment"
    );
    let receipt = wait_until_erased(&mut http, &id);
    assert_eq!(
        (&receipt["removed"]["events"], &receipt["removed"]["users"]),
        (&json!(12_000), &json!(1)),
        "{receipt}"
    );
    assert_eq!(tables_with(&database, ANNA), BTreeSet::new());
    assert_eq!(database.count("SELECT count(*) AS n FROM events"), 0);
}

#[test]
fn the_command_line_asks_and_the_next_server_erases() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &SETTINGS);
    let view = json!({"kind": "view", "user_id": ANNA, "item_id": 101});
    assert_eq!(server.http().post("/v1/events", &view).status, 202);
    drop(server);
    let (done, text) = tidings(&database, &["privacy", "erase", "nobody"]);
    assert!(!done && text.contains("nothing names the user nobody"), "{text}");
    let (done, text) = tidings(&database, &["privacy", "erase", ANNA]);
    assert!(done, "{text}");
    let (id, _) = text.split_once(':').unwrap();
    let server = Server::start(&database.url, &SETTINGS);
    let receipt = wait_until_erased(&mut server.http(), id);
    assert_eq!(receipt["requested_by"], "operator");
    assert_eq!(tables_with(&database, ANNA), BTreeSet::new());
}

#[test]
fn a_user_who_is_asked_for_by_two_ids_is_erased_once_and_both_end() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &SETTINGS);
    for user in [ANNA, VISITOR] {
        let view = json!({"kind": "view", "user_id": user, "item_id": 101});
        assert_eq!(server.http().post("/v1/events", &view).status, 202);
    }
    let merged = server.http().post(&format!("{PATH}/merge"), &json!({"anonymous_id": VISITOR}));
    assert_eq!(merged.status, 200, "{}", merged.body);
    drop(server);
    let asked = [ANNA, VISITOR].map(|user| {
        let (done, text) = tidings(&database, &["privacy", "erase", user]);
        assert!(done, "{text}");
        text.split_once(':').unwrap().0.to_owned()
    });
    let server = Server::start(&database.url, &SETTINGS);
    for id in &asked {
        wait_until_erased(&mut server.http(), id);
    }
    for user in [ANNA, VISITOR] {
        assert_eq!(tables_with(&database, user), BTreeSet::new());
    }
}

#[test]
fn users_erase_themselves_where_the_shop_lets_them() {
    let with = |settings: &[&str]| {
        let database = TestDatabase::new();
        let secret = format!("auth.secret={SECRET}");
        let server = Server::start(
            &database.url,
            &[&["--set", "auth.mode=token", "--set", &secret], settings].concat(),
        );
        let of = |arguments: &[&str]| {
            let mut http = server.http();
            http.headers.push(("Authorization".to_owned(), format!("Bearer {}", token(arguments))));
            http
        };
        let mut own = of(&["--role", "user", "--user", ANNA]);
        assert_eq!(own.post("/v1/events", &json!({"kind": "search", "query": "x"})).status, 202);
        let answer = own.delete(PATH);
        let id = answer.json()["erasure_id"].as_str().map(str::to_owned);
        if let Some(id) = &id {
            assert_eq!(wait_until_erased(&mut own, id)["requested_by"], "user");
            assert_eq!(own.post(&format!("/v1/erasures/{id}/release"), &Value::Null).status, 403);
            let mut other = of(&["--role", "user", "--user", "other"]);
            assert_eq!(other.get(&format!("/v1/erasures/{id}")).status, 403);
        }
        answer.status
    };
    assert_eq!(with(&[]), 403);
    assert_eq!(with(&["--set", "privacy.erase_own=true"]), 202);
}
