//! The schema: applied whole or not at all, reversible, documented, and as `schema.rs` says.

use std::process::Command;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use diesel_migrations::MigrationHarness;
use serde_json::{Value, json};
use tidings::store::{MIGRATIONS, StoreError};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn lines(conn: &mut PgConnection, query: &str) -> Vec<String> {
    sql_query(query).load::<Line>(conn).unwrap().into_iter().map(|row| row.line).collect()
}

/// Tables, columns, constraints, indexes, triggers, functions, comments and settings of storage, a line each.
fn describe(conn: &mut PgConnection) -> Vec<String> {
    lines(
        conn,
        "SELECT format('%s.%s %s %s %s %s %s', table_name, column_name, udt_name, is_nullable, column_default, \
           identity_generation || identity_start || identity_minimum, \
           col_description(format('%I', table_name)::regclass, ordinal_position)) AS line \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' \
         UNION ALL SELECT format('%s %s %s %s', relname, relkind, reloptions, obj_description(oid, 'pg_class')) FROM pg_class \
           WHERE relnamespace = 'public'::regnamespace \
         UNION ALL SELECT format('%s.%s statistics %s', attrelid::regclass, attname, attstattarget) FROM pg_attribute \
           JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped \
         UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint \
           WHERE connamespace = 'public'::regnamespace \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
         UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal \
         UNION ALL SELECT format('%s %s', pg_get_functiondef(oid), obj_description(oid, 'pg_proc')) FROM pg_proc \
           WHERE pronamespace = 'public'::regnamespace \
         ORDER BY line",
    )
}

/// Columns of each table in their order.
const COLUMNS: &str = "SELECT format('%s: %s', table_name, string_agg(column_name, ' ' ORDER BY ordinal_position)) AS line \
     FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name ORDER BY line";

const VERSIONS: &str = "SELECT version::text AS line FROM __diesel_schema_migrations ORDER BY version";

/// A hash of the rows of each table of `columns` (lines of [`COLUMNS`]), but for the list of migrations.
fn contents(conn: &mut PgConnection, columns: &[String]) -> Vec<String> {
    let tables =
        columns.iter().filter_map(|line| line.split_once(": ")).filter(|(table, _)| !table.starts_with("__"));
    let hash = |(table, columns): (&str, &str)| {
        let columns = columns.replace(' ', ", ");
        let query = format!(
            "SELECT format('{table} %s', md5(string_agg(t::text, ';' ORDER BY t::text))) AS line \
             FROM (SELECT {columns} FROM {table}) t"
        );
        lines(conn, &query).remove(0)
    };
    tables.map(hash).collect()
}

/// As the last version with several migrations left it, with rows.
fn before_1_0() -> TestDatabase {
    let database = TestDatabase::empty();
    // A connection of its own: the dump changes settings of its session.
    database.connection().batch_execute(include_str!("fixtures/database_before_1_0.sql")).unwrap();
    database
}

/// What `tidings` says on its standard error when it refuses to start.
fn refusal(database: &TestDatabase, command: &[&str]) -> String {
    let mut tidings = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let output = tidings.args(command).env("DATABASE_URL", &database.url).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// diesel knows a migration by what stands before the name, so that of two with the same only one would be applied.
#[test]
fn each_migration_has_a_version_of_its_own() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut versions: Vec<String> =
        names.filter_map(|name| Some(name.split_once('_')?.0.to_owned())).collect();
    versions.sort();
    let n = versions.len();
    versions.dedup();
    assert_eq!(versions.len(), n, "{versions:?}");
}

#[test]
fn migrations_are_applied_once_and_named() {
    let database = TestDatabase::empty();
    let applied = database.store.migrate().unwrap();
    assert!(applied.first().is_some_and(|name| name.ends_with("_schema")), "{applied:?}");
    assert_eq!(database.store.migrate().unwrap(), Vec::<String>::new());
}

#[test]
fn down_undoes_up_and_up_again_gives_the_same_schema() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let before = describe(&mut conn);
    assert!(before.len() > 100, "{before:?}");
    conn.batch_execute("SELECT ensure_event_partition(now())").unwrap();
    conn.revert_all_migrations(MIGRATIONS).unwrap();
    let left: Vec<String> =
        describe(&mut conn).into_iter().filter(|line| !line.contains("__diesel_schema_migrations")).collect();
    assert!(left.is_empty(), "{left:?}");
    conn.run_pending_migrations(MIGRATIONS).unwrap();
    assert_eq!(describe(&mut conn), before);
}

#[test]
fn a_migration_that_cannot_run_names_itself_and_changes_nothing() {
    let database = TestDatabase::empty();
    let mut conn = database.connection();
    // At the end of the first migration: everything before it must be undone.
    conn.batch_execute("CREATE TABLE cleaning_reports (mine integer)").unwrap();
    let error = database.store.migrate().unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("_schema") && text.contains("cleaning_reports"), "{text}");
    let tables = lines(
        &mut conn,
        "SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_\\_%'",
    );
    assert_eq!(tables, ["cleaning_reports"]);
    conn.batch_execute("DROP TABLE cleaning_reports").unwrap();
    assert!(!database.store.migrate().unwrap().is_empty());
}

