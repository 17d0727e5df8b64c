//! Upkeep of the outbox and log of webhooks, in steps of a bounded number of rows: no step holds up for long what stores events,
//! messages and decisions.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;

/// Rows of one step.
pub const STEP: i64 = 5_000;
/// Most steps of one [`sweep`].
const STEPS: usize = 40;

/// Moments that decide what a sweep gives up and removes.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// Deliveries that finished before this are removed.
    pub kept_since: Timestamp,
    /// Deliveries that have been due since before this are given up; `None` while they are attempted.
    pub given_up_before: Option<Timestamp>,
}

/// A step; the rows that it took.
type Step = fn(&mut PgConnection, &Sweep) -> Result<usize, StoreError>;

/// Takes upkeep on in steps of [`STEP`] rows until nothing is left to do, at most 40 of them: removes endpoints that were removed
/// over HTTP, gives up what waits for disabled ones, and removes what is older than the log. Returns the rows. Each step is a
/// transaction of its own, so call it outside of one.
pub fn sweep(conn: &mut PgConnection, sweep: &Sweep) -> Result<usize, StoreError> {
    let mut rows = 0;
    let mut left = STEPS;
    let steps: [Step; 4] = [
        |conn, _| remove_endpoints(conn, STEP),
        |conn, _| give_up_disabled(conn, STEP),
        |conn, sweep| prune(conn, sweep.kept_since, STEP),
        |conn, sweep| sweep.given_up_before.map_or(Ok(0), |before| give_up(conn, Some(before), STEP)),
    ];
    for step in steps {
        while left > 0 {
            left -= 1;
            let done = step(conn, sweep)?;
            rows += done;
            if i64::try_from(done).is_ok_and(|done| done < STEP) {
                break;
            }
        }
    }
    Ok(rows)
}

/// Gives up at most `limit` deliveries that wait for disabled endpoints; they can be replayed. How many. One that is being sent
/// waits for its end.
pub fn give_up_disabled(conn: &mut PgConnection, limit: i64) -> Result<usize, StoreError> {
    give_up(conn, None, limit)
}

/// The same, and of those for any endpoint that have been due since `before`.
fn give_up(conn: &mut PgConnection, before: Option<Timestamp>, limit: i64) -> Result<usize, StoreError> {
    Ok(sql::<()>(include_str!("sql/give_up_webhooks.sql"))
        .bind::<Nullable<Timestamptz>, _>(before.map(to_pg))
        .bind::<BigInt, _>(limit)
        .bind::<Nullable<Timestamptz>, _>(before.map(to_pg))
        .bind::<BigInt, _>(limit)
        .execute(conn)?)
}

/// Removes at most `limit` deliveries of removed endpoints with their attempts, and endpoints of which nothing is left; how many.
pub fn remove_endpoints(conn: &mut PgConnection, limit: i64) -> Result<usize, StoreError> {
    let removed = sql::<()>(include_str!("sql/remove_webhooks.sql"))
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(limit)
        .execute(conn)?;
    if i64::try_from(removed).is_ok_and(|removed| removed < limit) {
        sql::<()>(
            "DELETE FROM webhook_endpoints e WHERE removed_at IS NOT NULL \
             AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.endpoint_id)",
        )
        .execute(conn)?;
    }
    Ok(removed)
}

/// Removes at most `limit` deliveries that finished before a moment, with their attempts; how many.
fn prune(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "DELETE FROM webhook_deliveries WHERE delivery_id IN (\
           SELECT delivery_id FROM webhook_deliveries WHERE finished_at < ? ORDER BY finished_at LIMIT ?)",
    )
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(limit)
    .execute(conn)?)
}

/// Frees claims whose time has passed; all of them with the latest moment, when a server starts. They may have been delivered.
pub fn free_claims(conn: &mut PgConnection, before: Option<Timestamp>) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "UPDATE webhook_deliveries SET claimed_until = NULL WHERE claimed_until IS NOT NULL \
         AND claimed_until <= coalesce(?, 'infinity')",
    )
    .bind::<Nullable<Timestamptz>, _>(before.map(to_pg))
    .execute(conn)?)
}

/// Deliveries that wait. Each half is counted in an index that holds no others.
pub fn waiting(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql::<BigInt>(
        "SELECT (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND claimed_until IS NULL) \
         + (SELECT count(*) FROM webhook_deliveries WHERE claimed_until IS NOT NULL)",
    )
    .get_result(conn)?)
}
