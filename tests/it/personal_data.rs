//! What is held about a user, told and handed out; and that nothing which is held is left out of it.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::process::Command;

use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use serde_json::{Value, json};
use tidings::store::personal_data::HOLDINGS;
use zip::ZipArchive;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;
use crate::helpers::tokens::{SECRET, token};

/// Tables that name users and are nobody's data by themselves, each with the reason.
const EXEMPT: [(&str, &str); 2] = [
    ("webhook_deliveries", "copies of what is exported, on their way to the shop"),
    ("audit_log", "who read and changed data; an erasure leaves a pseudonym of the user in it"),
];

/// Users 7 and 8 with a past, a message and an answer to it.
fn with_pasts(server: &Server) {
    let mut http = server.http();
    let events: Value = [(7, 101, "lamp of seven"), (8, 102, "lamp of eight")]
        .into_iter()
        .flat_map(|(user, item, query)| {
            [
                json!({"kind": "purchase", "user_id": user, "item_id": item, "value": 10.0, "currency": "EUR"}),
                json!({"kind": "search", "user_id": user, "query": query}),
            ]
        })
        .collect();
    assert_eq!(http.post("/v1/events", &events).status, 202);
    assert_eq!(http.patch("/v1/users/7", &json!({"attributes": {"first_name": "Anna"}})).status, 200);
    let message = json!({"user_id": 7, "title": "For Anna", "priority": "transactional"});
    assert_eq!(http.post("/v1/notifications", &message).status, 202);
    let (_page, _) = server.login(7);
    let n = || http.get("/v1/users/7/inbox").json()["unread"].as_i64();
    let mut n = n;
    wait_for("the message", || n() == Some(1));
}

fn files(archive: Vec<u8>) -> Vec<(String, String)> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    (0..archive.len())
        .map(|place| {
            let mut file = archive.by_index(place).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        })
        .collect()
}

#[test]
fn everything_held_of_a_user_is_told_and_handed_out_and_nothing_of_others() {
    let (_database, server) = shop(&[]);
    with_pasts(&server);
    let mut http = server.http();
    assert_eq!(http.get("/v1/users/nobody/privacy").status, 404);
    assert_eq!(http.get("/v1/users/nobody/export").status, 404);

    let told = http.get("/v1/users/7/privacy");
    assert_eq!(told.header("cache-control"), Some("no-store"));
    let told = told.json();
    let rows = |name: &str| {
        let held = told["held"].as_array().unwrap();
        held.iter().find(|kind| kind["name"] == name).unwrap()["rows"].as_i64().unwrap()
    };
    assert_eq!((rows("user"), rows("events"), rows("attributes"), rows("consents")), (1, 2, 1, 0));
    assert!(rows("decisions") >= 1 && rows("messages") >= 1, "{told}");
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("2 entries: what you viewed, searched"), "{text}");
    assert!(text.contains("Nothing is held of: ") && text.contains("consents"), "{text}");

    let answer = http.get("/v1/users/7/export");
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let files = files(answer.bytes);
    assert_eq!(files.len(), HOLDINGS.len() + 1);
    assert_eq!(files[0].0, "README.txt");
    let json_of = |name: &str| -> Value {
        let (_, text) = files.iter().find(|(file, _)| file == &format!("{name}.json")).unwrap();
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
    };
    for holding in &HOLDINGS {
        assert!(files[0].1.contains(&format!("{}.json", holding.name)));
        let n = json_of(holding.name).as_array().unwrap().len() as i64;
        assert!(n >= rows(holding.name), "{}: {n}", holding.name);
    }
    let events = json_of("events");
    let kinds: BTreeSet<&str> =
        events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["purchase", "search"]));
    assert!(events.as_array().unwrap().iter().any(|event| event["item_id"] == "101"), "{events}");
    assert_eq!(json_of("attributes")[0]["attributes"]["first_name"], "Anna");
    assert!(json_of("messages").to_string().contains("For Anna"));
    let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
    assert!(!all.contains("lamp of eight") && all.contains("lamp of seven"));
}

#[test]
fn users_see_their_own_and_services_everybodys() {
    let database = TestDatabase::new();
    let mode = ["--set", "auth.mode=token", "--set"];
    let secret = format!("auth.secret={SECRET}");
    let server = Server::start(&database.url, &[mode[0], mode[1], mode[2], &secret]);
    let of = |token: String| {
        let mut http = server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        http
    };
    let mut service = of(token(&["--role", "service"]));
    let event = json!({"kind": "search", "user_id": 7, "query": "lamp"});
    assert_eq!(service.post("/v1/events", &event).status, 202);
    let mut own = of(token(&["--role", "user", "--user", "7"]));
    let mut other = of(token(&["--role", "user", "--user", "8"]));
    for path in ["/v1/users/7/privacy", "/v1/users/7/export"] {
        assert_eq!(service.get(path).status, 200);
        assert_eq!(own.get(path).status, 200);
        assert_eq!(other.get(path).status, 403);
        assert_eq!(server.http().get(path).status, 401);
    }
}

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[test]
fn no_table_that_names_users_is_left_out() {
    let database = TestDatabase::new();
    let tables = "SELECT DISTINCT c.relname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
                  WHERE a.attname IN ('user_id', 'external_id', 'users', 'payload', 'subject', 'object') AND c.relkind IN ('r', 'p') \
                  AND NOT c.relispartition AND a.atttypid <> 'integer[]'::regtype AND c.relname NOT IN ('items', 'broadcasts') \
                  AND c.relnamespace = 'public'::regnamespace";
    let found = diesel::sql_query(tables).load::<Name>(&mut database.connection()).unwrap();
    let found: BTreeSet<String> = found.into_iter().map(|row| row.name).collect();
    let told: BTreeSet<String> = HOLDINGS
        .iter()
        .map(|holding| holding.table.to_owned())
        .chain(EXEMPT.iter().map(|(table, _)| (*table).to_owned()))
        .collect();
    assert_eq!(found, told);
}

#[test]
fn the_record_of_processing_counts_rows() {
    let (database, server) = shop(&[]);
    with_pasts(&server);
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["privacy", "report", "--json"])
        .env("DATABASE_URL", &database.url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), HOLDINGS.len());
    let events = rows.iter().find(|row| row["kind"] == "events").unwrap();
    assert_eq!((&events["table"], &events["rows"]), (&json!("events"), &json!(4)));
}
