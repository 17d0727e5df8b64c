//! Commands of the binary beside a server.

use std::process::Command;

use super::database::TestDatabase;

/// Runs a command on the database of a test; true if it did well, and all that it said.
pub fn tidings(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .env("DATABASE_URL", &database.url)
        .env("TIDINGS_LOG", "warn")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}
