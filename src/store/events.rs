//! Table `events`: what users did. Group commit in; [`super::training_events`] streams them out.

use std::collections::{BTreeSet, HashSet};

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Double, Float, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::StoreError;
use super::convert::{from_pg, to_pg};
use super::names::{Names, resolve_all};
use super::schema::{event_receipts, events};
use super::sql::sql;
use crate::base::{EventKey, ItemId, Timestamp, UserId};
use crate::event::{Event, EventKind, NewEvent};

/// For training.
pub use super::training_events::for_each;

/// What became of one event of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Appended {
    /// Committed, with its inner ids.
    Stored(Event),
    /// Its key is stored already, or came earlier in the batch.
    Duplicate,
}

impl Appended {
    /// The event, if it was stored now.
    pub fn stored(&self) -> Option<Event> {
        match self {
            Self::Stored(event) => Some(*event),
            Self::Duplicate => None,
        }
    }
}

/// The columns of an [`Event`].
pub(super) type EventRow =
    (PgTimestamp, Option<i32>, Option<i32>, i16, Option<i32>, f32, Option<f64>, Option<i64>);

type EventColumns = (
    events::occurred_at,
    events::user_id,
    events::item_id,
    events::kind,
    events::dwell_ms,
    events::quantity,
    events::value,
    events::basket,
);
/// Selects an [`EventRow`].
pub(super) const EVENT_COLUMNS: EventColumns = (
    events::occurred_at,
    events::user_id,
    events::item_id,
    events::kind,
    events::dwell_ms,
    events::quantity,
    events::value,
    events::basket,
);

/// `None` for a kind that this version does not know.
pub(super) fn event_from_row(row: EventRow) -> Option<Event> {
    let (occurred_at, user, item, kind, dwell_ms, quantity, value, basket) = row;
    Some(Event {
        occurred_at: from_pg(occurred_at),
        user: user.map(UserId::from_sql),
        item: item.map(ItemId::from_sql),
        kind: EventKind::from_code(kind)?,
        dwell_ms: dwell_ms.and_then(|dwell| u32::try_from(dwell).ok()),
        quantity,
        value,
        basket,
    })
}

/// Stores a batch in one transaction and says what became of each event, in input order. Makes users, items and
/// partitions that are missing. On return everything `Stored` is durable; on an error nothing is. Any number of
/// batches may run at once.
pub fn append(conn: &mut PgConnection, batch: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    match append_once(conn, batch) {
        // Asking PostgreSQL beforehand would cost every batch a round trip, and a memory of months in this process
        // would be wrong after a restore.
        Err(error) if error.is_missing_partition() => {
            ensure_partitions(conn, batch.iter().map(|event| event.occurred_at))?;
            append_once(conn, batch)
        }
        result => result,
    }
}

/// Makes the monthly partitions of these moments, unless they are there. Takes no lock that readers or writers of
/// `events` would wait for.
pub fn ensure_partitions(
    conn: &mut PgConnection,
    moments: impl IntoIterator<Item = Timestamp>,
) -> Result<(), StoreError> {
    // At most one call a day of data; the function itself knows months.
    let days: BTreeSet<i64> =
        moments.into_iter().map(|at| at.0.div_euclid(crate::base::time::DAY_MICROS)).collect();
    let moments: Vec<PgTimestamp> = days
        .into_iter()
        .map(|day| to_pg(Timestamp(day.saturating_mul(crate::base::time::DAY_MICROS))))
        .collect();
    sql::<()>(
        "SELECT ensure_event_partition(month) FROM (SELECT DISTINCT date_trunc('month', moment AT TIME ZONE 'UTC') \
         AT TIME ZONE 'UTC' AS month FROM unnest(?) AS moment ORDER BY month) AS months",
    )
    .bind::<Array<Timestamptz>, _>(moments)
    .execute(conn)?;
    Ok(())
}

