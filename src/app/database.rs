//! Opens the database: `DATABASE_URL`, or the private cluster of the data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::config::Config;
use crate::store::Store;
use crate::store::cluster::{Cluster, ClusterError, ClusterOptions};

/// An open database, and the cluster that ends with it.
pub struct Database {
    /// The pool.
    pub store: Store,
    /// The private cluster, if this process started it.
    pub cluster: Option<Arc<Cluster>>,
    /// Where it is, without a password, for a log line.
    pub described: String,
}

/// Is a database that another process serves good enough?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A server: one per data directory.
    Exclusive,
    /// An import or a training may work beside a running server.
    Attach,
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

/// Opens it and brings its schema up to date. Blocks.
pub fn open(config: &Config, sharing: Sharing) -> anyhow::Result<Database> {
    let database = connect(config, sharing)?;
    let applied = database.store.migrate().context("the database schema could not be brought up to date")?;
    if !applied.is_empty() {
        log::info!("schema migrated migrations={}", applied.join(","));
    }
    Ok(database)
}

/// Opens it as it is. Blocks.
pub fn connect(config: &Config, sharing: Sharing) -> anyhow::Result<Database> {
    let pool_size = config.database.pool_size;
    if !config.database.url.is_empty() {
        let store = Store::connect(&config.database.url, pool_size)?;
        return Ok(Database { store, cluster: None, described: "DATABASE_URL".to_owned() });
    }
    let dir = data_dir(config);
    let options = ClusterOptions::default();
    let described = dir.display().to_string();
    match Cluster::start(&dir, &options) {
        Ok(cluster) => {
            let store = Store::connect(&cluster.url(), pool_size)?;
            Ok(Database { store, cluster: Some(Arc::new(cluster)), described })
        }
        Err(error @ ClusterError::InUse { .. }) if sharing == Sharing::Attach => {
            let url = Cluster::url_of_running(&dir).ok_or(error)?;
            log::info!("using the database of the running server data_dir={described}");
            Ok(Database { store: Store::connect(&url, pool_size)?, cluster: None, described })
        }
        Err(error) => Err(error.into()),
    }
}
