//! As whom PostgreSQL runs: as ourselves, or for root as a user that is not.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::ClusterError;

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
    /// Ourselves: nothing to switch.
    own: bool,
}

impl Account {
    /// Ourselves, unless root; then the owner of an existing `cluster_dir`, `postgres` or `nobody`.
    pub(super) fn choose(cluster_dir: &Path) -> Result<Self, ClusterError> {
        // SAFETY: both calls only read the process's ids and can't fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let owner = fs::metadata(cluster_dir).ok().map(|metadata| (metadata.uid(), metadata.gid()));
        if uid != 0 {
            return match owner {
                Some((owner, _)) if owner != uid => Err(ClusterError::NotOurs { path: cluster_dir.into() }),
                _ => Ok(Self { uid, gid, own: true }),
            };
        }
        if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) {
            return Ok(Self { uid, gid, own: false });
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| ids_of(&users, name))
            .map(|(uid, gid)| Self { uid, gid, own: false })
            .ok_or(ClusterError::NoAccount)
    }

    /// Makes `command` run as this user.
    pub(super) fn apply(self, command: &mut Command) {
        if !self.own {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives it a file or directory.
    pub(super) fn give(self, path: &Path) -> Result<(), ClusterError> {
        if self.own {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(ClusterError::file("change the owner of", path))
    }

    /// Returns whether it may pass through every directory down to and including `directory`. A checkout below /root, for one, is
    /// closed to everybody else.
    pub(super) fn can_reach(self, directory: &Path) -> bool {
        if self.own {
            return true;
        }
        directory.ancestors().all(|ancestor| {
            let Ok(metadata) = fs::metadata(ancestor) else { return false };
            let bit = if metadata.uid() == self.uid {
                0o100
            } else if metadata.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            metadata.mode() & bit != 0
        })
    }
}

/// uid and gid of `name` in the text of /etc/passwd.
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Returns whether we ourselves may write there.
pub(super) fn writable(directory: &Path) -> bool {
    CString::new(directory.as_os_str().as_bytes())
        // SAFETY: a NUL-terminated string that outlives the call.
        .is_ok_and(|path| unsafe { libc::access(path.as_ptr(), libc::W_OK) } == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_user_list() {
        let users = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533::/:/usr/sbin/nologin\n";
        assert_eq!(ids_of(users, "nobody"), Some((65534, 65533)));
        assert_eq!(ids_of(users, "postgres"), None);
    }

    #[test]
    fn a_closed_directory_is_out_of_reach_for_others() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let other = Account { uid: 4_000_000, gid: 4_000_000, own: false };
        for (mode, reachable) in [(0o700, false), (0o711, true)] {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(other.can_reach(directory.path()), reachable, "{mode:o}");
        }
    }
}
