//! Group commit of events, table `events`: in one statement where all users and items are known, which is what a shop's day
//! is made of; else names are made first, in a transaction.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Float, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::external_ids::{Names, find_all, resolve_all};
use crate::encryption::{Fields, owner};
use crate::postgres::StoreError;
use crate::postgres::columns::Batch;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{ItemId, Timestamp, UserId};
use tidings_core::catalogue::Currency;
use tidings_core::event::{Event, NewEvent};
use tidings_decision::privacy::encryption::{Field, Owner};

/// Batches up to this size are tried in one statement. In larger ones the same names come again and again, and looking
/// each up once is worth its round trips.
const SMALL: usize = 64;

/// Outcome of one event of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Appended {
    /// Committed, with its inner ids.
    Stored(Event),
    /// Its key is stored already, or came earlier in the batch.
    Duplicate,
    /// Its user was erased: it is not stored.
    Erased,
}

impl Appended {
    /// The event, if it was stored now.
    pub fn stored(&self) -> Option<Event> {
        match self {
            Self::Stored(event) => Some(*event),
            Self::Duplicate | Self::Erased => None,
        }
    }
}

/// Stores a batch in one transaction and says what became of each event, in input order. Makes users, items and
/// partitions that are missing. On return everything `Stored` is durable; on an error nothing is. Any number of
/// batches may run at once. Words of searches are encrypted, if that is on.
pub fn append(
    conn: &mut PgConnection,
    fields: &Fields,
    batch: &[NewEvent],
) -> Result<Vec<Appended>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let attempt = |conn: &mut PgConnection| match append_known(conn, fields, batch)? {
        Some(appended) => Ok(appended),
        None => append_unknown(conn, fields, batch),
    };
    match attempt(conn) {
        // Asking PostgreSQL beforehand would cost every batch a round trip, and a memory of years in this process
        // would be wrong after a restore.
        Err(error) if error.is_missing_partition() => {
            ensure_partitions(conn, batch.iter().map(|event| event.occurred_at))?;
            attempt(conn)
        }
        result => result,
    }
}

/// Makes the yearly partitions of these moments, unless they are there. Takes no lock that readers or writers of
/// `events` would wait for.
pub fn ensure_partitions(
    conn: &mut PgConnection,
    moments: impl IntoIterator<Item = Timestamp>,
) -> Result<(), StoreError> {
    // At most one call a day of data; the function itself knows years.
    let days: BTreeSet<i64> =
        moments.into_iter().map(|at| at.0.div_euclid(tidings_core::base::time::DAY_MICROS)).collect();
    let moments: Vec<PgTimestamp> = days
        .into_iter()
        .map(|day| to_pg(Timestamp(day.saturating_mul(tidings_core::base::time::DAY_MICROS))))
        .collect();
    sql::<()>(
        "SELECT ensure_event_partition(year) FROM (SELECT DISTINCT date_trunc('year', moment AT TIME ZONE 'UTC') \
         AT TIME ZONE 'UTC' AS year FROM unnest(?) AS moment ORDER BY year) AS years",
    )
    .bind::<Array<Timestamptz>, _>(moments)
    .execute(conn)?;
    Ok(())
}

