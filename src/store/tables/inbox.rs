//! Table `notifications` as the user's inbox: pages, and what was seen, read and taken back. Every statement leaves what is
//! marked already as it is, so saying it twice is harmless.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Text, Timestamptz, Uuid as SqlUuid};

use crate::base::{NotificationId, Timestamp, UserId};
pub use crate::decide::record::Mark;
use crate::deliver::Withdrawal;
use crate::store::postgres::StoreError;
use crate::store::postgres::columns::column;
use crate::store::postgres::convert::to_pg;
use crate::store::postgres::sql::sql;

/// A message as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Place in the stream.
    pub offset: i64,
    /// The JSON frame as sent.
    pub frame: String,
    /// It was opened.
    pub read: bool,
    /// A list with it was looked at.
    pub seen: bool,
}

/// A page of live messages, newest first, before an offset; at most `limit`. Answers to logins are not messages to keep.
pub fn page(
    conn: &mut PgConnection,
    user: UserId,
    before: i64,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<InboxRow>, StoreError> {
    let rows = sql::<(BigInt, Text, Bool, Bool)>(
        "SELECT stream_offset, frame, read_at IS NOT NULL, seen_at IS NOT NULL FROM notifications \
         WHERE user_id = ? AND stream_offset < ? AND expires_at > ? AND withdrawn_at IS NULL AND trigger <> 'login' \
         ORDER BY stream_offset DESC LIMIT ?",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<BigInt, _>(before)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(limit.max(0))
    .load::<(i64, String, bool, bool)>(conn)?;
    let row = |(offset, frame, read, seen)| InboxRow { offset, frame, read, seen };
    Ok(rows.into_iter().map(row).collect())
}

/// Live messages that were not read, and those of them that were not seen.
pub fn counts(conn: &mut PgConnection, user: UserId, now: Timestamp) -> Result<(i64, i64), StoreError> {
    let counts = sql::<(BigInt, BigInt)>(
        "SELECT count(*), count(*) FILTER (WHERE seen_at IS NULL) FROM notifications \
         WHERE user_id = ? AND read_at IS NULL AND expires_at > ? AND withdrawn_at IS NULL AND trigger <> 'login'",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<Timestamptz, _>(to_pg(now))
    .load::<(i64, i64)>(conn)?;
    Ok(counts.into_iter().next().unwrap_or_default())
}

/// Carries out marks, in order; what was given, which depends on no other, last.
pub fn mark(conn: &mut PgConnection, marks: &[Mark]) -> Result<(), StoreError> {
    let mut of_all = Vec::new();
    for mark in marks {
        match mark {
            Mark::Read { user, ids, at } => read(conn, *user, ids, *at)?,
            Mark::Seen { user, up_to, at } => seen(conn, *user, *up_to, *at)?,
            Mark::Given { ids, at } => of_all.extend(ids.iter().map(|id| (*id, *at))),
            Mark::Superseded { id, at } => drop(withdraw(conn, *id, *at, Withdrawal::Superseded)?),
        }
    }
    given(conn, &of_all)
}

fn read(
    conn: &mut PgConnection,
    user: UserId,
    ids: &[NotificationId],
    at: Timestamp,
) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE notifications SET read_at = ?, seen_at = coalesce(seen_at, now()) \
         WHERE user_id = ? AND notification_id = ANY(?) AND read_at IS NULL",
    )
    .bind::<Timestamptz, _>(to_pg(at))
    .bind::<Integer, _>(user.to_sql())
    .bind::<Array<SqlUuid>, _>(column(ids, |id| id.0))
    .execute(conn)?;
    Ok(())
}

/// Everything of a user is read.
pub fn read_all(conn: &mut PgConnection, user: UserId, at: Timestamp) -> Result<(), StoreError> {
    sql::<()>("UPDATE notifications SET read_at = ? WHERE user_id = ? AND read_at IS NULL")
        .bind::<Timestamptz, _>(to_pg(at))
        .bind::<Integer, _>(user.to_sql())
        .execute(conn)?;
    Ok(())
}

fn seen(conn: &mut PgConnection, user: UserId, up_to: i64, at: Timestamp) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE notifications SET seen_at = ? WHERE user_id = ? AND stream_offset <= ? AND seen_at IS NULL",
    )
    .bind::<Timestamptz, _>(to_pg(at))
    .bind::<Integer, _>(user.to_sql())
    .bind::<BigInt, _>(up_to)
    .execute(conn)?;
    Ok(())
}

/// One statement for all of a commit: after a restart each of ten thousand users is given something.
fn given(conn: &mut PgConnection, given: &[(NotificationId, Timestamp)]) -> Result<(), StoreError> {
    if given.is_empty() {
        return Ok(());
    }
    sql::<()>(
        "UPDATE notifications n SET given_at = g.at FROM unnest(?, ?) AS g (id, at) \
         WHERE n.notification_id = g.id AND n.given_at IS NULL",
    )
    .bind::<Array<SqlUuid>, _>(column(given, |(id, _)| id.0))
    .bind::<Array<Timestamptz>, _>(column(given, |(_, at)| to_pg(*at)))
    .execute(conn)?;
    Ok(())
}

/// Takes a message back, also out of the digest; whose it was, or `None` when there is none or it was taken back before.
pub fn withdraw(
    conn: &mut PgConnection,
    id: NotificationId,
    at: Timestamp,
    reason: Withdrawal,
) -> Result<Option<UserId>, StoreError> {
    let users = sql::<Integer>(
        "WITH gone AS (DELETE FROM held_messages WHERE call_id = ?) \
         UPDATE notifications SET withdrawn_at = ?, withdrawn_reason = ? \
         WHERE notification_id = ? AND withdrawn_at IS NULL RETURNING user_id",
    )
    .bind::<SqlUuid, _>(id.0)
    .bind::<Timestamptz, _>(to_pg(at))
    .bind::<Text, _>(reason.name())
    .bind::<SqlUuid, _>(id.0)
    .load::<i32>(conn)?;
    Ok(users.into_iter().next().map(UserId::from_sql))
}
