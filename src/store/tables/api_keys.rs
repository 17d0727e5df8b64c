//! Table `api_keys`: API keys of services, by their hashes.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::api_key::{ApiKey, KeyHash};
use tidings_decision::privacy::origin::Origin;
use tidings_decision::privacy::{Permission, Role, Scope};

/// Most keys that are not revoked.
pub const MAX_KEYS: i64 = 1_000;

/// A key as it is shown.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Rights and bounds.
    pub key: ApiKey,
    /// First characters.
    pub hint: String,
    /// Moment at which it was made.
    pub created_at: Timestamp,
    /// Its maker.
    pub created_by: String,
    /// Last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Moment of its revocation; `None` while it is good.
    pub revoked_at: Option<Timestamp>,
}

type Columns = (
    SqlUuid,
    Text,
    Binary,
    Text,
    Text,
    Array<Text>,
    Array<Text>,
    Array<Text>,
    Timestamptz,
    Text,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
);
type Row = (
    Uuid,
    String,
    Vec<u8>,
    String,
    String,
    Vec<String>,
    Vec<String>,
    Vec<String>,
    PgTimestamp,
    String,
    Option<PgTimestamp>,
    Option<PgTimestamp>,
    Option<PgTimestamp>,
);

fn api_key(row: Row) -> Result<ApiKeyRow, StoreError> {
    let (
        id,
        name,
        hash,
        hint,
        role,
        permissions,
        scopes,
        origins,
        created_at,
        created_by,
        expires_at,
        used_at,
        revoked_at,
    ) = row;
    let unreadable =
        |reason: &dyn ToString| StoreError::Unreadable { table: "api_keys", reason: reason.to_string() };
    let hash: KeyHash = hash.try_into().map_err(|_| unreadable(&"a hash has 32 bytes"))?;
    let scopes: Result<Vec<Scope>, StoreError> =
        scopes.iter().map(|scope| scope.parse().map_err(|error| unreadable(&error))).collect();
    let origins: Result<Vec<Origin>, StoreError> =
        origins.iter().map(|origin| origin.parse().map_err(|error| unreadable(&error))).collect();
    let permission = |name: &String| {
        Permission::named(name).ok_or_else(|| unreadable(&format!("there is no permission \"{name}\"")))
    };
    let permissions: Vec<Permission> = permissions.iter().map(permission).collect::<Result<_, _>>()?;
    let role = Role::named(&role).unwrap_or(Role::Service);
    let key = ApiKey {
        id,
        name,
        hash,
        role,
        permissions,
        scopes: scopes?,
        origins: origins?,
        expires_at: expires_at.map(from_pg),
    };
    Ok(ApiKeyRow {
        key,
        hint,
        created_at: from_pg(created_at),
        created_by,
        last_used_at: used_at.map(from_pg),
        revoked_at: revoked_at.map(from_pg),
    })
}

/// Stores a key; false when there are [`MAX_KEYS`] already.
pub fn insert(conn: &mut PgConnection, key: &ApiKey, hint: &str, by: &str) -> Result<bool, StoreError> {
    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
    let origins: Vec<String> = key.origins.iter().map(ToString::to_string).collect();
    let made = sql::<()>(
        "INSERT INTO api_keys (key_id, name, hash, hint, role, permissions, scopes, origins, expires_at, created_by) \
         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM api_keys WHERE revoked_at IS NULL) < ?",
    )
    .bind::<SqlUuid, _>(key.id)
    .bind::<Text, _>(&key.name)
    .bind::<Binary, _>(key.hash.as_slice())
    .bind::<Text, _>(hint)
    .bind::<Text, _>(key.role.name())
    .bind::<Array<Text>, _>(column(&key.permissions, |permission| permission.name()))
    .bind::<Array<Text>, _>(scopes)
    .bind::<Array<Text>, _>(origins)
    .bind::<Nullable<Timestamptz>, _>(key.expires_at.map(to_pg))
    .bind::<Text, _>(by)
    .bind::<BigInt, _>(MAX_KEYS)
    .execute(conn)?;
    Ok(made > 0)
}

/// Every key that is not revoked, or with `revoked` those too, the oldest first.
pub fn list(conn: &mut PgConnection, revoked: bool) -> Result<Vec<ApiKeyRow>, StoreError> {
    let text = "SELECT key_id, name, hash, hint, role, permissions, scopes, origins, created_at, created_by, expires_at, last_used_at, \
                revoked_at FROM api_keys WHERE revoked_at IS NULL OR ? ORDER BY key_id";
    let rows = sql::<Columns>(text).bind::<diesel::sql_types::Bool, _>(revoked).load::<Row>(conn)?;
    rows.into_iter().map(api_key).collect()
}

/// Revokes a key; false when there is none with this id, or it is revoked.
pub fn revoke(conn: &mut PgConnection, id: Uuid, by: &str) -> Result<bool, StoreError> {
    let revoked = sql::<()>(
        "UPDATE api_keys SET revoked_at = now(), revoked_by = ? WHERE key_id = ? AND revoked_at IS NULL",
    )
    .bind::<Text, _>(by)
    .bind::<SqlUuid, _>(id)
    .execute(conn)?;
    Ok(revoked > 0)
}

/// Notes when keys were used last.
pub fn note_used(conn: &mut PgConnection, ids: &[Uuid], now: Timestamp) -> Result<(), StoreError> {
    sql::<()>("UPDATE api_keys SET last_used_at = ? WHERE key_id = ANY(?)")
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(conn)?;
    Ok(())
}
