//! Merges one user into another: everything stored under the first belongs to the second from then on, in one transaction. The
//! row of the first stays in `users` as an alias, by which later events find the second.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::decisions::DecisionRow;
use super::external_ids::{Names, resolve_all};
use super::notifications::NewNotification;
use super::{decision_log, deferred, lease, preferences};
use crate::encryption::Fields;
use crate::postgres::columns::column;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use crate::postgres::{Store, StoreError};
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_decision::deliver::readdress::readdressed;
use tidings_decision::privacy::encryption::{Field, Owner};
use tidings_schema::user_preferences;

/// Rows that follow the merged user without a second thought.
const MOVES: [&str; 6] = [
    "UPDATE events SET user_id = ? WHERE user_id = ?",
    // An experiment reads the arm of its user, and these decisions may have been made under another.
    "UPDATE decisions SET user_id = ?, arms = '{}' WHERE user_id = ?",
    "UPDATE lists SET user_id = ? WHERE user_id = ?",
    "UPDATE feedback SET user_id = ? WHERE user_id = ?",
    "UPDATE push_subscriptions SET user_id = ? WHERE user_id = ?",
    "UPDATE push_outbox SET user_id = ? WHERE user_id = ?",
];

/// Rows of which a user has one by a second key: those that the user has stay, the others are copied.
const COPIES: [&str; 6] = [
    "INSERT INTO opt_outs (user_id, opted_out_at) SELECT ?, opted_out_at FROM opt_outs WHERE user_id = ? ON CONFLICT DO NOTHING",
    "INSERT INTO topic_subscribers (topic_id, user_id, subscribed_at) \
     SELECT topic_id, ?, subscribed_at FROM topic_subscribers WHERE user_id = ? ON CONFLICT DO NOTHING",
    "INSERT INTO user_once AS o (user_id, trigger, fired_at) SELECT ?, trigger, fired_at FROM user_once WHERE user_id = ? \
     ON CONFLICT (user_id, trigger) DO UPDATE SET fired_at = greatest(o.fired_at, excluded.fired_at)",
    "INSERT INTO user_attributes AS a (user_id, attributes) SELECT ?, attributes FROM user_attributes WHERE user_id = ? \
     ON CONFLICT (user_id) DO UPDATE SET attributes = excluded.attributes || a.attributes, updated_at = now()",
    "INSERT INTO stated_features (user_id, purchases_per_month, browsing_minutes_per_month, searches_per_month, stated_at) \
     SELECT ?, purchases_per_month, browsing_minutes_per_month, searches_per_month, stated_at FROM stated_features \
     WHERE user_id = ? ON CONFLICT DO NOTHING",
    // What was received lies at offsets up to 0 now.
    "INSERT INTO acknowledgements (user_id, up_to, acknowledged_at) \
     SELECT ?, 0, acknowledged_at FROM acknowledgements WHERE user_id = ? ON CONFLICT DO NOTHING",
];

/// Rows of the merged user that were copied, or are computed anew.
const REMOVALS: [&str; 9] = [
    "DELETE FROM opt_outs WHERE user_id = ?",
    "DELETE FROM topic_subscribers WHERE user_id = ?",
    "DELETE FROM user_once WHERE user_id = ?",
    "DELETE FROM acknowledgements WHERE user_id = ?",
    "DELETE FROM consents WHERE user_id = ?",
    "DELETE FROM user_preferences WHERE user_id = ?",
    "DELETE FROM user_attributes WHERE user_id = ?",
    "DELETE FROM user_features WHERE user_id = ?",
    "DELETE FROM stated_features WHERE user_id = ?",
];

/// Counts of what a merge moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Events.
    pub events: usize,
    /// Messages of the stream.
    pub messages: usize,
}

/// Outcome of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Merged {
        /// The user.
        user: UserId,
        /// The merged one.
        alias: UserId,
        /// Rows that it moved.
        moved: Moved,
    },
    /// It was merged into this user before; nothing is changed.
    Already,
    /// It was merged into another user before; nothing is changed.
    Elsewhere,
}

