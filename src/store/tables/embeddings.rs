//! Column `embedding` of table `items`: vectors that the shop brings along, all of one length. Read by themselves and one at a time, since
//! those of a catalogue fill gigabytes; what stays in memory is their direction.

use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Array, Float, Integer, Nullable, Timestamptz};

use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ItemId, Timestamp};
use tidings_core::catalogue::{Embedding, NewItem};

/// Lets no other transaction change lengths until this one ends, where any of the items has an embedding; whether one has.
pub(super) fn hold<'a>(
    conn: &mut PgConnection,
    mut items: impl Iterator<Item = &'a NewItem>,
) -> Result<bool, StoreError> {
    let any = items.any(|item| item.embedding.is_some());
    if any {
        sql::<()>("SELECT pg_advisory_xact_lock(hashtext('items.embedding'))").execute(conn)?;
    }
    Ok(any)
}

/// Refuses a catalogue with embeddings of several lengths. Two look-ups in an index.
pub(super) fn check(conn: &mut PgConnection) -> Result<(), StoreError> {
    let (least, most) = sql::<(Nullable<Integer>, Nullable<Integer>)>(
        "SELECT min(cardinality(embedding)), max(cardinality(embedding)) FROM items WHERE embedding IS NOT NULL",
    )
    .get_result::<(Option<i32>, Option<i32>)>(conn)?;
    match (least, most) {
        (Some(least), Some(most)) if least != most => Err(StoreError::EmbeddingLengths { least, most }),
        _ => Ok(()),
    }
}

/// Erases the embeddings that have not this length; how many.
pub(super) fn erase_others(conn: &mut PgConnection, length: usize) -> Result<usize, StoreError> {
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    let erased = sql::<()>(
        "UPDATE items SET embedding = NULL, updated_at = now() WHERE embedding IS NOT NULL AND cardinality(embedding) <> ?",
    )
    .bind::<Integer, _>(length)
    .execute(conn)?;
    Ok(erased)
}

/// Erases every embedding; how many.
pub fn erase_all(conn: &mut PgConnection) -> Result<usize, StoreError> {
    without_time_limit(conn, |conn| {
        let erased =
            sql::<()>("UPDATE items SET embedding = NULL, updated_at = now() WHERE embedding IS NOT NULL")
                .execute(conn)?;
        Ok(erased)
    })
}

fn direction((item, vector): (i32, Vec<f32>)) -> Option<(ItemId, Embedding)> {
    Some((ItemId::from_sql(item), Embedding::of(&vector)?))
}

/// Hands over the direction of every active item that has one, in order of id; memory does not grow with their number.
pub fn for_each(conn: &mut PgConnection, mut take: impl FnMut(ItemId, &Embedding)) -> Result<(), StoreError> {
    without_time_limit(conn, |conn| {
        let rows = sql::<(Integer, Array<Float>)>(
            "SELECT item_id, embedding FROM items WHERE active AND embedding IS NOT NULL ORDER BY item_id",
        )
        .load_iter::<(i32, Vec<f32>), PgRowByRowLoadingMode>(conn)?;
        for row in rows {
            if let Some((item, embedding)) = direction(row?) {
                take(item, &embedding);
            }
        }
        Ok(())
    })
}

/// Directions of active items that were changed since a moment; `None` of one without an embedding.
pub fn changed_since(
    conn: &mut PgConnection,
    since: Timestamp,
) -> Result<Vec<(ItemId, Option<Embedding>)>, StoreError> {
    without_time_limit(conn, |conn| {
        let rows = sql::<(Integer, Nullable<Array<Float>>)>(
            "SELECT item_id, embedding FROM items WHERE active AND updated_at >= ? ORDER BY item_id",
        )
        .bind::<Timestamptz, _>(to_pg(since))
        .load_iter::<(i32, Option<Vec<f32>>), PgRowByRowLoadingMode>(conn)?;
        let direction = |row: QueryResult<(i32, Option<Vec<f32>>)>| {
            let (item, vector) = row?;
            Ok((ItemId::from_sql(item), vector.as_deref().and_then(Embedding::of)))
        };
        rows.map(direction).collect()
    })
}
