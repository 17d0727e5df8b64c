//! Table `broadcasts`: messages to more than one user, messages that wait for their time, and calls that set triggers off, each under one id. The users of a
//! segment or of everyone are read when the message is due; named users are in the outbox from the start.

use std::borrow::Cow;
use std::collections::HashMap;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

use super::audiences::{self, Like};
pub use super::broadcast_kinds::{Broadcast, State, To};
use super::deferred;
use super::local_broadcasts;
use crate::encryption::Fields;
use crate::encryption::words::unavailable_words;
use crate::postgres::StoreError;
use crate::postgres::columns::{Batch, column};
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, NotificationId, Timestamp};
use tidings_decision::notify::Unsent;
use tidings_decision::notify::local_time::LocalTime;
use tidings_decision::notify::pace::Pace;
use tidings_decision::privacy::encryption::Field;

/// Broadcasts handed to the outbox in one transaction.
const AT_ONCE: i64 = 16;
/// Batches whose messages are withdrawn in one statement: up to a thousand messages each.
const BATCHES_AT_ONCE: usize = 32;

/// Rows as [`from_row`] reads them.
pub(super) const SELECT: &str = "SELECT broadcast_id, call_id, state, audience, message, users, rate_per_minute, local_at, \
     batches, due_at, created_at, unsent_reason FROM broadcasts";

pub(super) type Columns = (
    SqlUuid,
    SqlUuid,
    Text,
    Jsonb,
    Text,
    Integer,
    Nullable<Integer>,
    Nullable<Text>,
    Array<SqlUuid>,
    Timestamptz,
    Timestamptz,
    Nullable<Text>,
);
pub(super) type Row = (
    Uuid,
    Uuid,
    String,
    Value,
    String,
    i32,
    Option<i32>,
    Option<String>,
    Vec<Uuid>,
    PgTimestamp,
    PgTimestamp,
    Option<String>,
);

/// Rows with their words decrypted.
pub(super) fn opened(
    conn: &mut PgConnection,
    fields: &Fields,
    rows: Vec<Row>,
) -> Result<Vec<Broadcast>, StoreError> {
    let opener = fields.opener_of_any(conn, rows.iter().map(|row| row.4.as_str()))?;
    let open = |row: Row| {
        let mut row = from_row(row);
        let words = opener.open_any(Field::Broadcast, std::mem::take(&mut row.message));
        row.message = words.unwrap_or_else(unavailable_words);
        row
    };
    Ok(rows.into_iter().map(open).collect())
}

fn from_row(row: Row) -> Broadcast {
    let (id, call, state, to, message, users, rate, local, batches, due_at, created_at, unsent) = row;
    Broadcast {
        id,
        call,
        state: State::parse(&state).unwrap_or(State::Sent),
        to: To::from_json(&to),
        only: None,
        message,
        users: usize::try_from(users).unwrap_or(0),
        local: local.and_then(|local| LocalTime::parse(&local)),
        pace: rate.and_then(|rate| Pace::new(u32::try_from(rate).ok()?)),
        batches,
        due_at: from_pg(due_at),
        created_at: from_pg(created_at),
        unsent: unsent.and_then(|name| Unsent::parse(&name)),
    }
}

fn count(users: usize) -> i32 {
    i32::try_from(users).unwrap_or(i32::MAX)
}

fn rate(row: &Broadcast) -> Option<i32> {
    i32::try_from(row.pace?.per_minute()).ok()
}

/// Stores new ones.
pub fn insert(conn: &mut PgConnection, fields: &Fields, rows: &[Broadcast]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let words = fields.words(conn, rows.iter().filter_map(|row| row.only.as_ref()))?;
    let seal = |row: &Broadcast| match row.is_of_several() {
        true => Ok(row.message.clone()),
        false => words.seal(row.only.as_ref(), Field::Broadcast, &row.message).map(Cow::into_owned),
    };
    let sealed: Vec<String> = rows.iter().map(seal).collect::<Result<_, _>>()?;
    let rows: Vec<(&Broadcast, &str)> = rows.iter().zip(sealed.iter().map(String::as_str)).collect();
    let columns = Batch::of(&rows)
        .column::<SqlUuid, _>("broadcast_id", |(row, _)| row.id)
        .column::<SqlUuid, _>("call_id", |(row, _)| row.call)
        .column::<Text, _>("state", |(row, _)| row.state.name())
        .column::<Jsonb, _>("audience", |(row, _)| row.to.to_json())
        .column::<Text, _>("message", |(_, message)| *message)
        .column::<Integer, _>("users", |(row, _)| count(row.users))
        .column::<Nullable<Integer>, _>("rate_per_minute", |(row, _)| rate(row))
        .column::<Nullable<Text>, _>("local_at", |(row, _)| row.local.map(|local| local.to_string()))
        .column::<Nullable<Timestamptz>, _>("rate_used_until", |(row, _)| {
            row.pace.filter(|_| row.state == State::Sent).map(|_| to_pg(row.due_at))
        })
        .column_as::<Text, _>("batches", "batches::uuid[]", |(row, _)| batches_text(row))
        .column::<Timestamptz, _>("due_at", |(row, _)| to_pg(row.due_at))
        .column::<Timestamptz, _>("created_at", |(row, _)| to_pg(row.created_at));
    sql::<()>(columns.insert_into("broadcasts")).binds(columns.into_binds()).execute(conn)?;
    Ok(())
}

