//! Table `user_attributes`: what the shop says of its users. Read with the user (`user_states.rs`).

use diesel::prelude::*;
use diesel::sql_types::{Integer, Jsonb};

use crate::base::UserId;
use crate::profile::Attributes;
use crate::store::postgres::StoreError;
use crate::store::postgres::sql::sql;

/// Attributes of a user; none for most.
pub fn get(conn: &mut PgConnection, user: UserId) -> Result<Attributes, StoreError> {
    let rows = sql::<Jsonb>("SELECT attributes FROM user_attributes WHERE user_id = ?")
        .bind::<Integer, _>(user.to_sql())
        .load::<serde_json::Value>(conn)?;
    Ok(rows.first().map(Attributes::from_stored).unwrap_or_default())
}

/// The same, for a change in the same transaction: until it ends nobody else changes them so. The user must exist.
pub fn get_for_update(conn: &mut PgConnection, user: UserId) -> Result<Attributes, StoreError> {
    sql::<()>("SELECT FROM users WHERE user_id = ? FOR NO KEY UPDATE")
        .bind::<Integer, _>(user.to_sql())
        .execute(conn)?;
    get(conn, user)
}

/// Replaces all attributes of a user.
pub fn put(conn: &mut PgConnection, user: UserId, attributes: &Attributes) -> Result<(), StoreError> {
    sql::<()>(
        "INSERT INTO user_attributes (user_id, attributes) VALUES (?, ?) ON CONFLICT (user_id) DO UPDATE \
         SET attributes = excluded.attributes, updated_at = now()",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<Jsonb, _>(attributes.to_json())
    .execute(conn)?;
    Ok(())
}
