//! PostgreSQL through diesel: a pool, migrations inside the binary, one file per table. Functions take a
//! connection and a whole batch; the shell runs them through [`Store::run`], which never blocks an arbiter.
//!
//! Batches travel as arrays (`UNNEST`), one statement a batch: measured 3 times as fast as multi-row `VALUES`.

pub mod acknowledgements;
mod append;
mod background;
pub mod broadcasts;
pub mod bulk;
pub mod cleaning;
pub mod cluster;
pub mod consents;
pub mod conversions;
mod convert;
mod copy_out;
pub mod decisions;
pub mod definitions;
mod error;
pub mod events;
pub mod experiments;
pub mod feedback;
pub mod fired_once;
pub mod held;
pub mod idempotency;
pub mod inbox;
pub mod item_prices;
pub mod items;
pub mod jobs;
pub mod learner;
pub mod lease;
pub mod limits;
mod migrations;
pub mod models;
mod names;
pub mod notifications;
pub mod outbox;
pub mod outcomes;
pub mod preferences;
mod priority;
pub mod propensity;
pub mod push_keys;
pub mod push_outbox;
pub mod push_subscriptions;
pub mod rules;
pub mod said;
pub mod schema;
pub mod server;
mod sql;
pub mod timeline;
mod training_events;
pub mod user_features;
mod user_states;
pub mod users;
mod writer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, Pool};
use diesel::{Connection as _, PgConnection};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// What every function of this module works on.
pub use diesel::PgConnection as Connection;
pub use error::StoreError;
pub use migrations::MIGRATIONS;
pub use priority::{process_stands_back, thread_stands_back};
pub use writer::Writer;

/// How long a caller waits for a free connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// What every session starts with. The time limit ends a query that would hold a connection for ever; long work
/// lifts it with [`without_time_limit`].
const SESSION_SETTINGS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'; SET application_name = 'tidings'; \
     SET client_min_messages = warning";

/// A pool of connections to one database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<ConnectionManager<PgConnection>>,
    /// One permit a connection: waiting for one costs no thread.
    permits: Arc<Semaphore>,
    url: Arc<str>,
    /// The number this process decides under, once it holds the lease.
    holder: Arc<OnceLock<Uuid>>,
}

#[derive(Debug)]
struct Session;

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for Session {
    fn on_acquire(&self, conn: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        conn.batch_execute(SESSION_SETTINGS).map_err(diesel::r2d2::Error::QueryError)
    }
}

impl Store {
    /// Opens `pool_size` (≥ 1) connections. Blocks for some milliseconds; an unreachable server or a wrong
    /// password is an error at once. The error never shows the password.
    pub fn connect(url: &str, pool_size: u32) -> Result<Self, StoreError> {
        // The pool retries in silence until its time limit; a first connection of our own says why not.
        PgConnection::establish(url).map_err(|error| StoreError::connect(url, &error.to_string()))?;
        let pool_size = pool_size.max(1);
        let pool = Pool::builder()
            .max_size(pool_size)
            .connection_timeout(CONNECTION_TIMEOUT)
            .connection_customizer(Box::new(Session))
            .error_handler(Box::new(NopErrorHandler))
            .build(ConnectionManager::new(url))
            .map_err(|error| StoreError::connect(url, &error.to_string()))?;
        Ok(Self {
            pool,
            permits: Arc::new(Semaphore::new(pool_size as usize)),
            url: url.into(),
            holder: Arc::default(),
        })
    }

    /// A session of one's own, outside the pool. Blocks.
    fn connect_alone(&self) -> Result<PgConnection, StoreError> {
        let mut conn = PgConnection::establish(&self.url)
            .map_err(|error| StoreError::connect(&self.url, &error.to_string()))?;
        conn.batch_execute(SESSION_SETTINGS)?;
        Ok(conn)
    }

    /// Where the database is, with its password: not for logs.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn holder(&self) -> Option<Uuid> {
        self.holder.get().copied()
    }

    fn note_holder(&self, holder: Uuid) {
        let _ = self.holder.set(holder); // Once a process.
    }

    /// Runs `work` on a blocking thread with a connection of the pool; waits for one without holding a thread.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Interrupted)?;
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = store.run_blocking(work);
            drop(permit);
            result
        })
        .await
        .map_err(|_| StoreError::Interrupted)?
    }

    /// Runs `work` on this thread; for threads of one's own, never inside an actor or a handler.
    pub fn run_blocking<T>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = self.pool.get().map_err(|error| StoreError::connect(&self.url, &error.to_string()))?;
        work(&mut conn)
    }

    /// Applies what the database lacks and names it, in order; empty when it is up to date. Each migration is
    /// one transaction: one that can't run leaves the state before it and says why. Two servers that start
    /// together take turns. Blocks.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.run_blocking(migrations::run_pending)
    }
}

/// Runs `work` in one transaction: all of it is committed or none of it.
pub fn in_transaction<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.transaction(work)
}

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
