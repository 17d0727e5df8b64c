//! Table `learner`: what was learned about when, how much and in which words to write; one row.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Jsonb, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_schema::learner as table;

/// State saved last in this `version` of the format, and the moment of saving; `None` if nothing was.
pub fn load(
    conn: &mut PgConnection,
    version: i32,
) -> Result<Option<(serde_json::Value, Timestamp)>, StoreError> {
    let row = table::table
        .filter(table::version.eq(version))
        .select((table::learned, table::saved_at))
        .first::<(serde_json::Value, diesel::data_types::PgTimestamp)>(conn)
        .optional()?;
    Ok(row.map(|(learned, at)| (learned, from_pg(at))))
}

/// Replaces what was saved.
pub fn save(
    conn: &mut PgConnection,
    version: i32,
    learned: &serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    sql::<()>(
        "INSERT INTO learner (version, learned, saved_at) VALUES (?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, learned = excluded.learned, saved_at = excluded.saved_at",
    )
    .bind::<Integer, _>(version)
    .bind::<Jsonb, _>(learned)
    .bind::<Timestamptz, _>(to_pg(at))
    .execute(conn)?;
    Ok(())
}
