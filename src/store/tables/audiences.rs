//! Users of a segment, or everyone: counted, and read into table `outbox`. Robots are nobody's audience.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::base::Timestamp;
use crate::store::postgres::StoreError;
use crate::store::postgres::convert::to_pg;
use crate::store::postgres::sql::sql;

/// Most users of one row of the outbox.
pub(super) const MAX_USERS: usize = 1_000;

/// Users in a segment, or everyone's number; robots are not counted. Counts the rows.
pub(super) fn size(conn: &mut PgConnection, segment: Option<u8>) -> Result<usize, StoreError> {
    let n = sql::<BigInt>(
        "SELECT count(*) FROM users u LEFT JOIN user_features f USING (user_id) \
         WHERE NOT u.is_robot AND f.segment IS NOT DISTINCT FROM coalesce(?, f.segment)",
    )
    .bind::<Nullable<SmallInt>, _>(segment.map(i16::from))
    .load::<i64>(conn)?;
    Ok(n.into_iter().next().and_then(|n| usize::try_from(n).ok()).unwrap_or(0))
}

/// Segments that somebody is in, 0 = A. One look into an index for each letter.
pub fn inhabited_segments(conn: &mut PgConnection) -> Result<Vec<u8>, StoreError> {
    let rows = sql::<SmallInt>(
        "SELECT s::smallint FROM generate_series(0, 25) AS s WHERE EXISTS (\
         SELECT FROM user_features f JOIN users u USING (user_id) WHERE f.segment = s::smallint AND NOT u.is_robot) ORDER BY s",
    )
    .load::<i16>(conn)?;
    Ok(rows.into_iter().filter_map(|segment| u8::try_from(segment).ok()).collect())
}

/// Whether any user is known who is no robot.
pub fn has_anybody(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let rows = sql::<Integer>("SELECT 1 FROM users WHERE NOT is_robot LIMIT 1").load::<i32>(conn)?;
    Ok(!rows.is_empty())
}

/// A segment, or everyone but robots, in rows of [`MAX_USERS`]: how many users, and the batches of the rows. These have the time of
/// `batch` and a hash of all of it and their place: batches of one millisecond differ in a few bits only. About 2 s a million
/// users.
pub(super) fn insert(
    conn: &mut PgConnection,
    batch: Uuid,
    message: &str,
    due_at: Timestamp,
    segment: Option<u8>,
) -> Result<(usize, Vec<Uuid>), StoreError> {
    let rows = sql::<(Integer, SqlUuid)>(include_str!("sql/insert_audience.sql"))
        .bind::<BigInt, _>(MAX_USERS as i64)
        .bind::<Nullable<SmallInt>, _>(segment.map(i16::from))
        .bind::<Timestamptz, _>(to_pg(due_at))
        .bind::<Text, _>(message)
        .bind::<Text, _>(batch.to_string())
        .load::<(i32, Uuid)>(conn)?;
    let users = rows.iter().filter_map(|(n, _)| usize::try_from(*n).ok()).sum();
    Ok((users, rows.into_iter().map(|(_, batch)| batch).collect()))
}
