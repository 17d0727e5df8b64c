//! The schema: applied whole or not at all, reversible, documented, and as `schema.rs` says.

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use diesel_migrations::MigrationHarness;
use tidings::store::{MIGRATIONS, StoreError};

use crate::helpers::database::TestDatabase;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn lines(conn: &mut PgConnection, query: &str) -> Vec<String> {
    sql_query(query).load::<Line>(conn).unwrap().into_iter().map(|row| row.line).collect()
}

/// Tables, columns, constraints, indexes, functions and comments, a line each.
fn describe(conn: &mut PgConnection) -> Vec<String> {
    lines(
        conn,
        "SELECT format('%s.%s %s %s %s %s', table_name, column_name, udt_name, is_nullable, column_default, \
           col_description(format('%I', table_name)::regclass, ordinal_position)) AS line \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' \
         UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint \
           WHERE connamespace = 'public'::regnamespace \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
         UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
         ORDER BY line",
    )
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
    assert!(applied.first().is_some_and(|name| name.ends_with("_core")), "{applied:?}");
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
    // Late in the first migration: everything before it must be undone.
    conn.batch_execute("CREATE TABLE cleaning_reports (mine integer)").unwrap();
    let error = database.store.migrate().unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("_core") && text.contains("cleaning_reports"), "{text}");
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
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' ORDER BY table_name, ordinal_position",
    );
    let source = include_str!("../../src/store/schema.rs");
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