fn append_once(conn: &mut PgConnection, batch: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
    conn.transaction(|conn| {
        let user_ids = resolve_all(conn, Names::Users, batch.iter().filter_map(|event| event.user.as_ref()))?;
        let item_ids = resolve_all(conn, Names::Items, batch.iter().filter_map(|event| event.item.as_ref()))?;
        let mut fresh = new_receipts(conn, batch)?;
        let mut rows = Rows::default();
        let mut kept = Vec::with_capacity(batch.len());
        for event in batch {
            // `remove`: the second of two in one batch is a duplicate.
            if event.deduplicate && !fresh.remove(&event.key.0) {
                kept.push(None);
                continue;
            }
            let stored = Event {
                occurred_at: event.occurred_at,
                user: event
                    .user
                    .as_ref()
                    .and_then(|user| user_ids.get(user))
                    .map(|user| UserId::from_sql(*user)),
                item: event
                    .item
                    .as_ref()
                    .and_then(|item| item_ids.get(item))
                    .map(|item| ItemId::from_sql(*item)),
                kind: event.kind,
                dwell_ms: event.dwell_ms,
                quantity: event.quantity,
                value: event.value,
                basket: event.basket,
            };
            rows.push(event, &stored);
            kept.push(Some((event.key, stored)));
        }
        let mut written = rows.insert(conn)?;
        Ok(kept
            .into_iter()
            .map(|event| match event {
                Some((key, stored)) if written.remove(&key.0) => Appended::Stored(stored),
                _ => Appended::Duplicate,
            })
            .collect())
    })
}

/// Keys of the batch's deduplicated events that were not known; they are now.
fn new_receipts(conn: &mut PgConnection, batch: &[NewEvent]) -> Result<HashSet<Uuid>, StoreError> {
    let mut keys: Vec<Uuid> =
        batch.iter().filter(|event| event.deduplicate).map(|event| event.key.0).collect();
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    // In order, so that two batches that overlap can't deadlock.
    keys.sort_unstable();
    keys.dedup();
    let fresh = sql::<SqlUuid>(
        "INSERT INTO event_receipts (event_key) SELECT * FROM unnest(?) ON CONFLICT DO NOTHING RETURNING event_key",
    )
    .bind::<Array<SqlUuid>, _>(keys)
    .load::<Uuid>(conn)?;
    Ok(fresh.into_iter().collect())
}

/// A batch by columns.
#[derive(Default)]
struct Rows<'a> {
    key: Vec<Uuid>,
    occurred_at: Vec<PgTimestamp>,
    user: Vec<Option<i32>>,
    item: Vec<Option<i32>>,
    kind: Vec<i16>,
    dwell_ms: Vec<Option<i32>>,
    quantity: Vec<f32>,
    value: Vec<Option<f64>>,
    currency: Vec<Option<&'a str>>,
    basket: Vec<Option<i64>>,
    query: Vec<Option<&'a str>>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, event: &'a NewEvent, stored: &Event) {
        self.key.push(event.key.0);
        self.occurred_at.push(to_pg(event.occurred_at));
        self.user.push(stored.user.map(UserId::to_sql));
        self.item.push(stored.item.map(ItemId::to_sql));
        self.kind.push(event.kind.code());
        self.dwell_ms.push(event.dwell_ms.map(|dwell| i32::try_from(dwell).unwrap_or(i32::MAX)));
        self.quantity.push(event.quantity);
        self.value.push(event.value);
        self.currency.push(event.currency.as_deref());
        self.basket.push(event.basket);
        self.query.push(event.query.as_deref());
    }

    /// The keys written. A key may be taken although it has no receipt: importers write none, and old ones are pruned.
    fn insert(self, conn: &mut PgConnection) -> Result<HashSet<Uuid>, StoreError> {
        if self.key.is_empty() {
            return Ok(HashSet::new());
        }
        let written = sql::<SqlUuid>(
            "INSERT INTO events (event_key, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, \
             basket, query) SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING \
             RETURNING event_key",
        )
        .bind::<Array<SqlUuid>, _>(self.key)
        .bind::<Array<Timestamptz>, _>(self.occurred_at)
        .bind::<Array<Nullable<Integer>>, _>(self.user)
        .bind::<Array<Nullable<Integer>>, _>(self.item)
        .bind::<Array<SmallInt>, _>(self.kind)
        .bind::<Array<Nullable<Integer>>, _>(self.dwell_ms)
        .bind::<Array<Float>, _>(self.quantity)
        .bind::<Array<Nullable<Double>>, _>(self.value)
        .bind::<Array<Nullable<Text>>, _>(self.currency)
        .bind::<Array<Nullable<BigInt>>, _>(self.basket)
        .bind::<Array<Nullable<Text>>, _>(self.query)
        .load::<Uuid>(conn)?;
        Ok(written.into_iter().collect())
    }
}

