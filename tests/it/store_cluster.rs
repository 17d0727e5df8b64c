//! The private cluster: starts by itself, alone, after anything.

use std::process::Command;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use tidings::store::Store;
use tidings::store::cluster::{Cluster, ClusterError, ClusterOptions};

use crate::helpers::server::{Server, data_dir, wait_for};

fn options() -> ClusterOptions {
    ClusterOptions { durable: false, ..ClusterOptions::default() }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}

fn execute(cluster: &Cluster, statement: &str) {
    PgConnection::establish(&cluster.url()).unwrap().batch_execute(statement).unwrap();
}

#[test]
fn it_starts_cold_and_warm_and_keeps_what_was_written() {
    let (_directory, data_dir) = data_dir();
    let durable = ClusterOptions::default();
    let began = Instant::now();
    let cluster = Cluster::start(&data_dir, &durable).unwrap();
    let cold = began.elapsed();
    let store = Store::connect(&cluster.url(), 1).unwrap();
    store.migrate().unwrap();
    let migrated = began.elapsed();
    execute(&cluster, "INSERT INTO users (external_id) VALUES ('kept')");
    drop(store);
    let began = Instant::now();
    cluster.stop();
    let stopped = began.elapsed();
    assert!(!cluster.is_running());
    drop(cluster);
    let began = Instant::now();
    let cluster = Cluster::start(&data_dir, &durable).unwrap();
    println!("cold {cold:?}, with migrations {migrated:?}, stop {stopped:?}, warm {:?}", began.elapsed());
    execute(&cluster, "SELECT 1 / count(*) FROM users WHERE external_id = 'kept'");
}

#[test]
fn a_second_server_is_told_who_has_the_directory() {
    let (_directory, data_dir) = data_dir();
    let first = Cluster::start(&data_dir, &options()).unwrap();
    let second = Cluster::start(&data_dir, &options()).unwrap_err();
    assert!(matches!(second, ClusterError::InUse { .. }), "{second}");
    assert!(second.to_string().contains(&std::process::id().to_string()), "{second}");
    execute(&first, "SELECT 1");
    drop(first);
    Cluster::start(&data_dir, &options()).unwrap();
}

#[test]
fn it_recovers_from_a_sigkill_of_the_postmaster() {
    let (_directory, data_dir) = data_dir();
    // Durable: what was committed must survive.
    let cluster = Cluster::start(&data_dir, &ClusterOptions::default()).unwrap();
    execute(&cluster, "CREATE TABLE kept (n integer); INSERT INTO kept VALUES (1)");
    // A busy backend does not notice at once that its postmaster is gone.
    let url = cluster.url();
    let busy = std::thread::spawn(move || {
        let _ = PgConnection::establish(&url)
            .unwrap()
            .batch_execute("SELECT count(*) FROM generate_series(1, 50000) a, generate_series(1, 50000) b");
    });
    wait_for("the query runs", || {
        let mut conn = PgConnection::establish(&cluster.url()).unwrap();
        conn.batch_execute(
            "SELECT 1 / count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series%' \
             AND pid <> pg_backend_pid()",
        )
        .is_ok()
    });
    kill(cluster.pid());
    wait_for("its end is noticed", || !cluster.is_running());
    drop(cluster);
    let began = Instant::now();
    let cluster = Cluster::start(&data_dir, &ClusterOptions::default()).unwrap();
    println!("start after SIGKILL {:?}", began.elapsed());
    execute(&cluster, "SELECT 1 / (sum(n) = 1)::integer FROM kept");
    busy.join().unwrap();
}

#[test]
fn a_postmaster_pid_of_another_program_is_no_obstacle() {
    let (_directory, data_dir) = data_dir();
    drop(Cluster::start(&data_dir, &options()).unwrap());
    // As after a restart of a container: the number is somebody else's now.
    std::fs::write(data_dir.join("postgres/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    Cluster::start(&data_dir, &options()).unwrap();
}

/// Gone, or a zombie that waits for its new parent.
fn has_ended(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_postmaster_ends_with_its_killed_server_and_the_next_one_starts() {
    let (_directory, data_dir) = data_dir();
    for at_once in [false, true] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data_dir)
            .env_remove("DATABASE_URL");
        let mut server = Server::spawn(&mut command);
        let url = Cluster::url_of_running(&data_dir).unwrap();
        PgConnection::establish(&url)
            .unwrap()
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS kept (n integer); DELETE FROM kept; INSERT INTO kept VALUES (1)",
            )
            .unwrap();
        let pid_file = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap().to_owned();
        server.kill();
        if !at_once {
            wait_for("the kernel ends PostgreSQL", || has_ended(&postmaster));
        }
        let began = Instant::now();
        let cluster = Cluster::start(&data_dir, &ClusterOptions::default()).unwrap();
        println!("start after SIGKILL of the server (at once: {at_once}) {:?}", began.elapsed());
        assert!(has_ended(&postmaster));
        execute(&cluster, "SELECT 1 / (sum(n) = 1)::integer FROM kept");
    }
}

#[test]
fn without_postgresql_one_line_says_what_to_install_and_nothing_is_made() {
    let (_directory, data_dir) = data_dir();
    let nowhere = ClusterOptions { search: vec![], ..options() };
    let error = Cluster::start(&data_dir, &nowhere).unwrap_err();
    assert_eq!(error.to_string(), "PostgreSQL was not found; install it: apt-get install postgresql");
    assert!(!data_dir.exists());
}

#[test]
fn data_of_another_major_version_are_not_touched() {
    let (_directory, data_dir) = data_dir();
    drop(Cluster::start(&data_dir, &options()).unwrap());
    std::fs::write(data_dir.join("postgres/PG_VERSION"), "9\n").unwrap();
    let error = Cluster::start(&data_dir, &options()).unwrap_err().to_string();
    assert!(error.contains("PostgreSQL 9") && error.contains("postgresql-9"), "{error}");
}

#[test]
fn an_interrupted_initdb_is_begun_anew() {
    let (_directory, data_dir) = data_dir();
    std::fs::create_dir_all(data_dir.join("postgres.unfinished/base")).unwrap();
    let cluster = Cluster::start(&data_dir, &options()).unwrap();
    execute(&cluster, "SELECT 1");
    assert!(!data_dir.join("postgres.unfinished").exists());
}

#[test]
fn a_path_too_long_for_a_socket_and_one_full_of_oddities_work() {
    let (directory, _) = data_dir();
    let odd = directory.path().join("it's a % & ? ü").join("x".repeat(90));
    let cluster = Cluster::start(&odd, &options()).unwrap();
    execute(&cluster, "SELECT 1");
    let short_but_odd = directory.path().join("o'dd %20&?=");
    let other = Cluster::start(&short_but_odd, &options()).unwrap();
    execute(&other, "SELECT 1");
}

#[test]
fn a_log_says_why_it_did_not_start() {
    let (_directory, data_dir) = data_dir();
    let cluster = Cluster::start(&data_dir, &options()).unwrap();
    drop(cluster);
    let conf = data_dir.join("postgres/postgresql.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, format!("{text}\nno_such_setting = 1\n")).unwrap();
    let error = Cluster::start(&data_dir, &options()).unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}
