//! Table `notifications`: every message put into a user's stream, stored before it is sent.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::inbox::{self, MarkColumns, MarkRow};
use crate::encryption::Fields;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, items_from_sql, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{NotificationId, Timestamp, UserId};
use tidings_decision::decide::StoredNotification;
pub use tidings_decision::decide::record::NewNotification;
use tidings_decision::deliver::channel;
use tidings_decision::deliver::stream::{MAX_ENTRIES, MAX_OLDER};
use tidings_decision::notify::Priority;
use tidings_decision::privacy::encryption::{Field, Owner};

/// Messages of a user that memory holds.
pub(super) const TAIL: usize = MAX_ENTRIES;

/// A `collapse_key` withdraws the user's earlier messages with the same.
pub(super) fn supersede(conn: &mut PgConnection, new: &[&NewNotification]) -> Result<(), StoreError> {
    let keyed: Vec<(&NewNotification, &str)> =
        new.iter().filter_map(|row| Some((*row, row.collapse_key.as_deref()?))).collect();
    if keyed.is_empty() {
        return Ok(());
    }
    sql::<()>(
        "UPDATE notifications n SET withdrawn_at = k.at, withdrawn_reason = 'superseded' FROM (\
         SELECT u, c, max(o) AS o, max(t) AS at FROM unnest(?, ?, ?, ?) AS k (u, c, o, t) GROUP BY u, c) k \
         WHERE n.user_id = k.u AND n.collapse_key = k.c AND n.stream_offset < k.o AND n.withdrawn_at IS NULL",
    )
    .bind::<Array<Integer>, _>(column(&keyed, |(row, _)| row.user.to_sql()))
    .bind::<Array<Text>, _>(column(&keyed, |(_, key)| *key))
    .bind::<Array<BigInt>, _>(column(&keyed, |(row, _)| row.offset))
    .bind::<Array<Timestamptz>, _>(column(&keyed, |(row, _)| to_pg(row.created_at)))
    .execute(conn)?;
    Ok(())
}

type StoredColumns = (
    Integer,
    SqlUuid,
    BigInt,
    Text,
    Text,
    Text,
    Array<Integer>,
    Text,
    Timestamptz,
    Timestamptz,
    Bool,
    Nullable<Text>,
    SmallInt,
    MarkColumns,
    Bool,
    Nullable<Timestamptz>,
    Bool,
    SmallInt,
    Nullable<SqlUuid>,
);

#[derive(Queryable)]
struct StoredRow {
    user_id: i32,
    notification_id: Uuid,
    stream_offset: i64,
    kind: String,
    category: String,
    trigger: String,
    items: Vec<i32>,
    frame: String,
    created_at: PgTimestamp,
    expires_at: PgTimestamp,
    acknowledged: bool,
    collapse_key: Option<String>,
    priority: i16,
    marks: MarkRow,
    withdrawn: bool,
    taken_back_at: Option<PgTimestamp>,
    given: bool,
    channel: i16,
    call: Option<Uuid>,
}

fn from_stored(row: StoredRow) -> (UserId, StoredNotification) {
    let notification = StoredNotification {
        notification_id: NotificationId(row.notification_id),
        offset: row.stream_offset,
        kind: row.kind,
        category: row.category,
        trigger: row.trigger,
        items: items_from_sql(row.items),
        frame: row.frame,
        created_at: from_pg(row.created_at),
        expires_at: from_pg(row.expires_at),
        acknowledged: row.acknowledged,
        collapse_key: row.collapse_key,
        priority: Priority::from_code(row.priority),
        marks: inbox::marks(row.marks),
        withdrawn: row.withdrawn,
        taken_back_at: row.taken_back_at.map(from_pg),
        given: row.given,
        channel: channel::from_code(row.channel),
        call: row.call,
    };
    (UserId::from_sql(row.user_id), notification)
}

/// The newest messages of each user, as many as memory holds, whatever has become of them, by user and offset. The frame is
/// empty for what need not be sent again: expired, withdrawn, or acknowledged and older than `since`; and for what can't be decrypted.
pub(super) fn tails(
    conn: &mut PgConnection,
    fields: &Fields,
    users: &[i32],
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<(UserId, StoredNotification)>, StoreError> {
    let rows = sql::<StoredColumns>(include_str!("sql/stream_tails.sql"))
        .bind::<Array<Integer>, _>(users)
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Timestamptz, _>(to_pg(since))
        .bind::<BigInt, _>(TAIL as i64)
        .load::<StoredRow>(conn)?;
    let opener = fields.opener(conn, rows.iter().map(|row| (Owner(row.user_id), row.frame.as_str())))?;
    let opened = |mut row: StoredRow| {
        row.frame = opener.open(Owner(row.user_id), Field::Frame, row.frame).unwrap_or_else(|reason| {
            log::error!(
                "message not decrypted notification_id={} reason={}",
                row.notification_id,
                reason.reason()
            );
            String::new()
        });
        from_stored(row)
    };
    Ok(rows.into_iter().map(opened).collect())
}

/// Live messages of each user before an offset, by user and offset: the newest [`MAX_OLDER`], without their frames.
pub(super) fn older(
    conn: &mut PgConnection,
    users: &[(i32, i64)],
    now: Timestamp,
) -> Result<Vec<(UserId, StoredNotification)>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sql::<StoredColumns>(include_str!("sql/inbox_older.sql"))
        .bind::<Array<Integer>, _>(column(users, |(user, _)| *user))
        .bind::<Array<BigInt>, _>(column(users, |(_, before)| *before))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<BigInt, _>(MAX_OLDER as i64)
        .load::<StoredRow>(conn)?;
    Ok(rows.into_iter().map(from_stored).collect())
}