/// Of a small batch whose users and items all have inner ids, in one statement; `None`, and nothing is stored, for others.
fn append_known(
    conn: &mut PgConnection,
    fields: &Fields,
    batch: &[NewEvent],
) -> Result<Option<Vec<Appended>>, StoreError> {
    let distinct: HashSet<Uuid> = batch.iter().map(|event| event.key.0).collect();
    if batch.len() > SMALL || distinct.len() < batch.len() {
        return Ok(None);
    }
    let Some(owners) = known_owners(conn, fields, batch)? else { return Ok(None) };
    let queries = sealed(conn, fields, batch.iter().zip(owners))?;
    let rows: Vec<(&NewEvent, Query<'_>)> = batch.iter().zip(queries).collect();
    type Row = (bool, Option<Uuid>, Option<i32>, Option<i32>);
    let columns = Batch::of(&rows)
        .column::<SqlUuid, _>("key", |(event, _)| event.key.0)
        .column::<Bool, _>("once", |(event, _)| event.deduplicate)
        .column::<Timestamptz, _>("at", |(event, _)| to_pg(event.occurred_at))
        .column::<Nullable<Text>, _>("user_name", |(event, _)| event.user.as_ref().map(ToString::to_string))
        .column::<Nullable<Text>, _>("item_name", |(event, _)| event.item.as_ref().map(ToString::to_string))
        .column::<SmallInt, _>("kind", |(event, _)| event.kind.code())
        .column::<Nullable<Integer>, _>("dwell_ms", |(event, _)| dwell_to_sql(event))
        .column::<Float, _>("quantity", |(event, _)| event.quantity)
        .column::<Nullable<Double>, _>("value", |(event, _)| event.value)
        .column::<Nullable<Text>, _>("currency", |(event, _)| event.currency.as_deref())
        .column::<Nullable<BigInt>, _>("basket", |(event, _)| event.basket)
        .column::<Nullable<Text>, _>("query", |(_, query)| query.as_deref())
        .column::<Nullable<SqlUuid>, _>("list_id", |(event, _)| event.list);
    let text = format!(include_str!("sql/append_known.sql"), given = columns.unnest("g"));
    let rows = sql::<(Bool, Nullable<SqlUuid>, Nullable<Integer>, Nullable<Integer>)>(text)
        .binds(columns.into_binds())
        .load::<Row>(conn)?;
    if rows.first().is_none_or(|(all_known, ..)| !all_known) {
        return Ok(None);
    }
    let written: HashMap<Uuid, (Option<i32>, Option<i32>)> =
        rows.into_iter().filter_map(|(_, key, user, item)| Some((key?, (user, item)))).collect();
    let appended = batch.iter().map(|event| match written.get(&event.key.0) {
        Some((user, item)) => Appended::Stored(with_ids(event, *user, *item)),
        None => Appended::Duplicate,
    });
    Ok(Some(appended.collect()))
}

/// Words of a search as they are stored.
type Query<'e> = Option<Cow<'e, str>>;

/// Owner of the key that the words of each event's search are to be encrypted under; `None` where one of these users has no inner id yet. Asks only
/// for users who searched, and only with encryption.
fn known_owners(
    conn: &mut PgConnection,
    fields: &Fields,
    batch: &[NewEvent],
) -> Result<Option<Vec<Owner>>, StoreError> {
    let searching =
        batch.iter().filter(|event| event.query.is_some()).filter_map(|event| event.user.as_ref());
    let mut searching = searching.peekable();
    if !fields.is_on() || searching.peek().is_none() {
        return Ok(Some(vec![Owner::SERVER; batch.len()]));
    }
    let ids = find_all(conn, Names::Users, searching)?;
    let owner = |event: &NewEvent| match (&event.query, &event.user) {
        (Some(_), Some(user)) => ids.get(user).map(|id| Owner(*id)),
        _ => Some(Owner::SERVER),
    };
    Ok(batch.iter().map(owner).collect())
}

/// Words of searches as they are stored, of each event.
fn sealed<'e>(
    conn: &mut PgConnection,
    fields: &Fields,
    events: impl Iterator<Item = (&'e NewEvent, Owner)> + Clone,
) -> Result<Vec<Query<'e>>, StoreError> {
    let owners = events.clone().filter(|(event, _)| event.query.is_some()).map(|(_, owner)| owner);
    let sealer = fields.sealer(conn, owners)?;
    events
        .map(|(event, owner)| {
            let query = event.query.as_deref();
            query.map(|text| sealer.seal(owner, Field::Query, text)).transpose()
        })
        .collect()
}

/// Stored form of an event.
fn with_ids(event: &NewEvent, user: Option<i32>, item: Option<i32>) -> Event {
    Event {
        occurred_at: event.occurred_at,
        user: user.map(UserId::from_sql),
        item: item.map(ItemId::from_sql),
        kind: event.kind,
        dwell_ms: event.dwell_ms,
        quantity: event.quantity,
        value: event.value,
        currency: event.currency.as_deref().and_then(Currency::parse),
        basket: event.basket,
    }
}

