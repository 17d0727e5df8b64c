//! The release binary with a private, durable PostgreSQL in a directory of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    pub address: SocketAddr,
    pub child: Child,
    pub ready_after: Duration,
}

/// The binary that is measured: that of `BENCH_BINARY`, such as one of before, else the one built with this.
pub fn tidings() -> Command {
    let built = || env!("CARGO_BIN_EXE_tidings").into();
    let mut command = Command::new(std::env::var_os("BENCH_BINARY").unwrap_or_else(built));
    command.env_remove("DATABASE_URL").env("TIDINGS_LOG", "warn");
    command
}

/// The demo without shoppers of its own, trainings, caps and repeats: every event gets its message.
pub const FREE_DEMO: [&str; 8] = [
    "--shoppers",
    "0",
    "--set",
    "policy.caps=[]",
    "--set",
    "policy.repeat_window_min=0",
    "--set",
    "training.interval_s=0",
];

/// Reachable for the user PostgreSQL runs as when this is root.
pub fn data_dir() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

impl Server {
    pub fn start(command: &str, data_dir: &Path, arguments: &[&str]) -> Self {
        let started = Instant::now();
        let mut child = tidings()
            .args([command, "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            // Everybody gets what is measured.
            .args(["--set", "policy.holdout=0", "--set", "policy.random=0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let ready_after = started.elapsed();
        let address =
            line.trim_start_matches("tidings is ready at http://").trim_end_matches('/').parse().unwrap();
        Self { address, child, ready_after }
    }

    pub fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// CPU time used so far, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }
}

/// Time over which a process is looked at to see that it works no more.
const LOOK: Duration = Duration::from_millis(500);

impl Server {
    /// Waits until what was begun beside requests is done: less than a twentieth of a core is used.
    pub fn wait_until_idle(&self) {
        wait_for("the server to be idle", || {
            let before = self.cpu_seconds();
            std::thread::sleep(LOOK);
            self.cpu_seconds() - before < LOOK.as_secs_f64() / 20.0
        });
    }
}

/// Polls a condition that another process makes true.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < deadline, "waited two minutes for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: kill(2) on a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
