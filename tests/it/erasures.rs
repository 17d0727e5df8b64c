//! Erasure of users: nothing of them is left in any table or model, whatever happens meanwhile, and nothing comes back.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl};
use serde_json::{Value, json};
use tidings::base::{ItemId, Timestamp, UserId};
use tidings::event::{Event, EventKind};
use tidings::recommend::ModelSet;
use tidings::store::models;
use tidings::store::personal_data::HOLDINGS;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::push_service::{BrowserKeys, PushService};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;
use crate::helpers::tokens::{SECRET, token};

const ANNA: &str = "anna-4711@shop.example";
const PATH: &str = "/v1/users/anna-4711%40shop.example";
/// A visitor who turned out to be Anna.
const VISITOR: &str = "visitor-of-anna-0815";
/// A word that only Anna searched for.
const WORD: &str = "zaubertrankwort";
/// An item that only Anna saw, and only her events have named.
const ITEM: &str = "annas-own-item-9";
const SETTINGS: [&str; 10] = [
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
fn tables_with(database: &TestDatabase, text: &str) -> BTreeSet<String> {
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

fn erase(http: &mut Http, path: &str) -> String {
    let answer = http.delete(path);
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["erasure_id"].as_str().unwrap().to_owned()
}

fn receipt(http: &mut Http, id: &str) -> Value {
    let answer = http.get(&format!("/v1/erasures/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn wait_until_erased(http: &mut Http, id: &str) -> Value {
    wait_for("the erasure", || !receipt(http, id)["erased_at"].is_null());
    receipt(http, id)
}

fn tidings(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let output = command.args(arguments).env("DATABASE_URL", &database.url).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Sixty others who buy one item a day.
fn others() -> Value {
    let event = |day: i64, user: i64| {
        json!({"kind": "purchase", "user_id": user, "item_id": 101 + (user / 2 + day * 3) % 30, "value": 10, "currency": "EUR",
               "occurred_at": format!("2026-10-{:02}T12:00:{user:02}Z", day + 1)})
    };
    (0..8).flat_map(|day| (0..60).map(move |user| event(day, user))).collect()
}

/// Four views of Anna's in a row.
fn visit() -> Value {
    let view = |step: i64, item: Value| json!({"kind": "view", "user_id": ANNA, "item_id": item, "occurred_at": format!("2026-10-09T12:0{step}:00Z")});
    json!([view(0, json!(131)), view(1, json!(133)), view(2, json!(ITEM)), view(3, json!(135))])
}

/// Fills every table that holds something of a user with something of Anna's.
fn with_a_past(server: &Server, push: &PushService) -> Client {
    let mut http = server.http();
    let ok = |answer: crate::helpers::http::Response| {
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
    };
    let names = [
        "message.sent",
        "message.dropped",
        "consent.changed",
        "preference.changed",
        "subscription.started",
        "subscription.ended",
    ];
    ok(http.post("/v1/webhooks", &json!({"url": "https://localhost:1/a", "events": names})));
    ok(http.post("/v1/events", &others()));
    ok(http.post("/v1/events", &visit()));
    ok(http.post(
        "/v1/events",
        &json!([{"kind": "search", "user_id": ANNA, "query": WORD},
                {"kind": "view", "user_id": VISITOR, "item_id": 137},
                {"kind": "purchase", "user_id": ANNA, "item_id": ITEM, "value": 5, "currency": "EUR"}]),
    ));
    ok(http.post(&format!("{PATH}/merge"), &json!({"anonymous_id": VISITOR})));
    ok(http.patch(PATH, &json!({"attributes": {"first_name": WORD}})));
    ok(http.put(&format!("{PATH}/preferences"), &json!({"locale": "de", "opted_out": true})));
    ok(http.put(&format!("{PATH}/preferences"), &json!({"locale": "de", "opted_out": false})));
    for purpose in ["profiling", "marketing", "push"] {
        let consent = json!({"purpose": purpose, "granted": true, "source": "form", "text_version": "1"});
        ok(http.post(&format!("{PATH}/consent"), &consent));
    }
    ok(http.put(&format!("{PATH}/topics/deals"), &json!({})));
    let mut subscription = BrowserKeys::new().subscription(&push.endpoint("anna"));
    subscription["user_id"] = json!(ANNA);
    ok(http.post("/v1/webpush/subscriptions", &subscription));
    ok(http.post("/v1/notifications", &json!({"user_id": ANNA, "title": WORD, "priority": "transactional"})));
    let later = json!({"user_ids": [ANNA, 1], "title": "Later", "send_at": Timestamp::now().plus_days(30.0)});
    ok(http.post("/v1/notifications", &later));
    let (mut client, _) = server.login(ANNA);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 139}));
    client.expect("accepted");
    ok(http.get(&format!("{PATH}/recommendations?placement=home")));
    ok(http.post(&format!("{PATH}/sign-out"), &Value::Null));
    let (client, _) = server.login(ANNA);
    assert_eq!(server.retrain()["state"], "succeeded");
    client
}

/// Versions of models that remember the visit.
fn remembering(database: &TestDatabase, events: &[Event]) -> usize {
    let artefacts = database.store.run_blocking(|connection| {
        let versions = models::versions(connection)?;
        versions.into_iter().map(|version| models::load(connection, version)).collect::<Result<Vec<_>, _>>()
    });
    let models = artefacts.unwrap().into_iter().flatten().map(|bytes| ModelSet::decode(&bytes).unwrap());
    models.filter(|model| model.without_sessions_of(events).is_some()).count()
}

/// The visit with inner ids.
fn visited(database: &TestDatabase) -> Vec<Event> {
    let item = |name: &str| {
        let n =
            database.count(&format!("SELECT item_id::bigint AS n FROM items WHERE external_id = '{name}'"));
        ItemId(u32::try_from(n).unwrap())
    };
    let visit = [("131", 0), ("133", 1), (ITEM, 2), ("135", 3)];
    visit
        .into_iter()
        .map(|(name, minute)| Event {
            occurred_at: Timestamp::parse(&format!("2026-10-09T12:0{minute}:00Z")).unwrap(),
            user: Some(UserId(0)),
            item: Some(item(name)),
            kind: EventKind::View,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        })
        .collect()
}

#[test]
fn nothing_of_an_erased_user_is_left_in_any_table_or_model() {
    let (database, server) = shop(&SETTINGS);
    let push = PushService::start();
    let mut client = with_a_past(&server, &push);
    let mut http = server.http();
    for needle in [ANNA, VISITOR, WORD, ITEM] {
        assert!(!tables_with(&database, needle).is_empty(), "{needle}");
    }
    for table in ["users", "webhook_deliveries", "audit_log", "outbox"] {
        assert!(tables_with(&database, ANNA).contains(table), "{table}: {:?}", tables_with(&database, ANNA));
    }
    let events = visited(&database);
    assert_eq!(remembering(&database, &events), 1);
    let of_others = |database: &TestDatabase| {
        database.count(
            "SELECT count(*) AS n FROM events JOIN users USING (user_id) WHERE length(external_id) < 4",
        )
    };
    assert_eq!(of_others(&database), 480);

    let id = erase(&mut http, PATH);
    assert_eq!(client.close(), (3505, "user erased".to_owned()));
    let receipt_of_rows = wait_until_erased(&mut http, &id);
    for needle in [ANNA, "anna-4711%40shop.example", VISITOR, WORD, ITEM] {
        assert_eq!(tables_with(&database, needle), BTreeSet::new(), "{needle}");
    }
    assert_eq!(remembering(&database, &events), 0, "masked until the next training");

    let removed = |table: &str| receipt_of_rows["removed"][table].as_u64().unwrap_or(0);
    assert!(removed("events") >= 8 && removed("users") == 2 && removed("items") == 1, "{receipt_of_rows}");
    let held: BTreeSet<&str> = HOLDINGS.iter().map(|holding| holding.table).collect();
    let told = receipt_of_rows["removed"].as_object().unwrap();
    let told: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(
        told,
        &held | &BTreeSet::from(["items", "webhook_deliveries"]),
        "every table of the record is erased"
    );
    for table in [
        "consents",
        "opt_outs",
        "topic_subscribers",
        "push_subscriptions",
        "notifications",
        "outbox",
        "revocations",
    ] {
        assert!(removed(table) > 0, "{table}: {receipt_of_rows}");
    }
    let kept = &receipt_of_rows["kept"][0];
    assert!(kept["table"] == "audit_log" && kept["rows"].as_u64() > Some(2), "{receipt_of_rows}");
    let pseudonym = kept["named"].as_str().unwrap();
    assert!(tables_with(&database, pseudonym).contains("audit_log"));
    let (whole, text) = tidings(&database, &["audit", "verify"]);
    assert!(whole && text.contains("name an erased user by a pseudonym"), "{text}");

    wait_for("a model that was trained since", || receipt(&mut http, &id)["state"] == "done");
    assert_eq!(database.count("SELECT min(model_version)::bigint AS n FROM models"), 2);
    assert_eq!(of_others(&database), 480);
    let waiting = "SELECT count(*) AS n FROM outbox WHERE users = '{1}'";
    assert_eq!(database.count(waiting), 1, "the message to both goes to the other");
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
