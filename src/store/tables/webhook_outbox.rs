//! Tables `webhook_deliveries` and `webhook_attempts`: the outbox and the log of webhooks. Rows come by triggers of the database, in the
//! transaction that stores what happened.

use std::collections::BTreeMap;
use std::fmt;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::webhook_upkeep::{STEP, give_up_disabled};
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;

/// Attempts of one delivery that are shown, the latest.
const ATTEMPTS_SHOWN: i64 = 20;

/// An endpoint with something due.
#[derive(Clone)]
pub struct Target {
    /// Its id.
    pub endpoint: Uuid,
    /// Address that requests go to.
    pub url: String,
    /// Keys that sign, the newest first.
    pub secrets: Vec<Vec<u8>>,
}

impl fmt::Debug for Target {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, url, secrets } = self;
        f.debug_struct("Target")
            .field("endpoint", endpoint)
            .field("url", url)
            .field("secrets", &format_args!("{} keys", secrets.len()))
            .finish()
    }
}

/// A claimed delivery.
#[derive(Clone, Debug)]
pub struct Due {
    /// Place in the log.
    pub delivery: i64,
    /// Id of the message, the same at each attempt.
    pub message: Uuid,
    /// The body.
    pub payload: String,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Age is counted from here.
    pub since: Timestamp,
}

/// Fate of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Delivered.
    Delivered,
    /// Tried again then.
    Retry(Timestamp),
    /// Too old to be tried again.
    GivenUp,
    /// The endpoint is no more.
    Gone,
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// Id of the delivery.
    pub delivery: i64,
    /// Id of the endpoint.
    pub endpoint: Uuid,
    /// Begin of the request.
    pub at: Timestamp,
    /// Milliseconds to its end.
    pub took_ms: i32,
    /// HTTP status, 0 = no answer.
    pub status: i16,
    /// First bytes of the answer, or why there was none.
    pub answer: String,
    /// Fate of the delivery.
    pub end: End,
}

/// Active endpoints with something due, at most as many as there may be.
pub fn targets(conn: &mut PgConnection, now: Timestamp) -> Result<Vec<Target>, StoreError> {
    let rows = sql::<(SqlUuid, Text, Binary, Nullable<Binary>)>(
        "SELECT endpoint_id, url, secret, CASE WHEN old_secret_until > ? THEN old_secret END FROM webhook_endpoints e \
         WHERE state = 'active' AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.endpoint_id \
           AND d.state = 'pending' AND d.claimed_until IS NULL AND d.due_at <= ?)",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(now))
    .load::<(Uuid, String, Vec<u8>, Option<Vec<u8>>)>(conn)?;
    let target = |(endpoint, url, secret, old)| Target {
        endpoint,
        url,
        secrets: [Some(secret), old].into_iter().flatten().collect(),
    };
    Ok(rows.into_iter().map(target).collect())
}

