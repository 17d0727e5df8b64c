//! Table `events`: what users did. [`super::append`] commits groups of them, [`super::training_events`] streams them out.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Float, Integer, Nullable, SmallInt, Text, Timestamptz};

use super::event_kinds;
use super::event_row::event_from_row;
use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_core::event::Event;

/// Writing; and reading for training.
pub use super::append::{Appended, append, ensure_partitions};
pub use super::training_events::for_each;

/// About how many events there are, from PostgreSQL's statistics; may lag by a minute. Free of cost.
pub fn count_estimate(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql::<BigInt>(
        "SELECT coalesce(sum(greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0)), 0)::bigint \
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass",
    )
    .get_result(conn)?)
}

/// The columns of an event after the moment of its commit.
type ReceivedRow = (
    PgTimestamp,
    PgTimestamp,
    Option<i32>,
    Option<i32>,
    i16,
    Option<i32>,
    f32,
    Option<f64>,
    Option<String>,
    Option<i64>,
);

/// The database's clock, which dates what is received.
pub fn clock(conn: &mut PgConnection) -> Result<Timestamp, StoreError> {
    let now: PgTimestamp = diesel::select(diesel::dsl::sql::<Timestamptz>("now()")).get_result(conn)?;
    Ok(from_pg(now))
}

/// The events received in (`since`, `until`], the newest `limit` of them, commit by commit in their order; within a commit in
/// any order.
pub fn commits_between(
    conn: &mut PgConnection,
    since: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Vec<Event>>, StoreError> {
    let kinds = event_kinds::load(conn)?;
    let rows = sql::<(
        Timestamptz,
        Timestamptz,
        Nullable<Integer>,
        Nullable<Integer>,
        SmallInt,
        Nullable<Integer>,
        Float,
        Nullable<Double>,
        Nullable<Text>,
        Nullable<BigInt>,
    )>(
        "SELECT * FROM (SELECT received_at, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket \
         FROM events WHERE received_at > ? AND received_at <= ? ORDER BY received_at DESC LIMIT ?) newest \
         ORDER BY received_at",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Timestamptz, _>(to_pg(until))
    .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
    .load_iter::<ReceivedRow, diesel::connection::DefaultLoadingMode>(conn)?;
    let mut commits: Vec<Vec<Event>> = Vec::new();
    let mut received = None;
    for row in rows {
        let (at, occurred_at, user, item, kind, dwell_ms, quantity, value, currency, basket) = row?;
        let row = (occurred_at, user, item, kind, dwell_ms, quantity, value, currency, basket);
        let Some(event) = event_from_row(row, &kinds) else { continue };
        match commits.last_mut().filter(|_| received == Some(at.0)) {
            Some(commit) => commit.push(event),
            None => commits.push(vec![event]),
        }
        received = Some(at.0);
    }
    Ok(commits)
}

/// Forgets at most `limit` receipts from before `before`: a client's retry after that long is stored twice. How many.
pub fn prune_receipts(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "DELETE FROM event_receipts WHERE event_key IN \
         (SELECT event_key FROM event_receipts WHERE received_at < ? LIMIT ?)",
    )
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(limit)
    .execute(conn)?)
}
