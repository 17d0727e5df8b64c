//! Location of a private cluster on disk, and the lock that keeps a second server out.
//!
//! `DATA_DIR/tidings.lock`, `DATA_DIR/postgres` (the cluster) and `DATA_DIR/postgres.log`. When root's data directory is
//! out of reach for the user that PostgreSQL runs as (a checkout below /root), `DATA_DIR/postgres` is a link to a
//! directory of its own below `/var/lib/tidings`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::{self, Account};
use super::error::ClusterError;

/// Names the socket file; there is no network port.
pub(super) const PORT: u16 = 5432;
/// Clusters of data directories that another user can't reach.
const ELSEWHERE: &str = "/var/lib/tidings";
/// Longest path of a unix socket: 108 bytes with its NUL (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The directories of one cluster; holds the lock.
#[derive(Debug)]
pub(super) struct Place {
    data_dir: PathBuf,
    cluster_dir: PathBuf,
    socket_dir: PathBuf,
    account: Account,
    /// Locked as long as it is open; the kernel lets go when the process ends, however it ends.
    lock: File,
}

impl Place {
    /// Makes the data directory if need be and locks it.
    pub(super) fn take(data_dir: &Path) -> Result<Self, ClusterError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(data_dir)
            .map_err(ClusterError::file("make the directory", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(ClusterError::file("find", data_dir))?;
        if !account::writable(&data_dir) {
            return Err(ClusterError::NotOurs { path: data_dir });
        }
        let lock = lock(&data_dir)?;
        let link = data_dir.join("postgres");
        let account = Account::choose(&link)?;
        let cluster_dir = match link.canonicalize() {
            Ok(there) => there,
            Err(_) if account.can_reach(&data_dir) => link,
            Err(_) => make_elsewhere(&data_dir, &link, account)?,
        };
        let socket_dir = socket_dir(&cluster_dir);
        Ok(Self { data_dir, cluster_dir, socket_dir, account, lock })
    }

    pub(super) fn cluster_dir(&self) -> &Path {
        &self.cluster_dir
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    pub(super) fn is_initialised(&self) -> bool {
        self.cluster_dir.join("PG_VERSION").is_file()
    }

    /// An empty directory beside the cluster's place, without what an interrupted one left there.
    pub(super) fn make_unfinished(&self) -> Result<PathBuf, ClusterError> {
        let unfinished = self.cluster_dir.with_file_name("postgres.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(ClusterError::file("remove", &unfinished))?;
        }
        make_private(&unfinished, self.account)?;
        Ok(unfinished)
    }

    /// Moves a finished cluster to its place.
    pub(super) fn finish(&self, unfinished: &Path) -> Result<(), ClusterError> {
        // rename() replaces an empty directory; one with anything in it is not ours to remove.
        fs::rename(unfinished, &self.cluster_dir)
            .map_err(ClusterError::file("move the new cluster to", &self.cluster_dir))
    }

    /// Makes the socket's directory, unless it is the cluster itself.
    pub(super) fn prepare_socket_dir(&self) -> Result<(), ClusterError> {
        if self.socket_dir == self.cluster_dir {
            return Ok(());
        }
        match fs::symlink_metadata(&self.socket_dir) {
            Err(_) => make_private(&self.socket_dir, self.account),
            // Below /tmp anyone may have made it: then they would be who we talk to.
            Ok(metadata)
                if metadata.is_dir()
                    && metadata.uid() == self.account.uid
                    && metadata.mode() & 0o777 == 0o700 =>
            {
                Ok(())
            }
            Ok(_) => Err(ClusterError::NotOurs { path: self.socket_dir.clone() }),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.socket_dir != self.cluster_dir {
            // Only empty ones go; a socket still there means that PostgreSQL is, too.
            let _ = fs::remove_dir(&self.socket_dir);
        }
        // Closing would not do: a process that another thread forks at this moment holds the same open file until it
        // execs, and the lock with it (flock(2)).
        let _ = self.lock.unlock();
    }
}

fn lock(data_dir: &Path) -> Result<File, ClusterError> {
    let path = data_dir.join("tidings.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(ClusterError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = pid.trim();
            return Err(ClusterError::InUse {
                directory: data_dir.into(),
                pid: if pid.is_empty() { "unknown".into() } else { pid.into() },
            });
        }
        Err(TryLockError::Error(source)) => return Err(ClusterError::file("lock", &path)(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(ClusterError::file("write", &path))?;
    Ok(file)
}

/// The cluster itself, or a short directory below /tmp when a socket in it would have too long a path.
pub(super) fn socket_dir(cluster_dir: &Path) -> PathBuf {
    let socket_name = format!("/.s.PGSQL.{}", PORT);
    if cluster_dir.as_os_str().len() + socket_name.len() <= MAX_SOCKET_PATH {
        return cluster_dir.into();
    }
    PathBuf::from(format!("/tmp/tidings-{}", short_hash(cluster_dir.as_os_str().as_bytes())))
}

/// 64 bits of SHA-256 in hexadecimal.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A new directory below [`ELSEWHERE`] and the link to it. Its name is never used again, so that a data directory that
/// was deleted and made anew starts empty.
fn make_elsewhere(data_dir: &Path, link: &Path, account: Account) -> Result<PathBuf, ClusterError> {
    let moment = tidings_core::base::Timestamp::now().as_seconds();
    let parent =
        Path::new(ELSEWHERE).join(format!("{}-{moment}", short_hash(data_dir.as_os_str().as_bytes())));
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&parent)
        .map_err(ClusterError::file("make the directory", &parent))?;
    let there = parent.join("postgres");
    make_private(&there, account)?;
    // A link to a directory that is gone.
    let _ = fs::remove_file(link);
    symlink(&there, link).map_err(ClusterError::file("link", link))?;
    log::info!(
        "{} is closed to PostgreSQL's user; its cluster is in {}",
        data_dir.display(),
        there.display()
    );
    Ok(there)
}

/// A directory of mode 0700 that belongs to `account`.
fn make_private(directory: &Path, account: Account) -> Result<(), ClusterError> {
    DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .map_err(ClusterError::file("make the directory", directory))?;
    account.give(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_gets_a_short_socket() {
        let short = PathBuf::from("/var/lib/x/postgres");
        assert_eq!(socket_dir(&short), short);
        let long = PathBuf::from(format!("/{}/postgres", "x".repeat(100)));
        assert!(socket_dir(&long).as_os_str().len() < 40);
        assert_ne!(socket_dir(&long), socket_dir(&long.join("y")));
    }
}