#[test]
fn two_servers_that_start_together_take_turns() {
    let database = TestDatabase::empty();
    let applied: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| database.store.migrate().unwrap().len())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(applied.iter().filter(|count| **count > 0).count(), 1, "{applied:?}");
}

#[test]
fn a_database_of_before_1_0_is_taken_over_once_and_keeps_its_rows() {
    let database = before_1_0();
    let mut conn = database.connection();
    assert_eq!(lines(&mut conn, VERSIONS).len(), 26);
    // Partitions change their bounds and names; their rows are those of `events`. Batches move into the rows of their broadcasts.
    let stays = |line: &String| !line.starts_with("events_") && !line.starts_with("broadcast_batches:");
    let columns: Vec<String> = lines(&mut conn, COLUMNS).into_iter().filter(stays).collect();
    let batches =
        lines(&mut conn, "SELECT broadcast_id || ' ' || batch AS line FROM broadcast_batches ORDER BY line");
    assert!(!batches.is_empty());
    let rows = contents(&mut conn, &columns);
    assert!(rows.iter().filter(|line| !line.ends_with(' ')).count() > 12, "tables with rows: {rows:?}");
    let applied: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| database.store.migrate().unwrap())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let fresh = TestDatabase::new();
    let mut fresh = fresh.connection();
    let versions = lines(&mut fresh, VERSIONS);
    assert_eq!(versions.first().map(String::as_str), Some("20261128000500"));
    assert_eq!(lines(&mut conn, VERSIONS), versions);
    // Only what came after the one is run, and once.
    assert_eq!(applied.len(), versions.len() - 1, "{applied:?}");
    assert!(!applied.iter().any(|name| name.ends_with("_schema")), "{applied:?}");
    assert_eq!(contents(&mut conn, &columns), rows);
    let moved = "SELECT broadcast_id || ' ' || unnest(batches) AS line FROM broadcasts ORDER BY line";
    assert_eq!(lines(&mut conn, moved), batches);

    for conn in [&mut conn, &mut fresh] {
        conn.batch_execute("SELECT ensure_event_partition('2026-11-28'), ensure_event_partition(now())")
            .unwrap();
    }
    assert_eq!(describe(&mut conn), describe(&mut fresh));
    assert_eq!(lines(&mut conn, COLUMNS), lines(&mut fresh, COLUMNS));
    // Dropping everything needs the same names of everything.
    conn.revert_all_migrations(MIGRATIONS).unwrap();
}

#[test]
fn a_server_goes_on_with_a_database_of_before_1_0() {
    let database = before_1_0();
    let mut conn = database.connection();
    // Of the day the dump was made: some of it has expired since.
    conn.batch_execute(
        "UPDATE notifications SET created_at = now() - interval '1 hour', expires_at = now() + interval '1 day'; \
         UPDATE event_receipts SET received_at = now()",
    )
    .unwrap();
    let server = Server::start(&database.url, &[]);
    let versions = lines(&mut conn, VERSIONS);
    assert_eq!(versions.first().map(String::as_str), Some("20261128000500"), "{versions:?}");

    let mut http = server.http();
    let again = json!([{"event_id": "e-1", "kind": "view", "user_id": "eve", "item_id": 101, "dwell_ms": 4000},
                       {"event_id": "e-9", "kind": "view", "user_id": "eve", "item_id": "mug-1"}]);
    let answer = http.post("/v1/events", &again).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)), "{answer}");
    let preferences = http.get("/v1/users/eve/preferences").json();
    assert_eq!(
        (&preferences["locale"], &preferences["time_zone"]),
        (&json!("de-AT"), &json!("Europe/Berlin"))
    );
    assert_eq!(http.get("/v1/users/eve/consent").json()["ledger"][0]["source"], "sign-up form");
    let triggers = http.get("/admin/triggers").json();
    let cart = triggers["definitions"].as_array().unwrap().iter().find(|row| row["name"] == "cart").unwrap();
    assert_eq!((&cart["state"], &cart["version"]), (&json!("paused"), &json!(1)));
    assert_eq!(http.get("/v1/items/mug-1").json()["price"], 4.5);
    let scheduled = http.get("/v1/notifications/scheduled").json();
    let scheduled = &scheduled["scheduled"][0];
    assert_eq!((&scheduled["message"]["title"], &scheduled["state"]), (&json!("Later"), &json!("scheduled")));

    let inbox = http.get("/v1/users/eve/inbox").json();
    let titles: Vec<&Value> = inbox["messages"].as_array().unwrap().iter().map(|m| &m["title"]).collect();
    assert_eq!(titles, ["Hello Eve"], "{inbox}");
    let (mut client, recommendation) = server.login("eve");
    assert_eq!(recommendation["epoch"], "0159063b058d", "the streams go on");
    assert_eq!(recommendation["offset"], 3, "{recommendation}");
    // Transactional: the user has quiet hours.
    let since = json!({"user_id": "eve", "title": "Since", "priority": "transactional"});
    let sent = http.post("/v1/notifications", &since);
    assert_eq!(sent.status, 202, "{}", sent.body);
    // The one of before was never acknowledged.
    for (title, offset) in [("Hello Eve", 1), ("Since", 4)] {
        let message = client.expect("notification");
        assert_eq!((&message["title"], &message["offset"]), (&json!(title), &json!(offset)));
    }
}

