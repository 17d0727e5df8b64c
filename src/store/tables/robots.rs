//! Table `users`: who is taken for a robot, why, since and until when.

use std::collections::HashMap;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz};

use super::users::UserSummary;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{external_id, from_pg, segment_from_sql, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_decision::decide::record::RobotFlag;

/// Flags users, or notes that their rate is still no person's; how many were not flagged before. The later of two flags of one
/// user holds.
pub fn mark(conn: &mut PgConnection, flags: &[(UserId, RobotFlag)]) -> Result<usize, StoreError> {
    if flags.is_empty() {
        return Ok(0);
    }
    let latest: HashMap<UserId, &RobotFlag> = flags.iter().map(|(user, flag)| (*user, flag)).collect();
    let flags: Vec<(UserId, &RobotFlag)> = latest.into_iter().collect();
    let before = sql::<Bool>(
        "UPDATE users u SET is_robot = true, robot_since = f.since, robot_reason = f.reason, robot_until = NULL \
         FROM unnest(?, ?, ?) AS f (user_id, since, reason), users o \
         WHERE u.user_id = f.user_id AND o.user_id = u.user_id RETURNING o.is_robot",
    )
    .bind::<Array<Integer>, _>(column(&flags, |(user, _)| user.to_sql()))
    .bind::<Array<Timestamptz>, _>(column(&flags, |(_, flag)| to_pg(flag.since)))
    .bind::<Array<Text>, _>(column(&flags, |(_, flag)| flag.reason.as_str()))
    .load::<bool>(conn)?;
    Ok(before.into_iter().filter(|before| !before).count())
}

/// Takes the flags off users whose rate is a person's again. What they did before stays out of training.
pub fn rest(conn: &mut PgConnection, rested: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
    if rested.is_empty() {
        return Ok(());
    }
    sql::<()>(
        "UPDATE users SET is_robot = false, robot_until = r.at FROM unnest(?, ?) AS r (user_id, at) \
         WHERE users.user_id = r.user_id AND users.is_robot",
    )
    .bind::<Array<Integer>, _>(column(rested, |(user, _)| user.to_sql()))
    .bind::<Array<Timestamptz>, _>(column(rested, |(_, at)| to_pg(*at)))
    .execute(conn)?;
    Ok(())
}

/// The same of at most `limit` users who were last found too fast before `before`; how many.
pub fn rest_before(
    conn: &mut PgConnection,
    before: Timestamp,
    now: Timestamp,
    limit: i64,
) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "UPDATE users SET is_robot = false, robot_until = ? WHERE user_id IN \
         (SELECT user_id FROM users WHERE is_robot AND robot_since < ? LIMIT ?)",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(limit)
    .execute(conn)?)
}

/// Says that a user is none: the flag goes, and all they did is learnt from. False for a user who was not flagged.
pub fn lift(conn: &mut PgConnection, user: UserId) -> Result<bool, StoreError> {
    let changed = sql::<()>(
        "UPDATE users SET is_robot = false, robot_since = NULL, robot_reason = NULL, robot_until = NULL \
         WHERE user_id = ? AND (is_robot OR robot_until IS NOT NULL)",
    )
    .bind::<Integer, _>(user.to_sql())
    .execute(conn)?;
    Ok(changed > 0)
}

/// Flag of a user; `None` for a person.
pub fn flag(conn: &mut PgConnection, user: &ExternalId) -> Result<Option<RobotFlag>, StoreError> {
    let rows = sql::<(Timestamptz, Text)>(
        "SELECT coalesce(robot_since, created_at), coalesce(robot_reason, '') FROM users \
         WHERE external_id = ? AND is_robot",
    )
    .bind::<Text, _>(user.to_string())
    .load::<(PgTimestamp, String)>(conn)?;
    Ok(rows.into_iter().next().map(|(since, reason)| RobotFlag { since: from_pg(since), reason }))
}

/// Users flagged now whose id begins with `prefix`, the latest flag first, at most `limit`. Reads the whole table.
pub fn list(
    conn: &mut PgConnection,
    prefix: &str,
    limit: i64,
) -> Result<Vec<(UserSummary, RobotFlag)>, StoreError> {
    type Row = (i32, String, Option<i16>, PgTimestamp, String);
    let rows = sql::<(Integer, Text, Nullable<SmallInt>, Timestamptz, Text)>(
        "SELECT u.user_id, u.external_id, f.segment, coalesce(u.robot_since, u.created_at) AS since, \
         coalesce(u.robot_reason, '') FROM users u LEFT JOIN user_features f USING (user_id) \
         WHERE starts_with(u.external_id, ?) AND u.is_robot ORDER BY since DESC, u.user_id LIMIT ?",
    )
    .bind::<Text, _>(prefix)
    .bind::<BigInt, _>(limit.max(0))
    .load::<Row>(conn)?;
    rows.into_iter()
        .map(|(user, text, segment, since, reason)| {
            let summary = UserSummary {
                user: UserId::from_sql(user),
                external_id: external_id("users", &text)?,
                segment: segment_from_sql(segment),
            };
            Ok((summary, RobotFlag { since: from_pg(since), reason }))
        })
        .collect()
}

/// Users flagged now, and the others that were, each with the moment before which nothing is learnt from: `None` = nothing at all.
pub fn unlearned(conn: &mut PgConnection) -> Result<HashMap<UserId, Option<Timestamp>>, StoreError> {
    let rows = sql::<(Integer, Bool, Nullable<Timestamptz>)>(
        "SELECT user_id, is_robot, robot_until FROM users WHERE is_robot OR robot_until IS NOT NULL",
    )
    .load::<(i32, bool, Option<PgTimestamp>)>(conn)?;
    let until = |is_robot: bool, until: Option<PgTimestamp>| until.filter(|_| !is_robot).map(from_pg);
    Ok(rows.into_iter().map(|(user, is_robot, at)| (UserId::from_sql(user), until(is_robot, at))).collect())
}
