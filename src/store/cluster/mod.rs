//! A private PostgreSQL in the data directory: found on the machine, made, tuned, started, stopped, recovered.
//!
//! It listens on a unix socket in a directory of mode 0700 and nowhere else, and lives as long as the server: a thread
//! waits on it, and the kernel ends it when that thread dies (`PR_SET_PDEATHSIG`). When it ends by itself, it can be
//! started again under the running server. PostgreSQL refuses to run as root, so
//! for root it runs as `postgres` or `nobody`. Cold start about 1 s, warm about 0.1 s.

mod account;
mod binaries;
mod error;
mod leftovers;
mod options;
mod place;
mod postmaster;
mod settings;

use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::binaries::Binaries;
use self::error::last_lines;
use self::place::Place;
use self::postmaster::Postmaster;
use crate::postgres::StoreError;

pub use error::ClusterError;
pub use options::ClusterOptions;

/// The database and the role in a private cluster.
const NAME: &str = "tidings";

/// A running private cluster; stops when dropped.
#[derive(Debug)]
pub struct Cluster {
    // Fields drop in this order: PostgreSQL ends before the lock is let go.
    postmaster: Mutex<Postmaster>,
    binaries: Binaries,
    start_timeout: Duration,
    place: Place,
}

impl Cluster {
    /// Starts the cluster of `data_dir` and makes what is missing: the directory, the cluster, the database. First ends
    /// what a killed server left running there. Blocks until connections are taken.
    pub fn start(data_dir: &Path, options: &ClusterOptions) -> Result<Self, ClusterError> {
        let began = Instant::now();
        // Before anything is made: without PostgreSQL nothing is left behind.
        if binaries::all(&options.search).is_empty() {
            return Err(ClusterError::NotInstalled);
        }
        let place = Place::take(data_dir)?;
        leftovers::stop(place.cluster_dir());
        let binaries = Binaries::find(&options.search, place.cluster_dir())?;
        let made = !place.is_initialised();
        if made {
            initdb(&binaries, &place, options)?;
        }
        place.prepare_socket_dir()?;
        settings::write(&place, options)?;
        let postmaster = Postmaster::start(&binaries, &place, options.start_timeout)?;
        let start_timeout = options.start_timeout;
        let cluster = Self { postmaster: Mutex::new(postmaster), binaries, start_timeout, place };
        cluster.ensure_database()?;
        log::info!(
            "postgresql ready made={made} directory={} took_ms={}",
            cluster.place.cluster_dir().display(),
            began.elapsed().as_millis()
        );
        Ok(cluster)
    }

    /// URL of the database `tidings`, by unix socket.
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// URL of another database of this cluster.
    pub fn url_of(&self, database: &str) -> String {
        url(self.place.socket_dir(), database)
    }

    /// Returns whether there is a cluster in `data_dir`, running or not.
    pub fn is_made(data_dir: &Path) -> bool {
        // The cluster itself may be readable by PostgreSQL's user alone.
        let cluster = data_dir.join("postgres");
        match std::fs::metadata(cluster.join("PG_VERSION")) {
            Ok(version) => version.is_file(),
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied && cluster.exists(),
        }
    }

    /// URL of the cluster that a running server keeps in `data_dir`; `None` when there is none yet. For
    /// work beside a server, after [`ClusterError::InUse`].
    pub fn url_of_running(data_dir: &Path) -> Option<String> {
        let cluster_dir = data_dir.join("postgres").canonicalize().ok()?;
        Some(url(&place::socket_dir(&cluster_dir), NAME))
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.postmaster.lock().pid()
    }

    /// Returns whether the postmaster is alive.
    pub fn is_running(&self) -> bool {
        self.postmaster.lock().is_running()
    }

    /// Starts a postmaster that has ended by itself (killed, out of memory, crashed) again; it recovers what was
    /// committed, and the pool finds it at the same socket. Nothing is done while it runs. Blocks until connections
    /// are taken.
    pub fn restart(&self) -> Result<(), ClusterError> {
        let mut postmaster = self.postmaster.lock();
        if postmaster.is_running() {
            return Ok(());
        }
        // Its children may outlive a killed postmaster for a moment and still hold the shared memory.
        leftovers::stop(self.place.cluster_dir());
        *postmaster = Postmaster::start(&self.binaries, &self.place, self.start_timeout)?;
        Ok(())
    }

    /// Fast shutdown: open transactions are rolled back, everything is written, the next start needs no recovery.
    /// Escalates when that takes more than 30 s. Blocks; harmless when it has ended already.
    pub fn stop(&self) {
        self.postmaster.lock().stop();
    }

    fn ensure_database(&self) -> Result<(), ClusterError> {
        use diesel::{Connection, PgConnection, RunQueryDsl};
        if PgConnection::establish(&self.url()).is_ok() {
            return Ok(());
        }
        let url = self.url_of("postgres");
        let mut conn =
            PgConnection::establish(&url).map_err(|error| StoreError::connect(&url, &error.to_string()))?;
        diesel::sql_query(format!("CREATE DATABASE {NAME}")).execute(&mut conn).map_err(StoreError::from)?;
        Ok(())
    }
}

/// A libpq URL for a unix socket, its directory percent-encoded.
fn url(socket_dir: &Path, database: &str) -> String {
    let host: String = socket_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("postgresql:///{database}?host={host}&port={}&user={NAME}", place::PORT)
}

/// Makes the cluster beside its place and moves it there whole: one that was interrupted is never taken for one.
fn initdb(binaries: &Binaries, place: &Place, options: &ClusterOptions) -> Result<(), ClusterError> {
    let unfinished = place.make_unfinished()?;
    let mut command = binaries.initdb();
    command.arg("--pgdata").arg(&unfinished).current_dir(&unfinished);
    command.arg(format!("--username={NAME}")).args(["--auth=trust", "--encoding=UTF8", "--locale=C"]);
    if !options.durable {
        command.arg("--no-sync");
    }
    place.account().apply(&mut command);
    let output = command.output().map_err(ClusterError::file("run", binaries.initdb_path()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(ClusterError::Initdb(last_lines(&text, 5)));
    }
    settings::include(&unfinished)?;
    place.finish(&unfinished)
}
