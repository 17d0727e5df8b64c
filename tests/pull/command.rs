//! The program `tidings-pull` as typed: what a configuration says, and what is wrong with one.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has nothing better to do than to end")]

use std::process::{Command, Output};

fn pull(configuration: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pull.toml");
    std::fs::write(&file, configuration).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tidings-pull"))
        .arg("--config")
        .arg(&file)
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn help_names_the_sources_and_the_exit_codes() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings-pull")).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for name in ["kafka", "nats", "redis", "postgres-outbox", "mysql-binlog", "Exit codes"] {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
}

#[test]
fn a_configuration_that_says_nothing_of_its_source_is_wrong_usage() {
    let output = pull("nonsense = 1\n", &["--check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nonsense"), "{said}");
}
