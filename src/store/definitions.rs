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
use crate::decide::definitions::{DefinitionKind, DefinitionState, StoredDefinition};

/// One version of a definition, with who stored it and when.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionRow {
    /// The version.
    pub definition: StoredDefinition,
    /// When it was stored.
    pub changed_at: Timestamp,
    /// User of the token that stored it, or `admin`.
    pub changed_by: String,
}

type Columns = (i64, String, String, i32, String, Value, PgTimestamp, String);

fn row(
    (id, kind, name, version, state, body, changed_at, changed_by): Columns,
) -> Result<DefinitionRow, StoreError> {
    let unknown = |column: &str, value: &str| StoreError::Unreadable {
        table: "definitions",
        reason: format!("{column} {value:?} is not known"),
    };
    let kind = DefinitionKind::ALL
        .into_iter()
        .find(|one| one.name() == kind)
        .ok_or_else(|| unknown("kind", &kind))?;
    let state = DefinitionState::ALL
        .into_iter()
        .find(|one| one.name() == state)
        .ok_or_else(|| unknown("state", &state))?;
    let definition = StoredDefinition { id, kind, name, version, state, body };
    Ok(DefinitionRow { definition, changed_at: from_pg(changed_at), changed_by })
}

/// The latest version of every name, by kind and name.
pub fn current(conn: &mut PgConnection) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = table::table
        .distinct_on((table::kind, table::name))
        .order((table::kind, table::name, table::version.desc()))
        .select((
            table::definition_id,
            table::kind,
            table::name,
            table::version,
            table::state,
            table::body,
            table::changed_at,
            table::changed_by,
        ))
        .load::<Columns>(conn)?;
    rows.into_iter().map(row).collect()
}

/// Every version of a name, the latest first, at most `limit`.
pub fn history(
    conn: &mut PgConnection,
    kind: DefinitionKind,
    name: &str,
    limit: i64,
) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = table::table
        .filter(table::kind.eq(kind.name()).and(table::name.eq(name)))
        .order(table::version.desc())
        .limit(limit)
        .select((
            table::definition_id,
            table::kind,
            table::name,
            table::version,
            table::state,
            table::body,
            table::changed_at,
            table::changed_by,
        ))
        .load::<Columns>(conn)?;
    rows.into_iter().map(row).collect()
}

/// Adds a version; its number. Two at once: one of them fails, and is said again.
pub fn put(
    conn: &mut PgConnection,
    kind: DefinitionKind,
    name: &str,
    state: DefinitionState,
    body: &Value,
    by: &str,
) -> Result<i32, StoreError> {
    let version = sql::<Integer>(
        "INSERT INTO definitions (kind, name, version, state, body, changed_by) \
         SELECT k, n, (SELECT coalesce(max(version), 0) + 1 FROM definitions d WHERE d.kind = k AND d.name = n), s, b, w \
         FROM (SELECT ?::text AS k, ?::text AS n, ?::text AS s, ?::jsonb AS b, ?::text AS w) AS new \
         RETURNING version",
    )
    .bind::<Text, _>(kind.name())
    .bind::<Text, _>(name)
    .bind::<Text, _>(state.name())
    .bind::<Jsonb, _>(body)
    .bind::<Text, _>(by)
    .get_result::<i32>(conn)?;
    Ok(version)
}
