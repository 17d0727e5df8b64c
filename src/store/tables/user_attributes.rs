//! Table `user_attributes`: what the shop says of its users. Read with the user (`user_states.rs`). Some may be encrypted
//! (`encryption.attributes`).

use diesel::prelude::*;
use diesel::sql_types::{Integer, Jsonb};
use serde_json::Value;

use crate::encryption::attributes::{open_attributes, sealed_attributes};
use crate::encryption::{Fields, Opener, owner};
use crate::postgres::StoreError;
use crate::postgres::sql::sql;
use tidings_core::base::UserId;
use tidings_core::profile::Attributes;

/// Attributes of a user; none for most.
pub fn get(conn: &mut PgConnection, fields: &Fields, user: UserId) -> Result<Attributes, StoreError> {
    let rows = sql::<Jsonb>("SELECT attributes FROM user_attributes WHERE user_id = ?")
        .bind::<Integer, _>(user.to_sql())
        .load::<Value>(conn)?;
    let Some(stored) = rows.into_iter().next() else { return Ok(Attributes::default()) };
    let owner = owner(Some(user));
    let opener = fields.opener(conn, sealed_attributes(&stored).map(|text| (owner, text)))?;
    Ok(opened(&opener, user, stored))
}

/// Attributes as they were before some of them were encrypted. What can't be decrypted is told in the log.
pub(super) fn opened(opener: &Opener, user: UserId, mut stored: Value) -> Attributes {
    for (name, reason) in open_attributes(opener, owner(Some(user)), &mut stored) {
        log::error!(
            "attribute not decrypted name={name:?} user={} reason={}",
            user.to_sql(),
            reason.reason()
        );
    }
    Attributes::from_stored(&stored)
}

/// The same, for a change in the same transaction: until it ends nobody else changes them so. The user must exist.
pub fn get_for_update(
    conn: &mut PgConnection,
    fields: &Fields,
    user: UserId,
) -> Result<Attributes, StoreError> {
    sql::<()>("SELECT FROM users WHERE user_id = ? FOR NO KEY UPDATE")
        .bind::<Integer, _>(user.to_sql())
        .execute(conn)?;
    get(conn, fields, user)
}

/// Replaces all attributes of a user.
pub fn put(
    conn: &mut PgConnection,
    fields: &Fields,
    user: UserId,
    attributes: &Attributes,
) -> Result<(), StoreError> {
    let mut stored = attributes.to_json();
    if fields.has_unsealed(&stored) {
        let owner = owner(Some(user));
        let sealer = fields.sealer(conn, [owner])?;
        fields.seal_attributes(&sealer, owner, &mut stored)?;
    }
    sql::<()>(
        "INSERT INTO user_attributes (user_id, attributes) VALUES (?, ?) ON CONFLICT (user_id) DO UPDATE \
         SET attributes = excluded.attributes, updated_at = now()",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<Jsonb, _>(stored)
    .execute(conn)?;
    Ok(())
}
