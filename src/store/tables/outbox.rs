//! Tables `outbox` and `notification_receipts`: messages of the shop from their acceptance until each of their users has
//! had its turn. Rows are read along `due_at, outbox_id`, one timeline for what is due at once and what waits.

use std::borrow::Cow;
use std::collections::HashSet;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::audiences::{self, Like, MAX_USERS, Wide};
use super::broadcast_kinds::OF_SEVERAL;
use super::broadcasts::{self, Broadcast, State, To};
use super::local_broadcasts;
pub use super::submission::Submission;
use crate::encryption::Fields;
use crate::encryption::words::unavailable_words;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{external_id, from_pg, join_texts, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, NotificationId, Timestamp};
use tidings_decision::notify::message::Audience;
use tidings_decision::privacy::encryption::Field;

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Order of acceptance.
    pub outbox_id: i64,
    /// With a user it gives the notification_id.
    pub batch: Uuid,
    /// Not before this.
    pub due_at: Timestamp,
    /// Recipients, 1…[`MAX_USERS`].
    pub users: Vec<ExternalId>,
    /// As JSON.
    pub message: String,
    /// The broadcast that it is part of.
    pub broadcast: Option<Uuid>,
    /// The broadcast is one message to all of its users; else it stands for several of one request.
    pub is_to_many: bool,
    /// Not on the timeline: its broadcast is paused, or goes out at a rate.
    pub is_held: bool,
}

impl OutboxRow {
    /// Its user, if it has one.
    fn only(&self) -> Option<&ExternalId> {
        <&[ExternalId; 1]>::try_from(self.users.as_slice()).ok().map(|[user]| user)
    }
}

/// Outcome of a submission.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepted {
    /// Users who will get it.
    pub accepted: usize,
    /// Users for whom it had been accepted before.
    pub duplicates: usize,
}

/// Stores submissions in the order given. Rows for named users come back, so that they need not be read, unless they go out at a rate; those of a segment
/// or everyone are only stored, and not even that before they are due. At most four statements, and one or two for each segment or
/// everyone.
pub fn accept(
    conn: &mut PgConnection,
    fields: &Fields,
    submissions: &[&Submission],
    now: Timestamp,
) -> Result<(Vec<Accepted>, Vec<OutboxRow>), StoreError> {
    let mut fresh = new_receipts(conn, submissions)?;
    let mut rows = Vec::new();
    let mut broadcasts = Vec::new();
    let mut local_users = Vec::new();
    let mut outcomes = Vec::with_capacity(submissions.len());
    for submission in submissions {
        let repeated = submission.receipt.is_some_and(|receipt| !fresh.remove(&receipt));
        let before = rows.len();
        if !repeated && submission.local.is_some() {
            let users = match &submission.audience {
                Audience::Users(users) => wanted(submission, users, &mut fresh),
                _ => Vec::new(),
            };
            let outcome = accept_local(conn, submission, users.len(), now, &mut broadcasts)?;
            local_users.push((submission.batch, users));
            outcomes.push(outcome);
            continue;
        }
        let outcome = match &submission.audience {
            Audience::Users(users) if repeated => Accepted { accepted: 0, duplicates: users.len() },
            _ if repeated => Accepted { accepted: 0, duplicates: 1 },
            Audience::Users(users) => chunk(submission, users, &mut fresh, &mut rows),
            Audience::Segment(segment) => {
                read_audience(conn, fields, submission, Wide::Segment(*segment), now, &mut broadcasts)?
            }
            Audience::Topic(topic) => {
                read_audience(conn, fields, submission, Wide::Topic(topic), now, &mut broadcasts)?
            }
            Audience::Meeting(conditions) => {
                read_audience(conn, fields, submission, Wide::Meeting(conditions), now, &mut broadcasts)?
            }
            Audience::Everyone => {
                read_audience(conn, fields, submission, Wide::Everyone, now, &mut broadcasts)?
            }
        };
        let batches: Vec<Uuid> = rows.iter().skip(before).map(|row| row.batch).collect();
        note(submission, now, outcome.accepted, batches, &mut broadcasts);
        outcomes.push(outcome);
    }
    insert(conn, fields, &mut rows)?;
    broadcasts::insert(conn, fields, &broadcasts)?;
    for (submission, users) in local_users {
        local_broadcasts::enter(conn, submission, &users)?;
    }
    rows.retain(|row| !row.is_held);
    Ok((outcomes, rows))
}

