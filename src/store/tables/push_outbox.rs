//! Table `push_outbox`: messages on their way to push services, one row a message and browser. A row is claimed for a
//! while, sent, and goes; whoever claimed it and died loses the claim, and the row is sent by the next. Rows are claimed for one
//! push service at a time, by an index over service and user, so that what waits for one that does not answer is not read.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::encryption::{Fields, owner};
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, Millis, NotificationId, Timestamp, UserId};
pub use tidings_decision::decide::record::HandOver;
use tidings_decision::privacy::encryption::Field;

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
    /// Push service of the endpoint.
    pub service: String,
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
    /// The push service refused the subscription with this status: to be tried again then, unless that was once too often.
    Refused(u16, Timestamp),
    /// The subscription has ended (this status): nothing is sent to it any more.
    Gone(u16),
}

/// A claimed row and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Id of the message.
    pub notification: NotificationId,
    /// To which browser.
    pub subscription: i64,
    /// User of the browser.
    pub user: UserId,
    /// URL that the request went to. The answer says nothing of a subscription that has moved since.
    pub endpoint: String,
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
        "INSERT INTO push_outbox (notification_id, subscription_id, user_id, due_at, expires_at, service) \
         SELECT o.id, s.subscription_id, o.user_id, o.due_at, o.expires_at, s.service \
         FROM unnest(?, ?, ?, ?) AS o (id, user_id, due_at, expires_at) \
         JOIN push_subscriptions s ON s.user_id = o.user_id AND s.ended_at IS NULL ORDER BY 1, 2 ON CONFLICT DO NOTHING",
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
         WHERE EXISTS (SELECT FROM push_subscriptions s WHERE s.user_id = u.user_id AND s.ended_at IS NULL) \
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

/// Push services that unclaimed rows wait for, after one in their order, at most `limit`. One index probe each.
pub fn services(conn: &mut PgConnection, after: &str, limit: i64) -> Result<Vec<String>, StoreError> {
    Ok(sql::<Text>(
        "WITH RECURSIVE found AS (\
           (SELECT service FROM push_outbox WHERE claimed_until IS NULL AND service > ? ORDER BY service LIMIT 1) \
           UNION ALL \
           SELECT (SELECT o.service FROM push_outbox o WHERE o.claimed_until IS NULL AND o.service > f.service \
             ORDER BY o.service LIMIT 1) FROM found f WHERE f.service IS NOT NULL) \
         SELECT service FROM found WHERE service IS NOT NULL LIMIT ?",
    )
    .bind::<Text, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)?)
}

/// One turn of a push service.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Push service whose rows are claimed.
    pub service: &'a str,
    /// The user who had the last turn: those after them come first.
    pub after: Option<UserId>,
    /// Most rows.
    pub limit: i64,
    /// Nobody else gets the rows for so long.
    pub lease: Millis,
}

/// Claims due rows of one push service, in turns of users: each user with something due gets an equal part of `limit`, the longest
/// due first; of more users than that the next `limit` by id. One index probe a user. A message that can't be decrypted counts as
/// settled.
pub fn claim(
    conn: &mut PgConnection,
    fields: &Fields,
    turn: Turn<'_>,
    now: Timestamp,
) -> Result<Vec<DuePush>, StoreError> {
    let Some(after) = turn.after else { return claim_after(conn, fields, turn, -1, now) };
    let mut claimed = claim_after(conn, fields, turn, after.to_sql(), now)?;
    let limit = turn.limit - i64::try_from(claimed.len()).unwrap_or(i64::MAX);
    if limit > 0 {
        claimed.extend(claim_after(conn, fields, Turn { limit, ..turn }, -1, now)?);
    }
    Ok(claimed)
}

type ClaimedRow = (Uuid, i64, i32, i32, PgTimestamp, bool, String, String, Vec<u8>, Vec<u8>, String);

fn claim_after(
    conn: &mut PgConnection,
    fields: &Fields,
    turn: Turn<'_>,
    after: i32,
    now: Timestamp,
) -> Result<Vec<DuePush>, StoreError> {
    let rows =
        sql::<(SqlUuid, BigInt, Integer, Integer, Timestamptz, Bool, Text, Text, Binary, Binary, Text)>(
            include_str!("sql/claim_pushes.sql"),
        )
        .bind::<Text, _>(turn.service)
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Integer, _>(after)
        .bind::<Text, _>(turn.service)
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<BigInt, _>(turn.limit)
        .bind::<Timestamptz, _>(to_pg(now + turn.lease))
        .bind::<Text, _>(turn.service)
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<BigInt, _>(turn.limit)
        .bind::<Timestamptz, _>(to_pg(now))
        .load::<ClaimedRow>(conn)?;
    let mut claimed: Vec<DuePush> = rows.into_iter().map(due_push).collect();
    let own = |push: &DuePush| owner(Some(push.user));
    let opener = fields.opener(conn, claimed.iter().map(|push| (own(push), push.frame.as_str())))?;
    for push in &mut claimed {
        match opener.open(own(push), Field::Frame, std::mem::take(&mut push.frame)) {
            Ok(frame) => push.frame = frame,
            Err(reason) => {
                log::error!(
                    "push not decrypted notification_id={} reason={}",
                    push.notification.0,
                    reason.reason()
                );
                push.settled = true;
            }
        }
    }
    claimed.sort_by_key(|push| (push.user, push.notification));
    Ok(claimed)
}

