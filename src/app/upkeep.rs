//! Work of every hour: what is older than it is kept goes ([`retention`]); deferred triggers whose users did not come in time end
//! with a stored decision that says so; events that an import stored under an id which was merged meanwhile go to the user. Each
//! statement handles so few rows that it stays short.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uuid::Uuid;

use super::retention;
use tidings_core::base::{Millis, Timestamp};
use tidings_decision::decide::record::{DecisionRow, NewNotification};
use tidings_state::AppState;
use tidings_store::{
    Connection, Store, StoreError, decision_log, deferred, erased_rows, in_transaction, merges,
    person_sessions, robots,
};

const EVERY: Duration = Duration::from_secs(3_600);
/// Rows handled in one statement.
const AT_ONCE: usize = 10_000;
/// A trigger that expired this long ago is not in the memory of a user's actor any more, which ends it itself.
const EXPIRED_FOR: Millis = Millis::hours(1);
const EXPIRED_AT_ONCE: usize = 1_000;

/// An import that began before a merge ends within this time of it.
const MERGED_FOR: Millis = Millis::hours(6);
/// The same of an import, a training or an expired trigger that began before an erasure.
const ERASED_FOR: Millis = Millis::hours(48);

/// Runs until the server goes down.
pub async fn run(state: Arc<AppState>) {
    let mut hour = tokio::time::interval(EVERY);
    hour.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !state.draining.load(Ordering::Acquire) {
        hour.tick().await;
        retention::prune(&state).await;
        if state.config.ingest.robot_rest_h > 0 {
            let rest = Millis::hours(state.config.ingest.robot_rest_h);
            in_batches(&state, "robots not let go", AT_ONCE, move |connection, _| {
                let now = Timestamp::now();
                robots::rest_before(connection, now - rest, now, AT_ONCE as i64)
            })
            .await;
        }
        let idle = Millis(state.config.people.idle_min * 60_000);
        in_batches(&state, "sessions that are over not removed", usize::MAX, move |connection, _| {
            let now = Timestamp::now();
            person_sessions::sweep(connection, now - idle, now)
        })
        .await;
        in_batches(&state, "late events of merged users not moved", usize::MAX, |connection, _| {
            merges::move_late_events(connection, Timestamp::now() - MERGED_FOR)
        })
        .await;
        in_batches(&state, "late rows of erased users not removed", 1, |connection, _| {
            erased_rows::remove_late(connection, Timestamp::now() - ERASED_FOR)
        })
        .await;
        in_batches(&state, "deferred triggers not expired", EXPIRED_AT_ONCE, expire_deferred).await;
    }
}

/// Repeats `work` until it handles less than `at_once` rows; an error is logged, and the next hour tries again.
async fn in_batches(
    state: &AppState,
    failed: &str,
    at_once: usize,
    work: impl Fn(&mut Connection, &Store) -> Result<usize, StoreError> + Copy + Send + 'static,
) {
    loop {
        let store = state.store.clone();
        match state.store.run_patiently(move |connection| work(connection, &store)).await {
            Ok(n) if n >= at_once => {}
            Ok(_) => return,
            Err(error) => return log::warn!("{failed} error={error}"),
        }
    }
}

/// Takes deferred triggers that have expired, and stores the decision that ends each; how many.
fn expire_deferred(connection: &mut Connection, store: &Store) -> Result<usize, StoreError> {
    in_transaction(connection, |connection| {
        let now = Timestamp::now();
        let expired = deferred::take_expired(connection, now - EXPIRED_FOR, EXPIRED_AT_ONCE as i64)?;
        let decisions: Vec<DecisionRow> =
            expired.iter().map(|row| row.expired(Uuid::now_v7(), now)).collect();
        decision_log::insert(connection, store, &[] as &[NewNotification], &decisions)?;
        Ok(decisions.len())
    })
}
