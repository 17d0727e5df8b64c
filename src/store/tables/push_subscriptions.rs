//! Table `push_subscriptions`: browsers that agreed to be pushed to. One that has ended keeps its row with the reason until it is
//! handed in again or forgotten.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{Timestamp, UserId};
use tidings_schema::{push_outbox, push_subscriptions as table};

/// A subscription as a browser hands it in, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSubscription {
    /// URL to send to; at most 2,048 bytes.
    pub endpoint: String,
    /// 65 bytes.
    pub p256dh: Vec<u8>,
    /// 16 bytes.
    pub auth: Vec<u8>,
    /// Name that the browser called itself.
    pub user_agent: Option<String>,
    /// Moment at which the push service ends the subscription.
    pub expires_at: Option<Timestamp>,
    /// Public key the browser subscribed with, if it says so.
    pub application_server_key: Option<String>,
    /// URL of the subscription that this one takes the place of, with all that waits there (`pushsubscriptionchange`).
    pub replaces: Option<String>,
}

/// Outcome of handing in a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// It is stored.
    Taken {
        /// It was not known before.
        created: bool,
        /// Users who had it, or the one it takes the place of, until now.
        taken_from: Vec<UserId>,
        /// The reason why it had ended: its browser had better subscribe anew.
        ended: Option<String>,
    },
    /// It was made with another key: this server can't send to it. Nothing is stored.
    OtherKey,
}

/// Adds a subscription or renews what is known of it; one that had ended begins again. One of another user is taken over, and what
/// waits there for that user is not sent. Of more than `max` subscriptions of a user those that ended, then those that worked least
/// recently are forgotten. `current_key` is the server's public key. The user must exist.
pub fn put(
    conn: &mut PgConnection,
    user: UserId,
    new: &NewSubscription,
    current_key: &str,
    max: i64,
) -> Result<Subscribed, StoreError> {
    let is_other = |key: Option<&str>| key.is_some_and(|key| key != current_key);
    if is_other(new.application_server_key.as_deref()) {
        return Ok(Subscribed::OtherKey);
    }
    conn.transaction(|conn| {
        let replaced = match new.replaces.as_deref().filter(|old| *old != new.endpoint) {
            Some(old) => replace(conn, old, &new.endpoint)?,
            None => None,
        };
        let before: Option<(i32, Option<String>, Option<String>)> = table::table
            .filter(table::endpoint.eq(&new.endpoint))
            .select((table::user_id, table::application_server_key, table::end_reason))
            .for_update()
            .first(conn)
            .optional()?;
        // An endpoint belongs to one key for as long as it lives; one that is replaced has no key yet.
        let known = before.as_ref().and_then(|(_, key, _)| key.as_deref());
        if new.application_server_key.is_none() && is_other(known) {
            return Ok(Subscribed::OtherKey);
        }
        let values = (
            table::user_id.eq(user.to_sql()),
            table::p256dh.eq(&new.p256dh),
            table::auth.eq(&new.auth),
            table::user_agent.eq(&new.user_agent),
            table::expires_at.eq(new.expires_at.map(to_pg)),
            table::application_server_key.eq(current_key),
            (table::failures.eq(0), table::refusals.eq(0)),
            (table::ended_at.eq(None::<PgTimestamp>), table::end_reason.eq(None::<String>)),
        );
        let id: i64 = diesel::insert_into(table::table)
            .values((table::endpoint.eq(&new.endpoint), values.clone()))
            .on_conflict(table::endpoint)
            .do_update()
            .set(values)
            .returning(table::subscription_id)
            .get_result(conn)?;
        let of_others = push_outbox::subscription_id.eq(id).and(push_outbox::user_id.ne(user.to_sql()));
        diesel::delete(push_outbox::table.filter(of_others)).execute(conn)?;
        forget_surplus(conn, user, id, max)?;
        let created = before.is_none();
        let (holder, ended) = before.map_or((None, None), |(holder, _, ended)| (Some(holder), ended));
        let holders = holder.into_iter().chain(replaced);
        let taken_from = holders.filter(|holder| *holder != user.to_sql()).map(UserId::from_sql).collect();
        Ok(Subscribed::Taken { created, taken_from, ended })
    })
}

