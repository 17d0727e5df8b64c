//! Table `held_messages`: what set a message off that waits. With encryption the words of an event are a text of JSON that is encrypted
//! under the key of its user.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use serde_json::Value;
use uuid::Uuid;

use crate::encryption::{Fields, owner};
use crate::postgres::StoreError;
use crate::postgres::columns::Batch;
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, ItemId, Millis, Timestamp, UserId};
use tidings_decision::decide::MAX_DEFERRED_READ;
pub use tidings_decision::decide::record::DeferredRow;
use tidings_decision::privacy::encryption::{Field, Unavailable, key_of};

/// Stores deferred triggers. Of one that is there already the moment and the expiry change.
pub fn put(conn: &mut PgConnection, fields: &Fields, rows: &[DeferredRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    // One statement changes a row once: the last word on each counts.
    let last: HashMap<Uuid, &DeferredRow> = rows.iter().map(|row| (row.held_id, row)).collect();
    let rows: Vec<&DeferredRow> = last.into_values().collect();
    let events = sealed_events(conn, fields, &rows)?;
    let rows: Vec<(&DeferredRow, Option<Value>)> = rows.into_iter().zip(events).collect();
    let rows = rows.as_slice();
    let columns = Batch::of(rows)
        .column::<SqlUuid, _>("held_id", |(row, _)| row.held_id)
        .column::<Integer, _>("user_id", |(row, _)| row.user.to_sql())
        .column::<Text, _>("trigger", |(row, _)| row.trigger.as_str())
        .column::<Text, _>("category", |(row, _)| row.category.as_str())
        .column::<Nullable<Integer>, _>("item_id", |(row, _)| row.item.map(ItemId::to_sql))
        .column::<Nullable<Double>, _>("price_before", |(row, _)| row.price_before)
        .column::<Nullable<Jsonb>, _>("event", |(_, event)| event.as_ref())
        .column::<Bool, _>("for_digest", |(row, _)| row.for_digest)
        .column::<Timestamptz, _>("until", |(row, _)| to_pg(row.until))
        .column::<Timestamptz, _>("expires_at", |(row, _)| to_pg(row.expires_at))
        .column::<Nullable<SqlUuid>, _>("call_id", |(row, _)| row.call);
    let text = format!(
        "{} ON CONFLICT (held_id) DO UPDATE SET until = excluded.until, expires_at = excluded.expires_at",
        columns.insert_into("held_messages"),
    );
    sql::<()>(text).binds(columns.into_binds()).execute(conn)?;
    Ok(())
}

/// Events of these rows as they are stored.
fn sealed_events(
    conn: &mut PgConnection,
    fields: &Fields,
    rows: &[&DeferredRow],
) -> Result<Vec<Option<Value>>, StoreError> {
    if !fields.is_on() {
        return Ok(rows.iter().map(|row| row.event.as_deref().cloned()).collect());
    }
    let with_event = rows.iter().filter(|row| row.event.is_some());
    let sealer = fields.sealer(conn, with_event.map(|row| owner(Some(row.user))))?;
    let seal = |row: &&DeferredRow| {
        let Some(event) = row.event.as_deref() else { return Ok(None) };
        let sealed = sealer.seal(owner(Some(row.user)), Field::Held, &event.to_string())?.into_owned();
        Ok(Some(Value::String(sealed)))
    };
    rows.iter().map(seal).collect()
}

/// The rows with their events as they were before they were encrypted. One whose event can't be decrypted is left out: it waits until it
/// expires.
fn opened(
    conn: &mut PgConnection,
    fields: &Fields,
    rows: Vec<DeferredRow>,
) -> Result<Vec<DeferredRow>, StoreError> {
    let ciphertexts = rows.iter().filter_map(|row| Some((owner(Some(row.user)), ciphertext(row)?)));
    let opener = fields.opener(conn, ciphertexts)?;
    let open = |mut row: DeferredRow| {
        let Some(text) = ciphertext(&row) else { return Some(row) };
        let text = opener.open(owner(Some(row.user)), Field::Held, text.to_owned());
        match text.and_then(|text| serde_json::from_str(&text).map_err(|_| Unavailable::Damaged)) {
            Ok(event) => row.event = Some(Arc::new(event)),
            Err(error) => {
                log::error!(
                    "a deferred trigger can't be read held_id={} reason={}",
                    row.held_id,
                    error.reason()
                );
                return None;
            }
        }
        Some(row)
    };
    Ok(rows.into_iter().filter_map(open).collect())
}

/// The event of a row, if it is encrypted.
fn ciphertext(row: &DeferredRow) -> Option<&str> {
    row.event.as_deref()?.as_str().filter(|text| key_of(text).is_some())
}

/// Removes deferred triggers that were decided again.
pub fn release(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(), StoreError> {
    if !ids.is_empty() {
        sql::<()>("DELETE FROM held_messages WHERE held_id = ANY(?)")
            .bind::<Array<SqlUuid>, _>(ids)
            .execute(conn)?;
    }
    Ok(())
}

/// Removes what calls of the shop deferred; which call and whose, once each.
pub fn withdraw_calls(
    conn: &mut PgConnection,
    calls: &[Uuid],
) -> Result<Vec<(Uuid, ExternalId)>, StoreError> {
    let rows = sql::<(SqlUuid, Text)>(
        "WITH gone AS (DELETE FROM held_messages WHERE call_id = ANY(?) RETURNING call_id, user_id) \
         SELECT DISTINCT g.call_id, u.external_id FROM gone g JOIN users u USING (user_id)",
    )
    .bind::<Array<SqlUuid>, _>(calls)
    .load::<(Uuid, String)>(conn)?;
    rows.into_iter().map(|(call, user)| Ok((call, external_id("users", &user)?))).collect()
}

/// Pauses what calls of the shop deferred; which call and whose, once each.
pub fn pause_calls(conn: &mut PgConnection, calls: &[Uuid]) -> Result<Vec<(Uuid, ExternalId)>, StoreError> {
    let rows = sql::<(SqlUuid, Text)>(
        "WITH paused AS (UPDATE held_messages SET is_paused = true WHERE call_id = ANY(?) RETURNING call_id, user_id) \
         SELECT DISTINCT p.call_id, u.external_id FROM paused p JOIN users u USING (user_id)",
    )
    .bind::<Array<SqlUuid>, _>(calls)
    .load::<(Uuid, String)>(conn)?;
    rows.into_iter().map(|(call, user)| Ok((call, external_id("users", &user)?))).collect()
}

/// Resumes what calls of the shop deferred, each with its user.
pub fn resume_calls(
    conn: &mut PgConnection,
    fields: &Fields,
    calls: &[Uuid],
) -> Result<Vec<(DeferredRow, ExternalId)>, StoreError> {
    let rows = sql::<(ColumnTypes, Text)>(
        "WITH resumed AS (UPDATE held_messages SET is_paused = false WHERE call_id = ANY(?) AND is_paused RETURNING *) \
         SELECT r.held_id, r.user_id, r.trigger, r.category, r.item_id, r.price_before, r.event, r.for_digest, \
         r.until, r.expires_at, r.call_id, u.external_id FROM resumed r JOIN users u USING (user_id)",
    )
    .bind::<Array<SqlUuid>, _>(calls)
    .load::<(Columns, String)>(conn)?;
    let names = rows.iter().map(|(columns, user)| Ok((columns.0, external_id("users", user)?)));
    let mut names = names.collect::<Result<HashMap<Uuid, ExternalId>, StoreError>>()?;
    let rows = opened(conn, fields, rows.into_iter().map(|(columns, _)| row(columns)).collect())?;
    Ok(rows.into_iter().filter_map(|row| names.remove(&row.held_id).map(|user| (row, user))).collect())
}

/// Removes and returns deferred triggers that expired before `before`, at most `limit`: their users did not come in time. Events are as
/// they are stored.
pub fn take_expired(
    conn: &mut PgConnection,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<DeferredRow>, StoreError> {
    let rows = sql::<ColumnTypes>(
        "DELETE FROM held_messages WHERE held_id IN \
         (SELECT held_id FROM held_messages WHERE expires_at < ? ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED) \
         RETURNING held_id, user_id, trigger, category, item_id, price_before, event, for_digest, until, expires_at, call_id",
    )
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(limit.max(0))
    .load::<Columns>(conn)?;
    Ok(rows.into_iter().map(row).collect())
}

/// Defers a message for users that were absent when an item changed: those who looked at it, carted or liked it within 30
/// days and have not bought it since, unless it waits for them already. At most `limit` users an item; returns the number of
/// rows made.
pub fn hold_for_absent(
    conn: &mut PgConnection,
    row: &DeferredRow,
    present: &[UserId],
    limit: i64,
) -> Result<usize, StoreError> {
    let Some(item) = row.item else { return Ok(0) };
    let present: Vec<i32> = present.iter().map(|user| user.to_sql()).collect();
    Ok(sql::<()>(include_str!("sql/hold_for_absent.sql"))
        .bind::<Text, _>(row.trigger.as_str())
        .bind::<Text, _>(row.category.as_str())
        .bind::<Integer, _>(item.to_sql())
        .bind::<Nullable<Double>, _>(row.price_before)
        .bind::<Timestamptz, _>(to_pg(row.until))
        .bind::<Timestamptz, _>(to_pg(row.expires_at))
        .bind::<Integer, _>(item.to_sql())
        .bind::<Array<SmallInt>, _>(vec![1_i16, 3, 7])
        .bind::<Timestamptz, _>(to_pg(row.until))
        .bind::<BigInt, _>(limit)
        .bind::<Array<Integer>, _>(present)
        .bind::<Integer, _>(item.to_sql())
        .bind::<Text, _>(row.trigger.as_str())
        .bind::<Integer, _>(item.to_sql())
        .bind::<Timestamptz, _>(to_pg(row.until))
        .execute(conn)?)
}

/// A deferred message that is due, and the user to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Moment at which it was due; with the id the place of the next page.
    pub until: Timestamp,
    /// Id of the deferred message.
    pub held_id: Uuid,
    /// User of the deferred message.
    pub user: ExternalId,
}

/// Messages due by `now` for users with a push subscription, after a place and in its order, at most `limit`. Triggers of
/// `not_for` wait for a visit.
pub fn due_for_push(
    conn: &mut PgConnection,
    now: Timestamp,
    after: (Timestamp, Uuid),
    not_for: &[String],
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    sql::<(Timestamptz, SqlUuid, Text)>(
        "SELECT h.until, h.held_id, u.external_id FROM held_messages h JOIN users u USING (user_id) \
         WHERE h.until <= ? AND h.expires_at > ? AND (h.until, h.held_id) > (?, ?) AND h.trigger <> ALL(?) \
         AND NOT h.is_paused AND EXISTS (SELECT FROM push_subscriptions p WHERE p.user_id = h.user_id AND p.ended_at IS NULL) \
         ORDER BY h.until, h.held_id LIMIT ?",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(after.0))
    .bind::<SqlUuid, _>(after.1)
    .bind::<Array<Text>, _>(not_for)
    .bind::<BigInt, _>(limit)
    .load::<(PgTimestamp, Uuid, String)>(conn)?
    .into_iter()
    .map(|(until, held_id, user)| {
        Ok(Due { until: from_pg(until), held_id, user: external_id("users", &user)? })
    })
    .collect()
}

/// Absences longer than the trigger asks for by more than this are let be: whoever installs this server does not write
/// to everybody who ever left.
const WIN_BACK_WITHIN: Millis = Millis::hours(24 * 30);

/// Lets a trigger wait for users with a push subscription who were last here (an event or an open connection) `away` ago or
/// more: once for each absence, at most `limit` users. How many rows were made.
pub fn hold_for_away(
    conn: &mut PgConnection,
    row: &DeferredRow,
    away: Millis,
    limit: i64,
) -> Result<usize, StoreError> {
    let latest = row.until - away;
    // One of this absence went off when it had lasted so long; an earlier one belongs to the absence before, or to the return
    // from it, which is about as old as the connection.
    let away_ms = i64::try_from(away.0).unwrap_or(i64::MAX);
    Ok(sql::<()>(include_str!("sql/hold_for_away.sql"))
        .bind::<Text, _>(row.trigger.as_str())
        .bind::<Text, _>(row.category.as_str())
        .bind::<Timestamptz, _>(to_pg(row.until))
        .bind::<Timestamptz, _>(to_pg(row.expires_at))
        .bind::<Timestamptz, _>(to_pg(latest))
        .bind::<Timestamptz, _>(to_pg(latest - WIN_BACK_WITHIN))
        .bind::<Text, _>(row.trigger.as_str())
        .bind::<Text, _>(row.trigger.as_str())
        .bind::<BigInt, _>(away_ms)
        .bind::<Text, _>(row.trigger.as_str())
        .bind::<BigInt, _>(away_ms)
        .bind::<BigInt, _>(limit)
        .execute(conn)?)
}

type ColumnTypes = (
    SqlUuid,
    Integer,
    Text,
    Text,
    Nullable<Integer>,
    Nullable<Double>,
    Nullable<Jsonb>,
    Bool,
    Timestamptz,
    Timestamptz,
    Nullable<SqlUuid>,
);
type Columns = (
    Uuid,
    i32,
    String,
    String,
    Option<i32>,
    Option<f64>,
    Option<Value>,
    bool,
    PgTimestamp,
    PgTimestamp,
    Option<Uuid>,
);

/// Gives a user the deferred triggers of one that is merged into it, without those that the user has. The ones of calls among
/// these, each with the moment at which its call told the user, `None` where it still waits. Events are as they are stored.
pub(super) fn merge(
    conn: &mut PgConnection,
    own: i32,
    merged: i32,
) -> Result<Vec<(DeferredRow, Option<Timestamp>)>, StoreError> {
    let doubled = sql::<(ColumnTypes, Nullable<Timestamptz>)>(include_str!("sql/merge_deferred.sql"))
        .bind::<Integer, _>(merged)
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(merged)
        .load::<(Columns, Option<PgTimestamp>)>(conn)?;
    Ok(doubled.into_iter().map(|(columns, told_at)| (row(columns), told_at.map(from_pg))).collect())
}

/// Unexpired deferred messages of many users, the earliest first, at most [`MAX_DEFERRED_READ`] each.
pub(super) fn load(
    conn: &mut PgConnection,
    fields: &Fields,
    ids: &[i32],
    now: Timestamp,
) -> Result<Vec<DeferredRow>, StoreError> {
    let rows = sql::<ColumnTypes>(
        "SELECT h.held_id, h.user_id, h.trigger, h.category, h.item_id, h.price_before, h.event, h.for_digest, h.until, h.expires_at, h.call_id \
         FROM unnest(?) AS u (user_id) CROSS JOIN LATERAL (SELECT * FROM held_messages \
         WHERE user_id = u.user_id AND expires_at > ? AND NOT is_paused ORDER BY until, held_id LIMIT ?) AS h",
    )
    .bind::<Array<Integer>, _>(ids)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(MAX_DEFERRED_READ as i64)
    .load::<Columns>(conn)?;
    opened(conn, fields, rows.into_iter().map(row).collect())
}

fn row(columns: Columns) -> DeferredRow {
    let (held_id, user, trigger, category, item, price_before, event, for_digest, until, expires_at, call) =
        columns;
    DeferredRow {
        held_id,
        user: UserId::from_sql(user),
        trigger,
        category,
        item: item.map(ItemId::from_sql),
        price_before,
        event: event.map(Arc::new),
        for_digest,
        until: from_pg(until),
        expires_at: from_pg(expires_at),
        call,
    }
}
