//! Options of a private cluster.

use std::path::PathBuf;
use std::time::Duration;

use super::binaries;

/// Settings for finding and running a private cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// False only for tests: a crash of the machine may then lose everything (no fsync).
    pub durable: bool,
    /// Most connections at once.
    pub max_connections: u32,
    /// PostgreSQL's own cache, in MB.
    pub shared_buffers_mb: u32,
    /// Directories looked through for `postgres` and `initdb`, in order.
    pub search: Vec<PathBuf>,
    /// Longest duration of a start, crash recovery included.
    pub start_timeout: Duration,
}

impl Default for ClusterOptions {
    /// Durable, 64 connections, 128 MB, the usual directories, 2 minutes.
    fn default() -> Self {
        Self {
            durable: true,
            max_connections: 64,
            shared_buffers_mb: 128,
            search: binaries::usual_directories(),
            start_timeout: Duration::from_secs(120),
        }
    }
}
