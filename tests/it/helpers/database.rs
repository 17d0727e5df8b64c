//! A migrated database of its own for every test: one private cluster a test process, one template, a clone each.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl};
use tidings::store::Store;
use tidings::store::cluster::{Cluster, ClusterOptions};

const TEMPLATE: &str = "migrated_template";
const DIRECTORY_PREFIX: &str = "tidings-test-";
/// Connections of a test's own pool.
const POOL_SIZE: u32 = 4;

struct Shared {
    cluster: Cluster,
    directory: PathBuf,
    made: AtomicU32,
}

static SHARED: OnceLock<Shared> = OnceLock::new();

/// A database that is dropped with this value.
pub struct TestDatabase {
    name: String,
    /// Address to connect to.
    pub url: String,
    /// A small pool.
    pub store: Store,
}

impl TestDatabase {
    /// Migrated and without a row of anybody's.
    pub fn new() -> Self {
        Self::create(TEMPLATE)
    }

    /// Without a table.
    pub fn empty() -> Self {
        Self::create("template1")
    }

    /// With all that is in a template, by its name.
    pub fn copy_of(template: &str) -> Self {
        Self::create(template)
    }

    /// Closes its connections and keeps it as a template; its name.
    pub fn into_template(self) -> String {
        let template = format!("template_of_{}", self.name);
        let cluster = &shared().cluster;
        // The pool would connect again.
        administer(cluster, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name));
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
        administer(cluster, &format!("{end} '{}'", self.name));
        administer(cluster, &format!("CREATE DATABASE {template} TEMPLATE {}", self.name));
        template
    }

    fn create(template: &str) -> Self {
        let shared = shared();
        let name = format!("test_{}", shared.made.fetch_add(1, Ordering::Relaxed));
        administer(&shared.cluster, &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        let url = shared.cluster.url_of(&name);
        let store = Store::connect(&url, POOL_SIZE).unwrap();
        Self { name, url, store }
    }

    /// Its name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection of one's own.
    pub fn connection(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Runs statements.
    pub fn execute(&self, statements: &str) -> diesel::QueryResult<()> {
        diesel::connection::SimpleConnection::batch_execute(&mut self.connection(), statements)
    }

    /// The whole number that a query calls `n`.
    pub fn count(&self, query: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Counted {
            #[diesel(sql_type = BigInt)]
            n: i64,
        }
        diesel::sql_query(query).get_result::<Counted>(&mut self.connection()).unwrap().n
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // FORCE: the pool, or a server under test, still has connections.
        administer(&shared().cluster, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn shared() -> &'static Shared {
    SHARED.get_or_init(|| {
        remove_abandoned(&env::temp_dir());
        let directory = env::temp_dir().join(format!("{DIRECTORY_PREFIX}{}", process::id()));
        let options = ClusterOptions { durable: false, max_connections: 300, ..ClusterOptions::default() };
        let cluster = Cluster::start(&directory, &options).unwrap();
        administer(&cluster, &format!("CREATE DATABASE {TEMPLATE}"));
        // Dropped at once: a template must have no connections.
        Store::connect(&cluster.url_of(TEMPLATE), 1).unwrap().migrate().unwrap();
        // A static is never dropped; PR_SET_PDEATHSIG would stop the cluster but leave its directory.
        // SAFETY: `stop_at_exit` is a plain function that outlives the process.
        unsafe { libc::atexit(stop_at_exit) };
        Shared { cluster, directory, made: AtomicU32::new(0) }
    })
}

extern "C" fn stop_at_exit() {
    if let Some(shared) = SHARED.get() {
        shared.cluster.stop();
        let _ = fs::remove_dir_all(&shared.directory);
    }
}

/// Directories of test processes that were killed.
fn remove_abandoned(temp_dir: &Path) {
    for entry in fs::read_dir(temp_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY_PREFIX));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn administer(cluster: &Cluster, statement: &str) {
    let mut conn = PgConnection::establish(&cluster.url_of("postgres")).unwrap();
    diesel::sql_query(statement).execute(&mut conn).unwrap();
}
