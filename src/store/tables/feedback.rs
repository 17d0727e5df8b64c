//! Table `feedback`: what came of a notification, once per outcome.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, Double, Integer, Nullable, SmallInt, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::base::ItemId;
pub use crate::decide::record::FeedbackRow;
use crate::store::postgres::StoreError;
use crate::store::postgres::columns::column;
use crate::store::postgres::convert::to_pg;
use crate::store::postgres::sql::sql;

/// Stores feedback; true for each that is new, in input order. The second of one outcome for one message is ignored.
pub fn insert(conn: &mut PgConnection, new: &[FeedbackRow]) -> Result<Vec<bool>, StoreError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    // In order of the key, so that two batches that overlap can't deadlock.
    let mut ordered: Vec<&FeedbackRow> = new.iter().collect();
    ordered.sort_by_key(|row| (row.notification_id, row.outcome));
    ordered.dedup_by_key(|row| (row.notification_id, row.outcome));
    let mut stored: HashSet<(Uuid, i16)> = sql::<(SqlUuid, SmallInt)>(
        "INSERT INTO feedback (notification_id, outcome, user_id, item_id, value, occurred_at) \
         SELECT * FROM unnest(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING notification_id, outcome",
    )
    .bind::<Array<SqlUuid>, _>(column(&ordered, |row| row.notification_id.0))
    .bind::<Array<SmallInt>, _>(column(&ordered, |row| row.outcome))
    .bind::<Array<Integer>, _>(column(&ordered, |row| row.user.to_sql()))
    .bind::<Array<Nullable<Integer>>, _>(column(&ordered, |row| row.item.map(ItemId::to_sql)))
    .bind::<Array<Nullable<Double>>, _>(column(&ordered, |row| row.value))
    .bind::<Array<Timestamptz>, _>(column(&ordered, |row| to_pg(row.occurred_at)))
    .load::<(Uuid, i16)>(conn)?
    .into_iter()
    .collect();
    // `remove`: of two equal rows in one batch the first is the new one.
    Ok(new.iter().map(|row| stored.remove(&(row.notification_id.0, row.outcome))).collect())
}
