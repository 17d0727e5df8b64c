//! The way between the server and PostgreSQL.

use diesel::sql_types::Bool;
use diesel::{PgConnection, QueryableByName, RunQueryDsl};

use super::error::StoreError;

/// Exposure of the way to PostgreSQL to listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nobody: a Unix socket or the loopback interface.
    Local,
    /// Nobody: TLS.
    Encrypted,
    /// Anybody between the two machines.
    Open,
}

#[derive(QueryableByName)]
struct Seen {
    #[diesel(sql_type = Bool)]
    is_encrypted: bool,
    #[diesel(sql_type = Bool)]
    is_local: bool,
}

/// Link of this connection, as PostgreSQL sees it: with a pooler in between, the pooler's.
pub fn of_connection(connection: &mut PgConnection) -> Result<Link, StoreError> {
    let seen: Seen = diesel::sql_query(
        "SELECT COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS is_encrypted, \
         COALESCE(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() <<= '::1', true) AS is_local",
    )
    .get_result(connection)?;
    Ok(match (seen.is_encrypted, seen.is_local) {
        (true, _) => Link::Encrypted,
        (false, true) => Link::Local,
        (false, false) => Link::Open,
    })
}
