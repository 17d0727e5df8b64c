//! Table `definitions`: triggers, templates, policies and experiments, a row for every change. The latest version of a name that is
//! no draft is in force.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Jsonb, Nullable, Text, Timestamptz};
use serde_json::Value;

use super::experiment_definitions;
use crate::postgres::StoreError;
use crate::postgres::convert::from_pg;
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::decide::definition_change::NewVersion;
use tidings_decision::decide::definitions::{DefinitionKind, DefinitionState, StoredDefinition};
use tidings_schema::definitions as table;

/// One version of a definition, with who stored it and when.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionRow {
    /// The version.
    pub definition: StoredDefinition,
    /// Moment of storage.
    pub changed_at: Timestamp,
    /// User of the token that stored it, or `admin`.
    pub changed_by: String,
}

type Columns = (i64, String, String, i32, String, Value, PgTimestamp, String, Option<i32>);

type ColumnTypes = (BigInt, Text, Text, Integer, Text, Jsonb, Timestamptz, Text, Nullable<Integer>);

fn row(
    (id, kind, name, version, state, body, changed_at, changed_by, repeats): Columns,
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
    let definition = StoredDefinition { id, kind, name, version, state, body, repeats };
    Ok(DefinitionRow { definition, changed_at: from_pg(changed_at), changed_by })
}

/// Of every name the version in force, active or paused, and beside it the newest draft unless that was activated; by kind and
/// name.
pub fn current(conn: &mut PgConnection) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = sql::<ColumnTypes>(
        "SELECT definition_id, kind, name, version, state, body, changed_at, changed_by, repeats FROM \
         (SELECT DISTINCT ON (kind, name, state = 'draft') * FROM definitions \
          ORDER BY kind, name, state = 'draft', version DESC) newest \
         WHERE state <> 'draft' OR NOT EXISTS (SELECT FROM definitions later WHERE later.kind = newest.kind \
          AND later.name = newest.name AND later.repeats = newest.version) \
         ORDER BY kind, name, version",
    )
    .load::<Columns>(conn)?;
    rows.into_iter().map(row).collect()
}

/// Every version of a name, the latest first.
pub fn history(
    conn: &mut PgConnection,
    kind: DefinitionKind,
    name: &str,
) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = table::table
        .filter(table::kind.eq(kind.name()).and(table::name.eq(name)))
        .order(table::version.desc())
        .select((
            table::definition_id,
            table::kind,
            table::name,
            table::version,
            table::state,
            table::body,
            table::changed_at,
            table::changed_by,
            table::repeats,
        ))
        .load::<Columns>(conn)?;
    rows.into_iter().map(row).collect()
}

/// Makes other changes wait until the transaction ends, so that what one of them has checked is still so when it is stored.
pub fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    sql::<()>("SELECT pg_advisory_xact_lock(hashtext('definitions'))").execute(conn)?;
    Ok(())
}

/// Adds a version, after [`lock`]. An experiment gets its phase.
pub fn put(
    conn: &mut PgConnection,
    kind: DefinitionKind,
    name: &str,
    new: &NewVersion,
    by: &str,
) -> Result<DefinitionRow, StoreError> {
    let body = match kind {
        DefinitionKind::Experiment => &experiment_definitions::in_phase(conn, name, &new.body)?,
        _ => &new.body,
    };
    let stored = sql::<ColumnTypes>(
        "INSERT INTO definitions (kind, name, version, state, body, changed_by, repeats) \
         SELECT k, n, (SELECT coalesce(max(version), 0) + 1 FROM definitions d WHERE d.kind = k AND d.name = n), s, b, w, r \
         FROM (SELECT ?::text AS k, ?::text AS n, ?::text AS s, ?::jsonb AS b, ?::text AS w, ?::integer AS r) AS new \
         RETURNING definition_id, kind, name, version, state, body, changed_at, changed_by, repeats",
    )
    .bind::<Text, _>(kind.name())
    .bind::<Text, _>(name)
    .bind::<Text, _>(new.state.name())
    .bind::<Jsonb, _>(body)
    .bind::<Text, _>(by)
    .bind::<Nullable<Integer>, _>(new.repeats)
    .get_result::<Columns>(conn)?;
    row(stored)
}
