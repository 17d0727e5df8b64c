//! Work of every hour: keys of accepted messages and events are forgotten when nobody tries again any more, broadcasts when their
//! messages are history; deferred triggers whose users did not come in time end with a stored decision that says so; events that
//! an import stored under an id which was merged meanwhile go to the user. Each statement handles so few rows that it stays short.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uuid::Uuid;

use crate::base::{Millis, Timestamp};
use crate::decide::record::{DecisionRow, NewNotification};
use crate::state::AppState;
use crate::store::{
    Connection, Store, StoreError, broadcasts, decision_log, deferred, erased_rows, events, idempotency,
    in_transaction, merges, outbox, push_subscriptions, robots,
};

const EVERY: Duration = Duration::from_secs(3_600);
/// A shop may repeat a request with its key for so long.
const RECEIPT_DAYS: f64 = 7.0;
/// A client may repeat an event with its `event_id` for so long: a phone that was offline for a month.
const EVENT_RECEIPT_DAYS: f64 = 30.0;
/// Longer than a message may wait for its time and be worth showing.
const BROADCAST_DAYS: f64 = 100.0;
/// Reasons why push subscriptions ended are kept for so long.
const ENDED_SUBSCRIPTION_DAYS: f64 = 90.0;
const RECEIPTS_AT_ONCE: usize = 10_000;
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
        in_batches(&state, "receipts not forgotten", RECEIPTS_AT_ONCE, |connection, _| {
            outbox::prune_receipts(
                connection,
                Timestamp::now().plus_days(-RECEIPT_DAYS),
                RECEIPTS_AT_ONCE as i64,
            )
        })
        .await;
        in_batches(&state, "receipts of events not forgotten", RECEIPTS_AT_ONCE, |connection, _| {
            let before = Timestamp::now().plus_days(-EVENT_RECEIPT_DAYS);
            events::prune_receipts(connection, before, RECEIPTS_AT_ONCE as i64)
        })
        .await;
        in_batches(&state, "idempotency keys not forgotten", RECEIPTS_AT_ONCE, |connection, _| {
            let before = Timestamp::now().plus_days(-RECEIPT_DAYS);
            idempotency::prune(connection, before, RECEIPTS_AT_ONCE as i64)
        })
        .await;
        in_batches(&state, "broadcasts not forgotten", RECEIPTS_AT_ONCE, |connection, _| {
            let before = Timestamp::now().plus_days(-BROADCAST_DAYS);
            broadcasts::prune(connection, before, RECEIPTS_AT_ONCE as i64)
        })
        .await;
        in_batches(&state, "push subscriptions not forgotten", RECEIPTS_AT_ONCE, |connection, _| {
            let before = Timestamp::now().plus_days(-ENDED_SUBSCRIPTION_DAYS);
            push_subscriptions::prune(connection, before, RECEIPTS_AT_ONCE as i64)
        })
        .await;
        if state.config.ingest.robot_rest_h > 0 {
            let rest = Millis::hours(state.config.ingest.robot_rest_h);
            in_batches(&state, "robots not let go", RECEIPTS_AT_ONCE, move |connection, _| {
                let now = Timestamp::now();
                robots::rest_before(connection, now - rest, now, RECEIPTS_AT_ONCE as i64)
            })
            .await;
        }
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
        match state.store.run(move |connection| work(connection, &store)).await {
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
