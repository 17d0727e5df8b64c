//! Table `consents`: the ledger of what users agreed to. Rows are added, never changed; the latest of a purpose holds.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Text};

use crate::postgres::StoreError;
use crate::postgres::convert::from_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{Timestamp, UserId};
use tidings_schema::consents as table;

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// `profiling`, `marketing` or `push`.
    pub purpose: String,
    /// Given, or refused or taken back.
    pub granted: bool,
    /// Place where the answer was given.
    pub source: String,
    /// Version of the wording that the user saw.
    pub text_version: String,
    /// Moment of the entry.
    pub recorded_at: Timestamp,
}

/// Adds entries; their time is the database's. The user must exist.
pub fn add(conn: &mut PgConnection, user: UserId, rows: &[ConsentRow]) -> Result<(), StoreError> {
    for row in rows {
        diesel::insert_into(table::table)
            .values((
                table::user_id.eq(user.to_sql()),
                table::purpose.eq(&row.purpose),
                table::granted.eq(row.granted),
                table::source.eq(&row.source),
                table::text_version.eq(&row.text_version),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The user's entries, the latest first.
pub fn ledger(conn: &mut PgConnection, user: UserId, limit: i64) -> Result<Vec<ConsentRow>, StoreError> {
    let rows = table::table
        .filter(table::user_id.eq(user.to_sql()))
        .order(table::consent_id.desc())
        .limit(limit)
        .select((table::purpose, table::granted, table::source, table::text_version, table::recorded_at))
        .load::<(String, bool, String, String, PgTimestamp)>(conn)?;
    Ok(rows
        .into_iter()
        .map(|(purpose, granted, source, text_version, at)| ConsentRow {
            purpose,
            granted,
            source,
            text_version,
            recorded_at: from_pg(at),
        })
        .collect())
}

/// Current consents of many users: the latest entry of each purpose.
pub(super) fn load(conn: &mut PgConnection, ids: &[i32]) -> Result<Vec<(UserId, String, bool)>, StoreError> {
    let rows = sql::<(Integer, Text, Bool)>(
        "SELECT DISTINCT ON (user_id, purpose) user_id, purpose, granted FROM consents WHERE user_id = ANY(?) \
         ORDER BY user_id, purpose, consent_id DESC",
    )
    .bind::<Array<Integer>, _>(ids)
    .load::<(i32, String, bool)>(conn)?;
    Ok(rows.into_iter().map(|(user, purpose, granted)| (UserId::from_sql(user), purpose, granted)).collect())
}
