//! Tables `revocations` and `identity_changes`: revoked tokens, and how often something about identity has changed.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::Revoked;

/// A revocation.
#[derive(Clone, Debug, PartialEq)]
pub struct RevocationRow {
    /// Its number.
    pub id: i64,
    /// Tokens that it covers.
    pub revoked: Revoked,
    /// For people.
    pub reason: String,
    /// Moment at which it was made.
    pub created_at: Timestamp,
    /// Its maker.
    pub created_by: String,
}

type Columns = (BigInt, Nullable<Text>, Nullable<Text>, Timestamptz, Text, Timestamptz, Text);
type Row = (i64, Option<String>, Option<String>, PgTimestamp, String, PgTimestamp, String);

fn revocation(row: Row) -> RevocationRow {
    let (id, token, subject, before, reason, created_at, created_by) = row;
    let revoked = match (token, subject) {
        (Some(token), _) => Revoked::Token(token),
        (None, Some(subject)) => Revoked::Subject(subject, from_pg(before)),
        (None, None) => Revoked::All(from_pg(before)),
    };
    RevocationRow { id, revoked, reason, created_at: from_pg(created_at), created_by }
}

/// Number of changes of anything about identity.
pub fn changes(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql::<BigInt>("SELECT changes FROM identity_changes").get_result(conn)?)
}

/// Adds a revocation.
pub fn add(
    conn: &mut PgConnection,
    revoked: &Revoked,
    reason: &str,
    by: &str,
    now: Timestamp,
) -> Result<RevocationRow, StoreError> {
    let (token, subject, before) = match revoked {
        Revoked::Token(token) => (Some(token), None, now),
        Revoked::Subject(subject, before) => (None, Some(subject), *before),
        Revoked::All(before) => (None, None, *before),
    };
    let row = sql::<Columns>(
        "INSERT INTO revocations (token_id, subject, issued_before, reason, created_by) VALUES (?, ?, ?, ?, ?) \
         RETURNING revocation_id, token_id, subject, issued_before, reason, created_at, created_by",
    )
    .bind::<Nullable<Text>, _>(token)
    .bind::<Nullable<Text>, _>(subject)
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<Text, _>(reason)
    .bind::<Text, _>(by)
    .get_result::<Row>(conn)?;
    Ok(revocation(row))
}

/// Revocations before a number, the latest first; all of them before `i64::MAX`.
pub fn list(conn: &mut PgConnection, before: i64, limit: i64) -> Result<Vec<RevocationRow>, StoreError> {
    let rows = sql::<Columns>(
        "SELECT revocation_id, token_id, subject, issued_before, reason, created_at, created_by FROM revocations \
         WHERE revocation_id < ? ORDER BY revocation_id DESC LIMIT ?",
    )
    .bind::<BigInt, _>(before)
    .bind::<BigInt, _>(limit)
    .load::<Row>(conn)?;
    Ok(rows.into_iter().map(revocation).collect())
}