/// Batches as PostgreSQL reads an array: `unnest` would take arrays of arrays apart.
fn batches_text(row: &Broadcast) -> String {
    let batches: Vec<String> = row.batches.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", batches.join(","))
}

/// The broadcast of that id, or all of the request of that id, by id; locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, fields: &Fields, id: Uuid) -> Result<Vec<Broadcast>, StoreError> {
    let rows = sql::<Columns>(format!(
        "{SELECT} WHERE broadcast_id = ? OR call_id = ? ORDER BY broadcast_id FOR UPDATE"
    ))
    .bind::<SqlUuid, _>(id)
    .bind::<SqlUuid, _>(id)
    .load::<Row>(conn)?;
    opened(conn, fields, rows)
}

/// Those that wait, after a place and in its order, the earliest due first; at most `limit`.
pub fn scheduled(
    conn: &mut PgConnection,
    fields: &Fields,
    after: (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Broadcast>, StoreError> {
    let rows = sql::<Columns>(
        format!("{SELECT} WHERE state = 'scheduled' AND (due_at, broadcast_id) > (?, ?) ORDER BY due_at, broadcast_id LIMIT ?"),
    )
    .bind::<Timestamptz, _>(to_pg(after.0))
    .bind::<SqlUuid, _>(after.1)
    .bind::<BigInt, _>(limit.max(0))
    .load::<Row>(conn)?;
    opened(conn, fields, rows)
}

/// Moment at which the first one that waits is due.
pub fn next_due(conn: &mut PgConnection) -> Result<Option<Timestamp>, StoreError> {
    let due = sql::<Timestamptz>(
        "SELECT due_at FROM broadcasts WHERE state = 'scheduled' ORDER BY due_at, broadcast_id LIMIT 1",
    )
    .load::<PgTimestamp>(conn)?;
    Ok(due.into_iter().next().map(from_pg))
}

/// Hands what is due to the outbox, at most sixteen: reads the users of a segment or everyone, once, in the transaction that
/// notes it as sent. What [can't be sent](Unsent) goes to nobody, with the reason.
pub fn release(
    conn: &mut PgConnection,
    fields: &Fields,
    now: Timestamp,
    own: &TimeZone,
) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE broadcasts SET state = 'sent', changed_at = now(), \
         rate_used_until = CASE WHEN rate_per_minute IS NOT NULL THEN due_at END \
         WHERE state = 'scheduled' AND due_at <= ? AND local_at IS NULL AND cardinality(batches) > 0",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .execute(conn)?;
    let due = sql::<Columns>(format!(
        "{SELECT} WHERE state = 'scheduled' AND due_at <= ? ORDER BY due_at, broadcast_id LIMIT ? FOR UPDATE"
    ))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(AT_ONCE)
    .load::<Row>(conn)?;
    for row in opened(conn, fields, due)? {
        let unsent = row.why_unsent(fields, now);
        if let Some(local) = row.local {
            release_local(conn, fields, &row, local, unsent, own, now)?;
            continue;
        }
        let (state, users, batches) = match row.to.wide() {
            Some(wide) if unsent.is_none() => {
                let (message, is_held) = (row.message.as_str(), row.pace.is_some());
                let like = Like { broadcast: row.id, message, due_at: now, is_held };
                let (users, batches) = audiences::insert(conn, fields, &like, wide)?;
                (State::Sent, users, batches)
            }
            _ => (State::Expired, 0, Vec::new()),
        };
        let used_until = row.pace.filter(|_| state == State::Sent).map(|_| to_pg(now));
        let text = "UPDATE broadcasts SET state = ?, unsent_reason = ?, users = ?, rate_used_until = ?, batches = batches || ?, \
                    changed_at = now() WHERE broadcast_id = ?";
        sql::<()>(text)
            .bind::<Text, _>(state.name())
            .bind::<Nullable<Text>, _>(unsent.map(Unsent::name))
            .bind::<Integer, _>(count(users))
            .bind::<Nullable<Timestamptz>, _>(used_until)
            .bind::<Array<SqlUuid>, _>(batches)
            .bind::<SqlUuid, _>(row.id)
            .execute(conn)?;
    }
    Ok(())
}

/// Hands one with a wall time to those for whom it has come, and notes when to look again, or that it has come everywhere.
fn release_local(
    conn: &mut PgConnection,
    fields: &Fields,
    row: &Broadcast,
    local: LocalTime,
    unsent: Option<Unsent>,
    own: &TimeZone,
    now: Timestamp,
) -> Result<(), StoreError> {
    let wide = row.to.wide();
    let (users, batches, next) = match unsent {
        Some(_) => (0, Vec::new(), None),
        None => local_broadcasts::release(conn, fields, row, wide, local, own, now)?,
    };
    let state = match next {
        Some(_) => State::Scheduled,
        None if unsent.is_some() && row.batches.is_empty() => State::Expired,
        None => State::Sent,
    };
    // Named users are counted already.
    let users = if wide.is_some() { row.users + users } else { row.users };
    let text = "UPDATE broadcasts SET state = ?, unsent_reason = ?, users = ?, due_at = ?, batches = batches || ?, \
                changed_at = now() WHERE broadcast_id = ?";
    sql::<()>(text)
        .bind::<Text, _>(state.name())
        .bind::<Nullable<Text>, _>(unsent.map(Unsent::name))
        .bind::<Integer, _>(count(users))
        .bind::<Timestamptz, _>(to_pg(next.unwrap_or(row.due_at)))
        .bind::<Array<SqlUuid>, _>(batches)
        .bind::<SqlUuid, _>(row.id)
        .execute(conn)?;
    Ok(())
}

/// Changes the words and the time of one that is locked and waits or is paused. What is in the outbox already moves to a moment that
/// is not before `earliest`: earlier ones may have been read. Of what is paused only held rows change, the others are being
/// sent.
pub fn change(
    conn: &mut PgConnection,
    fields: &Fields,
    row: &Broadcast,
    message: &str,
    due_at: Timestamp,
    earliest: Timestamp,
) -> Result<Timestamp, StoreError> {
    let is_paused = row.state == State::Paused;
    let due_at = if row.batches.is_empty() || is_paused || row.local.is_some() {
        due_at
    } else {
        due_at.max(earliest)
    };
    let before = sql::<Text>("SELECT message FROM broadcasts WHERE broadcast_id = ?")
        .bind::<SqlUuid, _>(row.id)
        .get_result::<String>(conn)?;
    let words = fields.words_like(conn, &before)?;
    sql::<()>("UPDATE broadcasts SET message = ?, due_at = ?, changed_at = now() WHERE broadcast_id = ?")
        .bind::<Text, _>(words.seal(Field::Broadcast, message)?)
        .bind::<Timestamptz, _>(to_pg(due_at))
        .bind::<SqlUuid, _>(row.id)
        .execute(conn)?;
    // Of a wall time the moment of a row is that of its zone.
    let moved_to = row.local.is_none().then(|| to_pg(due_at));
    let text = "UPDATE outbox SET message = ?, due_at = coalesce(?, due_at) WHERE batch = ANY(?) AND (is_held OR NOT ?)";
    sql::<()>(text)
        .bind::<Text, _>(words.seal(Field::Waiting, message)?)
        .bind::<Nullable<Timestamptz>, _>(moved_to)
        .bind::<Array<SqlUuid>, _>(&row.batches)
        .bind::<Bool, _>(is_paused)
        .execute(conn)?;
    Ok(due_at)
}

/// Notes that they are taken back, and empties the outbox and the deferred triggers of them. Users with deferred triggers of
/// them.
pub fn withdraw(conn: &mut PgConnection, rows: &[Broadcast]) -> Result<Vec<(Uuid, ExternalId)>, StoreError> {
    sql::<()>("UPDATE broadcasts SET state = 'withdrawn', changed_at = now() WHERE broadcast_id = ANY(?)")
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.id))
        .execute(conn)?;
    let batches: Vec<Uuid> = rows.iter().flat_map(|row| row.batches.iter().copied()).collect();
    remove_rows(conn, &batches)?;
    deferred::withdraw_calls(conn, &column(rows, |row| row.id))
}

