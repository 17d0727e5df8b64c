//! The real server, as a process of its own.

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Client;
use super::http::Http;

pub struct Server {
    pub address: SocketAddr,
    pub child: Child,
    /// Its lines after the first.
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Server {
    /// Starts `tidings serve` (or what `arguments` begin with) and waits for its one line.
    pub fn start(database_url: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        // Whoever a test names is to get what everybody gets; what comes later counts.
        let everybody = ["--set", "policy.holdout=0", "--set", "policy.random=0"];
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(everybody).args(arguments);
        Self::spawn(command.env("DATABASE_URL", database_url))
    }

    pub fn spawn(command: &mut Command) -> Self {
        command.env("TIDINGS_LOG", std::env::var("TIDINGS_LOG").unwrap_or("warn".to_owned()));
        // Tests keep all cores busy: what stands back would wait for them all.
        command.env("TIDINGS_TRAINING_NICENESS", "0");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server ended before it was ready").unwrap();
        let address = line
            .strip_prefix("tidings is ready at http://")
            .or_else(|| line.strip_prefix("tidings is ready at https://"))
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_else(|| panic!("unexpected first line: {line}"))
            .parse()
            .unwrap();
        Self { address, child, lines: Some(lines) }
    }

    /// A server that was started in another way.
    pub fn of(address: SocketAddr, child: Child) -> Self {
        Self { address, child, lines: None }
    }

    /// The next line that it prints.
    pub fn next_line(&mut self) -> String {
        self.lines.as_mut().and_then(Iterator::next).expect("the server prints a line").unwrap()
    }

    /// The lines that it has printed, once it has ended.
    pub fn rest_of_lines(&mut self) -> Vec<String> {
        self.lines.take().into_iter().flatten().map_while(Result::ok).collect()
    }

    pub fn http(&self) -> Http {
        Http::connect(self.address)
    }

    pub fn login(&self, user: impl Into<Value>) -> (Client, Value) {
        Client::login(self.address, user.into())
    }

    /// Trains and waits; the finished job.
    pub fn retrain(&self) -> Value {
        let mut http = self.http();
        let answer = http.post("/admin/retrain", &Value::Null);
        assert_eq!(answer.status, 202, "{}", answer.body);
        let job = answer.json()["job"].as_str().unwrap().to_owned();
        let mut state = Value::Null;
        wait_for("the training to end", || {
            state = http.get(&format!("/admin/jobs/{job}")).json();
            state["state"] != "running"
        });
        state
    }

    /// SIGKILL: no chance to clean up.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit status.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        // SAFETY: kill(2) on a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        self.child.wait().unwrap()
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory that the user PostgreSQL runs as can reach: `tempfile` makes private ones, and root's cluster would
/// go elsewhere.
pub fn data_dir() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data_dir = directory.path().join("data");
    (directory, data_dir)
}

/// Polls a condition that another process makes true.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited a minute for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
