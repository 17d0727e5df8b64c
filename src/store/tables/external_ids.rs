//! External ids to dense inner ids, for users and items alike.

use std::collections::HashMap;

use diesel::sql_types::{Array, Integer, Text};
use diesel::{PgConnection, RunQueryDsl};

use crate::postgres::StoreError;
use crate::postgres::sql::sql;
use tidings_core::base::ExternalId;

/// One of the two tables with external ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Users,
    Items,
}

/// Inner ids by external id, those that exist. One query.
pub(super) fn find_all<'a>(
    conn: &mut PgConnection,
    names: Names,
    ids: impl IntoIterator<Item = &'a ExternalId>,
) -> Result<HashMap<&'a ExternalId, i32>, StoreError> {
    let wanted = distinct(ids);
    let mut found = HashMap::with_capacity(wanted.len());
    select(conn, names, &wanted, &mut found)?;
    Ok(found)
}

/// Inner ids by external id; makes those that are missing. At most three queries, whatever the number of ids. Users that were erased
/// are not made anew, and have none.
///
/// Reads first: an `INSERT … ON CONFLICT` uses up a number for each id that is already there, and inner ids are the
/// width of every vector. Inserts in order of the text, so that two batches that overlap can't deadlock.
pub(super) fn resolve_all<'a>(
    conn: &mut PgConnection,
    names: Names,
    ids: impl IntoIterator<Item = &'a ExternalId>,
) -> Result<HashMap<&'a ExternalId, i32>, StoreError> {
    let wanted = distinct(ids);
    let mut found = HashMap::with_capacity(wanted.len());
    select(conn, names, &wanted, &mut found)?;
    let missing = without(&wanted, &found);
    if missing.is_empty() {
        return Ok(found);
    }
    insert(conn, names, &missing, &mut found)?;
    // Someone else made them in between: their transaction is over now, so they can be read.
    let contested = without(&missing, &found);
    if !contested.is_empty() {
        select(conn, names, &contested, &mut found)?;
    }
    Ok(found)
}

type Named<'a> = (String, &'a ExternalId);

/// Each id once, in order of its text.
fn distinct<'a>(ids: impl IntoIterator<Item = &'a ExternalId>) -> Vec<Named<'a>> {
    let mut distinct: Vec<&ExternalId> = ids.into_iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut named: Vec<Named> = distinct.into_iter().map(|id| (id.to_string(), id)).collect();
    named.sort_unstable();
    named
}

fn without<'a>(wanted: &[Named<'a>], found: &HashMap<&'a ExternalId, i32>) -> Vec<Named<'a>> {
    wanted.iter().filter(|(_, id)| !found.contains_key(id)).cloned().collect()
}

fn select<'a>(
    conn: &mut PgConnection,
    names: Names,
    wanted: &[Named<'a>],
    found: &mut HashMap<&'a ExternalId, i32>,
) -> Result<(), StoreError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = wanted.iter().map(|(text, _)| text.as_str()).collect();
    let statement = match names {
        Names::Users => {
            "SELECT external_id, coalesce(merged_into, user_id) FROM users WHERE external_id = ANY(?)"
        }
        Names::Items => "SELECT external_id, item_id FROM items WHERE external_id = ANY(?)",
    };
    let rows = sql::<(Text, Integer)>(statement).bind::<Array<Text>, _>(texts).load(conn)?;
    note(wanted, rows, found);
    Ok(())
}

fn insert<'a>(
    conn: &mut PgConnection,
    names: Names,
    missing: &[Named<'a>],
    found: &mut HashMap<&'a ExternalId, i32>,
) -> Result<(), StoreError> {
    let texts: Vec<&str> = missing.iter().map(|(text, _)| text.as_str()).collect();
    let statement = match names {
        Names::Users => {
            "INSERT INTO users (external_id) SELECT n FROM unnest(?) AS n \
             WHERE NOT EXISTS (SELECT FROM tombstones) OR NOT EXISTS \
             (SELECT FROM tombstones WHERE id_hash = erased_id_hash(n) AND until > now()) \
             ON CONFLICT DO NOTHING RETURNING external_id, user_id"
        }
        Names::Items => {
            "INSERT INTO items (external_id) SELECT * FROM unnest(?) ON CONFLICT DO NOTHING RETURNING external_id, item_id"
        }
    };
    let rows = sql::<(Text, Integer)>(statement).bind::<Array<Text>, _>(texts).load(conn)?;
    note(missing, rows, found);
    Ok(())
}

fn note<'a>(wanted: &[Named<'a>], rows: Vec<(String, i32)>, found: &mut HashMap<&'a ExternalId, i32>) {
    for (text, inner) in rows {
        if let Ok(position) = wanted.binary_search_by(|(name, _)| name.as_str().cmp(&text))
            && let Some((_, id)) = wanted.get(position)
        {
            found.insert(id, inner);
        }
    }
}
