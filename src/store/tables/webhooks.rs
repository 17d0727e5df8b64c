//! Table `webhook_endpoints`: addresses of the shop that are told what happens.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::webhook_upkeep::{STEP, give_up_disabled};
use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;

/// Most endpoints.
pub const MAX_ENDPOINTS: i64 = 50;
/// A key that was replaced signs as well for this long.
const ROTATION_DAYS: f64 = 1.0;

/// An endpoint as it is shown: everything but its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// Address that requests go to.
    pub url: String,
    /// For people.
    pub description: String,
    /// Names of the events it wants.
    pub events: Vec<String>,
    /// True if anything is delivered.
    pub is_active: bool,
    /// Reason for which it was disabled; `None` = it was not.
    pub disabled_reason: Option<String>,
    /// First failure since the last delivery.
    pub failing_since: Option<Timestamp>,
    /// Moment at which it was made.
    pub created_at: Timestamp,
    /// Moment of the last change.
    pub changed_at: Timestamp,
    /// Caller who changed it last.
    pub changed_by: String,
    /// Deliveries that wait.
    pub pending: i64,
}

/// Changes of an endpoint; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointChange {
    /// Address.
    pub url: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Names of events.
    pub events: Option<Vec<String>>,
    /// Activates, which forgets earlier failures, or disables.
    pub active: Option<bool>,
}

type Columns = (
    SqlUuid,
    Text,
    Text,
    Array<Text>,
    Bool,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Timestamptz,
    Timestamptz,
    Text,
    BigInt,
);
type Row = (
    Uuid,
    String,
    String,
    Vec<String>,
    bool,
    Option<String>,
    Option<PgTimestamp>,
    PgTimestamp,
    PgTimestamp,
    String,
    i64,
);

fn endpoint(row: Row) -> Endpoint {
    let (
        id,
        url,
        description,
        events,
        is_active,
        disabled_reason,
        failing_since,
        created_at,
        changed_at,
        by,
        pending,
    ) = row;
    Endpoint {
        id,
        url,
        description,
        events,
        is_active,
        disabled_reason,
        failing_since: failing_since.map(from_pg),
        created_at: from_pg(created_at),
        changed_at: from_pg(changed_at),
        changed_by: by,
        pending,
    }
}

/// Every endpoint, or the one with this id, the oldest first.
pub fn list(conn: &mut PgConnection, id: Option<Uuid>) -> Result<Vec<Endpoint>, StoreError> {
    let rows = sql::<Columns>(
        "SELECT endpoint_id, url, description, events, state = 'active', disabled_reason, failing_since, created_at, changed_at, \
         changed_by, (SELECT count(*) FROM webhook_deliveries d WHERE d.endpoint_id = e.endpoint_id AND d.state = 'pending') \
         FROM webhook_endpoints e WHERE removed_at IS NULL AND (endpoint_id = ? OR ?::uuid IS NULL) ORDER BY endpoint_id",
    )
    .bind::<Nullable<SqlUuid>, _>(id)
    .bind::<Nullable<SqlUuid>, _>(id)
    .load::<Row>(conn)?;
    Ok(rows.into_iter().map(endpoint).collect())
}

/// Makes other changes of an endpoint wait until the transaction ends.
pub fn lock(conn: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sql::<()>("SELECT FROM webhook_endpoints WHERE endpoint_id = ? FOR NO KEY UPDATE")
        .bind::<SqlUuid, _>(id)
        .execute(conn)?;
    Ok(())
}

/// Makes an endpoint; false when there are [`MAX_ENDPOINTS`] already.
pub fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    new: &EndpointChange,
    secret: &[u8],
    by: &str,
) -> Result<bool, StoreError> {
    let made = sql::<()>(
        "INSERT INTO webhook_endpoints (endpoint_id, url, description, events, secret, changed_by) SELECT ?, ?, ?, ?, ?, ? \
         WHERE (SELECT count(*) FROM webhook_endpoints WHERE removed_at IS NULL) < ?",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(new.url.as_deref().unwrap_or_default())
    .bind::<Text, _>(new.description.as_deref().unwrap_or_default())
    .bind::<Array<Text>, _>(new.events.as_deref().unwrap_or_default())
    .bind::<Binary, _>(secret)
    .bind::<Text, _>(by)
    .bind::<BigInt, _>(MAX_ENDPOINTS)
    .execute(conn)?;
    Ok(made > 0)
}

/// Changes an endpoint; false when there is none with this id. One that is disabled gives up what waits for it.
pub fn change(
    conn: &mut PgConnection,
    id: Uuid,
    change: &EndpointChange,
    by: &str,
) -> Result<bool, StoreError> {
    conn.transaction(|conn| {
        let changed = sql::<()>(include_str!("sql/change_webhook.sql"))
            .bind::<Nullable<Text>, _>(&change.url)
            .bind::<Nullable<Text>, _>(&change.description)
            .bind::<Nullable<Array<Text>>, _>(&change.events)
            .bind::<Nullable<Bool>, _>(change.active)
            .bind::<Text, _>(by)
            .bind::<SqlUuid, _>(id)
            .execute(conn)?;
        if change.active == Some(false) {
            // The rest is left to the next sweep.
            give_up_disabled(conn, STEP)?;
        }
        Ok(changed > 0)
    })
}

/// Removes an endpoint: from now on nobody is shown it and nothing is put into the outbox for it; false when there is none with this
/// id. Its deliveries, and then its row, go in steps ([`super::webhook_upkeep::remove_endpoints`]), since whoever stores something
/// for it would wait for a transaction that removes them all.
pub fn remove(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let removed = sql::<()>(
        "UPDATE webhook_endpoints SET removed_at = now(), state = 'disabled' WHERE endpoint_id = ? AND removed_at IS NULL",
    )
    .bind::<SqlUuid, _>(id)
    .execute(conn)?;
    Ok(removed > 0)
}

/// Gives an endpoint a new key; the one before signs as well for a day. False when there is none with this id.
pub fn rotate(
    conn: &mut PgConnection,
    id: Uuid,
    secret: &[u8],
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rotated = sql::<()>(
        "UPDATE webhook_endpoints SET old_secret = secret, old_secret_until = ?, secret = ?, changed_at = now(), changed_by = ? \
         WHERE endpoint_id = ? AND removed_at IS NULL",
    )
    .bind::<Timestamptz, _>(to_pg(now.plus_days(ROTATION_DAYS)))
    .bind::<Binary, _>(secret)
    .bind::<Text, _>(by)
    .bind::<SqlUuid, _>(id)
    .execute(conn)?;
    Ok(rotated > 0)
}
