//! Table `push_subscriptions`: browsers that agreed to be pushed to.

use diesel::prelude::*;

use crate::base::{Timestamp, UserId};
use crate::store::postgres::StoreError;
use crate::store::postgres::convert::to_pg;
use crate::store::schema::{push_outbox, push_subscriptions as table};

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
}

/// Outcome of handing in a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// It was not known before.
    pub created: bool,
    /// It belonged to this user until now.
    pub taken_from: Option<UserId>,
}

/// Adds a subscription or renews what is known of it. One of another user is taken over, and what waits there for that
/// user is not sent. Of more than `max` subscriptions of a user the ones that worked least recently are forgotten.
/// The user must exist.
pub fn put(
    conn: &mut PgConnection,
    user: UserId,
    new: &NewSubscription,
    max: i64,
) -> Result<Subscribed, StoreError> {
    conn.transaction(|conn| {
        let before: Option<i32> = table::table
            .filter(table::endpoint.eq(&new.endpoint))
            .select(table::user_id)
            .for_update()
            .first(conn)
            .optional()?;
        let values = (
            table::user_id.eq(user.to_sql()),
            table::p256dh.eq(&new.p256dh),
            table::auth.eq(&new.auth),
            table::user_agent.eq(&new.user_agent),
            table::expires_at.eq(new.expires_at.map(to_pg)),
            table::failures.eq(0),
        );
        let id: i64 = diesel::insert_into(table::table)
            .values((table::endpoint.eq(&new.endpoint), values))
            .on_conflict(table::endpoint)
            .do_update()
            .set(values)
            .returning(table::subscription_id)
            .get_result(conn)?;
        let of_others = push_outbox::subscription_id.eq(id).and(push_outbox::user_id.ne(user.to_sql()));
        diesel::delete(push_outbox::table.filter(of_others)).execute(conn)?;
        let mine = table::table.filter(table::user_id.eq(user.to_sql()).and(table::subscription_id.ne(id)));
        let surplus: Vec<i64> = mine
            .order((table::last_success_at.desc().nulls_last(), table::created_at.desc()))
            .offset(max.saturating_sub(1).max(0))
            .select(table::subscription_id)
            .load(conn)?;
        diesel::delete(table::table.filter(table::subscription_id.eq_any(surplus))).execute(conn)?;
        let taken_from = before.filter(|before| *before != user.to_sql()).map(UserId::from_sql);
        Ok(Subscribed { created: before.is_none(), taken_from })
    })
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

/// Those of `among` who have a subscription; of everyone when it is `None`. In order.
pub fn subscribed(conn: &mut PgConnection, among: Option<&[UserId]>) -> Result<Vec<UserId>, StoreError> {
    let all = table::table.select(table::user_id).distinct().order(table::user_id);
    let users: Vec<i32> = match among {
        Some(among) => {
            let ids: Vec<i32> = among.iter().map(|user| user.to_sql()).collect();
            all.filter(table::user_id.eq_any(ids)).load(conn)?
        }
        None => all.load(conn)?,
    };
    Ok(users.into_iter().map(UserId::from_sql).collect())
}

/// Number of subscriptions.
pub fn count(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(table::table.count().get_result(conn)?)
}
