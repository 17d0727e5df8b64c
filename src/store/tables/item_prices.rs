//! Table `item_prices`: what items cost and since when. Written with every change of table `items`, by whichever way it comes.

use diesel::data_types::PgTimestamp;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Timestamptz};

use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ItemId, Timestamp};
use tidings_core::catalogue::{Currency, KEPT_DAYS, PricePoint};

type Columns = (Integer, Timestamptz, Double, Nullable<Text>);
type Row = (i32, PgTimestamp, f64, Option<String>);

fn point((item, since, price, currency): Row) -> (ItemId, PricePoint) {
    let currency = currency.as_deref().and_then(Currency::parse);
    (ItemId::from_sql(item), PricePoint { since: from_pg(since), price, currency })
}

/// Adds a row for each of the items whose price or currency is another one than the last that was written, and prunes what no
/// reduction can be compared with any more. The new prices and the ones before them. In the transaction that changed the
/// items; two statements.
pub(super) fn note_changes(
    conn: &mut PgConnection,
    items: &[i32],
    now: Timestamp,
) -> Result<Vec<(ItemId, PricePoint)>, StoreError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let changed: Vec<Row> = sql::<Columns>(include_str!("sql/note_price_changes.sql"))
        .bind::<Array<Integer>, _>(items)
        .bind::<Timestamptz, _>(to_pg(now))
        .load(conn)?;
    if !changed.is_empty() {
        let ids: Vec<i32> = changed.iter().map(|(item, ..)| *item).collect();
        sql::<()>(
            "DELETE FROM item_prices p WHERE p.item_id = ANY(?) AND EXISTS (SELECT FROM item_prices n \
             WHERE n.item_id = p.item_id AND n.at > p.at AND n.at <= ? - ? * interval '1 day')",
        )
        .bind::<Array<Integer>, _>(ids)
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<BigInt, _>(i64::try_from(KEPT_DAYS).unwrap_or(i64::MAX))
        .execute(conn)?;
    }
    Ok(changed.into_iter().map(point).collect())
}

/// Prices of the last 60 days and the one before them, of items that have had more than one; by item, oldest first. Reads
/// the whole table: for start-up and training.
pub fn load_changes(
    conn: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<(ItemId, PricePoint)>, StoreError> {
    without_time_limit(conn, |conn| {
        let rows: Vec<Row> = sql::<Columns>(
            "SELECT item_id, at, price, currency FROM (SELECT p.*, count(*) OVER (PARTITION BY item_id) AS n, \
             lead(at) OVER (PARTITION BY item_id ORDER BY at) AS ended FROM item_prices p) AS p \
             WHERE n > 1 AND (ended IS NULL OR ended > ? - ? * interval '1 day') ORDER BY item_id, at",
        )
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<BigInt, _>(i64::try_from(KEPT_DAYS).unwrap_or(i64::MAX))
        .load(conn)?;
        Ok(rows.into_iter().map(point).collect())
    })
}
