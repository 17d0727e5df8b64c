//! Table `models`: every model set ever trained; one of them serves.

use std::collections::HashMap;
use std::io::Write;

use diesel::data_types::PgTimestamp;
use diesel::pg::CopyFormat;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::copy_in::{CopyIn, PIECE, store_error};
use crate::postgres::sql::sql;
use tidings_core::base::{ModelVersion, Timestamp};
use tidings_core::recommend::ModelSet;
use tidings_core::recommend::serve::Artefact;
use tidings_schema::models as table;

/// State of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// Serves; one model at most.
    Active,
    /// Passed its gate, but another serves.
    Retired,
    /// The gate said no.
    Rejected,
}

impl ModelState {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        [Self::Active, Self::Retired, Self::Rejected]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| StoreError::Unreadable {
                table: "models",
                reason: format!("state {name:?} is not known"),
            })
    }
}

/// A model to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewModel {
    /// From [`reserve_version`].
    pub version: ModelVersion,
    /// End of the training.
    pub created_at: Timestamp,
    /// `Active` retires the one that serves now.
    pub state: ModelState,
    /// Hyper-parameters.
    pub parameters: serde_json::Value,
    /// Hold-out metrics by name.
    pub metrics: serde_json::Value,
    /// Comparison made by the gate, and its verdict.
    pub gate: serde_json::Value,
    /// Number of events trained on.
    pub events: i64,
    /// Training and evaluation, wall clock, milliseconds.
    pub took_ms: i32,
    /// The model card.
    pub card: Option<serde_json::Value>,
}

/// Bytes of an artefact: the model set, versioned and checksummed.
pub trait ArtefactBytes {
    /// Number of bytes.
    fn length(&self) -> usize;

    /// Writes all of them.
    fn write(&self, to: &mut dyn Write) -> std::io::Result<()>;
}

impl ArtefactBytes for Artefact<ModelSet> {
    fn length(&self) -> usize {
        self.length()
    }

    fn write(&self, to: &mut dyn Write) -> std::io::Result<()> {
        self.write(to)
    }
}

impl ArtefactBytes for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn write(&self, to: &mut dyn Write) -> std::io::Result<()> {
        self.chunks(PIECE).try_for_each(|piece| to.write_all(piece))
    }
}

/// A stored model without its artefact.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Version of the model.
    pub version: ModelVersion,
    /// End of the training.
    pub created_at: Timestamp,
    /// State of the model.
    pub state: ModelState,
    /// Hyper-parameters.
    pub parameters: serde_json::Value,
    /// Hold-out metrics by name.
    pub metrics: serde_json::Value,
    /// Comparison made by the gate, and its verdict.
    pub gate: serde_json::Value,
    /// Number of events trained on.
    pub events: i64,
    /// Training and evaluation, wall clock, milliseconds.
    pub took_ms: i32,
    /// Last time it began to serve.
    pub activated_at: Option<Timestamp>,
}

/// The next version, nobody else's: an artefact names its own, so it is needed before the row. One that is never
/// inserted leaves a gap.
pub fn reserve_version(conn: &mut PgConnection) -> Result<ModelVersion, StoreError> {
    let version =
        sql::<Integer>("SELECT nextval(pg_get_serial_sequence('models', 'model_version'))::integer")
            .get_result::<i32>(conn)?;
    Ok(ModelVersion(version))
}

/// Stores a model, by COPY: an INSERT would hold the artefact whole, three times. An `Active` one takes over in the same transaction.
pub fn insert(
    conn: &mut PgConnection,
    model: &NewModel,
    artefact: &(impl ArtefactBytes + ?Sized),
) -> Result<(), StoreError> {
    conn.transaction(|conn| {
        let activated_at = if model.state == ModelState::Active {
            retire_active(conn)?;
            Some(to_pg(model.created_at))
        } else {
            None
        };
        let write = |to: &mut dyn Write| write_row(model, artefact, activated_at, to).map_err(store_error);
        diesel::copy_from(table::table)
            .from_raw_data(table::table, write)
            .with_format(CopyFormat::Binary)
            .execute(conn)?;
        Ok(())
    })
}

/// All columns, in the order of the schema.
fn write_row(
    model: &NewModel,
    artefact: &(impl ArtefactBytes + ?Sized),
    activated_at: Option<PgTimestamp>,
    to: &mut dyn Write,
) -> std::io::Result<()> {
    let mut copy = CopyIn::new(to)?;
    copy.row(11)?;
    copy.value(&model.version.0.to_be_bytes())?;
    copy.value(&to_pg(model.created_at).0.to_be_bytes())?;
    copy.value(model.state.name().as_bytes())?;
    for value in [&model.parameters, &model.metrics, &model.gate] {
        copy.json(value)?;
    }
    copy.value(&model.events.to_be_bytes())?;
    copy.value(&model.took_ms.to_be_bytes())?;
    copy.written(artefact.length(), |to| artefact.write(to))?;
    match activated_at {
        Some(at) => copy.value(&at.0.to_be_bytes())?,
        None => copy.null()?,
    }
    match &model.card {
        Some(card) => copy.json(card)?,
        None => copy.null()?,
    }
    copy.end()
}

