//! Changes of several writers at once: the chain of the audit log stays whole, and what is said to be stored is on disk.

use std::thread;

use diesel::connection::SimpleConnection;
use tidings::privacy::audit::{AuditEntry, Walk};
use tidings::store::cluster::{Cluster, ClusterOptions};
use tidings::store::{Connection, Store, StoreError, audit, in_transaction};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{data_dir, wait_for};
use crate::hung::{processes, signal};

const WRITERS: usize = 8;
const CHANGES: usize = 40;

fn entry(name: &str) -> AuditEntry {
    let (action, role) = ("PUT /v1/users/{id}".to_owned(), "admin".to_owned());
    AuditEntry { action, role, object: name.to_owned(), ..AuditEntry::default() }
}

/// A change and its entry; every tenth is taken back.
fn change(connection: &mut Connection, name: &str, is_refused: bool) -> Result<(), StoreError> {
    in_transaction(connection, |connection| {
        connection.batch_execute(&format!("INSERT INTO users (external_id) VALUES ('{name}')"))?;
        audit::append(connection, &[entry(name)])?;
        if is_refused { Err(StoreError::Interrupted) } else { Ok(()) }
    })
}

/// Entries of the chain, which is whole.
fn walked(store: &Store) -> i64 {
    let entries = store.run_blocking(|connection| audit::after(connection, 0, 10_000)).unwrap();
    let mut walk = Walk::default();
    entries.iter().for_each(|entry| walk.step(entry).unwrap());
    walk.entries
}

#[test]
fn the_chain_of_several_writers_is_whole_and_has_an_entry_for_each_change() {
    let database = TestDatabase::new();
    let store = Store::connect(&database.url, WRITERS as u32).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                for n in 0..CHANGES {
                    let (name, is_refused) = (format!("w{writer}-{n}"), n % 10 == 9);
                    let done = store.run_blocking(|connection| change(connection, &name, is_refused));
                    assert_eq!(done.is_err(), is_refused, "{done:?}");
                }
            });
        }
    });
    let kept = (WRITERS * CHANGES / 10 * 9) as i64;
    assert_eq!(database.count("SELECT count(*) AS n FROM users"), kept);
    assert_eq!(walked(&store), kept);
}

#[test]
fn a_change_is_on_disk_with_its_entry_when_that_is_said() {
    let (_directory, data_dir) = data_dir();
    let mut changes = 0;
    for _ in 0..3 {
        let cluster = Cluster::start(&data_dir, &ClusterOptions::default()).unwrap();
        let store = Store::connect(&cluster.url(), 1).unwrap();
        store.migrate().unwrap();
        assert_eq!(walked(&store), changes);
        let processes = processes(&data_dir);
        for _ in 0..3 {
            let name = format!("u{changes}");
            store.run_blocking(|connection| change(connection, &name, false)).unwrap();
            changes += 1;
        }
        // All of PostgreSQL at once, with what it has in memory only.
        signal(&processes, libc::SIGKILL);
        wait_for("its end", || !cluster.is_running());
    }
    let cluster = Cluster::start(&data_dir, &ClusterOptions::default()).unwrap();
    let store = Store::connect(&cluster.url(), 1).unwrap();
    assert_eq!(walked(&store), changes);
    let of_users = "SELECT 1 / (count(*) = 9)::integer FROM users";
    store.run_blocking(|connection| Ok(connection.batch_execute(of_users)?)).unwrap();
}
