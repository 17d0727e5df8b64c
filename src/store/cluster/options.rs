//! Options of a private cluster.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::binaries;

/// Files that state the memory limit of a container, bytes: of control groups version 2 and 1. No number = no limit.
const CONTAINER_LIMITS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

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
    /// Durable, 64 connections, a 32nd of the memory as cache, the usual directories, 2 minutes.
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

/// A 32nd of the memory, 128 to 1,024 MB; 128 MB where that is not told. Modest: the server, its training and the file system's cache
/// live on the same machine, and PostgreSQL touches only what it uses.
fn cache_mb() -> u32 {
    // SAFETY: sysconf(3) with numbers only; -1 where something is not known.
    let (pages, bytes) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let machine = u64::try_from(pages).unwrap_or(0).saturating_mul(u64::try_from(bytes).unwrap_or(0));
    let limit = CONTAINER_LIMITS.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    share_mb(limit.unwrap_or(u64::MAX).min(machine))
}

fn share_mb(bytes: u64) -> u32 {
    u32::try_from(bytes / (1 << 20) / 32).unwrap_or(u32::MAX).clamp(128, 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_a_share_of_the_memory_within_bounds() {
        let of_gib = |gib: u64| share_mb(gib << 30);
        assert_eq!([0, 1, 4, 16, 32, 512].map(of_gib), [128, 128, 128, 512, 1_024, 1_024]);
    }
}