/// Makes this version the one that serves, whatever the gate said of it; false when there is no such version.
pub fn activate(conn: &mut PgConnection, version: ModelVersion) -> Result<bool, StoreError> {
    conn.transaction(|conn| {
        let known =
            diesel::select(diesel::dsl::exists(table::table.find(version.0))).get_result::<bool>(conn)?;
        if !known {
            return Ok(false);
        }
        retire_active(conn)?;
        diesel::update(table::table.find(version.0))
            .set((table::state.eq(ModelState::Active.name()), table::activated_at.eq(diesel::dsl::now)))
            .execute(conn)?;
        Ok(true)
    })
}

/// Under a lock until the transaction ends, so that two at once take turns instead of failing on the unique index.
fn retire_active(conn: &mut PgConnection) -> Result<(), StoreError> {
    sql::<()>("SELECT pg_advisory_xact_lock(hashtext('models.active'))").execute(conn)?;
    diesel::update(table::table)
        .filter(table::state.eq(ModelState::Active.name()))
        .set(table::state.eq(ModelState::Retired.name()))
        .execute(conn)?;
    Ok(())
}

/// The version that serves; `None` before the first.
pub fn active_version(conn: &mut PgConnection) -> Result<Option<ModelVersion>, StoreError> {
    let version = table::table
        .filter(table::state.eq(ModelState::Active.name()))
        .select(table::model_version)
        .first::<i32>(conn)
        .optional()?;
    Ok(version.map(ModelVersion))
}

/// The version that served before the one that serves now; `None` when there was none. For a roll-back.
pub fn previous_version(conn: &mut PgConnection) -> Result<Option<ModelVersion>, StoreError> {
    let version = table::table
        .filter(table::state.ne(ModelState::Active.name()).and(table::activated_at.is_not_null()))
        .order((table::activated_at.desc(), table::model_version.desc()))
        .select(table::model_version)
        .first::<i32>(conn)
        .optional()?;
    Ok(version.map(ModelVersion))
}

/// Bytes of each version's artefact.
pub fn sizes(conn: &mut PgConnection) -> Result<HashMap<ModelVersion, i64>, StoreError> {
    let rows = sql::<(Integer, BigInt)>("SELECT model_version, octet_length(artefact)::bigint FROM models")
        .load::<(i32, i64)>(conn)?;
    Ok(rows.into_iter().map(|(version, bytes)| (ModelVersion(version), bytes)).collect())
}

/// The artefact of a version; `None` when there is no such version.
pub fn load(conn: &mut PgConnection, version: ModelVersion) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(table::table.find(version.0).select(table::artefact).first(conn).optional()?)
}

/// Every version.
pub fn versions(conn: &mut PgConnection) -> Result<Vec<ModelVersion>, StoreError> {
    let versions = table::table.select(table::model_version).order(table::model_version).load::<i32>(conn)?;
    Ok(versions.into_iter().map(ModelVersion).collect())
}

/// Replaces the artefact of a version, if it is there.
pub fn replace(conn: &mut PgConnection, version: ModelVersion, artefact: &[u8]) -> Result<(), StoreError> {
    diesel::update(table::table.find(version.0)).set(table::artefact.eq(artefact)).execute(conn)?;
    Ok(())
}

/// The card of a version; `None` when there is no such version, or none was made of it.
pub fn card(conn: &mut PgConnection, version: ModelVersion) -> Result<Option<serde_json::Value>, StoreError> {
    let found = table::table.find(version.0).select(table::card).first::<Option<serde_json::Value>>(conn);
    Ok(found.optional()?.flatten())
}

/// Newest first, at most `limit`.
pub fn list(conn: &mut PgConnection, limit: i64) -> Result<Vec<ModelRow>, StoreError> {
    type Columns = (
        i32,
        PgTimestamp,
        String,
        serde_json::Value,
        serde_json::Value,
        serde_json::Value,
        i64,
        i32,
        Option<PgTimestamp>,
    );
    let rows = table::table
        .order(table::model_version.desc())
        .limit(limit.max(0))
        .select((
            table::model_version,
            table::created_at,
            table::state,
            table::parameters,
            table::metrics,
            table::gate,
            table::events,
            table::took_ms,
            table::activated_at,
        ))
        .load::<Columns>(conn)?;
    rows.into_iter()
        .map(|(version, created_at, state, parameters, metrics, gate, events, took_ms, activated_at)| {
            Ok(ModelRow {
                version: ModelVersion(version),
                created_at: from_pg(created_at),
                state: ModelState::from_name(&state)?,
                parameters,
                metrics,
                gate,
                events,
                took_ms,
                activated_at: activated_at.map(from_pg),
            })
        })
        .collect()
}

/// Deletes the oldest versions that do not serve and that no running experiment names, until `keep` are left. How many went.
pub fn prune(conn: &mut PgConnection, keep: i64) -> Result<usize, StoreError> {
    let changed = diesel::sql_query(
        "DELETE FROM models WHERE state <> 'active' AND model_version NOT IN \
         (SELECT model_version FROM models ORDER BY model_version DESC LIMIT $1) AND model_version NOT IN \
         (SELECT (arm->>'model')::integer FROM (SELECT DISTINCT ON (name) state, body FROM definitions \
           WHERE kind = 'experiment' AND state <> 'draft' ORDER BY name, version DESC) d, \
           jsonb_array_elements(d.body->'arms') arm \
           WHERE d.state = 'active' AND jsonb_typeof(arm->'model') = 'number')",
    )
    .bind::<diesel::sql_types::BigInt, _>(keep.max(1))
    .execute(conn)?;
    Ok(changed)
}