/// Notes the broadcast that a submission for named users is, or is part of.
fn note(
    submission: &Submission,
    now: Timestamp,
    users: usize,
    batches: Vec<Uuid>,
    into: &mut Vec<Broadcast>,
) {
    if batches.is_empty() {
        return;
    }
    if submission.call.is_some() {
        return into.push(broadcast(submission, now, users, batches));
    }
    let Some(group) = submission.group else { return };
    match into.iter_mut().rev().find(|known| known.id == group) {
        Some(known) => known.join(users, batches),
        None => into.push(Broadcast::of_several(group, users, batches, now)),
    }
}

/// The broadcast that submissions of one request are together, of whom each is for one user and due at once; `None` where they are
/// none.
pub fn group(submissions: &[Submission], now: Timestamp) -> Option<Broadcast> {
    let mut noted = Vec::new();
    for submission in submissions {
        note(submission, now, 1, vec![submission.batch], &mut noted);
    }
    noted.pop()
}

/// A message at a wall time: its users are handed to the outbox zone by zone. `named`: how many named users are to get it.
fn accept_local(
    conn: &mut PgConnection,
    submission: &Submission,
    named: usize,
    now: Timestamp,
    into: &mut Vec<Broadcast>,
) -> Result<Accepted, StoreError> {
    let to = To::of(&submission.audience);
    let Audience::Users(users) = &submission.audience else {
        into.push(broadcast(submission, now, 0, Vec::new()));
        return Ok(Accepted { accepted: broadcasts::size(conn, &to, &submission.message)?, duplicates: 0 });
    };
    if named > 0 {
        into.push(broadcast(submission, now, named, Vec::new()));
    }
    Ok(Accepted { accepted: named, duplicates: users.len() - named })
}

/// A segment, a topic or everyone: into the outbox if it is due, else counted only.
fn read_audience(
    conn: &mut PgConnection,
    fields: &Fields,
    submission: &Submission,
    wide: Wide<'_>,
    now: Timestamp,
    into: &mut Vec<Broadcast>,
) -> Result<Accepted, StoreError> {
    let (accepted, users, batches) = if submission.due_at > now {
        (audiences::size(conn, wide, &submission.message)?, 0, Vec::new())
    } else {
        let Submission { batch, message, due_at, pace, .. } = submission;
        let like = Like { broadcast: *batch, message, due_at: *due_at, is_held: pace.is_some() };
        let (users, batches) = audiences::insert(conn, fields, &like, wide)?;
        (users, users, batches)
    };
    into.push(broadcast(submission, now, users, batches));
    Ok(Accepted { accepted, duplicates: 0 })
}

fn broadcast(submission: &Submission, now: Timestamp, users: usize, batches: Vec<Uuid>) -> Broadcast {
    Broadcast {
        id: submission.batch,
        call: submission.call.unwrap_or(submission.batch),
        state: if submission.due_at > now || submission.local.is_some() {
            State::Scheduled
        } else {
            State::Sent
        },
        to: To::of(&submission.audience),
        only: only(&submission.audience),
        message: submission.message.clone(),
        users,
        pace: submission.pace,
        local: submission.local,
        batches,
        due_at: submission.due_at,
        created_at: now,
        unsent: None,
    }
}

/// The user of an audience of one.
fn only(audience: &Audience) -> Option<ExternalId> {
    match audience {
        Audience::Users(users) => {
            <&[ExternalId; 1]>::try_from(users.as_slice()).ok().map(|[user]| user.clone())
        }
        _ => None,
    }
}

/// Keys that were not there before.
fn new_receipts(conn: &mut PgConnection, submissions: &[&Submission]) -> Result<HashSet<Uuid>, StoreError> {
    let mut receipts: Vec<Uuid> = submissions
        .iter()
        .flat_map(|s| s.receipt.iter().chain(s.user_receipts.iter().flatten()))
        .copied()
        .collect();
    if receipts.is_empty() {
        return Ok(HashSet::new());
    }
    receipts.sort_unstable();
    receipts.dedup();
    let new = sql::<SqlUuid>(
        "INSERT INTO notification_receipts (receipt) SELECT * FROM unnest(?) ON CONFLICT DO NOTHING RETURNING receipt",
    )
    .bind::<Array<SqlUuid>, _>(receipts)
    .load::<Uuid>(conn)?;
    Ok(new.into_iter().collect())
}