/// Merges `alias` into `user`, in one transaction; both are made known. Nothing may store anything under `alias` meanwhile that
/// was resolved before.
pub fn merge(
    conn: &mut PgConnection,
    store: &Store,
    user: &ExternalId,
    alias: &ExternalId,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    conn.transaction(|conn| {
        lease::hold(conn, store)?;
        let ids = resolve_all(conn, Names::Users, [user])?;
        let own = ids.get(user).copied().ok_or(StoreError::Interrupted)?;
        resolve_all(conn, Names::Users, [alias])?;
        let (merged, into) = sql::<(Integer, Nullable<Integer>)>(
            "SELECT user_id, merged_into FROM users WHERE external_id = ?",
        )
        .bind::<Text, _>(alias.to_string())
        .get_result::<(i32, Option<i32>)>(conn)?;
        match into {
            Some(into) if into == own => return Ok(Outcome::Already),
            Some(_) => return Ok(Outcome::Elsewhere),
            None if merged == own => return Ok(Outcome::Already),
            None => {}
        }
        let moved = move_rows(conn, store, own, merged, now)?;
        recipients(conn, user, alias)?;
        let (user, alias) = (UserId::from_sql(own), UserId::from_sql(merged));
        Ok(Outcome::Merged { user, alias, moved })
    })
}

/// The inner ids of a user and an alias that was merged into it; `None` where it was not. Waits for a merge of the alias that is
/// being committed.
pub fn find(
    conn: &mut PgConnection,
    user: &ExternalId,
    alias: &ExternalId,
) -> Result<Option<(UserId, UserId)>, StoreError> {
    let rows = sql::<(Nullable<Integer>, Integer)>(
        "SELECT a.merged_into, a.user_id FROM users a WHERE a.external_id = ? FOR UPDATE",
    )
    .bind::<Text, _>(alias.to_string())
    .load::<(Option<i32>, i32)>(conn)?;
    let Some(&(Some(into), merged)) = rows.first() else { return Ok(None) };
    let names = super::users::external_ids(conn, &[UserId::from_sql(into)])?;
    let is_user = names.get(&UserId::from_sql(into)) == Some(user);
    Ok(is_user.then(|| (UserId::from_sql(into), UserId::from_sql(merged))))
}

fn move_rows(
    conn: &mut PgConnection,
    store: &Store,
    own: i32,
    merged: i32,
    now: Timestamp,
) -> Result<Moved, StoreError> {
    // Rows that refer to either wait until this is over.
    sql::<Integer>("SELECT user_id FROM users WHERE user_id IN (?, ?) ORDER BY user_id FOR UPDATE")
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(merged)
        .load::<i32>(conn)?;
    let messages = messages(conn, store.fields(), own, merged, now)?;
    let mut events = 0;
    for (place, statement) in MOVES.into_iter().chain(COPIES).enumerate() {
        let n = of_both(conn, statement, own, merged)?;
        if place == 0 {
            events = n;
        }
    }
    let doubled = deferred::merge(conn, own, merged)?;
    let ended: Vec<DecisionRow> =
        doubled.iter().map(|(row, told_at)| row.doubled(*told_at, Uuid::now_v7(), now)).collect();
    if !ended.is_empty() {
        decision_log::insert(conn, store, &[] as &[NewNotification], &ended)?;
    }
    consents(conn, own, merged)?;
    join_preferences(conn, own, merged)?;
    for statement in REMOVALS {
        sql::<()>(statement).bind::<Integer, _>(merged).execute(conn)?;
    }
    note_merge(conn, own, merged, now)?;
    Ok(Moved { events, messages })
}

fn of_both(
    conn: &mut PgConnection,
    statement: &'static str,
    own: i32,
    merged: i32,
) -> Result<usize, StoreError> {
    Ok(sql::<()>(statement).bind::<Integer, _>(own).bind::<Integer, _>(merged).execute(conn)?)
}

