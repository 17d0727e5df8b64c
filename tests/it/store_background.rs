//! Sessions that stand back for those who are being served.

use diesel::RunQueryDsl;
use diesel::sql_types::Integer;
use tidings::store::StoreError;

use crate::helpers::database::TestDatabase;

/// Niceness of the process, field 19 of proc(5)'s stat.
fn niceness(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(16).unwrap().parse().unwrap()
}

#[derive(diesel::QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

#[test]
fn a_session_in_the_background_stands_back_as_far_as_asked_and_only_reads() {
    let database = TestDatabase::new();
    let pid = |connection: &mut _| {
        let backend: Backend = diesel::sql_query("SELECT pg_backend_pid() AS pid")
            .get_result(connection)
            .map_err(StoreError::from)?;
        Ok::<_, StoreError>(niceness(backend.pid))
    };
    let serving = database.store.run_blocking(pid).unwrap();
    assert_eq!(database.store.read_in_background(0, pid).unwrap(), serving);
    assert_eq!(database.store.read_in_background(15, pid).unwrap(), 15);
    let refused = database.store.read_in_background(15, |connection| {
        diesel::sql_query("DELETE FROM events").execute(connection).map_err(StoreError::from)
    });
    assert!(refused.unwrap_err().to_string().contains("read-only"));
}