/// About how many events there are, from PostgreSQL's statistics; may lag by a minute. Free of cost.
pub fn count_estimate(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql::<BigInt>(
        "SELECT coalesce(sum(greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0)), 0)::bigint \
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass",
    )
    .get_result(conn)?)
}

/// The columns of an event after the moment of its commit.
type ReceivedRow =
    (PgTimestamp, PgTimestamp, Option<i32>, Option<i32>, i16, Option<i32>, f32, Option<f64>, Option<i64>);

/// The database's clock, which dates what is received.
pub fn clock(conn: &mut PgConnection) -> Result<Timestamp, StoreError> {
    let now: PgTimestamp = diesel::select(diesel::dsl::sql::<Timestamptz>("now()")).get_result(conn)?;
    Ok(from_pg(now))
}

/// The events received in (`since`, `until`], the newest `limit` of them, commit by commit in their order; within a commit in
/// any order.
pub fn commits_between(
    conn: &mut PgConnection,
    since: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Vec<Event>>, StoreError> {
    let rows = sql::<(
        Timestamptz,
        Timestamptz,
        Nullable<Integer>,
        Nullable<Integer>,
        SmallInt,
        Nullable<Integer>,
        Float,
        Nullable<Double>,
        Nullable<BigInt>,
    )>(
        "SELECT * FROM (SELECT received_at, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, basket \
         FROM events WHERE received_at > ? AND received_at <= ? ORDER BY received_at DESC LIMIT ?) newest \
         ORDER BY received_at",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Timestamptz, _>(to_pg(until))
    .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
    .load_iter::<ReceivedRow, diesel::connection::DefaultLoadingMode>(conn)?;
    let mut commits: Vec<Vec<Event>> = Vec::new();
    let mut received = None;
    for row in rows {
        let (at, occurred_at, user, item, kind, dwell_ms, quantity, value, basket) = row?;
        let Some(kind) = EventKind::from_code(kind) else { continue };
        let event = Event {
            occurred_at: from_pg(occurred_at),
            user: user.map(UserId::from_sql),
            item: item.map(ItemId::from_sql),
            kind,
            dwell_ms: dwell_ms.and_then(|dwell| u32::try_from(dwell).ok()),
            quantity,
            value,
            basket,
        };
        match commits.last_mut().filter(|_| received == Some(at.0)) {
            Some(commit) => commit.push(event),
            None => commits.push(vec![event]),
        }
        received = Some(at.0);
    }
    Ok(commits)
}

/// Is an event with this key of a client stored?
pub fn has_receipt(conn: &mut PgConnection, key: EventKey) -> Result<bool, StoreError> {
    Ok(diesel::select(diesel::dsl::exists(event_receipts::table.find(key.0))).get_result(conn)?)
}

/// Forgets receipts from before `before`: a client's retry after that long would be stored twice. How many.
pub fn prune_receipts(conn: &mut PgConnection, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(event_receipts::table)
        .filter(event_receipts::received_at.lt(to_pg(before)))
        .execute(conn)?)
}
