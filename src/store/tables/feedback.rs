//! Table `feedback`: what came of a notification, once per outcome.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Double, Integer, Nullable, SmallInt, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::columns::Batch;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::ItemId;
pub use tidings_decision::decide::record::FeedbackRow;

/// Stores feedback; true for each that is new, in input order. The second of one outcome for one message is ignored.
pub fn insert(conn: &mut PgConnection, new: &[FeedbackRow]) -> Result<Vec<bool>, StoreError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    // In order of the key, so that two batches that overlap can't deadlock.
    let mut ordered: Vec<&FeedbackRow> = new.iter().collect();
    ordered.sort_by_key(|row| (row.notification_id, row.outcome));
    ordered.dedup_by_key(|row| (row.notification_id, row.outcome));
    let columns = Batch::of(&ordered)
        .column::<SqlUuid, _>("notification_id", |row| row.notification_id.0)
        .column::<SmallInt, _>("outcome", |row| row.outcome)
        .column::<Integer, _>("user_id", |row| row.user.to_sql())
        .column::<Nullable<Integer>, _>("item_id", |row| row.item.map(ItemId::to_sql))
        .column::<Nullable<Double>, _>("value", |row| row.value)
        .column::<Timestamptz, _>("occurred_at", |row| to_pg(row.occurred_at));
    let text = format!(
        "{} ON CONFLICT DO NOTHING RETURNING notification_id, outcome",
        columns.insert_into("feedback"),
    );
    let stored = sql::<(SqlUuid, SmallInt)>(text).binds(columns.into_binds()).load::<(Uuid, i16)>(conn)?;
    let mut stored: HashSet<(Uuid, i16)> = stored.into_iter().collect();
    // `remove`: of two equal rows in one batch the first is the new one.
    Ok(new.iter().map(|row| stored.remove(&(row.notification_id.0, row.outcome))).collect())
}
