//! Settings of a session, and transactions.

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection};

use super::error::StoreError;

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

/// Runs `work` in one transaction: all of it is committed or none of it.
pub fn in_transaction<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.transaction(work)
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
