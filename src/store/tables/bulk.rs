//! Loading in bulk, for import and demo history: ids are mapped once and remembered, events travel by binary COPY
//! into a temporary table and go over in one `INSERT` of those that are not there.
//!
//! COPY straight into `events` would be a third faster, but one event that is already there would end it. Importers
//! write no receipts: their keys are made of content, time included, so (key, time) tells a second run.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, Integer, Timestamptz};
use uuid::Uuid;

use super::events;
use super::external_ids::{Names, find_all, resolve_all};
use super::loaded_items::{self, Lengths};
use super::robots;
use super::stated_features;
use crate::encryption::Fields;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_core::catalogue::NewItem;
use tidings_core::event::NewEvent;
use tidings_core::profile::{StatedFeatures, StatedUser};
use tidings_decision::decide::record::RobotFlag;
use tidings_decision::privacy::encryption::{Field, Owner};

/// Reason of a flag by imported rows.
const OF_ROWS: &str = "more actions in a minute or a day of the imported rows than a person makes";

const INSERT_MISSING: &str = "INSERT INTO events (event_key, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket, \
     query, list_id) SELECT event_key, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket, query, \
     list_id FROM loaded_events AS l WHERE NOT EXISTS (SELECT FROM events AS e WHERE e.event_key = l.event_key AND \
     e.occurred_at = l.occurred_at)";
const INSERT_OR_SKIP: &str = "INSERT INTO events (event_key, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket, \
     query, list_id) SELECT event_key, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket, query, \
     list_id FROM loaded_events ON CONFLICT DO NOTHING";

diesel::table! {
    /// Lives for one transaction.
    loaded_events (event_key) {
        /// Key, made of content.
        event_key -> Uuid,
        /// Moment of the event.
        occurred_at -> Timestamptz,
        /// Inner id; null = nobody known.
        user_id -> Nullable<Int4>,
        /// Inner id; null = no item.
        item_id -> Nullable<Int4>,
        /// Code of the kind.
        kind -> Int2,
        /// Milliseconds.
        dwell_ms -> Nullable<Int4>,
        /// Pieces.
        quantity -> Float4,
        /// Amount of the line.
        value -> Nullable<Float8>,
        /// ISO 4217.
        currency -> Nullable<Text>,
        /// Basket: items bought together.
        basket -> Nullable<Int8>,
        /// Words of a search.
        query -> Nullable<Text>,
        /// List that the item was found in.
        list_id -> Nullable<Uuid>,
    }
}

#[derive(Insertable)]
#[diesel(table_name = loaded_events, treat_none_as_default_value = false)]
struct LoadedEvent<'a> {
    event_key: Uuid,
    occurred_at: PgTimestamp,
    user_id: Option<i32>,
    item_id: Option<i32>,
    kind: i16,
    dwell_ms: Option<i32>,
    quantity: f32,
    value: Option<f64>,
    currency: Option<&'a str>,
    basket: Option<i64>,
    query: Option<Cow<'a, str>>,
    list_id: Option<Uuid>,
}

impl<'a> LoadedEvent<'a> {
    /// The event with inner ids; the words of a search are added encrypted.
    fn of(event: &'a NewEvent, user_id: Option<i32>, item_id: Option<i32>) -> Self {
        Self {
            event_key: event.key.0,
            occurred_at: to_pg(event.occurred_at),
            user_id,
            item_id,
            kind: event.kind.code(),
            dwell_ms: event.dwell_ms.map(|dwell| i32::try_from(dwell).unwrap_or(i32::MAX)),
            quantity: event.quantity,
            value: event.value,
            currency: event.currency.as_deref(),
            basket: event.basket,
            query: None,
            list_id: event.list,
        }
    }
}

/// Counts of what a call, or all so far, wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Events that were not there before.
    pub events: u64,
    /// Events that were.
    pub known_events: u64,
    /// Events of users that were erased: they are not stored.
    pub erased_events: u64,
    /// Users made.
    pub users: u64,
    /// Items made.
    pub items: u64,
    /// Items that were there and are different now.
    pub changed_items: u64,
    /// Users whose stated features are new or different now.
    pub stated_users: u64,
}