#[test]
fn a_partly_migrated_database_is_refused_with_the_version_to_start_first() {
    let database = before_1_0();
    let mut conn = database.connection();
    conn.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version >= '20261128000400'").unwrap();
    let columns = lines(&mut conn, COLUMNS);
    let before = (describe(&mut conn), contents(&mut conn, &columns), lines(&mut conn, VERSIONS));
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let text = refusal(&database, command);
        assert!(text.contains("it has 24 of the 26 migrations that have since become one"), "{text}");
        assert!(text.contains("whose newest is 2026-11-28-000401_item_prices"), "{text}");
    }
    assert_eq!((describe(&mut conn), contents(&mut conn, &columns), lines(&mut conn, VERSIONS)), before);
}

#[test]
fn a_database_that_a_newer_version_has_changed_is_refused() {
    for database in [TestDatabase::new(), before_1_0()] {
        let mut conn = database.connection();
        conn.batch_execute("INSERT INTO __diesel_schema_migrations VALUES ('20991231000000')").unwrap();
        let columns = lines(&mut conn, COLUMNS);
        let before = (describe(&mut conn), contents(&mut conn, &columns), lines(&mut conn, VERSIONS));
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
            let text = refusal(&database, command);
            assert!(text.contains("migrations that this version does not know: 20991231000000."), "{text}");
        }
        assert_eq!((describe(&mut conn), contents(&mut conn, &columns), lines(&mut conn, VERSIONS)), before);
    }
}

#[test]
fn every_table_column_and_function_has_a_comment() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    conn.batch_execute("SELECT ensure_event_partition(now())").unwrap();
    let silent = lines(
        &mut conn,
        "SELECT c.relname || coalesce('.' || a.attname, '') AS line \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public' \
         LEFT JOIN LATERAL (SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 \
           AND NOT attisdropped UNION ALL SELECT NULL, 0) a ON true \
         WHERE c.relkind IN ('r', 'p') AND c.relname NOT LIKE '\\_\\_%' AND NOT EXISTS (SELECT FROM pg_description d \
           WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum) \
         UNION ALL SELECT proname::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace \
           AND obj_description(p.oid, 'pg_proc') IS NULL",
    );
    assert!(silent.is_empty(), "without a comment: {silent:?}");
}

#[test]
fn schema_rs_says_what_the_database_has() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let stored = lines(
        &mut conn,
        "SELECT format('%s.%s %s', table_name, column_name, \
           CASE WHEN is_nullable = 'YES' THEN 'Nullable<' || t || '>' ELSE t END) AS line \
         FROM (SELECT *, CASE udt_name WHEN 'bool' THEN 'Bool' WHEN 'text' THEN 'Text' WHEN 'int2' THEN 'Int2' \
           WHEN 'int4' THEN 'Int4' WHEN 'int8' THEN 'Int8' WHEN 'float4' THEN 'Float4' WHEN 'float8' THEN 'Float8' \
           WHEN 'timestamptz' THEN 'Timestamptz' WHEN 'jsonb' THEN 'Jsonb' WHEN 'uuid' THEN 'Uuid' \
           WHEN 'bytea' THEN 'Bytea' WHEN '_text' THEN 'Array<Text>' WHEN '_uuid' THEN 'Array<Uuid>' WHEN '_int4' THEN 'Array<Int4>' \
           WHEN '_float4' THEN 'Array<Float4>' \
           ELSE udt_name END AS t FROM information_schema.columns) c \
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' AND NOT (SELECT relispartition FROM pg_class \
           WHERE oid = format('public.%I', table_name)::regclass) ORDER BY table_name, ordinal_position",
    );
    let source = include_str!("../../src/schema/schema.rs");
    let mut written = Vec::new();
    let mut table = "";
    for line in source.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name;
        } else if let Some((column, kind)) = line.split_once(" -> ").filter(|_| line.ends_with(',')) {
            written.push(format!("{table}.{column} {}", kind.trim_end_matches(',')));
        }
    }
    let order = |line: &String| line.split('.').next().unwrap().to_owned();
    written.sort_by_key(order);
    let mut stored = stored;
    stored.sort_by_key(order);
    assert_eq!(written, stored);
}
