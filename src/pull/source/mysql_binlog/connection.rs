//! Connections to the server, and what its faults mean.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::source::SourceError;

/// Longest wait for a connection, its login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection whose times are UTC.
pub(super) async fn connect(url: &str) -> Result<Conn, SourceError> {
    let opts = Opts::from_url(url).map_err(|error| {
        SourceError::Wrong(format!("mysql-binlog.url: {error}; such as mysql://user:password@host:3306/shop"))
    })?;
    if opts.db_name().is_none() {
        return Err(SourceError::Wrong(
            "mysql-binlog.url: names no database, such as mysql://user@host:3306/shop".to_owned(),
        ));
    }
    let opts = OptsBuilder::from_opts(opts).prefer_socket(false).tcp_keepalive(Some(Duration::from_secs(30)));
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, Conn::new(opts)).await;
    let mut conn = connected.map_err(|_| SourceError::away("MySQL", "does not answer"))?.map_err(away)?;
    conn.query_drop("SET time_zone = '+00:00'").await.map_err(away)?;
    Ok(conn)
}

/// Faults of the login, of rights and of a log that is gone are told with their cure; everything else may pass.
pub(super) fn away(error: mysql_async::Error) -> SourceError {
    let mysql_async::Error::Server(server) = &error else { return SourceError::away("MySQL", error) };
    match server.code {
        1044 | 1045 | 1049 => SourceError::Wrong(format!("mysql-binlog.url: {}", server.message)),
        1142 | 1227 => SourceError::Wrong(format!(
            "{}; grant SELECT and LOCK TABLES on the database, and REPLICATION SLAVE and REPLICATION CLIENT (MariaDB: BINLOG \
             MONITOR) on *.*",
            server.message
        )),
        1236 => SourceError::Wrong(format!(
            "the log does not reach back to the stored position ({}): what lies between is lost to the log. Remove the state \
             file to begin with a snapshot",
            server.message
        )),
        _ => SourceError::away("MySQL", error),
    }
}
