//! The pool of connections, and running work on one of them.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, Pool};
use diesel::{Connection as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use super::error::StoreError;
use super::session::{SESSION_SETTINGS, connect};
use super::watch::Watch;
use crate::encryption::Fields;
use tidings_decision::privacy::encryption::MasterKeys;

/// Longest wait of a caller that has a permit for a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait of a request for a permit: its client is told to come again.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A pool of connections to one database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<ConnectionManager<PgConnection>>,
    /// One permit a connection: waiting for one costs no thread.
    permits: Arc<Semaphore>,
    url: Arc<str>,
    /// The number this process decides under, once it holds the lease.
    holder: Arc<OnceLock<Uuid>>,
    /// Observation of PostgreSQL: answers, or hangs.
    watch: Arc<Watch>,
    /// Encryption of fields.
    fields: Arc<Fields>,
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
            watch: Arc::default(),
            fields: Arc::default(),
        })
    }

    /// A session of one's own, outside the pool. Blocks.
    pub(crate) fn connect_alone(&self) -> Result<PgConnection, StoreError> {
        connect(&self.url)
    }

    /// Begins to ask whether PostgreSQL answers, until the store has gone; for servers, once.
    pub fn keep_asking(&self) {
        self.watch.keep_asking(self.url().to_owned());
    }

    /// Returns whether PostgreSQL takes requests and answers none.
    pub fn hangs(&self) -> bool {
        self.watch.hangs()
    }

    /// Resolves when PostgreSQL hangs; at once if it does already.
    pub async fn until_it_hangs(&self) {
        self.watch.until_it_hangs().await;
    }

    /// URL of the database, with its password: not for logs.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Encrypts fields under these master keys from now on, in every clone; once. `attributes`: names of those of users that are encrypted.
    pub fn encrypt(&self, masters: MasterKeys, attributes: BTreeSet<Box<str>>) {
        self.fields.enable(masters, attributes, &self.url);
    }

    /// Encryption of fields.
    pub fn fields(&self) -> &Arc<Fields> {
        &self.fields
    }

    /// The number this process decides under.
    pub(crate) fn holder(&self) -> Option<Uuid> {
        self.holder.get().copied()
    }

    /// Notes that this process has taken the lease.
    pub(crate) fn note_holder(&self, holder: Uuid) {
        let _ = self.holder.set(holder); // Once a process.
    }

    /// Runs `work` on a blocking thread with a connection of the pool, for somebody who waits for the answer: an error that is temporary
    /// if none is free for [`PATIENCE`]. Waiting holds no thread.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned());
        let permit = permit.await.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::Interrupted)?;
        self.run_with(permit, work).await
    }

    /// The same for work that nobody is told to try again: it waits for a connection as long as it takes.
    pub async fn run_patiently<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Interrupted)?;
        self.run_with(permit, work).await
    }

    async fn run_with<T, F>(&self, permit: OwnedSemaphorePermit, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = store.run_blocking(work);
            drop(permit);
            result
        })
        .await
        .map_err(|_| StoreError::Interrupted)?
    }

    /// Runs `work` on a blocking thread with a session of its own, for work so long that the connections of the pool would be missed.
    /// Whoever calls this bounds how much of it there is at once.
    pub async fn run_alone<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&mut store.connect_alone()?))
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
}
