//! Table `user_features`: features and segment of every user as of the last training.

use std::ops::ControlFlow;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, SmallInt, Text};

use crate::postgres::columns::Batch;
use crate::postgres::convert::{external_id, segment_from_sql, segment_to_sql};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ExternalId, UserId};

/// Rows of one INSERT: large enough that the round trip does not count, small enough for memory.
const CHUNK: usize = 10_000;

/// Features of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserFeaturesRow {
    /// User of the features.
    pub user: UserId,
    /// Purchases per month of active time, as segments compare them.
    pub purchases_per_month: f64,
    /// Minutes of dwell per month of active time.
    pub browsing_minutes_per_month: f64,
    /// Searches per month of active time.
    pub searches_per_month: f64,
    /// Days from the last purchase to the newest event; `None` = none.
    pub recency_days: Option<f64>,
    /// Money spent, returns taken off.
    pub monetary: f64,
    /// Of the model trained with it, 0 = A.
    pub segment: Option<u8>,
}

/// Replaces everything; readers see the old rows until it is done.
pub fn replace(conn: &mut PgConnection, rows: &[UserFeaturesRow]) -> Result<(), StoreError> {
    without_time_limit(conn, |conn| {
        // Not TRUNCATE, for which every reader would have to wait.
        sql::<()>("DELETE FROM user_features").execute(conn)?;
        for chunk in rows.chunks(CHUNK) {
            insert(conn, chunk)?;
        }
        // Some may have been erased since the training began.
        sql::<()>(
            "DELETE FROM user_features f WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id = f.user_id)",
        )
        .execute(conn)?;
        Ok(())
    })
}

fn insert(conn: &mut PgConnection, rows: &[UserFeaturesRow]) -> Result<(), StoreError> {
    let columns = Batch::of(rows)
        .column::<Integer, _>("user_id", |row| row.user.to_sql())
        .column::<Double, _>("purchases_per_month", |row| row.purchases_per_month)
        .column::<Double, _>("browsing_minutes_per_month", |row| row.browsing_minutes_per_month)
        .column::<Double, _>("searches_per_month", |row| row.searches_per_month)
        .column::<Nullable<Double>, _>("recency_days", |row| row.recency_days)
        .column::<Double, _>("monetary", |row| row.monetary)
        .column::<Nullable<SmallInt>, _>("segment", |row| segment_to_sql(row.segment));
    sql::<()>(columns.insert_into("user_features")).binds(columns.into_binds()).execute(conn)?;
    Ok(())
}

/// User, four features and the time since the last purchase, segment.
type Row = (i32, f64, f64, f64, Option<f64>, f64, Option<i16>);
type Columns = (Integer, Double, Double, Double, Nullable<Double>, Double, Nullable<SmallInt>);

fn features_row(row: Row) -> UserFeaturesRow {
    let (user, purchases, minutes, searches, recency_days, monetary, segment) = row;
    UserFeaturesRow {
        user: UserId::from_sql(user),
        purchases_per_month: purchases,
        browsing_minutes_per_month: minutes,
        searches_per_month: searches,
        recency_days,
        monetary,
        segment: segment_from_sql(segment),
    }
}

/// Hands over all users, or those of one segment, by the length of their ids and then by text, so that numbers are in their
/// order; until `each` breaks. Streams: memory does not grow with the table. How many were handed over.
pub fn for_each(
    conn: &mut PgConnection,
    segment: Option<u8>,
    mut each: impl FnMut(&ExternalId, &UserFeaturesRow) -> ControlFlow<()>,
) -> Result<u64, StoreError> {
    let only = segment.map(|segment| format!("WHERE f.segment = {segment}")).unwrap_or_default();
    without_time_limit(conn, |conn| {
        conn.batch_execute(&format!(
            "DECLARE listed_users NO SCROLL CURSOR FOR SELECT f.user_id, f.purchases_per_month, \
             f.browsing_minutes_per_month, f.searches_per_month, f.recency_days, f.monetary, f.segment, u.external_id \
             FROM user_features f JOIN users u USING (user_id) {only} ORDER BY length(u.external_id), u.external_id COLLATE \"C\""
        ))?;
        let mut count = 0;
        loop {
            let page = sql::<(Columns, Text)>(format!("FETCH {CHUNK} FROM listed_users"));
            let page = page.load::<(Row, String)>(conn)?;
            if page.is_empty() {
                return Ok(count);
            }
            for (row, name) in page {
                let row = features_row(row);
                count += 1;
                if each(&external_id("users", &name)?, &row).is_break() {
                    return Ok(count);
                }
            }
        }
    })
}

/// At most `limit` users, spread over all by a hash of their id; the same ones each time.
pub fn sample(conn: &mut PgConnection, limit: i64) -> Result<Vec<UserFeaturesRow>, StoreError> {
    let rows = sql::<Columns>(
        "SELECT user_id, purchases_per_month, browsing_minutes_per_month, searches_per_month, recency_days, monetary, \
         segment FROM user_features ORDER BY hashint4(user_id), user_id LIMIT ?",
    )
    .bind::<BigInt, _>(limit.max(0))
    .load::<Row>(conn)?;
    Ok(rows.into_iter().map(features_row).collect())
}
