//! Broadcasts that are due at a wall time: handed to the outbox zone by zone, to each user once.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::audiences::{MAX_USERS, Wide};
use super::broadcast_kinds::Broadcast;
use crate::encryption::Fields;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_decision::notify::local_time::{ByZone, LocalTime};
use tidings_decision::privacy::encryption::Field;

/// Enters named users of a broadcast, whose time is still to come.
pub(super) fn enter(
    conn: &mut PgConnection,
    broadcast: Uuid,
    users: &[ExternalId],
) -> Result<(), StoreError> {
    sql::<()>(
        "INSERT INTO broadcast_recipients (broadcast_id, external_id, is_released) \
         SELECT ?, u, false FROM unnest(?) AS u ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(broadcast)
    .bind::<Array<Text>, _>(column(users, ToString::to_string))
    .execute(conn)?;
    Ok(())
}

/// Hands a broadcast to those whose time has come by `now`, and who had it not yet: how many, their batches, and the moment of
/// the next look, `None` once it has come everywhere. `wide`: `None` for named users. `own`: zone of users without one.
pub(super) fn release(
    conn: &mut PgConnection,
    fields: &Fields,
    row: &Broadcast,
    wide: Option<Wide<'_>>,
    local: LocalTime,
    own: &TimeZone,
    now: Timestamp,
) -> Result<(usize, Vec<Uuid>, Option<Timestamp>), StoreError> {
    let zones = "SELECT DISTINCT time_zone FROM user_preferences WHERE time_zone IS NOT NULL";
    let zones = sql::<Text>(zones).load::<String>(conn)?;
    let (id, message) = (row.id, row.message.as_str());
    // To one user it stays under the key of that user.
    let stored = sql::<Text>("SELECT message FROM broadcasts WHERE broadcast_id = ?")
        .bind::<SqlUuid, _>(id)
        .get_result::<String>(conn)?;
    let sealed = fields.words_like(conn, &stored)?.seal(Field::Waiting, message)?.into_owned();
    let ByZone { due, unreadable, is_due_here, next } = local.by_zone(zones, own, now);
    let rows = match wide {
        Some(wide) => {
            let (members, parameter) = wide.members(message);
            let text = include_str!("sql/release_local_audience.sql").replace("{members}", &members);
            let due = sql::<(Integer, SqlUuid)>(text)
                .bind::<SqlUuid, _>(id)
                .bind::<Nullable<Text>, _>(parameter)
                .bind::<Array<Text>, _>(due)
                .bind::<Bool, _>(is_due_here)
                .bind::<Array<Text>, _>(unreadable)
                .bind::<BigInt, _>(MAX_USERS as i64);
            due.bind::<Timestamptz, _>(to_pg(now))
                .bind::<Text, _>(sealed)
                .bind::<Text, _>(id.to_string())
                .bind::<Text, _>(now.to_string())
                .load::<(i32, Uuid)>(conn)?
        }
        None => sql::<(Integer, SqlUuid)>(include_str!("sql/release_local_users.sql"))
            .bind::<SqlUuid, _>(id)
            .bind::<Array<Text>, _>(due)
            .bind::<Bool, _>(is_due_here)
            .bind::<Array<Text>, _>(unreadable)
            .bind::<BigInt, _>(MAX_USERS as i64)
            .bind::<Timestamptz, _>(to_pg(now))
            .bind::<Text, _>(sealed)
            .bind::<Text, _>(id.to_string())
            .bind::<Text, _>(now.to_string())
            .load::<(i32, Uuid)>(conn)?,
    };
    let users = rows.iter().filter_map(|(n, _)| usize::try_from(*n).ok()).sum();
    Ok((users, rows.into_iter().map(|(_, batch)| batch).collect(), next))
}
