//! Migrations inside the binary.

use diesel::connection::SimpleConnection;
use diesel::{PgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::StoreError;
use super::pool::Store;
use super::session::SESSION_SETTINGS;

/// `migrations/`, as of the build.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Key of the advisory lock under which migrations run ("tidings" in ASCII).
const LOCK: i64 = 0x0074_6964_696e_6773;

impl Store {
    /// Applies what the database lacks and names it, in order; empty when it is up to date. Each migration is
    /// one transaction: one that can't run leaves the state before it and says why. Two servers that start
    /// together take turns. Blocks.
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
    let failed = |name: String, reason: String| StoreError::Migration { name, reason };
    let pending = conn
        .pending_migrations(MIGRATIONS)
        .map_err(|error| failed("(list of migrations)".into(), error.to_string()))?;
    let mut applied = Vec::with_capacity(pending.len());
    for migration in &pending {
        let name = migration.name().to_string();
        conn.run_migration(migration).map_err(|error| failed(name.clone(), error.to_string()))?;
        log::info!("migration applied name={name}");
        applied.push(name);
    }
    Ok(applied)
}