impl std::ops::AddAssign for Loaded {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.known_events += other.known_events;
        self.erased_events += other.erased_events;
        self.users += other.users;
        self.items += other.items;
        self.changed_items += other.changed_items;
        self.stated_users += other.stated_users;
    }
}

/// Remembered data of a user or an item.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: i32,
    /// Its first event among those loaded.
    first: Option<Timestamp>,
    /// Made by this loader.
    new: bool,
}

impl Known {
    fn note(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
    }
}

type KnownIds = HashMap<ExternalId, Known>;

/// Remembers which inner id each user and item has, about 80 bytes each, so that a chunk asks only for new ones.
#[derive(Default)]
pub struct Loader {
    fields: Arc<Fields>,
    users: KnownIds,
    items: KnownIds,
    /// Days since 1970 whose partition is there.
    days: BTreeSet<i64>,
    total: Loaded,
    lengths: Lengths,
}

impl Loader {
    /// Nothing known yet. Words of searches are encrypted as `fields` says.
    pub fn new(fields: &Arc<Fields>) -> Self {
        Self { fields: Arc::clone(fields), ..Self::default() }
    }

    /// The same; embeddings of another length than those to be written are erased instead of refusing these.
    pub fn replacing_embeddings(self) -> Self {
        Self { lengths: Lengths::Replace, ..self }
    }

    /// Everything written so far.
    pub fn total(&self) -> Loaded {
        self.total
    }

    /// Users named so far.
    pub fn n_users(&self) -> u64 {
        self.users.len() as u64
    }

    /// Items named so far.
    pub fn n_items(&self) -> u64 {
        self.items.len() as u64
    }

    /// Stores a chunk in one transaction; makes users, items and partitions that are missing. Keys are expected
    /// to be unique within the chunk; of two with one key and time the first is kept. Chunks of 100,000 and more
    /// are fastest: about 150,000 events a second (measured on two cores, release).
    pub fn events(&mut self, conn: &mut PgConnection, chunk: &[NewEvent]) -> Result<Loaded, StoreError> {
        if chunk.is_empty() {
            return Ok(Loaded::default());
        }
        let users = unknown(&self.users, chunk.iter().filter_map(|event| event.user.as_ref()));
        // Days are enough to tell years by, and cheap to compute.
        let days: BTreeSet<i64> = chunk.iter().map(|event| day(event.occurred_at)).collect();
        let new_days: Vec<i64> = days.difference(&self.days).copied().collect();
        events::ensure_partitions(conn, new_days.iter().map(|day| first_moment(*day)))?;
        let (loaded, new_users, new_items) = without_time_limit(conn, |conn| {
            let new_users = map_ids(conn, Names::Users, &users)?;
            let is_there = |event: &&NewEvent| {
                let is_known =
                    |user: &ExternalId| self.users.contains_key(user) || new_users.contains_key(user);
                event.user.as_ref().is_none_or(is_known)
            };
            let items = chunk.iter().filter(is_there).filter_map(|event| event.item.as_ref());
            let new_items = map_ids(conn, Names::Items, &unknown(&self.items, items))?;
            let find = |known: &KnownIds, new: &KnownIds, id: &Option<_>| {
                id.as_ref().and_then(|id| known.get(id).or_else(|| new.get(id))).map(|known| known.id)
            };
            let mut rows: Vec<LoadedEvent> = chunk
                .iter()
                .filter(is_there)
                .map(|event| {
                    let user = find(&self.users, &new_users, &event.user);
                    LoadedEvent::of(event, user, find(&self.items, &new_items, &event.item))
                })
                .collect();
            seal(conn, &self.fields, chunk.iter().filter(is_there), &mut rows)?;
            let erased_events = (chunk.len() - rows.len()) as u64;
            let written = copy(conn, rows)?;
            let loaded = Loaded {
                events: written,
                known_events: (chunk.len() as u64).saturating_sub(written + erased_events),
                erased_events,
                users: made(&new_users),
                items: made(&new_items),
                ..Loaded::default()
            };
            Ok((loaded, new_users, new_items))
        })?;
        // Only what is committed is remembered.
        self.users.extend(new_users);
        self.items.extend(new_items);
        for event in chunk {
            let user = event.user.as_ref().and_then(|user| self.users.get_mut(user));
            let item = event.item.as_ref().and_then(|item| self.items.get_mut(item));
            user.into_iter().chain(item).for_each(|known| known.note(event.occurred_at));
        }
        self.days.extend(new_days);
        self.total += loaded;
        Ok(loaded)
    }

