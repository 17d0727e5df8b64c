//! Table `feedback`: what came of a notification, once per outcome.

use std::collections::HashSet;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Integer, Nullable, SmallInt, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::StoreError;
use super::convert::{from_pg, to_pg};
use super::notifications::column;
use super::sql::sql;
use crate::base::{ItemId, Millis, NotificationId, Timestamp, UserId};
pub use crate::decide::record::FeedbackRow;

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

/// The message that a purchase may be owed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// Which.
    pub notification_id: NotificationId,
    /// When decided.
    pub created_at: Timestamp,
    /// Did the user click it?
    pub clicked: bool,
}

/// The latest message to `user` since `since` that contained `item`.
pub fn attributable(
    conn: &mut PgConnection,
    user: UserId,
    item: ItemId,
    since: Timestamp,
) -> Result<Option<Attribution>, StoreError> {
    let until = Timestamp(i64::MAX / 2);
    let window = until.millis_since(since);
    Ok(attributable_batch(conn, &[(user, item, until)], window)?.into_iter().next().flatten())
}

/// For each (user, item, moment), in input order: the latest message to that user in the `window` before the moment
/// that contained the item. One query.
pub fn attributable_batch(
    conn: &mut PgConnection,
    purchases: &[(UserId, ItemId, Timestamp)],
    window: Millis,
) -> Result<Vec<Option<Attribution>>, StoreError> {
    let mut attributed = vec![None; purchases.len()];
    if purchases.is_empty() {
        return Ok(attributed);
    }
    let rows = sql::<(BigInt, SqlUuid, Timestamptz, Bool)>(
        "SELECT p.position, n.notification_id, n.created_at, \
         EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id AND f.outcome = 2) \
         FROM unnest(?, ?, ?, ?) WITH ORDINALITY AS p (user_id, item_id, since, until, position) \
         CROSS JOIN LATERAL (SELECT notification_id, created_at FROM notifications \
         WHERE user_id = p.user_id AND created_at BETWEEN p.since AND p.until AND p.item_id = ANY(items) \
         ORDER BY stream_offset DESC LIMIT 1) n",
    )
    .bind::<Array<Integer>, _>(column(purchases, |(user, _, _)| user.to_sql()))
    .bind::<Array<Integer>, _>(column(purchases, |(_, item, _)| item.to_sql()))
    .bind::<Array<Timestamptz>, _>(column(purchases, |(_, _, at)| to_pg(*at - window)))
    .bind::<Array<Timestamptz>, _>(column(purchases, |(_, _, at)| to_pg(*at)))
    .load::<(i64, Uuid, PgTimestamp, bool)>(conn)?;
    for (position, id, created_at, clicked) in rows {
        let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
        if let Some(slot) = attributed.get_mut(index) {
            *slot = Some(Attribution {
                notification_id: NotificationId(id),
                created_at: from_pg(created_at),
                clicked,
            });
        }
    }
    Ok(attributed)
}
