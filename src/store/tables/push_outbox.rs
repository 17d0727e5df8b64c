//! Table `push_outbox`: messages on their way to push services, one row a message and browser. A row is claimed for a
//! while, sent, and goes; whoever claimed it and died loses the claim, and the row is sent by the next.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::base::{ExternalId, Millis, NotificationId, Timestamp, UserId};
pub use crate::decide::record::HandOver;
use crate::store::postgres::StoreError;
use crate::store::postgres::columns::column;
use crate::store::postgres::convert::{external_id, from_pg, to_pg};
use crate::store::postgres::sql::sql;

/// Older messages are not handed over: nobody waits for them any more.
const HAND_OVER_DAYS: f64 = 1.0;

/// A message to push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushOrder {
    /// Message to push; must be stored.
    pub notification: NotificationId,
    /// Recipient.
    pub user: UserId,
    /// Not before.
    pub due_at: Timestamp,
    /// Not after.
    pub expires_at: Timestamp,
}

/// A claimed row with all that sending needs.
#[derive(Clone, Debug, PartialEq)]
pub struct DuePush {
    /// Id of the message.
    pub notification: NotificationId,
    /// To which browser.
    pub subscription: i64,
    /// Recipient.
    pub user: UserId,
    /// Attempts so far, this one included.
    pub attempt: u32,
    /// Not sent after this.
    pub expires_at: Timestamp,
    /// A page has shown it meanwhile (an acknowledgement is not enough, a hidden page gives it too), or it was read or
    /// withdrawn.
    pub settled: bool,
    /// URL to send to.
    pub endpoint: String,
    /// 65 bytes.
    pub p256dh: Vec<u8>,
    /// 16 bytes.
    pub auth: Vec<u8>,
    /// The JSON frame as stored.
    pub frame: String,
}

/// Outcome of a claimed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushEnd {
    /// The push service has it.
    Sent,
    /// Never to be tried again.
    Dropped,
    /// To be tried again then.
    Retry(Timestamp),
    /// The subscription has ended: it goes, with all that waits for it.
    Gone,
}

/// A claimed row and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Id of the message.
    pub notification: NotificationId,
    /// To which browser.
    pub subscription: i64,
    /// User of the browser.
    pub user: UserId,
    /// Outcome of the row.
    pub end: PushEnd,
    /// The push service has it, or may have it: no answer came.
    pub may_be_shown: bool,
}