    /// Adds items, or changes those that differ; an absent field keeps what is stored, an item deleted from the
    /// catalogue stays deleted. Of one id given twice the later values count. One transaction.
    pub fn items(&mut self, conn: &mut PgConnection, items: &[NewItem]) -> Result<Loaded, StoreError> {
        self.write_items(conn, items, include_str!("sql/change_items.sql"))
    }

    /// Adds items, or fills the fields that those which are there lack; whatever is stored stays. One transaction.
    pub fn fill_items(&mut self, conn: &mut PgConnection, items: &[NewItem]) -> Result<Loaded, StoreError> {
        self.write_items(conn, items, include_str!("sql/fill_items.sql"))
    }

    fn write_items(
        &mut self,
        conn: &mut PgConnection,
        items: &[NewItem],
        statement: &'static str,
    ) -> Result<Loaded, StoreError> {
        if items.is_empty() {
            return Ok(Loaded::default());
        }
        let written =
            without_time_limit(conn, |conn| loaded_items::write(conn, items, statement, self.lengths))?;
        // What this loader made itself is new, not changed.
        let is_own = |id: &ExternalId| self.items.get(id).is_some_and(|known| known.new);
        let own: HashSet<i32> =
            written.known.iter().filter(|(id, _)| is_own(id)).map(|(_, inner)| *inner).collect();
        let loaded = Loaded {
            items: written.made.len() as u64,
            changed_items: written.changed.iter().filter(|inner| !own.contains(inner)).count() as u64,
            ..Loaded::default()
        };
        let known = |new: bool| move |(name, id)| (name, Known { id, first: None, new });
        for (id, known) in written.known.into_iter().map(known(false)) {
            self.items.entry(id).or_insert(known);
        }
        self.items.extend(written.made.into_iter().map(known(true)));
        self.total += loaded;
        Ok(loaded)
    }

    /// Stores features that the shop states of users; makes users that are missing. Of one user given twice the later
    /// values count. One transaction.
    pub fn stated(&mut self, conn: &mut PgConnection, stated: &[StatedUser]) -> Result<Loaded, StoreError> {
        if stated.is_empty() {
            return Ok(Loaded::default());
        }
        let unknown = unknown(&self.users, stated.iter().map(|stated| &stated.user));
        let (ids, loaded) = without_time_limit(conn, |conn| {
            let ids = map_ids(conn, Names::Users, &unknown)?;
            let mut rows: BTreeMap<i32, StatedFeatures> = BTreeMap::new();
            for stated in stated {
                if let Some(known) = self.users.get(&stated.user).or_else(|| ids.get(&stated.user)) {
                    rows.insert(known.id, stated.features);
                }
            }
            let rows: Vec<(i32, StatedFeatures)> = rows.into_iter().collect();
            let changed = stated_features::put(conn, &rows)?;
            let loaded = Loaded { users: made(&ids), stated_users: changed as u64, ..Loaded::default() };
            Ok((ids, loaded))
        })?;
        self.users.extend(ids);
        self.total += loaded;
        Ok(loaded)
    }

    /// Flags users as robots at `now`, by the rates in their rows; how many were not flagged before. Users that no event has named
    /// are left out.
    pub fn mark_robots(
        &self,
        conn: &mut PgConnection,
        robots: &[ExternalId],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let flag = RobotFlag { since: now, reason: OF_ROWS.to_owned() };
        let flags: Vec<(UserId, RobotFlag)> = robots
            .iter()
            .filter_map(|robot| self.users.get(robot))
            .map(|known| (UserId::from_sql(known.id), flag.clone()))
            .collect();
        robots::mark(conn, &flags)
    }

