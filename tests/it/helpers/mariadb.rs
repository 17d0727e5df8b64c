//! A private MariaDB: Debian's server in a directory of its own, stopped with the value.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::engines::free_port;
use super::server::wait_for;

pub struct MariaDb {
    child: Child,
    pub port: u16,
    directory: TempDir,
}

/// Debian keeps servers where an ordinary user's PATH does not lead.
fn program(name: &str) -> Command {
    let inside = Path::new("/usr/sbin").join(name);
    Command::new(if inside.exists() { inside.as_os_str() } else { name.as_ref() })
}

/// The server refuses to be root unless it is told to be.
fn as_root(command: &mut Command) -> &mut Command {
    // SAFETY: geteuid(2) has no conditions.
    if unsafe { libc::geteuid() } == 0 { command.arg("--user=root") } else { command }
}

impl MariaDb {
    /// With the database `shop` and a user for it.
    pub fn start() -> Self {
        Self::with(&["--skip-log-bin"])
    }

    /// The same with a binlog of rows, and a user `tidings` who may read it.
    pub fn with_binlog() -> Self {
        let database = Self::with(&["--log-bin=bin", "--binlog-format=ROW", "--server-id=1"]);
        database.execute(
            "CREATE USER tidings IDENTIFIED BY 'secret'; GRANT SELECT, LOCK TABLES ON shop.* TO tidings; \
             GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO tidings",
        );
        database
    }

    /// Makes the system tables and starts.
    fn with(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", directory.path().join("data").display());
        let mut install = program("mariadb-install-db");
        install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
        let made = as_root(&mut install).output().expect("MariaDB is missing: make setup");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let socket = directory.path().join("socket");
        let mut server = program("mariadbd");
        server.args(["--no-defaults", &data, "--bind-address=127.0.0.1"]).args(options);
        server.arg(format!("--port={port}")).arg(format!("--socket={}", socket.display()));
        server.arg("--innodb-flush-log-at-trx-commit=0").stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: prctl(2) with numbers only, between fork and exec.
        unsafe {
            server.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
                Ok(())
            })
        };
        let child = as_root(&mut server).spawn().unwrap();
        let database = Self { child, port, directory };
        wait_for("MariaDB to answer", || database.client("SELECT 1").status.success());
        database.execute(
            "CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE USER shop IDENTIFIED BY 'p@ss'; GRANT ALL ON shop.* TO shop",
        );
        database
    }

    /// Where to connect, with user and password.
    pub fn url(&self) -> String {
        format!("mysql://shop:p%40ss@127.0.0.1:{}/shop", self.port)
    }

    /// Host with port, and the user's password, as it is.
    pub fn host_and_password(&self) -> (String, String) {
        (format!("127.0.0.1:{}", self.port), "p@ss".to_owned())
    }

    /// Statements as root.
    pub fn execute(&self, statements: &str) {
        let output = self.client(statements);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn client(&self, statements: &str) -> std::process::Output {
        let socket = format!("--socket={}", self.directory.path().join("socket").display());
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", &socket, "--default-character-set=utf8mb4"]);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("the MariaDB client is missing: make setup");
        client.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        client.wait_with_output().unwrap()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
