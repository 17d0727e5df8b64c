//! One server at a time decides on a database. Frequency caps and the numbers of streams are kept in the memory of user
//! actors: a second server would count and number anew.
//!
//! Two halves. The **lock**, a session-level advisory lock on a connection of its own, keeps a second server from starting;
//! PostgreSQL frees it when the connection ends, so that nothing is left behind by a crash. The **fence** is for a server that
//! has lost that connection, does not know yet, and still has transactions under way: whoever takes the lease writes its
//! number into `server.holder`, and each transaction that stores decisions and messages, or accepts the shop's, locks that row with
//! its own ([`super::decision_log::insert`], [`hold`]). The new server waits for those that have begun and reads what they stored; those that come later are
//! refused. A fencing token as in Kleppmann, *How to do distributed locking* (2016), held by the same database as the data.

use diesel::connection::SimpleConnection;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::convert::from_pg;
use crate::postgres::sql::sql;
use crate::postgres::{Store, StoreError};
use tidings_core::base::Timestamp;

/// Key of the advisory lock ("tidhold" in ASCII); such locks are a database's own.
const LOCK: i64 = 0x0074_6964_686f_6c64;
/// A machine that vanished frees the lock after some ten seconds instead of the hours of TCP's default; over a unix socket
/// these mean nothing.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
     SET idle_session_timeout = 0; SET application_name = 'tidings lease'";

/// Outcome of an attempt.
pub enum Attempt {
    /// It is ours.
    Taken(Lease),
    /// Another server has had it since then, as far as PostgreSQL tells.
    Held(Option<Timestamp>),
}

/// The right to decide on a database, as long as this lives.
pub struct Lease {
    connection: PgConnection,
    store: Store,
    holder: Uuid,
}

/// State of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The connection lives, or another was made and nobody has decided in between.
    Held,
    /// PostgreSQL can't be reached. Nobody else can take it there either, and nothing is stored.
    Unknown,
    /// Another server decides now, or has done so in between: what is held in memory is out of date.
    Lost,
}

impl Lease {
    /// Tries to take it, without waiting. The schema need not be up to date. Blocks.
    pub fn try_take(store: &Store) -> Result<Attempt, StoreError> {
        let mut connection = connect(store)?;
        if lock(&mut connection)? {
            return Ok(Attempt::Taken(Self { connection, store: store.clone(), holder: Uuid::now_v7() }));
        }
        Ok(Attempt::Held(held_since(&mut connection)?))
    }

    /// From now on only this server's transactions store decisions and messages. Waits for those of its predecessor that
    /// have begun. Needs the schema.
    pub fn raise_fence(&mut self) -> Result<(), StoreError> {
        sql::<()>("UPDATE server SET holder = ?, held_since = now()")
            .bind::<SqlUuid, _>(self.holder)
            .execute(&mut self.connection)?;
        self.store.note_holder(self.holder);
        Ok(())
    }

    /// Asks PostgreSQL, and takes the lock again where the connection was lost: after a restart of the database. Blocks.
    pub fn check(&mut self) -> Standing {
        if sql::<()>("SELECT 1").execute(&mut self.connection).is_ok() {
            return Standing::Held;
        }
        match self.take_again() {
            Ok(standing) => standing,
            Err(_) => Standing::Unknown,
        }
    }

    fn take_again(&mut self) -> Result<Standing, StoreError> {
        let mut connection = connect(&self.store)?;
        if !lock(&mut connection)? {
            return Ok(Standing::Lost);
        }
        if !is_holder(&mut connection, self.holder)? {
            return Ok(Standing::Lost);
        }
        self.connection = connection;
        log::info!("lease on the database taken again");
        Ok(Standing::Held)
    }
}

/// Moment since which a server holds the lease on the database; `None` while none does.
pub fn held_since(connection: &mut PgConnection) -> Result<Option<Timestamp>, StoreError> {
    let since = sql::<Timestamptz>(
        "SELECT a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'tidings lease' \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .load::<PgTimestamp>(connection)?;
    Ok(since.into_iter().next().map(from_pg))
}

fn connect(store: &Store) -> Result<PgConnection, StoreError> {
    let mut connection = store.connect_alone()?;
    connection.batch_execute(KEEPALIVE)?;
    Ok(connection)
}

fn lock(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let taken = diesel::select(diesel::dsl::sql::<Bool>(&format!("pg_try_advisory_lock({LOCK})")))
        .get_result(connection);
    Ok(taken?)
}

/// Refuses a transaction of a server whose lease another has taken ([`StoreError::LeaseLost`]); until it ends nobody takes it. No
/// check where none was taken.
pub fn hold(connection: &mut PgConnection, store: &Store) -> Result<(), StoreError> {
    let Some(holder) = store.holder() else { return Ok(()) };
    let ours = sql::<Integer>("SELECT 1 FROM server WHERE holder = ? FOR SHARE")
        .bind::<SqlUuid, _>(holder)
        .load::<i32>(connection)?;
    if ours.is_empty() { Err(StoreError::LeaseLost) } else { Ok(()) }
}

/// Refuses what was read before by a server whose lease another has taken ([`StoreError::LeaseLost`]): rows that the other has
/// stored since may be among it, and nobody would learn that this one showed them. No check where none was taken.
pub fn confirm_read(connection: &mut PgConnection, store: &Store) -> Result<(), StoreError> {
    match store.holder() {
        Some(holder) if !is_holder(connection, holder)? => Err(StoreError::LeaseLost),
        _ => Ok(()),
    }
}

/// Returns whether `server.holder` is this one.
fn is_holder(connection: &mut PgConnection, holder: Uuid) -> Result<bool, StoreError> {
    let rows = sql::<Integer>("SELECT 1 FROM server WHERE holder = ?")
        .bind::<SqlUuid, _>(holder)
        .load::<i32>(connection)?;
    Ok(!rows.is_empty())
}
