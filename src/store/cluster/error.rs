//! Reasons why there is no private cluster, each with what to do about it.

use std::io;
use std::path::PathBuf;

use crate::postgres::StoreError;

/// Reason for the lack of a private cluster. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No `postgres` with its `initdb` in any directory searched.
    #[error("PostgreSQL was not found; install it: apt-get install postgresql")]
    NotInstalled,
    /// The data were written by another major version; PostgreSQL can't read them.
    #[error(
        "{} was made by PostgreSQL {made_by}, which was not found; install it: apt-get install postgresql-{made_by}",
        directory.display()
    )]
    OtherVersion {
        /// The cluster.
        directory: PathBuf,
        /// Major version.
        made_by: String,
    },
    /// Another server has it.
    #[error("{} is in use by another tidings server (process {pid}); stop it or choose another --data-dir", directory.display())]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// The other server; "unknown" if it did not say.
        pid: String,
    },
    /// Not ours to use.
    #[error("{} belongs to another user; choose another --data-dir", path.display())]
    NotOurs {
        /// Path that belongs to another user.
        path: PathBuf,
    },
    /// Running as root on a machine without a user to run PostgreSQL as.
    #[error(
        "PostgreSQL does not run as root and there is neither a user postgres nor nobody; make one or run as another user"
    )]
    NoAccount,
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// Operation that was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Cause of the failure.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// PostgreSQL ended or was not ready in time; the end of its log.
    #[error("PostgreSQL did not start: {0}")]
    NotReady(String),
    /// It is up, but its database can't be made.
    #[error(transparent)]
    Database(#[from] StoreError),
}

impl ClusterError {
    /// A failed `action` on `path`.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.into(), source }
    }
}

/// The last `n` lines that say something, as one line.
pub(super) fn last_lines(text: &str, n: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let skipped = lines.len().saturating_sub(n);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join(" | ")
}