/// Users for whom it was not accepted before.
fn wanted(submission: &Submission, users: &[ExternalId], fresh: &mut HashSet<Uuid>) -> Vec<ExternalId> {
    if submission.user_receipts.is_empty() {
        return users.to_vec();
    }
    // All of them are stored by now, also of those for whom it was accepted under another id.
    let mut is_new = |receipts: &Vec<Uuid>| receipts.iter().all(|receipt| fresh.remove(receipt));
    let receipts = submission.user_receipts.iter();
    users.iter().zip(receipts).filter(|(_, own)| is_new(own)).map(|(user, _)| user.clone()).collect()
}

fn chunk(
    submission: &Submission,
    users: &[ExternalId],
    fresh: &mut HashSet<Uuid>,
    rows: &mut Vec<OutboxRow>,
) -> Accepted {
    let wanted = wanted(submission, users, fresh);
    for (n, users) in wanted.chunks(MAX_USERS).enumerate() {
        rows.push(OutboxRow {
            outbox_id: 0,
            batch: Uuid::from_u128(submission.batch.as_u128().wrapping_add(n as u128)),
            due_at: submission.due_at,
            users: users.to_vec(),
            message: submission.message.clone(),
            broadcast: submission.broadcast(),
            is_to_many: submission.call.is_some(),
            is_held: submission.pace.is_some(),
        });
    }
    Accepted { accepted: wanted.len(), duplicates: users.len() - wanted.len() }
}

/// Stores rows, and puts into each its number.
pub fn insert(conn: &mut PgConnection, fields: &Fields, rows: &mut [OutboxRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let users = |row: &OutboxRow| join_texts(&row.users.iter().map(ToString::to_string).collect::<Vec<_>>());
    let words = fields.words(conn, rows.iter().filter_map(OutboxRow::only))?;
    let messages: Vec<Cow<'_, str>> = rows
        .iter()
        .map(|row| words.seal(row.only(), Field::Waiting, &row.message))
        .collect::<Result<_, _>>()?;
    let ids = sql::<(SqlUuid, BigInt)>(
        "INSERT INTO outbox (batch, due_at, users, message, broadcast_id, is_held) \
         SELECT b, d, string_to_array(u, E'\\x1f'), m, c, h \
         FROM unnest(?, ?, ?, ?, ?, ?) WITH ORDINALITY AS o (b, d, u, m, c, h, n) \
         ORDER BY n RETURNING batch, outbox_id",
    )
    .bind::<Array<SqlUuid>, _>(column(rows, |row| row.batch))
    .bind::<Array<Timestamptz>, _>(column(rows, |row| to_pg(row.due_at)))
    .bind::<Array<Text>, _>(column(rows, users))
    .bind::<Array<Text>, _>(column(&messages, AsRef::as_ref))
    .bind::<Array<Nullable<SqlUuid>>, _>(column(rows, |row| row.broadcast))
    .bind::<Array<Bool>, _>(column(rows, |row| row.is_held))
    .load::<(Uuid, i64)>(conn)?;
    for (row, (batch, id)) in rows.iter_mut().zip(ids) {
        debug_assert_eq!(row.batch, batch);
        row.outbox_id = id;
    }
    Ok(())
}

/// Users in the rows that are read at a time: with one row more it is enough.
pub const MAX_READ: usize = 50_000;

/// Rows after a place on the timeline that are due by `until`, in order, at most `limit`, and no more after [`MAX_READ`] users.
pub fn due(
    conn: &mut PgConnection,
    fields: &Fields,
    after: (Timestamp, i64),
    until: Timestamp,
    limit: i64,
) -> Result<Vec<OutboxRow>, StoreError> {
    type Row = (i64, Uuid, PgTimestamp, Vec<String>, String, Option<Uuid>, bool);
    let rows = sql::<(BigInt, SqlUuid, Timestamptz, Array<Text>, Text, Nullable<SqlUuid>, Bool)>(format!(
        "SELECT outbox_id, batch, due_at, users, message, broadcast_id, broadcast_id IS NOT NULL AND NOT EXISTS (\
           SELECT FROM broadcasts b WHERE b.broadcast_id = s.broadcast_id AND b.message = '{OF_SEVERAL}') FROM (\
           SELECT *, sum(cardinality(users)) OVER (ORDER BY due_at, outbox_id) - cardinality(users) AS before FROM (\
             SELECT * FROM outbox WHERE (due_at, outbox_id) > (?, ?) AND due_at <= ? AND NOT is_held \
             ORDER BY due_at, outbox_id LIMIT ?) d) s \
         WHERE before < ? ORDER BY due_at, outbox_id",
    ))
    .bind::<Timestamptz, _>(to_pg(after.0))
    .bind::<BigInt, _>(after.1)
    .bind::<Timestamptz, _>(to_pg(until))
    .bind::<BigInt, _>(limit.max(0))
    .bind::<BigInt, _>(MAX_READ as i64)
    .load::<Row>(conn)?;
    let opener = fields.opener_of_any(conn, rows.iter().map(|(_, _, _, _, message, ..)| message.as_str()))?;
    rows.into_iter()
        .map(|(outbox_id, batch, due_at, users, message, broadcast, is_to_many)| {
            let message = opener.open_any(Field::Waiting, message).unwrap_or_else(unavailable_words);
            let users = users.iter().map(|text| external_id("outbox", text)).collect::<Result<_, _>>()?;
            let due_at = from_pg(due_at);
            let is_held = false;
            Ok(OutboxRow { outbox_id, batch, due_at, users, message, broadcast, is_to_many, is_held })
        })
        .collect()
}

/// Moment at which the first row after a place on the timeline is due.
pub fn next_due(conn: &mut PgConnection, after: (Timestamp, i64)) -> Result<Option<Timestamp>, StoreError> {
    let due = sql::<Timestamptz>(
        "SELECT due_at FROM outbox WHERE (due_at, outbox_id) > (?, ?) AND NOT is_held ORDER BY due_at, outbox_id LIMIT 1",
    )
    .bind::<Timestamptz, _>(to_pg(after.0))
    .bind::<BigInt, _>(after.1)
    .load::<PgTimestamp>(conn)?;
    Ok(due.into_iter().next().map(from_pg))
}

/// Those of these messages that have a place in a stream.
pub fn placed(
    conn: &mut PgConnection,
    ids: &[NotificationId],
) -> Result<HashSet<NotificationId>, StoreError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found = sql::<SqlUuid>("SELECT notification_id FROM notifications WHERE notification_id = ANY(?)")
        .bind::<Array<SqlUuid>, _>(column(ids, |id| id.0))
        .load::<Uuid>(conn)?;
    Ok(found.into_iter().map(NotificationId).collect())
}