    /// Once, after the last chunk: dates users and items back to their first event, since history is not news,
    /// and tells the planner what there is now.
    pub fn finish(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        without_time_limit(conn, |conn| {
            date_back(
                conn,
                &self.users,
                "UPDATE users SET created_at = first.at FROM unnest(?, ?) AS first (id, at) \
                 WHERE users.user_id = first.id AND users.created_at > first.at",
            )?;
            date_back(
                conn,
                &self.items,
                "UPDATE items SET created_at = first.at FROM unnest(?, ?) AS first (id, at) \
                 WHERE items.item_id = first.id AND items.created_at > first.at",
            )?;
            conn.batch_execute("ANALYZE events; ANALYZE users; ANALYZE items")?;
            Ok(())
        })
    }
}

/// Puts the words of searches into the rows of these events, as they are stored.
fn seal<'e>(
    conn: &mut PgConnection,
    fields: &Fields,
    events: impl Iterator<Item = &'e NewEvent>,
    rows: &mut [LoadedEvent<'e>],
) -> Result<(), StoreError> {
    let owner = |row: &LoadedEvent| row.user_id.map_or(Owner::SERVER, Owner);
    let searches =
        events.zip(rows.iter_mut()).filter_map(|(event, row)| Some((event.query.as_deref()?, row)));
    let searches: Vec<(&str, &mut LoadedEvent)> = searches.collect();
    let sealer = fields.sealer(conn, searches.iter().map(|(_, row)| owner(row)))?;
    for (words, row) in searches {
        row.query = Some(sealer.seal(owner(row), Field::Query, words)?);
    }
    Ok(())
}

fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(tidings_core::base::time::DAY_MICROS)
}

fn first_moment(day: i64) -> Timestamp {
    Timestamp(day.saturating_mul(tidings_core::base::time::DAY_MICROS))
}

fn unknown<'a>(known: &KnownIds, ids: impl Iterator<Item = &'a ExternalId>) -> HashSet<&'a ExternalId> {
    ids.filter(|id| !known.contains_key(*id)).collect()
}

/// Inner ids of these; makes those that are missing.
fn map_ids(
    conn: &mut PgConnection,
    names: Names,
    ids: &HashSet<&ExternalId>,
) -> Result<KnownIds, StoreError> {
    if ids.is_empty() {
        return Ok(KnownIds::new());
    }
    let found = find_all(conn, names, ids.iter().copied())?;
    let all = resolve_all(conn, names, ids.iter().copied())?;
    Ok(all
        .into_iter()
        .map(|(name, id)| (name.clone(), Known { id, first: None, new: !found.contains_key(name) }))
        .collect())
}

fn made(ids: &KnownIds) -> u64 {
    ids.values().filter(|known| known.new).count() as u64
}

fn date_back(conn: &mut PgConnection, known: &KnownIds, statement: &'static str) -> Result<(), StoreError> {
    let (ids, moments): (Vec<i32>, Vec<PgTimestamp>) =
        known.values().filter_map(|known| Some((known.id, to_pg(known.first?)))).unzip();
    sql::<()>(statement)
        .bind::<Array<Integer>, _>(ids)
        .bind::<Array<Timestamptz>, _>(moments)
        .execute(conn)?;
    Ok(())
}

/// Stores events; returns the number of rows that were not there before.
fn copy(conn: &mut PgConnection, rows: Vec<LoadedEvent>) -> Result<u64, StoreError> {
    conn.batch_execute(
        "DROP TABLE IF EXISTS pg_temp.loaded_events; CREATE TEMPORARY TABLE loaded_events (event_key uuid, occurred_at timestamptz, user_id integer, \
         item_id integer, kind smallint, dwell_ms integer, quantity real, value double precision, currency text, \
         basket bigint, query text, list_id uuid) ON COMMIT DROP",
    )?;
    diesel::copy_from(loaded_events::table).from_insertable(rows).execute(conn)?;
    // Leaving out what is there is a third faster than ON CONFLICT, which reserves every row before it writes it. Only
    // when another connection stores one of the events at this very moment does the slower way have to mend it.
    let written = match conn.transaction(|conn| sql::<()>(INSERT_MISSING).execute(conn)) {
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            sql::<()>(INSERT_OR_SKIP).execute(conn)?
        }
        written => written?,
    };
    // Not left to the commit: the caller's transaction may bring another chunk.
    conn.batch_execute("DROP TABLE loaded_events")?;
    Ok(written as u64)
}
