//! Broadcasts while they go out: paused, resumed, listed, and handed on at their rate. All but the listing is written by the
//! notifier, which alone knows what it has read of the outbox.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::broadcasts::{Broadcast, Columns, Row, SELECT, State, opened};
use crate::encryption::words::unavailable_words;
use crate::encryption::{Fields, unavailable_message};
use crate::postgres::StoreError;
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{NotificationId, Timestamp};
use tidings_decision::notify::Message;
use tidings_decision::notify::pace::Pace;
use tidings_decision::privacy::encryption::{Field, Owner};

/// Broadcasts with a rate that are looked at in one transaction.
const RATED_AT_ONCE: i64 = 64;
/// Rows of one broadcast that are handed on in one transaction.
const ROWS_AT_ONCE: i64 = 64;

/// Pauses broadcasts that wait or go out. Their rows of the outbox after `cursor` are held; what was read of it before is in
/// memory, but for `early`, which was read from after it.
pub fn pause(
    conn: &mut PgConnection,
    ids: &[Uuid],
    cursor: (Timestamp, i64),
    early: &[i64],
) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE broadcasts SET state = 'paused', changed_at = now() \
         WHERE broadcast_id = ANY(?) AND state IN ('scheduled', 'sent')",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(conn)?;
    sql::<()>(
        "UPDATE outbox SET is_held = true FROM (SELECT unnest(batches) AS batch FROM broadcasts WHERE broadcast_id = ANY(?)) b \
         WHERE outbox.batch = b.batch AND NOT is_held \
         AND (due_at, outbox_id) > (?, ?) AND outbox_id <> ALL(?)",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Timestamptz, _>(to_pg(cursor.0))
    .bind::<BigInt, _>(cursor.1)
    .bind::<Array<BigInt>, _>(early)
    .execute(conn)?;
    Ok(())
}

/// Holds all rows of broadcasts that are paused: for a process that has read nothing yet, whose predecessor had some in memory.
pub fn hold_paused(conn: &mut PgConnection) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE outbox SET is_held = true FROM (SELECT unnest(batches) AS batch FROM broadcasts WHERE state = 'paused') b \
         WHERE outbox.batch = b.batch AND NOT is_held",
    )
    .execute(conn)?;
    Ok(())
}

/// Tells the log of what waits and is by an attribute that was marked as encrypted since: it is [not sent](Broadcast::unsent).
pub fn tell_of_encrypted(conn: &mut PgConnection, fields: &Fields) -> Result<(), StoreError> {
    if !fields.is_on() {
        return Ok(());
    }
    let rows = sql::<Columns>(format!(
        "{SELECT} WHERE state IN ('scheduled', 'paused') AND audience -> 'attributes' IS NOT NULL"
    ))
    .load::<Row>(conn)?;
    for row in opened(conn, fields, rows)? {
        if let Some(attribute) = row.encrypted_attribute(fields) {
            let (id, due_at) = (row.id, row.due_at);
            log::warn!(
                "a message that waits is by an encrypted attribute and reaches nobody: take it back, or the attribute out of \
                 encryption.attributes broadcast={id} attribute={attribute} due_at={due_at}"
            );
        }
    }
    Ok(())
}