/// Removes rows of the outbox by their batches.
pub fn remove_rows(conn: &mut PgConnection, batches: &[Uuid]) -> Result<(), StoreError> {
    sql::<()>("DELETE FROM outbox WHERE batch = ANY(?)").bind::<Array<SqlUuid>, _>(batches).execute(conn)?;
    Ok(())
}

/// One of the users of a row of the outbox was taken out of it.
pub fn note_taken_out(conn: &mut PgConnection, broadcast: Uuid) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE broadcasts SET users = greatest(users - 1, 0), changed_at = now(), \
         state = CASE WHEN users <= 1 THEN 'withdrawn' ELSE state END WHERE broadcast_id = ?",
    )
    .bind::<SqlUuid, _>(broadcast)
    .execute(conn)?;
    Ok(())
}

/// Messages that were withdrawn, and whose they were.
pub type Withdrawn = Vec<(NotificationId, ExternalId)>;

/// Withdraws the stored messages of some batches, at most a few ten thousand a call; which, and whose. `rest` is what is left for the
/// next call. A message's id has the time of its batch and ends in a hash of batch and user ([`NotificationId::of_batch`]).
pub fn withdraw_messages<'a>(
    conn: &mut PgConnection,
    batches: &'a [Uuid],
    now: Timestamp,
) -> Result<(Withdrawn, &'a [Uuid]), StoreError> {
    let (some, rest) = batches.split_at(batches.len().min(BATCHES_AT_ONCE));
    let range = |batch: &Uuid| NotificationId(*batch).batches();
    let rows = sql::<(SqlUuid, Text)>(
        "UPDATE notifications n SET withdrawn_at = ?, withdrawn_reason = 'withdrawn' \
         FROM unnest(?, ?, ?) AS b (batch, low, high), users u \
         WHERE n.notification_id BETWEEN b.low AND b.high AND coalesce(u.merged_into, u.user_id) = n.user_id AND n.withdrawn_at IS NULL \
         AND substring(uuid_send(n.notification_id) FROM 10) = \
         substring(sha256(uuid_send(b.batch) || convert_to(u.external_id, 'UTF8')) FROM 2 FOR 7) \
         RETURNING n.notification_id, u.external_id",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Array<SqlUuid>, _>(some)
    .bind::<Array<SqlUuid>, _>(column(some, |batch| range(batch).0))
    .bind::<Array<SqlUuid>, _>(column(some, |batch| range(batch).1))
    .load::<(Uuid, String)>(conn)?;
    deferred::withdraw_calls(conn, &column(&rows, |(id, _)| *id))?;
    let withdrawn = rows.into_iter().map(|(id, user)| Ok((NotificationId(id), external_id("users", &user)?)));
    Ok((withdrawn.collect::<Result<_, StoreError>>()?, rest))
}

/// Batches of what was taken back after a moment: a server that died may have left messages of them.
pub fn withdrawn_since(conn: &mut PgConnection, since: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    Ok(sql::<SqlUuid>(
        "SELECT unnest(batches) AS batch FROM broadcasts WHERE changed_at > ? AND state = 'withdrawn' ORDER BY batch",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .load::<Uuid>(conn)?)
}

/// Users of the audience of a message by now; of named ones their number.
pub(super) fn size(conn: &mut PgConnection, to: &To, message: &str) -> Result<usize, StoreError> {
    match to {
        To::Users(users) => Ok(*users),
        to => to.wide().map_or(Ok(0), |wide| audiences::size(conn, wide, message)),
    }
}

/// Number of users that each of these would go to by now.
pub fn sizes(conn: &mut PgConnection, rows: &[Broadcast]) -> Result<HashMap<Uuid, usize>, StoreError> {
    let mut known: HashMap<(String, Option<String>), usize> = HashMap::new();
    let mut sizes = HashMap::new();
    for row in rows {
        let size = match row.to.wide() {
            // Of what is paused before its time nobody is chosen yet.
            Some(wide)
                if row.state == State::Scheduled
                    || (row.state == State::Paused && row.batches.is_empty()) =>
            {
                let members = wide.members(&row.message);
                match known.get(&members) {
                    Some(size) => *size,
                    None => {
                        let size = audiences::size(conn, wide, &row.message)?;
                        known.insert(members, size);
                        size
                    }
                }
            }
            _ => row.users,
        };
        sizes.insert(row.id, size);
    }
    Ok(sizes)
}

/// Forgets at most `limit` whose time was before `before`; how many.
pub fn prune(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let text = "DELETE FROM broadcasts WHERE broadcast_id IN (SELECT broadcast_id FROM broadcasts \
                WHERE state <> 'scheduled' AND changed_at < ? AND due_at < ? ORDER BY changed_at LIMIT ?)";
    Ok(sql::<()>(text)
        .bind::<Timestamptz, _>(to_pg(before))
        .bind::<Timestamptz, _>(to_pg(before))
        .bind::<BigInt, _>(limit)
        .execute(conn)?)
}
