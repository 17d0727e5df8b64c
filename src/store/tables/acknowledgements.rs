//! Table `acknowledgements`: how far each user's stream was received. A message is delivered when its offset is not beyond
//! that: `n.stream_offset <= a.up_to`.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
pub use tidings_decision::decide::record::Acknowledged;

/// Notes how far streams were received; never less far than before.
pub fn put(conn: &mut PgConnection, acknowledged: &[Acknowledged]) -> Result<(), StoreError> {
    // One row a user, in their order, so that two batches that overlap can't deadlock.
    let mut latest: BTreeMap<i32, Acknowledged> = BTreeMap::new();
    for one in acknowledged {
        let known = latest.entry(one.user.to_sql()).or_insert(*one);
        if one.up_to > known.up_to {
            *known = *one;
        }
    }
    if latest.is_empty() {
        return Ok(());
    }
    let latest: Vec<_> = latest.into_values().collect();
    sql::<()>(
        "INSERT INTO acknowledgements AS a (user_id, up_to, acknowledged_at) SELECT * FROM unnest(?, ?, ?) \
         ON CONFLICT (user_id) DO UPDATE SET up_to = excluded.up_to, acknowledged_at = excluded.acknowledged_at \
         WHERE a.up_to < excluded.up_to",
    )
    .bind::<Array<Integer>, _>(column(&latest, |one| one.user.to_sql()))
    .bind::<Array<BigInt>, _>(column(&latest, |one| one.up_to))
    .bind::<Array<Timestamptz>, _>(column(&latest, |one| to_pg(one.at)))
    .execute(conn)?;
    Ok(())
}