/// Appends the stream of the merged user; frames of live messages get their new place and addressee.
fn messages(
    conn: &mut PgConnection,
    fields: &Fields,
    own: i32,
    merged: i32,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let rows = sql::<(SqlUuid, BigInt, Text)>(include_str!("sql/merge_messages.sql"))
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(merged)
        .bind::<Integer, _>(merged)
        .bind::<Integer, _>(own)
        .bind::<Timestamptz, _>(to_pg(now))
        .load::<(Uuid, i64, String)>(conn)?;
    let n = rows.len();
    if n == 0 {
        return Ok(0);
    }
    let names = super::users::external_ids(conn, &[UserId::from_sql(own)])?;
    // Still under the key of the merged user; what stays as it is, is found by that one later, too.
    let opener = fields.opener(conn, rows.iter().map(|(_, _, frame)| (Owner(merged), frame.as_str())))?;
    let sealer = fields.sealer(conn, [Owner(own)])?;
    let readdressed = |frame: String, offset| {
        let frame = opener.open(Owner(merged), Field::Frame, frame).ok()?;
        readdressed(&frame, names.get(&UserId::from_sql(own))?, offset)
    };
    let changed = rows
        .into_iter()
        .filter(|(_, _, frame)| !frame.is_empty())
        .filter_map(|(id, offset, frame)| Some((id, readdressed(frame, offset)?)))
        .map(|(id, frame)| Ok((id, sealer.seal(Owner(own), Field::Frame, &frame)?.into_owned())))
        .collect::<Result<Vec<(Uuid, String)>, StoreError>>()?;
    sql::<()>(
        "UPDATE notifications n SET frame = f.frame FROM unnest(?, ?) AS f (id, frame) WHERE n.notification_id = f.id",
    )
    .bind::<Array<SqlUuid>, _>(column(&changed, |(id, _)| *id))
    .bind::<Array<Text>, _>(column(&changed, |(_, frame)| frame.as_str()))
    .execute(conn)?;
    sql::<()>(include_str!("sql/merge_superseded.sql"))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(own)
        .execute(conn)?;
    Ok(n)
}

fn consents(conn: &mut PgConnection, own: i32, merged: i32) -> Result<(), StoreError> {
    sql::<()>(include_str!("sql/merge_consents.sql"))
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(merged)
        .bind::<Integer, _>(merged)
        .bind::<Integer, _>(merged)
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(merged)
        .execute(conn)?;
    Ok(())
}

fn join_preferences(conn: &mut PgConnection, own: i32, merged: i32) -> Result<(), StoreError> {
    let has_own = user_preferences::table.find(merged).count().get_result::<i64>(conn)? > 0;
    if !has_own {
        return Ok(());
    }
    let (own, merged) = (UserId::from_sql(own), UserId::from_sql(merged));
    let joined = preferences::get(conn, own)?.joined(&preferences::get(conn, merged)?);
    preferences::put(conn, own, &joined)
}

fn recipients(conn: &mut PgConnection, user: &ExternalId, alias: &ExternalId) -> Result<(), StoreError> {
    sql::<()>(include_str!("sql/merge_recipients.sql"))
        .bind::<Text, _>(alias.to_string())
        .bind::<Text, _>(user.to_string())
        .execute(conn)?;
    Ok(())
}

/// The row of the merged user, and of those merged into it before, leads to the other from now on.
fn note_merge(conn: &mut PgConnection, own: i32, merged: i32, now: Timestamp) -> Result<(), StoreError> {
    sql::<()>(include_str!("sql/merge_user.sql"))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Integer, _>(own)
        .bind::<Integer, _>(merged)
        .execute(conn)?;
    // An alias is nobody who could be a robot.
    sql::<()>(
        "UPDATE users SET merged_into = ?, merged_at = ?, is_robot = false, robot_since = NULL, robot_reason = NULL, \
         robot_until = NULL WHERE user_id = ? OR merged_into = ?",
    )
    .bind::<Integer, _>(own)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Integer, _>(merged)
    .bind::<Integer, _>(merged)
    .execute(conn)?;
    Ok(())
}

/// Moves events that were stored under an id after it had been merged, later than `since`: an import remembers the ids that it has
/// looked up. How many.
pub fn move_late_events(conn: &mut PgConnection, since: Timestamp) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "UPDATE events e SET user_id = u.merged_into FROM users u \
         WHERE u.merged_into IS NOT NULL AND u.merged_at > ? AND e.user_id = u.user_id",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .execute(conn)?)
}
