//! Settings of a session, and transactions.

use std::cell::Cell;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::sql_types::BigInt;
use diesel::{Connection as _, PgConnection, RunQueryDsl};

use super::error::StoreError;
use super::sql::sql;

/// Initial settings of every session. The time limit ends a query that would hold a connection for ever; long work
/// lifts it with [`without_time_limit`].
pub(crate) const SESSION_SETTINGS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'; SET application_name = 'tidings'; \
     SET client_min_messages = warning";

/// Opens a session outside of any pool. Blocks.
pub(crate) fn connect(url: &str) -> Result<PgConnection, StoreError> {
    let mut conn =
        PgConnection::establish(url).map_err(|error| StoreError::connect(url, &error.to_string()))?;
    conn.batch_execute(SESSION_SETTINGS)?;
    Ok(conn)
}

thread_local! {
    /// The transaction that [`in_transaction`] runs on this thread.
    static OPEN: Cell<Open> = const { Cell::new(Open::No) };
}

/// State of the transaction of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// None, or one of another kind.
    No,
    /// Its commit waits until it is on disk.
    Plain,
    /// A statement after it waits instead.
    FlushedAfter,
}

/// Ends the state, however the transaction ends; what was before, of another connection, holds again.
struct Opened(Open);

impl Opened {
    fn begin() -> Self {
        Self(OPEN.replace(Open::Plain))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        OPEN.set(self.0);
    }
}

/// Runs `work` in one transaction: all of it is committed or none of it.
pub fn in_transaction<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if is_in_transaction(conn) {
        return conn.transaction(work);
    }
    let opened = Opened::begin();
    let done = conn.transaction(work)?;
    if OPEN.get() == Open::FlushedAfter {
        // A commit that waits for the disk, and for standbys, has all commits before it wait with it.
        conn.batch_execute("SELECT pg_logical_emit_message(true, 'tidings', '')")?;
    }
    drop(opened);
    Ok(done)
}

fn is_in_transaction(conn: &mut PgConnection) -> bool {
    let status = AnsiTransactionManager::transaction_manager_status_mut(conn);
    // A broken one is refused by whatever comes.
    status.transaction_depth().is_ok_and(|depth| depth.is_some())
}

/// Takes an advisory lock that is held until the commit. In [`in_transaction`] the commit then gives it back before it is on disk, which
/// is waited for afterwards: commits that follow one another under the lock reach the disk together.
pub(crate) fn lock_until_commit(conn: &mut PgConnection, key: i64) -> Result<(), StoreError> {
    if OPEN.get() == Open::No {
        sql::<()>("SELECT pg_advisory_xact_lock(?)").bind::<BigInt, _>(key).execute(conn)?;
        return Ok(());
    }
    sql::<()>("SELECT set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock(?)")
        .bind::<BigInt, _>(key)
        .execute(conn)?;
    OPEN.set(Open::FlushedAfter);
    Ok(())
}

/// Work of whoever asked for a change, done in the transaction of the change once that is made.
pub type Along<T> = Box<dyn FnOnce(&mut PgConnection, &T) -> Result<(), StoreError> + Send>;

/// Runs `work` in a transaction without the session's time limit: training, import, index builds.
pub fn without_time_limit<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.transaction(|conn| {
        conn.batch_execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0",
        )?;
        work(conn)
    })
}