/// Gives the subscription of one endpoint another one, and what waits there moves with it, due at once. If the other is known
/// already, the first is forgotten: whose it was.
fn replace(conn: &mut PgConnection, old: &str, endpoint: &str) -> Result<Option<i32>, StoreError> {
    let is_known: i64 = table::table.filter(table::endpoint.eq(endpoint)).count().get_result(conn)?;
    if is_known > 0 {
        let forgotten = diesel::delete(table::table.filter(table::endpoint.eq(old)));
        return Ok(forgotten.returning(table::user_id).get_result(conn).optional()?);
    }
    let moved: Option<(i64, String)> = diesel::update(table::table.filter(table::endpoint.eq(old)))
        .set((table::endpoint.eq(endpoint), table::application_server_key.eq(None::<String>)))
        .returning((table::subscription_id, table::service))
        .get_result(conn)
        .optional()?;
    if let Some((id, service)) = moved {
        diesel::update(push_outbox::table.filter(push_outbox::subscription_id.eq(id)))
            .set((push_outbox::service.eq(service), push_outbox::due_at.eq(diesel::dsl::now)))
            .execute(conn)?;
    }
    Ok(None)
}

fn forget_surplus(conn: &mut PgConnection, user: UserId, kept: i64, max: i64) -> Result<(), StoreError> {
    let mine = table::table.filter(table::user_id.eq(user.to_sql()).and(table::subscription_id.ne(kept)));
    let surplus: Vec<i64> = mine
        .order((
            table::ended_at.is_not_null(),
            table::last_success_at.desc().nulls_last(),
            table::created_at.desc(),
        ))
        .offset(max.saturating_sub(1).max(0))
        .select(table::subscription_id)
        .load(conn)?;
    diesel::delete(table::table.filter(table::subscription_id.eq_any(surplus))).execute(conn)?;
    Ok(())
}

/// Ends subscriptions that were made with another key than the server's, and what waits for them; begins those again that ended
/// for that reason and whose key is back. How many ended.
pub fn note_key(conn: &mut PgConnection, current_key: &str, now: Timestamp) -> Result<usize, StoreError> {
    sql::<()>(
        "UPDATE push_subscriptions SET ended_at = NULL, end_reason = NULL, refusals = 0 \
         WHERE end_reason = 'other_key' AND application_server_key = ?",
    )
    .bind::<Text, _>(current_key)
    .execute(conn)?;
    let ended: i64 = sql::<BigInt>(
        "WITH ended AS (UPDATE push_subscriptions SET ended_at = ?, end_reason = 'other_key' \
           WHERE ended_at IS NULL AND application_server_key <> ? RETURNING subscription_id), \
         removed AS (DELETE FROM push_outbox o USING ended e WHERE o.subscription_id = e.subscription_id) \
         SELECT count(*) FROM ended",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Text, _>(current_key)
    .load::<i64>(conn)?
    .into_iter()
    .sum();
    Ok(usize::try_from(ended).unwrap_or_default())
}

/// Forgets at most `limit` subscriptions that ended before `before`; how many.
pub fn prune(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let text = "DELETE FROM push_subscriptions WHERE subscription_id IN \
                (SELECT subscription_id FROM push_subscriptions WHERE ended_at < ? ORDER BY ended_at LIMIT ?)";
    Ok(sql::<()>(text).bind::<Timestamptz, _>(to_pg(before)).bind::<BigInt, _>(limit).execute(conn)?)
}

/// Forgets a subscription, of that user only if one is given, and what waits for it. Whose it was; `None` if there was
/// none.
pub fn remove(
    conn: &mut PgConnection,
    user: Option<UserId>,
    endpoint: &str,
) -> Result<Option<UserId>, StoreError> {
    let found = table::table.filter(table::endpoint.eq(endpoint));
    let removed: Option<i32> = match user {
        Some(user) => diesel::delete(found.filter(table::user_id.eq(user.to_sql())))
            .returning(table::user_id)
            .get_result(conn)
            .optional()?,
        None => diesel::delete(found).returning(table::user_id).get_result(conn).optional()?,
    };
    Ok(removed.map(UserId::from_sql))
}

/// Those of `among` who have a subscription that has not ended; of everyone when it is `None`. In order.
pub fn subscribed(conn: &mut PgConnection, among: Option<&[UserId]>) -> Result<Vec<UserId>, StoreError> {
    let live = table::table.filter(table::ended_at.is_null());
    let all = live.select(table::user_id).distinct().order(table::user_id);
    let users: Vec<i32> = match among {
        Some(among) => {
            let ids: Vec<i32> = among.iter().map(|user| user.to_sql()).collect();
            all.filter(table::user_id.eq_any(ids)).load(conn)?
        }
        None => all.load(conn)?,
    };
    Ok(users.into_iter().map(UserId::from_sql).collect())
}

/// Number of subscriptions that have not ended.
pub fn count(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(table::table.filter(table::ended_at.is_null()).count().get_result(conn)?)
}
