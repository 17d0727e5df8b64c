//! Removes rows that are older than they are kept, at most so many at a time. What bounds each kind is a setting of its own.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;

fn older(
    conn: &mut PgConnection,
    statement: &'static str,
    before: Timestamp,
    limit: i64,
) -> Result<usize, StoreError> {
    Ok(sql::<()>(statement).bind::<Timestamptz, _>(to_pg(before)).bind::<BigInt, _>(limit).execute(conn)?)
}

/// Removes at most `limit` events that were received before a moment; how many.
pub fn events(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let statement = "DELETE FROM events WHERE (event_key, occurred_at) IN \
                     (SELECT event_key, occurred_at FROM events WHERE received_at < ? LIMIT ?)";
    older(conn, statement, before, limit)
}

/// Removes at most `limit` decisions that were made before a moment; how many.
pub fn decisions(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let statement = "DELETE FROM decisions WHERE decision_id IN \
                     (SELECT decision_id FROM decisions WHERE decided_at < ? ORDER BY decided_at LIMIT ?)";
    older(conn, statement, before, limit)
}

/// Removes at most `limit` messages that were made and expired before a moment, with the feedback to them; how many messages. The newest of each
/// user stays, since numbers of the stream go on from it.
pub fn messages(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let removed = sql::<BigInt>(include_str!("sql/prune_messages.sql"))
        .bind::<Timestamptz, _>(to_pg(before))
        .bind::<Timestamptz, _>(to_pg(before))
        .bind::<BigInt, _>(limit)
        .get_result::<i64>(conn)?;
    Ok(usize::try_from(removed).unwrap_or(0))
}
