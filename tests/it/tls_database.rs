//! TLS on the way to PostgreSQL, and the log of the private one: no statement, no value, no other reader.

use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use tidings::store::Store;
use tidings::store::cluster::{Cluster, ClusterOptions};
use tidings::store::link::{Link, of_connection};

use crate::helpers::server::data_dir;
use crate::helpers::tls::Pair;

fn options() -> ClusterOptions {
    ClusterOptions { durable: false, ..ClusterOptions::default() }
}

fn execute(url: &str, statements: &str) {
    PgConnection::establish(url).unwrap().batch_execute(statements).unwrap();
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Restarts a private cluster so that it takes connections over TCP; with a certificate if `pair` is there.
fn listen(cluster: &Cluster, data_dir: &Path, addresses: &str, pair: Option<&Pair>) -> u16 {
    let port = free_port();
    let directory = data_dir.join("postgres");
    let mut statements = vec![
        format!("ALTER SYSTEM SET listen_addresses = '{addresses}'"),
        format!("ALTER SYSTEM SET port = {port}"),
    ];
    if let Some(pair) = pair {
        let owner = fs::metadata(&directory).unwrap();
        for (file, name) in [(pair.certificate(), "server.crt"), (pair.key(), "server.key")] {
            let copy = directory.join(name);
            fs::copy(file, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
            chown(&copy, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        statements.push("ALTER SYSTEM SET ssl = on".to_owned());
    }
    for statement in statements {
        execute(&cluster.url(), &statement);
    }
    cluster.stop();
    cluster.restart().unwrap();
    port
}

/// The address by which other machines reach this one, if there is one. Nothing is sent.
fn public_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

fn migrate(url: &str, settings: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("migrate")
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .env("DATABASE_URL", url)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn postgresql_is_reached_by_tls_where_the_url_says_so_and_an_impostor_is_not() {
    let (_directory, data_dir) = data_dir();
    let pair = Pair::new();
    let cluster = Cluster::start(&data_dir, &options()).unwrap();
    let port = listen(&cluster, &data_dir, "127.0.0.1", Some(&pair));
    let url = |more: &str| format!("postgresql://tidings@127.0.0.1:{port}/tidings?{more}");
    let link =
        |more: &str| Store::connect(&url(more), 1).map(|store| store.run_blocking(of_connection).unwrap());
    assert_eq!(link("sslmode=disable").unwrap(), Link::Local);
    assert_eq!(link("sslmode=require").unwrap(), Link::Encrypted);
    let trusted = format!("sslmode=verify-full&sslrootcert={}", pair.certificate().display());
    assert_eq!(link(&trusted).unwrap(), Link::Encrypted);
    let impostor = Pair::new();
    let other = format!("sslmode=verify-full&sslrootcert={}", impostor.certificate().display());
    let refused = link(&other).unwrap_err().to_string();
    assert!(refused.contains("certificate verify failed"), "{refused}");
    let (done, text) = migrate(&url(&trusted), &["database.require_tls=true"]);
    assert!(done, "{text}");
}

#[test]
fn tls_that_postgresql_does_not_speak_is_refused_with_the_fix() {
    let (_directory, data_dir) = data_dir();
    let cluster = Cluster::start(&data_dir, &options()).unwrap();
    let port = listen(&cluster, &data_dir, "127.0.0.1", None);
    let url = format!("postgresql://tidings:hunter2@127.0.0.1:{port}/tidings?sslmode=require");
    let (done, text) = migrate(&url, &[]);
    assert!(!done && text.contains("`ssl = on`"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_way_to_postgresql_that_others_could_listen_on_is_warned_of_or_refused() {
    let Some(address) = public_address() else {
        return println!("this machine has no address but loopback: an open way to PostgreSQL is not tested");
    };
    let (_directory, data_dir) = data_dir();
    let cluster = Cluster::start(&data_dir, &options()).unwrap();
    let rules = data_dir.join("postgres/pg_hba.conf");
    let text = fs::read_to_string(&rules).unwrap();
    fs::write(&rules, format!("{text}\nhost all all {address}/32 trust\n")).unwrap();
    let port = listen(&cluster, &data_dir, &format!("127.0.0.1,{address}"), None);
    let url = format!("postgresql://tidings@{address}:{port}/tidings");
    let (done, text) = migrate(&url, &[]);
    assert!(done && text.contains("is not encrypted: add sslmode=verify-full"), "{text}");
    let (done, text) = migrate(&url, &["database.require_tls=true"]);
    assert!(!done && text.contains("sslmode=verify-full"), "{text}");
}

#[test]
fn the_log_of_the_private_postgresql_has_no_value_and_no_other_reader() {
    let (_directory, data_dir) = data_dir();
    let log = data_dir.join("postgres.log");
    fs::create_dir_all(&data_dir).unwrap();
    // As an older version left it.
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
    let cluster = Cluster::start(&data_dir, &options()).unwrap();
    execute(
        &cluster.url(),
        "CREATE TABLE words (word text PRIMARY KEY); INSERT INTO words VALUES ('pregnancy-test')",
    );
    for statement in [
        "INSERT INTO words VALUES ('pregnancy-test')",
        "SELECT 'pregnancy-test'::integer",
        "SELECT * FROM \"pregnancy-test\"",
        "DO $$ BEGIN RAISE WARNING 'pregnancy-test'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'pregnancy-test'; END $$",
    ] {
        let _ = PgConnection::establish(&cluster.url()).unwrap().batch_execute(statement);
    }
    let parameter = diesel::sql_query("SELECT 1 / length($1)").bind::<diesel::sql_types::Text, _>("");
    let mut connection = PgConnection::establish(&cluster.url()).unwrap();
    assert!(diesel::RunQueryDsl::execute(parameter, &mut connection).is_err());
    cluster.stop();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("database system is ready"), "{text}");
    assert!(!text.contains("pregnancy-test") && !text.contains("length("), "{text}");
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o600);
}