/// Resumes broadcasts that are paused: those with a time to come wait for it again, the others go on at `now`, those with a rate
/// at their rate.
pub fn resume(conn: &mut PgConnection, ids: &[Uuid], now: Timestamp) -> Result<(), StoreError> {
    sql::<()>(include_str!("sql/resume_broadcasts.sql"))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(conn)?;
    sql::<()>(
        "UPDATE outbox SET is_held = false, due_at = greatest(outbox.due_at, ?) \
         FROM (SELECT unnest(batches) AS batch FROM broadcasts WHERE broadcast_id = ANY(?) \
           AND state IN ('scheduled', 'sent') AND rate_per_minute IS NULL) b \
         WHERE outbox.batch = b.batch AND is_held",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(conn)?;
    Ok(())
}

/// Puts rows of broadcasts with a rate on the timeline, as many as their rates allow at `now`. What has expired by now is only
/// to be recorded as such, and goes at once.
pub fn release_at_rate(conn: &mut PgConnection, fields: &Fields, now: Timestamp) -> Result<(), StoreError> {
    let due = sql::<(SqlUuid, Integer, Timestamptz, Text)>(
        "SELECT broadcast_id, rate_per_minute, rate_used_until, message FROM broadcasts \
         WHERE state = 'sent' AND rate_used_until <= ? ORDER BY rate_used_until LIMIT ? FOR UPDATE",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(RATED_AT_ONCE)
    .load::<(Uuid, i32, PgTimestamp, String)>(conn)?;
    let opener = fields.opener_of_any(conn, due.iter().map(|(_, _, _, message)| message.as_str()))?;
    for (id, rate, used_until, message) in due {
        let message = opener.open_any(Field::Broadcast, message).unwrap_or_else(unavailable_words);
        let Some(pace) = u32::try_from(rate).ok().and_then(Pace::new) else { continue };
        let used_until = from_pg(used_until);
        let is_over = serde_json::from_str::<Message>(&message).is_ok_and(|one| one.expires_at <= now);
        let allowance = if is_over { usize::MAX } else { pace.allowance(used_until, now) };
        let handed_on = hand_on(conn, id, allowance, now)?;
        let used = if is_over { now } else { pace.used(used_until, now, handed_on) };
        // Nothing left ends it; what waits for a time of its own is looked at then.
        let next = next_held(conn, id)?.map(|due| due.max(Pace::next_look(used, now)));
        sql::<()>("UPDATE broadcasts SET rate_used_until = ? WHERE broadcast_id = ?")
            .bind::<Nullable<Timestamptz>, _>(next.map(to_pg))
            .bind::<SqlUuid, _>(id)
            .execute(conn)?;
    }
    Ok(())
}

/// Puts held rows of a broadcast on the timeline, with at most `users` users in all; with how many.
fn hand_on(conn: &mut PgConnection, id: Uuid, users: usize, now: Timestamp) -> Result<usize, StoreError> {
    let rows = sql::<(BigInt, Integer)>(
        "SELECT outbox_id, cardinality(users) FROM outbox WHERE broadcast_id = ? AND is_held AND due_at <= ? \
         ORDER BY due_at, outbox_id LIMIT ?",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(ROWS_AT_ONCE)
    .load::<(i64, i32)>(conn)?;
    let (mut whole, mut split, mut handed_on) = (Vec::new(), None, 0);
    for (row, size) in rows {
        let size = usize::try_from(size).unwrap_or(0);
        let room = users.saturating_sub(handed_on);
        if size <= room {
            whole.push(row);
            handed_on += size;
        } else {
            split = (room > 0).then_some((row, room));
            handed_on += room;
            break;
        }
    }
    sql::<()>("UPDATE outbox SET is_held = false, due_at = ? WHERE outbox_id = ANY(?)")
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Array<BigInt>, _>(whole)
        .execute(conn)?;
    if let Some((row, room)) = split {
        let room = i32::try_from(room).unwrap_or(i32::MAX);
        sql::<()>(include_str!("sql/split_row.sql"))
            .bind::<Integer, _>(room)
            .bind::<BigInt, _>(row)
            .bind::<Timestamptz, _>(to_pg(now))
            .bind::<Integer, _>(room)
            .execute(conn)?;
    }
    Ok(handed_on)
}

/// Moment at which the next held row of a broadcast is due.
fn next_held(conn: &mut PgConnection, id: Uuid) -> Result<Option<Timestamp>, StoreError> {
    let due = sql::<Timestamptz>(
        "SELECT due_at FROM outbox WHERE broadcast_id = ? AND is_held ORDER BY due_at, outbox_id LIMIT 1",
    )
    .bind::<SqlUuid, _>(id)
    .load::<PgTimestamp>(conn)?;
    Ok(due.into_iter().next().map(from_pg))
}

/// Moment of the next look at a broadcast with a rate.
pub fn next_release(conn: &mut PgConnection) -> Result<Option<Timestamp>, StoreError> {
    let due = sql::<Timestamptz>(
        "SELECT rate_used_until FROM broadcasts WHERE state = 'sent' AND rate_used_until IS NOT NULL \
         ORDER BY rate_used_until LIMIT 1",
    )
    .load::<PgTimestamp>(conn)?;
    Ok(due.into_iter().next().map(from_pg))
}

/// Broadcasts of that id, or of the request of that id, by id.
pub fn find(conn: &mut PgConnection, fields: &Fields, id: Uuid) -> Result<Vec<Broadcast>, StoreError> {
    let rows =
        sql::<Columns>(format!("{SELECT} WHERE broadcast_id = ? OR call_id = ? ORDER BY broadcast_id"))
            .bind::<SqlUuid, _>(id)
            .bind::<SqlUuid, _>(id)
            .load::<Row>(conn)?;
    opened(conn, fields, rows)
}

/// Filter of a listing by what has become of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All of them.
    All,
    /// Of this state; sent means that nothing of it waits any more.
    State(State),
    /// Sent, and something of it still waits.
    Sending,
}

/// The latest broadcasts, newest first: those before an id, at most `limit`.
pub fn latest(
    conn: &mut PgConnection,
    fields: &Fields,
    listed: Listed,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Broadcast>, StoreError> {
    let (state, waits) = match listed {
        Listed::All => (None, None),
        Listed::State(State::Sent) => (Some(State::Sent), Some(false)),
        Listed::State(state) => (Some(state), None),
        Listed::Sending => (Some(State::Sent), Some(true)),
    };
    let text = format!(
        "{SELECT} WHERE broadcast_id < coalesce(?, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) \
         AND state = coalesce(?, state) AND (?::boolean IS NULL OR ? = ({WAITS})) \
         ORDER BY broadcast_id DESC LIMIT ?"
    );
    let rows = sql::<Columns>(text)
        .bind::<Nullable<SqlUuid>, _>(before)
        .bind::<Nullable<Text>, _>(state.map(State::name))
        .bind::<Nullable<Bool>, _>(waits)
        .bind::<Nullable<Bool>, _>(waits)
        .bind::<BigInt, _>(limit.max(0))
        .load::<Row>(conn)?;
    opened(conn, fields, rows)
}

/// Condition that something of a broadcast waits: in the outbox, or as a deferred trigger.
const WAITS: &str = "EXISTS (SELECT FROM unnest(batches) AS b (batch) JOIN outbox o USING (batch)) \
     OR EXISTS (SELECT FROM held_messages h WHERE h.call_id = broadcasts.broadcast_id)";

/// Those of these broadcasts of which something waits.
pub fn waiting(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let text = format!("SELECT broadcast_id FROM broadcasts WHERE broadcast_id = ANY(?) AND ({WAITS})");
    Ok(sql::<SqlUuid>(text).bind::<Array<SqlUuid>, _>(ids).load::<Uuid>(conn)?)
}

/// One message to one user.
#[derive(Clone, Debug, PartialEq)]
pub enum Single {
    /// In the user's stream.
    Placed {
        /// Taken back.
        withdrawn: bool,
        /// The frame as sent, JSON.
        frame: String,
        /// Moment of the decision.
        created_at: Timestamp,
        /// It was on a screen.
        displayed: bool,
        /// It was clicked.
        clicked: bool,
    },
    /// In the outbox.
    Waiting {
        /// JSON as in the outbox.
        message: String,
        /// Not before this.
        due_at: Timestamp,
    },
    /// Not sent, by a stored decision.
    Refused {
        /// Moment of the decision.
        decided_at: Timestamp,
    },
}

/// The message of that id, wherever it is.
pub fn single(
    conn: &mut PgConnection,
    fields: &Fields,
    id: NotificationId,
) -> Result<Option<Single>, StoreError> {
    let placed =
        sql::<(Integer, Bool, Text, Timestamptz, Bool, Bool)>(include_str!("sql/placed_message.sql"))
            .bind::<SqlUuid, _>(id.0)
            .load::<(i32, bool, String, PgTimestamp, bool, bool)>(conn)?;
    if let Some((user, withdrawn, frame, created_at, displayed, clicked)) = placed.into_iter().next() {
        let opener = fields.opener(conn, [(Owner(user), frame.as_str())])?;
        let frame = opener.open(Owner(user), Field::Frame, frame).unwrap_or_else(unavailable_message);
        let created_at = from_pg(created_at);
        return Ok(Some(Single::Placed { withdrawn, frame, created_at, displayed, clicked }));
    }
    let (from, to) = id.batches();
    let rows = sql::<(SqlUuid, Array<Text>, Text, Timestamptz)>(
        "SELECT batch, users, message, due_at FROM outbox WHERE batch BETWEEN ? AND ?",
    )
    .bind::<SqlUuid, _>(from)
    .bind::<SqlUuid, _>(to)
    .load::<(Uuid, Vec<String>, String, PgTimestamp)>(conn)?;
    for (batch, users, message, due_at) in rows {
        for user in &users {
            if NotificationId::of_batch(batch, &external_id("outbox", user)?) == id {
                let opener = fields.opener_of_any(conn, [message.as_str()])?;
                let message = opener.open_any(Field::Waiting, message).unwrap_or_else(unavailable_words);
                return Ok(Some(Single::Waiting { message, due_at: from_pg(due_at) }));
            }
        }
    }
    let refused = sql::<Timestamptz>(
        "SELECT decided_at FROM decisions WHERE call_id = ? ORDER BY decided_at DESC LIMIT 1",
    )
    .bind::<SqlUuid, _>(id.0)
    .load::<PgTimestamp>(conn)?;
    Ok(refused.into_iter().next().map(|at| Single::Refused { decided_at: from_pg(at) }))
}
