//! Reading that takes long and must not take from those who are being served: a session of its own, on one core, and
//! where PostgreSQL runs on this machine with a lower priority than the sessions that commit.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::error::StoreError;
use super::pool::Store;
use super::priority::let_stand_back;
use super::sql::sql;

impl Store {
    /// Runs `work` on this thread with a session that stands back as far as `niceness` says (nice(2)). For reading only: one
    /// that writes would hold locks of the log that commits wait for, and be slow to let go.
    pub fn read_in_background<T>(
        &self,
        niceness: i32,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = self.connect_alone()?;
        conn.batch_execute(
            "SET application_name = 'tidings background'; SET max_parallel_workers_per_gather = 0; \
             SET default_transaction_read_only = on",
        )?;
        let local = sql::<Integer>("SELECT pg_backend_pid() WHERE inet_server_addr() IS NULL")
            .load::<i32>(&mut conn)?;
        local.into_iter().for_each(|pid| lower_priority(pid, niceness));
        work(&mut conn)
    }
}

/// Lowers the priority of a PostgreSQL process of this machine, if it is one and we may.
fn lower_priority(pid: i32, niceness: i32) {
    let is_postgres =
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"postgres: "));
    if is_postgres {
        // Refused for a process of somebody else's: it keeps its priority.
        let _ = let_stand_back(pid, niceness);
    }
}
