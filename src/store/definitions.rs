//! Table `definitions`: triggers, templates and policies, a row for every change. The latest version of a name holds.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Jsonb, Text};
use serde_json::Value;

use super::StoreError;
use super::convert::from_pg;
use super::schema::definitions as table;
use super::sql::sql;
use crate::base::Timestamp;

/// One version of a definition.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionRow {
    /// `trigger`, `template` or `policy`.
    pub kind: String,
    /// Unique within its kind.
    pub name: String,
    /// Counts up from 1.
    pub version: i32,
    /// `draft`, `active` or `paused`.
    pub state: String,
    /// The definition.
    pub body: Value,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub changed_by: String,
}

type Columns = (String, String, i32, String, Value, PgTimestamp, String);

fn row((kind, name, version, state, body, changed_at, changed_by): Columns) -> DefinitionRow {
    DefinitionRow { kind, name, version, state, body, changed_at: from_pg(changed_at), changed_by }
}

/// The latest version of every name, by kind and name.
pub fn current(conn: &mut PgConnection) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = table::table
        .distinct_on((table::kind, table::name))
        .order((table::kind, table::name, table::version.desc()))
        .select((
            table::kind,
            table::name,
            table::version,
            table::state,
            table::body,
            table::changed_at,
            table::changed_by,
        ))
        .load::<Columns>(conn)?;
    Ok(rows.into_iter().map(row).collect())
}

/// Every version of a name, the latest first, at most `limit`.
pub fn history(
    conn: &mut PgConnection,
    kind: &str,
    name: &str,
    limit: i64,
) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = table::table
        .filter(table::kind.eq(kind).and(table::name.eq(name)))
        .order(table::version.desc())
        .limit(limit)
        .select((
            table::kind,
            table::name,
            table::version,
            table::state,
            table::body,
            table::changed_at,
            table::changed_by,
        ))
        .load::<Columns>(conn)?;
    Ok(rows.into_iter().map(row).collect())
}

/// Adds a version; its number. Two at once: one of them fails, and is said again.
pub fn put(
    conn: &mut PgConnection,
    kind: &str,
    name: &str,
    state: &str,
    body: &Value,
    by: &str,
) -> Result<i32, StoreError> {
    let version = sql::<Integer>(
        "INSERT INTO definitions (kind, name, version, state, body, changed_by) \
         SELECT k, n, (SELECT coalesce(max(version), 0) + 1 FROM definitions d WHERE d.kind = k AND d.name = n), s, b, w \
         FROM (SELECT ?::text AS k, ?::text AS n, ?::text AS s, ?::jsonb AS b, ?::text AS w) AS new \
         RETURNING version",
    )
    .bind::<Text, _>(kind)
    .bind::<Text, _>(name)
    .bind::<Text, _>(state)
    .bind::<Jsonb, _>(body)
    .bind::<Text, _>(by)
    .get_result::<i32>(conn)?;
    Ok(version)
}
