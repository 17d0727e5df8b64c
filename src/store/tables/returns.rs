//! Table `notifications`: messages that come back from a snooze, until it is decided whether browsers are told.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, NotificationId, Timestamp};
use tidings_decision::decide::record::{Returned, SnoozeEnded};
use tidings_decision::notify::Priority;

/// One that came back longer ago is not decided about: nobody waits for it any more.
const MAX_DAYS: f64 = 1.0;

type Row = (String, Uuid, String, String, String, i16, PgTimestamp);

/// Unread messages whose snooze is over and about which nothing is decided, of users with a subscription, the earliest first, at
/// most `limit`; not of a trigger in `not_for`.
pub fn due(
    conn: &mut PgConnection,
    now: Timestamp,
    not_for: &[String],
    limit: i64,
) -> Result<Vec<(ExternalId, SnoozeEnded)>, StoreError> {
    let rows =
        sql::<(Text, SqlUuid, Text, Text, Text, SmallInt, Timestamptz)>(include_str!("sql/returned.sql"))
            .bind::<Timestamptz, _>(to_pg(now))
            .bind::<Timestamptz, _>(to_pg(now.plus_days(-MAX_DAYS)))
            .bind::<Timestamptz, _>(to_pg(now))
            .bind::<Array<Text>, _>(not_for)
            .bind::<BigInt, _>(limit)
            .load::<Row>(conn)?;
    rows.into_iter()
        .map(|(user, id, kind, category, trigger, priority, expires_at)| {
            let (id, priority) = (NotificationId(id), Priority::from_code(priority));
            let message =
                SnoozeEnded { id, kind, category, trigger, priority, expires_at: from_pg(expires_at) };
            Ok((external_id("users", &user)?, message))
        })
        .collect()
}

/// Notes that it is decided about messages that came back, and puts those that are to be pushed into the outbox of Web Push, each
/// once. How many rows came there.
pub fn settle(conn: &mut PgConnection, returned: &[Returned]) -> Result<usize, StoreError> {
    if returned.is_empty() {
        return Ok(0);
    }
    Ok(sql::<()>(include_str!("sql/settle_returned.sql"))
        .bind::<Array<SqlUuid>, _>(column(returned, |one| one.id.0))
        .bind::<Array<Timestamptz>, _>(column(returned, |one| to_pg(one.at)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(returned, |one| one.push_at.map(to_pg)))
        .execute(conn)?)
}
