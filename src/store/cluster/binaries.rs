//! Location of PostgreSQL's programs on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ClusterError;

/// Usual directories of distributions; `*` is a version.
const USUAL: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/bin",
];

/// A directory with `postgres` and `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    directory: PathBuf,
}

/// `PATH`, then the usual directories, the newest version first.
pub(super) fn usual_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    for pattern in USUAL {
        directories.extend(expand(pattern));
    }
    directories
}

/// Directories that match `pattern`, which has one `*` at most, the highest number in its place first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![pattern.into()] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((version, entry.path().join(after.trim_start_matches('/'))))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// Every installation among `search`, in its order.
pub(super) fn all(search: &[PathBuf]) -> Vec<Binaries> {
    let mut found: Vec<Binaries> = Vec::new();
    for directory in search {
        // Through links (Debian's /usr/local/bin, alternatives): PostgreSQL finds its libraries relative to itself.
        let Ok(postgres) = directory.join("postgres").canonicalize() else { continue };
        let Some(directory) = postgres.parent().filter(|directory| directory.join("initdb").is_file()) else {
            continue;
        };
        let binaries = Binaries { directory: directory.into() };
        if !found.contains(&binaries) {
            found.push(binaries);
        }
    }
    found
}

impl Binaries {
    /// The first installation that can read `cluster_dir`; any, when there is no cluster yet.
    pub(super) fn find(search: &[PathBuf], cluster_dir: &Path) -> Result<Self, ClusterError> {
        let installed = all(search);
        let Ok(made_by) = fs::read_to_string(cluster_dir.join("PG_VERSION")) else {
            return installed.into_iter().next().ok_or(ClusterError::NotInstalled);
        };
        let made_by = made_by.trim().to_owned();
        installed
            .into_iter()
            .find(|binaries| binaries.major_version().as_deref() == Some(made_by.as_str()))
            .ok_or_else(|| ClusterError::OtherVersion { directory: cluster_dir.into(), made_by })
    }

    /// For example "15".
    fn major_version(&self) -> Option<String> {
        let output = Command::new(self.directory.join("postgres")).arg("--version").output().ok()?;
        major_version(&String::from_utf8_lossy(&output.stdout))
    }

    pub(super) fn initdb_path(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn initdb(&self) -> Command {
        command(&self.initdb_path())
    }

    pub(super) fn postgres(&self) -> Command {
        command(&self.directory.join("postgres"))
    }
}

/// Nothing of our environment: a stray PGDATA or LC_ALL would change what is made.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// From `postgres (PostgreSQL) 15.18 (Debian …)`; betas are `17beta1`.
fn major_version(text: &str) -> Option<String> {
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(version.chars().take_while(char::is_ascii_digit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        for (text, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some("15")),
            ("postgres (PostgreSQL) 17beta1", Some("17")),
            ("no such thing", None),
        ] {
            assert_eq!(major_version(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "17", "15"] {
            fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let found = expand(&format!("{}/*/bin", root.path().display()));
        let names: Vec<_> = found.iter().map(|path| path.parent().unwrap().file_name().unwrap()).collect();
        assert_eq!(names, ["17", "15", "9.6"]);
    }
}
