//! Purchases and returns as attribution reads them, from `events` and `notifications`. Nothing is stored: the two tables say
//! all of it, for connected and absent users alike, in whatever order events arrived.

use std::collections::BTreeMap;
use std::ops::Range;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Double, Float, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ItemId, Millis, NotificationId, Timestamp, UserId};
use tidings_core::catalogue::{Currency, Money};
use tidings_core::event::EventKind;
use tidings_decision::feedback::attribution::{self, Credit, Kept, Naming, Trade};

type TradeRow = (i32, i32, i16, PgTimestamp, f32, Option<f64>, Option<String>, Option<i64>);
type NamingRow = (i32, Uuid, PgTimestamp, Vec<i32>);
type NamingColumns = (Integer, SqlUuid, Timestamptz, Array<Integer>);

/// Purchases and returns since `since` of these users, each user's together, and all earlier ones of an item that the user
/// has returned since: a return is of the purchase that it names or follows, however long ago that was. Values are in the
/// base of `money`, none where there is no rate.
fn trades(
    conn: &mut PgConnection,
    users: Vec<i32>,
    since: Timestamp,
    money: &Money,
) -> Result<BTreeMap<i32, Vec<Trade>>, StoreError> {
    let mut by_user: BTreeMap<i32, Vec<Trade>> = BTreeMap::new();
    if users.is_empty() {
        return Ok(by_user);
    }
    type Columns =
        (Integer, Integer, SmallInt, Timestamptz, Float, Nullable<Double>, Nullable<Text>, Nullable<BigInt>);
    let rows = sql::<Columns>(include_str!("sql/trades.sql"))
        .bind::<Timestamptz, _>(to_pg(since))
        .bind::<Array<Integer>, _>(users)
        .bind::<Timestamptz, _>(to_pg(since))
        .load::<TradeRow>(conn)?;
    let code = |text: &Option<String>| text.as_deref().and_then(Currency::parse);
    let recent = rows.iter().filter(|row| from_pg(row.3) >= since);
    let money = money.or_base(most_frequent(recent.filter_map(|row| code(&row.6))));
    for (user, item, kind, at, quantity, value, currency, basket) in rows {
        by_user.entry(user).or_default().push(Trade {
            item: ItemId::from_sql(item),
            at: from_pg(at),
            is_return: kind == EventKind::Return.code(),
            quantity: f64::from(quantity),
            value: value.and_then(|value| money.in_base(value, code(&currency))),
            basket,
        });
    }
    Ok(by_user)
}

/// The currency named most often; of several the first by its letters.
fn most_frequent(currencies: impl Iterator<Item = Currency>) -> Option<Currency> {
    let mut counts: BTreeMap<Currency, usize> = BTreeMap::new();
    currencies.for_each(|currency| *counts.entry(currency).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(currency, count)| (*count, std::cmp::Reverse(*currency)));
    most.map(|(currency, _)| currency)
}

/// Purchases of these users since `since`, not returned, by user; users without a purchase are left out. One query.
pub(super) fn kept(
    conn: &mut PgConnection,
    users: impl IntoIterator<Item = UserId>,
    since: Timestamp,
    money: &Money,
) -> Result<BTreeMap<UserId, Vec<Kept>>, StoreError> {
    let users = users.into_iter().map(UserId::to_sql).collect();
    let mut settled = BTreeMap::new();
    for (user, trades) in trades(conn, users, since, money)? {
        let mut kept = attribution::settle(&trades);
        kept.retain(|kept| kept.is_kept() && kept.trade.at >= since);
        if !kept.is_empty() {
            settled.insert(UserId::from_sql(user), kept);
        }
    }
    Ok(settled)
}

/// Messages that named what was bought, within the window before it. A statement each for one user and for all: one for both
/// would be planned for neither.
fn naming(whose: &str) -> String {
    format!(include_str!("sql/messages_that_named.sql"), whose = whose)
}

/// Credits of all messages created since `since`, or of those to one user. Two queries, over purchases since then and
/// messages that named what was bought.
pub fn credits(
    conn: &mut PgConnection,
    user: Option<UserId>,
    since: Timestamp,
    window: Millis,
    money: &Money,
) -> Result<Vec<Credit>, StoreError> {
    let window_s = window.0 as f64 / 1_000.0;
    let rows = match user {
        Some(user) => sql::<NamingColumns>(naming("user_id = ?"))
            .bind::<Timestamptz, _>(to_pg(since))
            .bind::<Integer, _>(user.to_sql())
            .bind::<Double, _>(window_s)
            .bind::<Timestamptz, _>(to_pg(since))
            .load::<NamingRow>(conn)?,
        None => sql::<NamingColumns>(naming("user_id IS NOT NULL"))
            .bind::<Timestamptz, _>(to_pg(since))
            .bind::<Double, _>(window_s)
            .bind::<Timestamptz, _>(to_pg(since))
            .load::<NamingRow>(conn)?,
    };
    credit(conn, rows, since, window, money)
}

/// Credits of the messages created in `slice`: their purchases come within it or up to `window` later.
pub(super) fn credits_between(
    conn: &mut PgConnection,
    slice: &Range<Timestamp>,
    window: Millis,
    money: &Money,
) -> Result<Vec<Credit>, StoreError> {
    let rows = sql::<NamingColumns>(naming("user_id IS NOT NULL AND occurred_at < ?"))
        .bind::<Timestamptz, _>(to_pg(slice.start))
        .bind::<Timestamptz, _>(to_pg(slice.end + window))
        .bind::<Double, _>(window.0 as f64 / 1_000.0)
        .bind::<Timestamptz, _>(to_pg(slice.start))
        .load::<NamingRow>(conn)?;
    credit(conn, rows, slice.start, window, money)
}

/// Credits the purchases since `since` to the messages that named what was bought.
fn credit(
    conn: &mut PgConnection,
    rows: Vec<NamingRow>,
    since: Timestamp,
    window: Millis,
    money: &Money,
) -> Result<Vec<Credit>, StoreError> {
    let mut messages: BTreeMap<i32, Vec<Naming>> = BTreeMap::new();
    for (user, id, at, items) in rows {
        messages.entry(user).or_default().push(Naming {
            message: NotificationId(id),
            at: from_pg(at),
            items: items.into_iter().map(ItemId::from_sql).collect(),
        });
    }
    let trades = trades(conn, messages.keys().copied().collect(), since, money)?;
    let of_user = |(user, trades): (&i32, &Vec<Trade>)| {
        attribution::credit(messages.get(user).map_or(&[][..], Vec::as_slice), trades, window)
    };
    Ok(trades.iter().flat_map(of_user).collect())
}