fn due_push(row: ClaimedRow) -> DuePush {
    let (id, subscription, user, attempts, expires_at, settled, service, endpoint, p256dh, auth, frame) = row;
    DuePush {
        notification: NotificationId(id),
        subscription,
        user: UserId::from_sql(user),
        attempt: u32::try_from(attempts).unwrap_or(1),
        expires_at: from_pg(expires_at),
        settled,
        service,
        endpoint,
        p256dh,
        auth,
        frame,
    }
}

/// Removes at most `limit` unclaimed rows whose messages have expired; how many. Those of a service that does not answer are not
/// claimed.
pub fn expire(conn: &mut PgConnection, now: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "DELETE FROM push_outbox o USING (SELECT notification_id, subscription_id FROM push_outbox \
           WHERE expires_at <= ? AND claimed_until IS NULL ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED) e \
         WHERE o.notification_id = e.notification_id AND o.subscription_id = e.subscription_id",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<BigInt, _>(limit)
    .execute(conn)?)
}

/// Records what became of claimed rows; a subscription that was refused `max_refusals` times in a row ends. Users who may have
/// lost their last subscription.
pub fn finish(
    conn: &mut PgConnection,
    finished: &[Finished],
    max_refusals: u32,
    now: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    let retry_at = |row: &Finished| match row.end {
        PushEnd::Retry(at) | PushEnd::Refused(_, at) => Some(to_pg(at)),
        PushEnd::Sent | PushEnd::Dropped | PushEnd::Gone(_) => None,
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
            include_str!("sql/finish_pushes.sql"),
        )
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Array<SqlUuid>, _>(column(finished, |row| row.notification.0))
        .bind::<Array<BigInt>, _>(&subscriptions)
        .bind::<Array<Text>, _>(column(finished, |row| row.endpoint.as_str()))
        .bind::<Array<Bool>, _>(column(finished, |row| matches!(row.end, PushEnd::Gone(_))))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(finished, retry_at))
        .execute(conn)?;
        end_subscriptions(conn, finished, max_refusals, now)
    })
}

/// Notes on each subscription how its requests went, and ends those that are gone or refused too often.
fn end_subscriptions(
    conn: &mut PgConnection,
    finished: &[Finished],
    max_refusals: u32,
    now: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    let refused = |row: &Finished| match row.end {
        PushEnd::Refused(status, _) => Some(i32::from(status)),
        _ => None,
    };
    let gone = |row: &Finished| match row.end {
        PushEnd::Gone(status) => Some(i32::from(status)),
        _ => None,
    };
    let failed = |row: &Finished| matches!(row.end, PushEnd::Retry(_) | PushEnd::Refused(..));
    let ended = sql::<(BigInt, Integer)>(include_str!("sql/note_push_ends.sql"))
        .bind::<Array<BigInt>, _>(column(finished, |row| row.subscription))
        .bind::<Array<Text>, _>(column(finished, |row| row.endpoint.as_str()))
        .bind::<Array<Bool>, _>(column(finished, |row| row.end == PushEnd::Sent))
        .bind::<Array<Bool>, _>(column(finished, failed))
        .bind::<Array<Nullable<Integer>>, _>(column(finished, refused))
        .bind::<Array<Nullable<Integer>>, _>(column(finished, gone))
        .bind::<Integer, _>(i32::try_from(max_refusals).unwrap_or(i32::MAX))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Timestamptz, _>(to_pg(now))
        .load::<(i64, i32)>(conn)?;
    let (ids, users): (Vec<i64>, Vec<i32>) = ended.into_iter().unzip();
    if !ids.is_empty() {
        sql::<()>("DELETE FROM push_outbox WHERE subscription_id = ANY(?)")
            .bind::<Array<BigInt>, _>(ids)
            .execute(conn)?;
    }
    Ok(users.into_iter().map(UserId::from_sql).collect())
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

/// Frees claims whose time has passed: the answer to the one who made them was lost.
pub fn free_expired_claims(conn: &mut PgConnection, now: Timestamp) -> Result<usize, StoreError> {
    Ok(sql::<()>(
        "UPDATE push_outbox SET claimed_until = NULL WHERE claimed_until IS NOT NULL AND claimed_until <= ?",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .execute(conn)?)
}

/// Frees every claim: the server that made them is this one, before it was started again. It may have sent them. Also names the
/// push service of rows that an older version stored.
pub fn release(conn: &mut PgConnection) -> Result<usize, StoreError> {
    sql::<()>(
        "UPDATE notifications SET given_at = now() WHERE given_at IS NULL AND notification_id IN (\
         SELECT notification_id FROM push_outbox WHERE claimed_until IS NOT NULL)",
    )
    .execute(conn)?;
    sql::<()>(
        "UPDATE push_outbox o SET service = s.service FROM push_subscriptions s \
         WHERE o.service = '' AND s.subscription_id = o.subscription_id",
    )
    .execute(conn)?;
    Ok(sql::<()>("UPDATE push_outbox SET claimed_until = NULL WHERE claimed_until IS NOT NULL")
        .execute(conn)?)
}

/// Rows that wait, claimed ones included.
pub fn waiting(conn: &mut PgConnection) -> Result<i64, StoreError> {
    use tidings_schema::push_outbox::dsl::push_outbox;
    Ok(push_outbox.count().get_result(conn)?)
}