/// Puts each message into the outbox, once for every browser of its user; one that is there is left alone. How many
/// rows came; 0 for users without a subscription.
pub fn order(conn: &mut PgConnection, orders: &[PushOrder]) -> Result<usize, StoreError> {
    if orders.is_empty() {
        return Ok(0);
    }
    Ok(sql::<()>(
        "INSERT INTO push_outbox (notification_id, subscription_id, user_id, due_at, expires_at) \
         SELECT o.id, s.subscription_id, o.user_id, o.due_at, o.expires_at \
         FROM unnest(?, ?, ?, ?) AS o (id, user_id, due_at, expires_at) \
         JOIN push_subscriptions s ON s.user_id = o.user_id ORDER BY 1, 2 ON CONFLICT DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(column(orders, |order| order.notification.0))
    .bind::<Array<Integer>, _>(column(orders, |order| order.user.to_sql()))
    .bind::<Array<Timestamptz>, _>(column(orders, |order| to_pg(order.due_at)))
    .bind::<Array<Timestamptz>, _>(column(orders, |order| to_pg(order.expires_at)))
    .execute(conn)?)
}

/// Gives to Web Push what was given to pages that closed on it: not acknowledged, or only by a page nobody looked at; not
/// shown, not expired, not of a trigger in `not_for`; only for users with a subscription. Each message once: its channel
/// changes in the same statement. How many rows came.
pub fn hand_over(
    conn: &mut PgConnection,
    users: &[HandOver],
    not_for: &[String],
    now: Timestamp,
) -> Result<usize, StoreError> {
    if users.is_empty() {
        return Ok(0);
    }
    Ok(sql::<()>(include_str!("sql/hand_over_to_push.sql"))
        .bind::<Array<Integer>, _>(column(users, |row| row.user.to_sql()))
        .bind::<Array<BigInt>, _>(column(users, |row| row.seen_up_to))
        .bind::<Array<Timestamptz>, _>(column(users, |row| to_pg(row.due_at)))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Timestamptz, _>(to_pg(now.plus_days(-HAND_OVER_DAYS)))
        .bind::<Array<Text>, _>(not_for)
        .execute(conn)?)
}

/// Users with a subscription and messages that [`hand_over`] might take, from a server that died; at most `limit`, by
/// id.
pub fn left_behind(
    conn: &mut PgConnection,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(UserId, ExternalId)>, StoreError> {
    let rows = sql::<(Integer, Text)>(
        "SELECT u.user_id, u.external_id FROM users u \
         WHERE EXISTS (SELECT FROM push_subscriptions s WHERE s.user_id = u.user_id) \
         AND EXISTS (SELECT FROM notifications n WHERE n.user_id = u.user_id AND n.channel = 0 \
           AND n.stream_offset > coalesce((SELECT up_to FROM acknowledgements a WHERE a.user_id = n.user_id), 0) \
           AND n.expires_at > ? AND n.created_at > ?) ORDER BY u.user_id LIMIT ?",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(now.plus_days(-HAND_OVER_DAYS)))
    .bind::<BigInt, _>(limit)
    .load::<(i32, String)>(conn)?;
    rows.into_iter().map(|(user, text)| Ok((UserId::from_sql(user), external_id("users", &text)?))).collect()
}

/// Claims at most `limit` rows that are due, the longest due first; nobody else gets them for `lease`.
pub fn claim(
    conn: &mut PgConnection,
    now: Timestamp,
    limit: i64,
    lease: Millis,
) -> Result<Vec<DuePush>, StoreError> {
    type Row = (Uuid, i64, i32, i32, PgTimestamp, bool, String, Vec<u8>, Vec<u8>, String);
    let rows = sql::<(SqlUuid, BigInt, Integer, Integer, Timestamptz, Bool, Text, Binary, Binary, Text)>(
        include_str!("sql/claim_pushes.sql"),
    )
    .bind::<Timestamptz, _>(to_pg(now + lease))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(limit)
    .load::<Row>(conn)?;
    Ok(rows
        .into_iter()
        .map(|(id, subscription, user, attempts, expires_at, settled, endpoint, p256dh, auth, frame)| {
            DuePush {
                notification: NotificationId(id),
                subscription,
                user: UserId::from_sql(user),
                attempt: u32::try_from(attempts).unwrap_or(1),
                expires_at: from_pg(expires_at),
                settled,
                endpoint,
                p256dh,
                auth,
                frame,
            }
        })
        .collect())
}

/// Records what became of claimed rows. Users whose last subscription may have gone.
pub fn finish(
    conn: &mut PgConnection,
    finished: &[Finished],
    now: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    let retry_at = |row: &Finished| match row.end {
        PushEnd::Retry(at) => Some(to_pg(at)),
        PushEnd::Sent | PushEnd::Dropped | PushEnd::Gone => None,
    };
    let subscriptions = column(finished, |row| row.subscription);
    conn.transaction(|conn| {
        // Subscriptions before their rows, as `push_subscriptions::put` takes them: the other way round they would wait for one
        // another.
        sql::<()>(
            "SELECT FROM push_subscriptions WHERE subscription_id = ANY(?) ORDER BY subscription_id FOR NO KEY UPDATE",
        )
        .bind::<Array<BigInt>, _>(&subscriptions)
        .execute(conn)?;
        sql::<()>(
            "WITH f AS (SELECT * FROM unnest(?, ?, ?) AS f (id, subscription_id, retry_at)), \
             later AS (UPDATE push_outbox o SET due_at = f.retry_at, claimed_until = NULL FROM f \
               WHERE f.retry_at IS NOT NULL AND o.notification_id = f.id AND o.subscription_id = f.subscription_id) \
             DELETE FROM push_outbox o USING f \
               WHERE f.retry_at IS NULL AND o.notification_id = f.id AND o.subscription_id = f.subscription_id",
        )
        .bind::<Array<SqlUuid>, _>(column(finished, |row| row.notification.0))
        .bind::<Array<BigInt>, _>(&subscriptions)
        .bind::<Array<Nullable<Timestamptz>>, _>(column(finished, retry_at))
        .execute(conn)?;
        sql::<()>(
            "UPDATE push_subscriptions s SET failures = CASE WHEN f.sent THEN 0 ELSE s.failures + 1 END, \
             last_success_at = CASE WHEN f.sent THEN ? ELSE s.last_success_at END \
             FROM (SELECT subscription_id, bool_or(sent) AS sent FROM unnest(?, ?) AS f (subscription_id, sent) \
               GROUP BY subscription_id) f WHERE s.subscription_id = f.subscription_id",
        )
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Array<BigInt>, _>(&subscriptions)
        .bind::<Array<Bool>, _>(column(finished, |row| row.end == PushEnd::Sent))
        .execute(conn)?;
        let gone: Vec<i64> =
            finished.iter().filter(|row| row.end == PushEnd::Gone).map(|row| row.subscription).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let users = sql::<Integer>(
            "DELETE FROM push_subscriptions WHERE subscription_id = ANY(?) RETURNING user_id",
        )
        .bind::<Array<BigInt>, _>(gone)
        .load::<i32>(conn)?;
        Ok(users.into_iter().map(UserId::from_sql).collect())
    })
}

/// Push services have these messages, or may have them: they may be shown. Each by itself, so that it waits for no acknowledgement while it
/// holds what that waits for.
pub fn note_sent(conn: &mut PgConnection, sent: &[NotificationId], at: Timestamp) -> Result<(), StoreError> {
    for id in sent {
        sql::<()>("UPDATE notifications SET given_at = ? WHERE notification_id = ? AND given_at IS NULL")
            .bind::<Timestamptz, _>(to_pg(at))
            .bind::<SqlUuid, _>(id.0)
            .execute(conn)?;
    }
    Ok(())
}

/// Frees every claim: the server that made them is this one, before it was started again. It may have sent them.
pub fn release(conn: &mut PgConnection) -> Result<usize, StoreError> {
    sql::<()>(
        "UPDATE notifications SET given_at = now() WHERE given_at IS NULL AND notification_id IN (\
         SELECT notification_id FROM push_outbox WHERE claimed_until IS NOT NULL)",
    )
    .execute(conn)?;
    Ok(sql::<()>("UPDATE push_outbox SET claimed_until = NULL WHERE claimed_until IS NOT NULL")
        .execute(conn)?)
}

/// Rows that wait, claimed ones included.
pub fn waiting(conn: &mut PgConnection) -> Result<i64, StoreError> {
    use crate::store::schema::push_outbox::dsl::push_outbox;
    Ok(push_outbox.count().get_result(conn)?)
}
