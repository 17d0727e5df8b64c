//! Table `stated_features`: behaviour of users as the shop states it.

use diesel::prelude::*;
use diesel::sql_types::{Array, Double, Integer};

use crate::postgres::StoreError;
use crate::postgres::sql::sql;
use tidings_core::base::UserId;
use tidings_core::profile::StatedFeatures;

/// Adds or replaces; each user at most once. How many rows are different now.
pub(super) fn put(conn: &mut PgConnection, rows: &[(i32, StatedFeatures)]) -> Result<usize, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let column = |of: fn(&StatedFeatures) -> f64| rows.iter().map(|(_, row)| of(row)).collect::<Vec<f64>>();
    Ok(sql::<()>(include_str!("sql/put_stated_features.sql"))
        .bind::<Array<Integer>, _>(rows.iter().map(|(user, _)| *user).collect::<Vec<i32>>())
        .bind::<Array<Double>, _>(column(|row| row.purchases_per_month))
        .bind::<Array<Double>, _>(column(|row| row.browsing_minutes_per_month))
        .bind::<Array<Double>, _>(column(|row| row.searches_per_month))
        .execute(conn)?)
}

/// Everything, by user.
pub fn load_all(conn: &mut PgConnection) -> Result<Vec<(UserId, StatedFeatures)>, StoreError> {
    let rows = sql::<(Integer, Double, Double, Double)>(
        "SELECT user_id, purchases_per_month, browsing_minutes_per_month, searches_per_month FROM stated_features \
         ORDER BY user_id",
    )
    .load::<(i32, f64, f64, f64)>(conn)?;
    Ok(rows
        .into_iter()
        .map(|(user, purchases, minutes, searches)| {
            let features = StatedFeatures {
                purchases_per_month: purchases,
                browsing_minutes_per_month: minutes,
                searches_per_month: searches,
            };
            (UserId::from_sql(user), features)
        })
        .collect())
}
