//! Opens the database: `DATABASE_URL`, or the private cluster of the data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;

use super::master_keys;
use tidings_core::config::Config;
use tidings_store::Store;
use tidings_store::cluster::{Cluster, ClusterError, ClusterOptions};
use tidings_store::lease::{Attempt, Lease};
use tidings_store::link::{self, Link};

/// Longest time a server waits for the one before it to end: a rolling restart.
const HANDOVER_WAIT: Duration = Duration::from_secs(5);
const HANDOVER_POLL: Duration = Duration::from_millis(100);

/// An open database, and the cluster that ends with it.
pub struct Database {
    /// The pool.
    pub store: Store,
    /// The private cluster, if this process started it.
    pub cluster: Option<Arc<Cluster>>,
    /// The right to decide on it: servers only.
    pub lease: Option<Arc<Mutex<Lease>>>,
    /// Location without a password, for a log line.
    pub described: String,
}

/// Use of a database that another process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A server: one a data directory, and one a database.
    Exclusive,
    /// Work beside a running server; without one the database is started, and made if need be.
    Attach,
    /// The same, on what is there: nothing is made.
    Existing,
}

/// The data directory: configured, or `tidings` in the user's data home (XDG Base Directory Specification).
pub fn data_dir(config: &Config) -> PathBuf {
    if !config.server.data_dir.is_empty() {
        return PathBuf::from(&config.server.data_dir);
    }
    let home = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local").join("share")));
    home.unwrap_or_else(|| PathBuf::from("/var/lib")).join("tidings")
}

/// Opens it, brings its schema up to date and switches encryption on if there are master keys; a server takes the lease on it, before anything is changed. Blocks.
pub fn open(config: &Config, sharing: Sharing) -> anyhow::Result<Database> {
    let mut database = connect(config, sharing)?;
    let mut lease = match sharing {
        Sharing::Exclusive => Some(take_lease(&database)?),
        Sharing::Attach | Sharing::Existing => None,
    };
    let applied = database.store.migrate().context("the database schema could not be brought up to date")?;
    if !applied.is_empty() {
        log::info!("schema migrated migrations={}", applied.join(","));
    }
    master_keys::enable(config, &database.store)?;
    if let Some(lease) = &mut lease {
        lease.raise_fence().context("the lease on the database could not be taken")?;
    }
    database.lease = lease.map(|lease| Arc::new(Mutex::new(lease)));
    Ok(database)
}

/// Waits for the server before this one to end, [`HANDOVER_WAIT`] at most.
fn take_lease(database: &Database) -> anyhow::Result<Lease> {
    let begin = Instant::now();
    let mut told = false;
    loop {
        let since = match Lease::try_take(&database.store)? {
            Attempt::Taken(lease) => return Ok(lease),
            Attempt::Held(since) => since.map(|since| format!(" since {since}")).unwrap_or_default(),
        };
        if begin.elapsed() >= HANDOVER_WAIT {
            bail!(
                "another server has been serving this database{since}. Stop it first, or give this one a database of its own \
                 (DATABASE_URL or --data-dir): two would exceed frequency caps and give numbers of streams twice. \
                 import, train and evaluate may run beside a server"
            );
        }
        if !std::mem::replace(&mut told, true) {
            log::warn!(
                "another server serves this database{since}, waiting for it to end database={} wait_s={}",
                database.described,
                HANDOVER_WAIT.as_secs()
            );
        }
        std::thread::sleep(HANDOVER_POLL);
    }
}

/// Refuses, or warns of, a way to PostgreSQL on which others could listen.
fn check_link(store: &Store, require_tls: bool) -> anyhow::Result<()> {
    let fix = "add sslmode=verify-full and sslrootcert=FILE to database.url (sslmode=require encrypts and believes any server)";
    match store.run_blocking(link::of_connection)? {
        Link::Local | Link::Encrypted => Ok(()),
        Link::Open if require_tls => {
            bail!(
                "database.require_tls: the connection to PostgreSQL on another machine is not encrypted; {fix}"
            )
        }
        Link::Open => {
            log::warn!("the connection to PostgreSQL on another machine is not encrypted: {fix}");
            Ok(())
        }
    }
}

/// Opens it as it is. Blocks.
pub fn connect(config: &Config, sharing: Sharing) -> anyhow::Result<Database> {
    let pool_size = config.database.pool_size;
    if !config.database.url.is_empty() {
        let store = Store::connect(&config.database.url, pool_size)?;
        check_link(&store, config.database.require_tls)?;
        return Ok(Database { store, cluster: None, lease: None, described: "DATABASE_URL".to_owned() });
    }
    let dir = data_dir(config);
    let options = ClusterOptions::default();
    let described = dir.display().to_string();
    if sharing == Sharing::Existing && !Cluster::is_made(&dir) {
        bail!(
            "there is no database in {described}: --data-dir, server.data_dir or DATABASE_URL name another, and \
             tidings serve, tidings import or tidings migrate makes one"
        );
    }
    match Cluster::start(&dir, &options) {
        Ok(cluster) => {
            let store = Store::connect(&cluster.url(), pool_size)?;
            Ok(Database { store, cluster: Some(Arc::new(cluster)), lease: None, described })
        }
        Err(error @ ClusterError::InUse { .. }) if sharing != Sharing::Exclusive => {
            let url = Cluster::url_of_running(&dir).ok_or(error)?;
            log::info!("using the database of the running server data_dir={described}");
            Ok(Database { store: Store::connect(&url, pool_size)?, cluster: None, lease: None, described })
        }
        Err(error) => Err(error.into()),
    }
}
