//! Removal of what is older than it is kept ([`Retention`]), every hour, in batches so small that nobody waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidings_core::base::Timestamp;
use tidings_core::config::Retention;
use tidings_state::AppState;
use tidings_store::{
    Connection, StoreError, audit, broadcasts, events, idempotency, lists, outbox, push_subscriptions,
    retention,
};
use tidings_telemetry::Count;

/// Rows of a batch.
const BATCH: i64 = 5_000;

/// A kind of data that is kept for a time.
struct Kind {
    /// Counter of its rows that were removed.
    count: Count,
    /// Days; 0 = kept.
    days: fn(&Retention) -> u32,
    /// Removes at most so many rows from before a moment; how many.
    prune: fn(&mut Connection, Timestamp, i64) -> Result<usize, StoreError>,
}

const KINDS: [Kind; 10] = [
    Kind { count: Count::RemovedEvents, days: |kept| kept.events_days, prune: retention::events },
    Kind { count: Count::RemovedDecisions, days: |kept| kept.decisions_days, prune: retention::decisions },
    Kind { count: Count::RemovedMessages, days: |kept| kept.messages_days, prune: retention::messages },
    Kind { count: Count::RemovedAudit, days: |kept| kept.audit_days, prune: audit::prune },
    Kind {
        count: Count::RemovedSubscriptions,
        days: |kept| kept.ended_subscriptions_days,
        prune: push_subscriptions::prune,
    },
    Kind { count: Count::RemovedBroadcasts, days: |kept| kept.broadcasts_days, prune: broadcasts::prune },
    Kind { count: Count::RemovedLists, days: |kept| kept.lists_days, prune: lists::prune },
    Kind { count: Count::RemovedReceipts, days: |kept| kept.receipts_days, prune: outbox::prune_receipts },
    Kind { count: Count::RemovedReceipts, days: |kept| kept.receipts_days, prune: idempotency::prune },
    Kind {
        count: Count::RemovedReceipts,
        days: |kept| kept.event_receipts_days,
        prune: events::prune_receipts,
    },
];

/// Removes what is due of every kind. An error is logged, and the next hour tries again.
pub async fn prune(state: &Arc<AppState>) {
    for Kind { count, days, prune } in KINDS {
        let days = days(&state.config.retention);
        if days == 0 {
            continue;
        }
        let before = Timestamp::now().plus_days(-f64::from(days));
        while !state.draining.load(Ordering::Acquire) {
            match state.store.run_patiently(move |connection| prune(connection, before, BATCH)).await {
                Ok(removed) => {
                    state.metrics.add(count, removed as u64);
                    if i64::try_from(removed).is_ok_and(|removed| removed < BATCH) {
                        break;
                    }
                }
                Err(error) => {
                    log::warn!(
                        "old rows not removed kind={} error={error}",
                        count.outcome().unwrap_or("other")
                    );
                    break;
                }
            }
        }
    }
}
