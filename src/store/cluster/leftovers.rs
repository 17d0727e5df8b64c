//! Processes that a killed server or postmaster left running on a cluster. We hold the lock of the data directory, so
//! none of them serves anybody.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval between checks whether a process has ended.
const POLL: Duration = Duration::from_millis(5);

/// Ends every PostgreSQL process on `cluster_dir` and removes a `postmaster.pid` that no process stands behind. Returns
/// when they are gone; at most about 40 s.
pub(super) fn stop(cluster_dir: &Path) {
    let pid_file = cluster_dir.join("postmaster.pid");
    if !pid_file.exists() {
        return;
    }
    // A fast shutdown by the postmaster leaves nothing to recover; its children, when it is gone, end by themselves as
    // soon as they notice. Harsher if that takes long.
    for (signal, patience) in [(libc::SIGINT, 20), (libc::SIGQUIT, 10), (libc::SIGKILL, 10)] {
        let running = processes(cluster_dir);
        if running.is_empty() {
            break;
        }
        log::warn!("ending what a killed server left signal={signal} processes={running:?}");
        for pid in running {
            // SAFETY: sends a signal; touches no memory.
            unsafe { libc::kill(pid, signal) };
        }
        let deadline = Instant::now() + Duration::from_secs(patience);
        while !processes(cluster_dir).is_empty() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
    // PostgreSQL would remove it by itself, unless its process id is another program's by now: after a restart of a
    // container it nearly always is.
    if processes(cluster_dir).is_empty() {
        let _ = fs::remove_file(&pid_file);
    }
}

/// PostgreSQL processes (`postgres`, on some systems `postmaster`) whose working directory is `cluster_dir`: the postmaster and its children.
fn processes(cluster_dir: &Path) -> Vec<libc::pid_t> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| {
            fs::read_link(entry.path().join("cwd")).is_ok_and(|directory| directory == cluster_dir)
                && fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.starts_with("post"))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
