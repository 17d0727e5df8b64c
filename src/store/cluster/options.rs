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
    /// Durable, 64 connections, a 32nd of the machine's memory as cache, the usual directories, 2 minutes.
    fn default() -> Self {
        Self {
            durable: true,
            max_connections: 64,
            shared_buffers_mb: cache_mb(),
            search: binaries::usual_directories(),
            start_timeout: Duration::from_secs(120),
        }
    }
}

/// A 32nd of the machine's memory, 128 to 1,024 MB; 128 MB where that is not told. Modest: the server, its training and the file system's
/// cache live on the same machine, and PostgreSQL touches only what it uses.
fn cache_mb() -> u32 {
    // SAFETY: sysconf(3) with numbers only; -1 where something is not known.
    let (pages, bytes) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let memory_mb = pages.max(0).saturating_mul(bytes.max(0)) / (1 << 20);
    u32::try_from(memory_mb / 32).unwrap_or(u32::MAX).clamp(128, 1_024)
}
