//! Table `held_messages`: what set a message off that waits.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::StoreError;
use super::convert::{from_pg, to_pg};
use super::notifications::column;
use super::sql::sql;
use crate::base::{ItemId, Timestamp, UserId};

/// Most that wait for one user: beyond it the oldest are not read.
const MAX_PER_USER: i64 = 64;

/// Something that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldRow {
    /// UUIDv7.
    pub held_id: Uuid,
    /// For whom.
    pub user: UserId,
    /// Name of the trigger.
    pub trigger: String,
    /// Its category.
    pub category: String,
    /// About what.
    pub item: Option<ItemId>,
    /// What it cost before.
    pub price_before: Option<f64>,
    /// What the shop said.
    pub event: Option<serde_json::Value>,
    /// Collected for the digest.
    pub for_digest: bool,
    /// Judged again then.
    pub until: Timestamp,
    /// Not worth saying after this.
    pub expires_at: Timestamp,
}

/// Stores what waits; a row that is there already stays.
pub fn insert(conn: &mut PgConnection, rows: &[HeldRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sql::<()>(
        "INSERT INTO held_messages (held_id, user_id, trigger, category, item_id, price_before, event, for_digest, until, expires_at) \
         SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(column(rows, |row| row.held_id))
    .bind::<Array<Integer>, _>(column(rows, |row| row.user.to_sql()))
    .bind::<Array<Text>, _>(column(rows, |row| row.trigger.as_str()))
    .bind::<Array<Text>, _>(column(rows, |row| row.category.as_str()))
    .bind::<Array<Nullable<Integer>>, _>(column(rows, |row| row.item.map(ItemId::to_sql)))
    .bind::<Array<Nullable<Double>>, _>(column(rows, |row| row.price_before))
    .bind::<Array<Nullable<Jsonb>>, _>(column(rows, |row| row.event.as_ref()))
    .bind::<Array<Bool>, _>(column(rows, |row| row.for_digest))
    .bind::<Array<Timestamptz>, _>(column(rows, |row| to_pg(row.until)))
    .bind::<Array<Timestamptz>, _>(column(rows, |row| to_pg(row.expires_at)))
    .execute(conn)?;
    Ok(())
}

/// Forgets what was let go, and whatever expired more than a day ago.
pub fn release(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(), StoreError> {
    if !ids.is_empty() {
        sql::<()>(
            "DELETE FROM held_messages WHERE held_id = ANY(?) OR expires_at < now() - interval '1 day'",
        )
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(conn)?;
    }
    Ok(())
}

/// What waits for users that were absent when an item changed: those who looked at it, carted or liked it within 30 days
/// and have not bought it since. At most `limit` users an item; how many rows were made.
pub fn hold_for_absent(
    conn: &mut PgConnection,
    row: &HeldRow,
    present: &[UserId],
    limit: i64,
) -> Result<usize, StoreError> {
    let Some(item) = row.item else { return Ok(0) };
    let present: Vec<i32> = present.iter().map(|user| user.to_sql()).collect();
    Ok(sql::<()>(
        "INSERT INTO held_messages (held_id, user_id, trigger, category, item_id, price_before, for_digest, until, expires_at) \
         SELECT gen_random_uuid(), e.user_id, ?, ?, ?, ?, false, ?, ? FROM (SELECT user_id FROM events \
         WHERE item_id = ? AND user_id IS NOT NULL AND kind = ANY(?) AND occurred_at > now() - interval '30 days' \
         GROUP BY user_id ORDER BY max(occurred_at) DESC LIMIT ?) AS e WHERE e.user_id <> ALL(?) \
         AND NOT EXISTS (SELECT FROM events b WHERE b.user_id = e.user_id AND b.item_id = ? AND b.kind = 5)",
    )
    .bind::<Text, _>(row.trigger.as_str())
    .bind::<Text, _>(row.category.as_str())
    .bind::<Integer, _>(item.to_sql())
    .bind::<Nullable<Double>, _>(row.price_before)
    .bind::<Timestamptz, _>(to_pg(row.until))
    .bind::<Timestamptz, _>(to_pg(row.expires_at))
    .bind::<Integer, _>(item.to_sql())
    .bind::<Array<SmallInt>, _>(vec![1_i16, 3, 7])
    .bind::<BigInt, _>(limit)
    .bind::<Array<Integer>, _>(present)
    .bind::<Integer, _>(item.to_sql())
    .execute(conn)?)
}

type Columns = (
    Uuid,
    i32,
    String,
    String,
    Option<i32>,
    Option<f64>,
    Option<serde_json::Value>,
    bool,
    PgTimestamp,
    PgTimestamp,
);

/// What waits for many users and has not expired, the earliest first, at most 64 each.
pub(super) fn load(conn: &mut PgConnection, ids: &[i32], now: Timestamp) -> Result<Vec<HeldRow>, StoreError> {
    type Row = (
        SqlUuid,
        Integer,
        Text,
        Text,
        Nullable<Integer>,
        Nullable<Double>,
        Nullable<Jsonb>,
        Bool,
        Timestamptz,
        Timestamptz,
    );
    let rows = sql::<Row>(
        "SELECT h.held_id, h.user_id, h.trigger, h.category, h.item_id, h.price_before, h.event, h.for_digest, h.until, h.expires_at \
         FROM unnest(?) AS u (user_id) CROSS JOIN LATERAL (SELECT * FROM held_messages \
         WHERE user_id = u.user_id AND expires_at > ? ORDER BY until LIMIT ?) AS h",
    )
    .bind::<Array<Integer>, _>(ids)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(MAX_PER_USER)
    .load::<Columns>(conn)?;
    Ok(rows
        .into_iter()
        .map(
            |(held_id, user, trigger, category, item, price_before, event, for_digest, until, expires_at)| {
                HeldRow {
                    held_id,
                    user: UserId::from_sql(user),
                    trigger,
                    category,
                    item: item.map(ItemId::from_sql),
                    price_before,
                    event,
                    for_digest,
                    until: from_pg(until),
                    expires_at: from_pg(expires_at),
                }
            },
        )
        .collect())
}
