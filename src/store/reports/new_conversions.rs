//! Conversions for webhooks: purchases stored since the last look, credited to messages by the rule of attribution, and put into the
//! outbox. A conversion is computed and not stored, so it can't be put there by the transaction that stores the purchase; instead
//! everything up to a moment is looked at once, and the moment is one before which no transaction can still store anything.

use std::collections::BTreeMap;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Double, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::conversions;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{EventKey, ItemId, Millis, Timestamp, UserId};
use tidings_core::catalogue::Money;

/// A credited purchase.
struct Conversion {
    id: Uuid,
    message: Uuid,
    user: UserId,
    item: ItemId,
    at: Timestamp,
    quantity: f64,
    value: Option<f64>,
}

/// Looks at purchases that came since the last call and puts `message.converted` into the outbox for each that is credited to a message,
/// once; how many. Nothing is read while no endpoint wants it.
pub fn emit(conn: &mut PgConnection, window: Millis, money: &Money) -> Result<usize, StoreError> {
    conn.transaction(|conn| {
        let (is_wanted, from) = sql::<(Bool, Nullable<Timestamptz>)>(
            "SELECT webhook_wanted('message.converted'), purchases_until FROM webhook_cursor FOR UPDATE",
        )
        .get_result::<(bool, Option<PgTimestamp>)>(conn)?;
        if !is_wanted && from.is_none() {
            return Ok(0);
        }
        let until = if is_wanted { Some(horizon(conn)?) } else { None };
        sql::<()>("UPDATE webhook_cursor SET purchases_until = ?")
            .bind::<Nullable<Timestamptz>, _>(until)
            .execute(conn)?;
        match (from, until) {
            (Some(from), Some(until)) if from.0 < until.0 => {
                let conversions = between(conn, from, until, window, money)?;
                put(conn, &conversions)
            }
            _ => Ok(0),
        }
    })
}

/// Everything received before this is committed or never will be: events are received when their transaction begins. Transactions that
/// have written nothing within a minute only read.
fn horizon(conn: &mut PgConnection) -> Result<PgTimestamp, StoreError> {
    Ok(sql::<Timestamptz>(
        "SELECT least(now(), (SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND (backend_xid IS NOT NULL OR xact_start > now() - interval '1 minute')))",
    )
    .get_result(conn)?)
}

fn between(
    conn: &mut PgConnection,
    from: PgTimestamp,
    until: PgTimestamp,
    window: Millis,
    money: &Money,
) -> Result<Vec<Conversion>, StoreError> {
    // Only of users who had a message about the item: few, whatever was imported.
    let rows = sql::<(Integer, Integer, Timestamptz)>(
        "SELECT e.user_id, e.item_id, e.occurred_at FROM events e WHERE e.received_at >= ? AND e.received_at < ? AND e.kind = 5 \
         AND EXISTS (SELECT FROM notifications n WHERE n.user_id = e.user_id AND e.item_id = ANY(n.items) \
           AND n.created_at <= e.occurred_at AND n.created_at >= e.occurred_at - make_interval(secs => ?))",
    )
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(until)
    .bind::<Double, _>(window.0 as f64 / 1_000.0)
    .load::<(i32, i32, PgTimestamp)>(conn)?;
    let mut bought: BTreeMap<UserId, Vec<(ItemId, Timestamp)>> = BTreeMap::new();
    for (user, item, at) in rows {
        bought.entry(UserId::from_sql(user)).or_default().push((ItemId::from_sql(item), from_pg(at)));
    }
    let mut found = Vec::new();
    for (user, purchases) in bought {
        let Some(first) = purchases.iter().map(|(_, at)| *at).min() else { continue };
        for credit in conversions::credits(conn, Some(user), first - window, window, money)? {
            let trade = credit.purchase.trade;
            if credit.purchase.is_kept() && purchases.contains(&(trade.item, trade.at)) {
                let message = credit.message.0;
                let parts: [&[u8]; 4] = [
                    b"converted",
                    message.as_bytes(),
                    &trade.item.0.to_le_bytes(),
                    &trade.at.0.to_le_bytes(),
                ];
                found.push(Conversion {
                    id: EventKey::from_parts(&parts).0,
                    message,
                    user,
                    item: trade.item,
                    at: trade.at,
                    quantity: trade.quantity,
                    value: trade.value,
                });
            }
        }
    }
    Ok(found)
}

fn put(conn: &mut PgConnection, found: &[Conversion]) -> Result<usize, StoreError> {
    if found.is_empty() {
        return Ok(0);
    }
    Ok(sql::<()>(include_str!("sql/put_conversions.sql"))
        .bind::<Array<SqlUuid>, _>(column(found, |one| one.id))
        .bind::<Array<SqlUuid>, _>(column(found, |one| one.message))
        .bind::<Array<Integer>, _>(column(found, |one| one.user.to_sql()))
        .bind::<Array<Integer>, _>(column(found, |one| one.item.to_sql()))
        .bind::<Array<Timestamptz>, _>(column(found, |one| to_pg(one.at)))
        .bind::<Array<Double>, _>(column(found, |one| one.quantity))
        .bind::<Array<Nullable<Double>>, _>(column(found, |one| one.value))
        .execute(conn)?)
}