/// Claims at most `limit` due deliveries of an endpoint, the longest due first.
pub fn claim(
    conn: &mut PgConnection,
    endpoint: Uuid,
    limit: i64,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Due>, StoreError> {
    let rows = sql::<(BigInt, SqlUuid, Text, Integer, Timestamptz)>(
        "UPDATE webhook_deliveries SET claimed_until = ?, attempts = attempts + 1 WHERE delivery_id IN (\
           SELECT delivery_id FROM webhook_deliveries WHERE endpoint_id = ? AND state = 'pending' \
           AND claimed_until IS NULL AND due_at <= ? ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED) \
         RETURNING delivery_id, message_id, payload, attempts, since",
    )
    .bind::<Timestamptz, _>(to_pg(until))
    .bind::<SqlUuid, _>(endpoint)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(limit)
    .load::<(i64, Uuid, String, i32, PgTimestamp)>(conn)?;
    let due = |(delivery, message, payload, attempts, since)| Due {
        delivery,
        message,
        payload,
        attempt: u32::try_from(attempts).unwrap_or(1),
        since: from_pg(since),
    };
    Ok(rows.into_iter().map(due).collect())
}

/// Records attempts that have ended, and disables endpoints that are gone, or have taken nothing since `failing_before`; those, each
/// with its reason. Deliveries and endpoints that were removed meanwhile are left alone.
pub fn finish(
    conn: &mut PgConnection,
    attempts: &[Attempted],
    failing_before: Timestamp,
    now: Timestamp,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let state = |end| match end {
        End::Delivered => "delivered",
        End::Retry(_) => "pending",
        End::GivenUp | End::Gone => "failed",
    };
    let due = |end| if let End::Retry(at) = end { to_pg(at) } else { to_pg(now) };
    let of_endpoints = |wanted: fn(&Attempted) -> bool| -> Vec<Uuid> {
        attempts.iter().filter(|one| wanted(one)).map(|one| one.endpoint).collect()
    };
    conn.transaction(|conn| {
        sql::<()>(include_str!("sql/finish_webhooks.sql"))
            .bind::<Array<BigInt>, _>(column(attempts, |one| one.delivery))
            .bind::<Array<Timestamptz>, _>(column(attempts, |one| to_pg(one.at)))
            .bind::<Array<Integer>, _>(column(attempts, |one| one.took_ms))
            .bind::<Array<SmallInt>, _>(column(attempts, |one| one.status))
            .bind::<Array<Text>, _>(column(attempts, |one| one.answer.as_str()))
            .bind::<Array<Text>, _>(column(attempts, |one| state(one.end)))
            .bind::<Array<Timestamptz>, _>(column(attempts, |one| due(one.end)))
            .bind::<Timestamptz, _>(to_pg(now))
            .execute(conn)?;
        let disabled = sql::<(SqlUuid, Text)>(include_str!("sql/note_webhook_health.sql"))
            .bind::<Array<SqlUuid>, _>(of_endpoints(|one| one.end == End::Delivered))
            .bind::<Array<SqlUuid>, _>(of_endpoints(|one| one.end == End::Gone))
            .bind::<Array<SqlUuid>, _>(of_endpoints(|one| one.end != End::Delivered))
            .bind::<Timestamptz, _>(to_pg(now))
            .bind::<Timestamptz, _>(to_pg(failing_before))
            .load::<(Uuid, String)>(conn)?;
        if !disabled.is_empty() {
            // The rest is left to the next sweep.
            give_up_disabled(conn, STEP)?;
        }
        Ok(disabled)
    })
}

/// Deliveries to try again.
#[derive(Clone, Copy, Debug)]
pub enum Replay {
    /// One, delivered or not.
    One(i64),
    /// Those that were given up, of events since this moment.
    FailedSince(Timestamp),
}

/// Most deliveries that one call makes due again.
pub const MAX_REPLAYED: usize = 10_000;

/// Makes finished deliveries of an endpoint due again, under the id they had, the oldest first, at most [`MAX_REPLAYED`]; how many.
pub fn replay(
    conn: &mut PgConnection,
    endpoint: Uuid,
    replay: Replay,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let (one, since) = match replay {
        Replay::One(delivery) => (Some(delivery), None),
        Replay::FailedSince(since) => (None, Some(to_pg(since))),
    };
    let limit = i64::try_from(MAX_REPLAYED).unwrap_or(i64::MAX);
    Ok(sql::<()>(
        "UPDATE webhook_deliveries SET state = 'pending', attempts = 0, due_at = ?, since = ?, finished_at = NULL \
         WHERE delivery_id IN (SELECT delivery_id FROM webhook_deliveries WHERE endpoint_id = ? AND state <> 'pending' \
           AND (delivery_id = ? OR (state = 'failed' AND created_at >= ?)) ORDER BY delivery_id LIMIT ?)",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<SqlUuid, _>(endpoint)
    .bind::<Nullable<BigInt>, _>(one)
    .bind::<Nullable<Timestamptz>, _>(since)
    .bind::<BigInt, _>(limit)
    .execute(conn)?)
}

/// Puts one message for one endpoint into the outbox.
pub fn put(
    conn: &mut PgConnection,
    endpoint: Uuid,
    message: Uuid,
    event: &str,
    payload: &str,
) -> Result<i64, StoreError> {
    Ok(sql::<BigInt>(
        "INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload) VALUES (?, ?, ?, ?) RETURNING delivery_id",
    )
    .bind::<SqlUuid, _>(endpoint)
    .bind::<SqlUuid, _>(message)
    .bind::<Text, _>(event)
    .bind::<Text, _>(payload)
    .get_result(conn)?)
}

/// A delivery as the log shows it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Place in the log.
    pub delivery: i64,
    /// Id of the message.
    pub message: Uuid,
    /// Name of the event.
    pub event: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// Attempts so far, since it was last replayed.
    pub attempts: i32,
    /// Moment of the event.
    pub created_at: Timestamp,
    /// Not before this.
    pub due_at: Timestamp,
    /// Moment at which it was delivered or given up; `None` = it waits.
    pub finished_at: Option<Timestamp>,
    /// The latest attempts, the first first.
    pub requests: Vec<LoggedAttempt>,
}

/// An attempt as the log shows it.
#[derive(Clone, Debug)]
pub struct LoggedAttempt {
    /// Begin of the request.
    pub at: Timestamp,
    /// Milliseconds to its end.
    pub took_ms: i32,
    /// HTTP status, 0 = no answer.
    pub status: i16,
    /// First bytes of the answer, or why there was none.
    pub answer: String,
}

type LogRow = (i64, Uuid, String, String, i32, PgTimestamp, PgTimestamp, Option<PgTimestamp>);

/// A page of an endpoint's deliveries, the latest first: those in `state`, before a place of the log. Deliveries and their attempts are
/// those of one moment.
pub fn log(
    conn: &mut PgConnection,
    endpoint: Uuid,
    state: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Logged>, StoreError> {
    conn.build_transaction()
        .read_only()
        .repeatable_read()
        .run(|conn| log_of_a_moment(conn, endpoint, state, before, limit))
}

fn log_of_a_moment(
    conn: &mut PgConnection,
    endpoint: Uuid,
    state: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Logged>, StoreError> {
    let rows = sql::<(BigInt, SqlUuid, Text, Text, Integer, Timestamptz, Timestamptz, Nullable<Timestamptz>)>(
        "SELECT delivery_id, message_id, event, state, attempts, created_at, due_at, finished_at FROM webhook_deliveries \
         WHERE endpoint_id = ? AND (state = ? OR ?::text IS NULL) AND delivery_id < coalesce(?, 9223372036854775807) \
         ORDER BY delivery_id DESC LIMIT ?",
    )
    .bind::<SqlUuid, _>(endpoint)
    .bind::<Nullable<Text>, _>(state)
    .bind::<Nullable<Text>, _>(state)
    .bind::<Nullable<BigInt>, _>(before)
    .bind::<BigInt, _>(limit)
    .load::<LogRow>(conn)?;
    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let mut requests = attempts(conn, ids)?;
    let logged =
        |(delivery, message, event, state, attempts, created_at, due_at, finished_at): LogRow| Logged {
            delivery,
            message,
            event,
            state,
            attempts,
            created_at: from_pg(created_at),
            due_at: from_pg(due_at),
            finished_at: finished_at.map(from_pg),
            requests: requests.remove(&delivery).unwrap_or_default(),
        };
    Ok(rows.into_iter().map(logged).collect())
}

fn attempts(
    conn: &mut PgConnection,
    deliveries: Vec<i64>,
) -> Result<BTreeMap<i64, Vec<LoggedAttempt>>, StoreError> {
    let rows = sql::<(BigInt, Timestamptz, Integer, SmallInt, Text)>(
        "SELECT a.delivery_id, a.at, a.took_ms, a.status, a.answer FROM unnest(?) AS d (id) CROSS JOIN LATERAL (\
           SELECT * FROM webhook_attempts WHERE delivery_id = d.id ORDER BY attempt_id DESC LIMIT ?) a ORDER BY a.attempt_id",
    )
    .bind::<Array<BigInt>, _>(deliveries)
    .bind::<BigInt, _>(ATTEMPTS_SHOWN)
    .load::<(i64, PgTimestamp, i32, i16, String)>(conn)?;
    let mut by_delivery: BTreeMap<i64, Vec<LoggedAttempt>> = BTreeMap::new();
    for (delivery, at, took_ms, status, answer) in rows {
        let attempt = LoggedAttempt { at: from_pg(at), took_ms, status, answer };
        by_delivery.entry(delivery).or_default().push(attempt);
    }
    Ok(by_delivery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_printed() {
        let secrets = vec![vec![171; 32], vec![205; 32]];
        let target = Target { endpoint: Uuid::nil(), url: "https://shop.example/hooks".to_owned(), secrets };
        let shown = format!("{target:?}");
        assert!(shown.contains("shop.example") && shown.contains("2 keys"), "{shown}");
        assert!(!shown.contains("171") && !shown.contains("205"), "{shown}");
    }
}
