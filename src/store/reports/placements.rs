//! Click-through of placements: lists that were answered, with what came of them by the events that name them (`list_id`).

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, SmallInt, Text, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{Millis, Timestamp};
use tidings_core::event::{EventKind, FIRST_OWN_CODE};
use tidings_decision::feedback::placements::ListCounts;

/// Most placements of one answer.
const MAX_PLACEMENTS: i64 = 1_000;
/// Most kinds of the shop's own.
const MAX_OWN_KINDS: i16 = 100;

/// Counts of placements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placements {
    /// Each placement with its lists, the one with the most first.
    pub counts: Vec<(String, ListCounts)>,
    /// Events that name a list and count for none, by reason: `unknown_list`, `other_user`, `other_item`.
    pub ignored: BTreeMap<String, u64>,
}

/// Counts of the lists answered since `since`; a purchase counts up to `window` after the act that named the list. One pass over
/// these lists and the events that name any.
pub fn since(conn: &mut PgConnection, since: Timestamp, window: Millis) -> Result<Placements, StoreError> {
    let acts = EventKind::ALL.into_iter().filter(|kind| kind.interest() > 0.0).map(EventKind::code);
    let kinds: Vec<i16> = acts.chain(FIRST_OWN_CODE..FIRST_OWN_CODE + MAX_OWN_KINDS).collect();
    let rows = sql::<(Text, BigInt, BigInt, BigInt, BigInt, BigInt)>(include_str!("sql/placements.sql"))
        .bind::<Timestamptz, _>(to_pg(since))
        .bind::<Double, _>(window.0 as f64 / 1e3)
        .bind::<Array<SmallInt>, _>(kinds)
        .bind::<BigInt, _>(MAX_PLACEMENTS)
        .load::<(String, i64, i64, i64, i64, i64)>(conn)?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut found = Placements::default();
    for (name, lists, items, clicked, carted, bought) in rows {
        if lists < 0 {
            found.ignored.insert(name, count(items));
            continue;
        }
        let [lists, items, clicked, carted, bought] = [lists, items, clicked, carted, bought].map(count);
        found.counts.push((name, ListCounts { lists, items, clicked, carted, bought }));
    }
    Ok(found)
}