fn dwell_to_sql(event: &NewEvent) -> Option<i32> {
    event.dwell_ms.map(|dwell| i32::try_from(dwell).unwrap_or(i32::MAX))
}

/// Of any batch, in one transaction; makes users and items that are missing.
fn append_unknown(
    conn: &mut PgConnection,
    fields: &Fields,
    batch: &[NewEvent],
) -> Result<Vec<Appended>, StoreError> {
    conn.transaction(|conn| {
        let user_ids = resolve_all(conn, Names::Users, batch.iter().filter_map(|event| event.user.as_ref()))?;
        let is_erased =
            |event: &&NewEvent| event.user.as_ref().is_some_and(|user| !user_ids.contains_key(user));
        let items = batch.iter().filter(|event| !is_erased(event)).filter_map(|event| event.item.as_ref());
        let item_ids = resolve_all(conn, Names::Items, items)?;
        let mut fresh = new_receipts(conn, batch)?;
        let mut rows = Vec::with_capacity(batch.len());
        let mut kept = Vec::with_capacity(batch.len());
        for event in batch {
            if is_erased(&event) {
                kept.push(Err(Appended::Erased));
                continue;
            }
            // `remove`: the second of two in one batch is a duplicate.
            if event.deduplicate && !fresh.remove(&event.key.0) {
                kept.push(Err(Appended::Duplicate));
                continue;
            }
            let user = event.user.as_ref().and_then(|user| user_ids.get(user)).copied();
            let item = event.item.as_ref().and_then(|item| item_ids.get(item)).copied();
            let stored = with_ids(event, user, item);
            rows.push((event, stored));
            kept.push(Ok((event.key, stored)));
        }
        let owners = rows.iter().map(|(new, stored): &(&NewEvent, Event)| (*new, owner(stored.user)));
        let queries = sealed(conn, fields, owners)?;
        let rows: Vec<_> = rows.into_iter().zip(queries).collect();
        let mut written = insert(conn, &rows)?;
        Ok(kept
            .into_iter()
            .map(|event| match event {
                Ok((key, stored)) if written.remove(&key.0) => Appended::Stored(stored),
                Ok(_) => Appended::Duplicate,
                Err(refused) => refused,
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

/// Stores events under their keys; the keys written. A key may be taken although it has no receipt: importers write none, and
/// old ones are pruned.
fn insert(
    conn: &mut PgConnection,
    rows: &[((&NewEvent, Event), Query<'_>)],
) -> Result<HashSet<Uuid>, StoreError> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let columns = Batch::of(rows)
        .column::<SqlUuid, _>("event_key", |((new, _), _)| new.key.0)
        .column::<Timestamptz, _>("occurred_at", |((new, _), _)| to_pg(new.occurred_at))
        .column::<Nullable<Integer>, _>("user_id", |((_, stored), _)| stored.user.map(UserId::to_sql))
        .column::<Nullable<Integer>, _>("item_id", |((_, stored), _)| stored.item.map(ItemId::to_sql))
        .column::<SmallInt, _>("kind", |((new, _), _)| new.kind.code())
        .column::<Nullable<Integer>, _>("dwell_ms", |((new, _), _)| dwell_to_sql(new))
        .column::<Float, _>("quantity", |((new, _), _)| new.quantity)
        .column::<Nullable<Double>, _>("value", |((new, _), _)| new.value)
        .column::<Nullable<Text>, _>("currency", |((new, _), _)| new.currency.as_deref())
        .column::<Nullable<BigInt>, _>("basket", |((new, _), _)| new.basket)
        .column::<Nullable<Text>, _>("query", |(_, query)| query.as_deref())
        .column::<Nullable<SqlUuid>, _>("list_id", |((new, _), _)| new.list);
    let text = format!("{} ON CONFLICT DO NOTHING RETURNING event_key", columns.insert_into("events"));
    let written = sql::<SqlUuid>(text).binds(columns.into_binds()).load::<Uuid>(conn)?;
    Ok(written.into_iter().collect())
}