/// Removes rows whose users have all had their turn.
pub fn remove(conn: &mut PgConnection, ids: &[i64]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sql::<()>("DELETE FROM outbox WHERE outbox_id = ANY(?)").bind::<Array<BigInt>, _>(ids).execute(conn)?;
    Ok(())
}

/// Takes a message back that is due after `after`, and for whom else its row is stays. False when there is none.
pub fn take_back(conn: &mut PgConnection, id: NotificationId, after: Timestamp) -> Result<bool, StoreError> {
    let (from, to) = id.batches();
    conn.transaction(|conn| {
        let rows = sql::<(BigInt, SqlUuid, Nullable<SqlUuid>, Array<Text>)>(
            "SELECT outbox_id, batch, broadcast_id, users FROM outbox WHERE batch BETWEEN ? AND ? AND due_at > ? FOR UPDATE",
        )
        .bind::<SqlUuid, _>(from)
        .bind::<SqlUuid, _>(to)
        .bind::<Timestamptz, _>(to_pg(after))
        .load::<(i64, Uuid, Option<Uuid>, Vec<String>)>(conn)?;
        for (outbox_id, batch, broadcast, users) in rows {
            for user in &users {
                if NotificationId::of_batch(batch, &external_id("outbox", user)?) != id {
                    continue;
                }
                if users.len() == 1 {
                    remove(conn, &[outbox_id])?;
                } else {
                    sql::<()>("UPDATE outbox SET users = array_remove(users, ?) WHERE outbox_id = ?")
                        .bind::<Text, _>(user)
                        .bind::<BigInt, _>(outbox_id)
                        .execute(conn)?;
                }
                if let Some(broadcast) = broadcast {
                    broadcasts::note_taken_out(conn, broadcast)?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Forgets at most `limit` keys accepted before `before`; how many.
pub fn prune_receipts(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let text = "DELETE FROM notification_receipts WHERE receipt IN \
                (SELECT receipt FROM notification_receipts WHERE accepted_at < ? ORDER BY accepted_at LIMIT ?)";
    Ok(sql::<()>(text).bind::<Timestamptz, _>(to_pg(before)).bind::<BigInt, _>(limit).execute(conn)?)
}
