//! Table `user_once`: triggers that have gone off for a user and do so once. Read with the user (`user_states.rs`).

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::UserId;
pub use tidings_decision::decide::record::Fired;

/// Adds marks, or moves those that are there forward in time. One statement; users that are gone are left out.
pub fn put(conn: &mut PgConnection, fired: &[Fired]) -> Result<(), StoreError> {
    // One statement changes a row once, and locks rows in order of the key.
    let mut latest: BTreeMap<(UserId, &str), &Fired> = BTreeMap::new();
    for one in fired {
        let known = latest.entry((one.user, one.trigger.as_str())).or_insert(one);
        if known.at < one.at {
            *known = one;
        }
    }
    if latest.is_empty() {
        return Ok(());
    }
    let rows: Vec<&Fired> = latest.into_values().collect();
    sql::<()>(
        "INSERT INTO user_once (user_id, trigger, fired_at) SELECT f.* FROM unnest(?, ?, ?) AS f (user_id, trigger, fired_at) \
         WHERE EXISTS (SELECT FROM users u WHERE u.user_id = f.user_id) \
         ON CONFLICT (user_id, trigger) DO UPDATE SET fired_at = greatest(user_once.fired_at, excluded.fired_at)",
    )
    .bind::<Array<Integer>, _>(column(&rows, |row| row.user.to_sql()))
    .bind::<Array<Text>, _>(column(&rows, |row| row.trigger.as_str()))
    .bind::<Array<Timestamptz>, _>(column(&rows, |row| to_pg(row.at)))
    .execute(conn)?;
    Ok(())
}
