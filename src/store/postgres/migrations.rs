//! Migrations inside the binary.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{Array, Text};
use diesel::{PgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::StoreError;
use super::pool::Store;
use super::session::{SESSION_SETTINGS, in_transaction};
use super::sql::sql;

/// `migrations/`, as of the build.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Key of the advisory lock under which migrations run ("tidings" in ASCII).
const LOCK: i64 = 0x0074_6964_696e_6773;

/// Version of the migration that makes the same schema as all of [`REPLACED`].
const SCHEMA: &str = "20261128000500";
/// Name of the last of [`REPLACED`].
const LAST_REPLACED: &str = "2026-11-28-000401_item_prices";
/// Versions of the migrations that became one before 1.0. A database that has them all has today's schema.
const REPLACED: [&str; 26] = [
    "20261124000001",
    "20261124000010",
    "20261124000020",
    "20261124000030",
    "20261124000040",
    "20261124000041",
    "20261124000050",
    "20261124000051",
    "20261126000001",
    "20261126000010",
    "20261126000020",
    "20261126000030",
    "20261126000031",
    "20261126000032",
    "20261126000033",
    "20261126000034",
    "20261126000040",
    "20261126000050",
    "20261128000001",
    "20261128000101",
    "20261128000102",
    "20261128000103",
    "20261128000200",
    "20261128000301",
    "20261128000400",
    "20261128000401",
];

impl Store {
    /// Applies what the database lacks and names it, in order; empty when it is up to date. Each migration is
    /// one transaction: one that can't run leaves the state before it and says why. Refuses a database that a newer version
    /// has changed ([`StoreError::Schema`]). Two servers that start together take turns. Blocks.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.run_blocking(run_pending)
    }
}

/// Applies pending migrations and returns their names, in order.
fn run_pending(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    conn.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")?;
    diesel::sql_query(format!("SELECT pg_advisory_lock({LOCK})")).execute(conn)?;
    let result = run_locked(conn);
    // Also when it failed: the connection goes back to the pool.
    diesel::sql_query(format!("SELECT pg_advisory_unlock({LOCK})")).execute(conn)?;
    conn.batch_execute(SESSION_SETTINGS)?;
    result
}

fn run_locked(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let unlisted = |error: Box<dyn std::error::Error + Send + Sync>| failed("(list of migrations)", &error);
    let known: Vec<String> = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(unlisted)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = conn.applied_migrations().map_err(unlisted)?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    if check(&applied, &known)? == Found::Replaced {
        take_over(conn)?;
    }
    let pending = conn.pending_migrations(MIGRATIONS).map_err(unlisted)?;
    let mut names = Vec::with_capacity(pending.len());
    for migration in &pending {
        let name = migration.name().to_string();
        conn.run_migration(migration).map_err(|error| failed(&name, &error))?;
        log::info!("migration applied name={name}");
        names.push(name);
    }
    Ok(names)
}

fn failed(name: &str, reason: &impl ToString) -> StoreError {
    StoreError::Migration { name: name.to_owned(), reason: reason.to_string() }
}

/// Migrations that a database was found with.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Known ones, or none.
    Known,
    /// All that one has replaced.
    Replaced,
}

/// Compares the versions in the database with those of this binary; an error if it can't be brought up to date.
fn check(applied: &[String], known: &[String]) -> Result<Found, StoreError> {
    let (replaced, others): (BTreeSet<&str>, BTreeSet<&str>) =
        applied.iter().map(String::as_str).partition(|version| REPLACED.contains(version));
    let unknown: Vec<&str> =
        others.into_iter().filter(|version| !known.iter().any(|known| known == version)).collect();
    if !unknown.is_empty() {
        let newest = known.iter().max().map_or("none", String::as_str);
        return Err(StoreError::Schema(format!(
            "it has migrations that this version does not know: {}. A newer Tidings has changed its schema; this is Tidings \
             {}, whose newest migration is {newest}. Start the newer version, or restore a backup from before it was started",
            unknown.join(", "),
            env!("CARGO_PKG_VERSION"),
        )));
    }
    match replaced.len() {
        0 => Ok(Found::Known),
        n if n == REPLACED.len() => Ok(Found::Replaced),
        n => Err(StoreError::Schema(format!(
            "it has {n} of the {} migrations that have since become one. Start the last version that has them first, whose \
             newest is {LAST_REPLACED}: it applies the rest",
            REPLACED.len()
        ))),
    }
}

/// Notes [`SCHEMA`] in place of [`REPLACED`], and changes nothing else.
fn take_over(conn: &mut PgConnection) -> Result<(), StoreError> {
    in_transaction(conn, |conn| {
        sql::<()>("DELETE FROM __diesel_schema_migrations WHERE version = ANY(?)")
            .bind::<Array<Text>, _>(REPLACED.as_slice())
            .execute(conn)?;
        sql::<()>("INSERT INTO __diesel_schema_migrations (version) VALUES (?) ON CONFLICT DO NOTHING")
            .bind::<Text, _>(SCHEMA)
            .execute(conn)?;
        Ok(())
    })?;
    log::info!("database taken over migrations={} replaced_by={SCHEMA}", REPLACED.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(of: &[&str]) -> Vec<String> {
        of.iter().map(|version| (*version).to_owned()).collect()
    }

    #[test]
    fn a_database_is_current_complete_partial_or_newer() {
        let known = versions(&[SCHEMA, "20270101000000"]);
        let found = |applied: &[String]| check(applied, &known).map_err(|error| error.to_string());
        assert_eq!(found(&[]), Ok(Found::Known));
        assert_eq!(found(&known), Ok(Found::Known));
        let mut old = versions(&REPLACED);
        assert_eq!(found(&old), Ok(Found::Replaced));
        old.push("20270101000000".into());
        assert_eq!(found(&old), Ok(Found::Replaced), "one that came after them");
        let text = found(&old[1..]).unwrap_err();
        assert!(text.contains("25 of the 26") && text.contains(LAST_REPLACED), "{text}");
        let text = found(&versions(&[SCHEMA, "20270101000001"])).unwrap_err();
        let both = [
            "does not know: 20270101000001.",
            "whose newest migration is 20270101000000",
            "restore a backup",
        ];
        assert!(both.iter().all(|part| text.contains(part)) && !text.contains(SCHEMA), "{text}");
    }

    #[test]
    fn replaced_versions_are_not_known_and_the_one_that_replaces_them_is_the_first() {
        let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).unwrap();
        let mut known: Vec<String> =
            known.iter().map(|migration| migration.name().version().to_string()).collect();
        known.sort();
        assert_eq!(known[0], SCHEMA);
        assert!(!known.iter().any(|version| REPLACED.contains(&version.as_str())));
        assert!(REPLACED.is_sorted());
        let last = LAST_REPLACED.split_once('_').unwrap().0.replace('-', "");
        assert_eq!(REPLACED.last(), Some(&last.as_str()));
    }
}
