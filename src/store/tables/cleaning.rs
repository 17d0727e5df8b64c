//! Table `cleaning_reports`: what each import read, changed and refused.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;

use crate::postgres::StoreError;
use crate::postgres::convert::from_pg;
use tidings_core::base::Timestamp;
use tidings_schema::cleaning_reports as table;

/// A report to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCleaning {
    /// Format and file name.
    pub source: String,
    /// Rows in the files.
    pub rows_read: i64,
    /// Events newly stored.
    pub rows_kept: i64,
    /// Array of `{step, description, dropped, changed}`, in order.
    pub steps: serde_json::Value,
}

/// A stored report.
#[derive(Clone, Debug, PartialEq)]
pub struct CleaningRow {
    /// Moment of storage.
    pub created_at: Timestamp,
    /// Content of the report.
    pub report: NewCleaning,
}

/// Stores a report.
pub fn insert(conn: &mut PgConnection, report: &NewCleaning) -> Result<(), StoreError> {
    diesel::insert_into(table::table)
        .values((
            table::source.eq(&report.source),
            table::rows_read.eq(report.rows_read),
            table::rows_kept.eq(report.rows_kept),
            table::steps.eq(&report.steps),
        ))
        .execute(conn)?;
    Ok(())
}

/// Newest first, at most `limit`.
pub fn recent(conn: &mut PgConnection, limit: i64) -> Result<Vec<CleaningRow>, StoreError> {
    let rows = table::table
        .order(table::report_id.desc())
        .limit(limit.max(0))
        .select((table::created_at, table::source, table::rows_read, table::rows_kept, table::steps))
        .load::<(PgTimestamp, String, i64, i64, serde_json::Value)>(conn)?;
    Ok(rows
        .into_iter()
        .map(|(created_at, source, rows_read, rows_kept, steps)| CleaningRow {
            created_at: from_pg(created_at),
            report: NewCleaning { source, rows_read, rows_kept, steps },
        })
        .collect())
}
