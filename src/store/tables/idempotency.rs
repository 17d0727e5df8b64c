//! Table `idempotency_keys`: requests that were accepted under an `Idempotency-Key`, with the answer they got. Key and answer are
//! stored in the transaction that accepts the request, so a key is there if and only if its request was accepted.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;

/// A request under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Hash of the key.
    pub key: Uuid,
    /// Hash of the request.
    pub fingerprint: Uuid,
}

/// A request that was accepted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Hash of that request.
    pub fingerprint: Uuid,
    /// JSON body of its answer.
    pub answer: String,
}

/// Claims keys for the requests of this transaction. Returns those that were free; of one key twice it claims one. Waits for a
/// transaction that has claimed one of them and is still under way.
pub fn claim(conn: &mut PgConnection, requests: &[Request]) -> Result<HashSet<Uuid>, StoreError> {
    if requests.is_empty() {
        return Ok(HashSet::new());
    }
    let new = sql::<SqlUuid>(
        "INSERT INTO idempotency_keys (key_hash, fingerprint, answer) SELECT k, f, '' FROM unnest(?, ?) AS r (k, f) \
         ORDER BY k ON CONFLICT DO NOTHING RETURNING key_hash",
    )
    .bind::<Array<SqlUuid>, _>(column(requests, |request| request.key))
    .bind::<Array<SqlUuid>, _>(column(requests, |request| request.fingerprint))
    .load::<Uuid>(conn)?;
    Ok(new.into_iter().collect())
}

/// Stores the answers of requests by key.
pub fn answer(conn: &mut PgConnection, answers: &[(Uuid, String)]) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    sql::<()>(
        "UPDATE idempotency_keys i SET answer = a.answer FROM unnest(?, ?) AS a (key, answer) WHERE i.key_hash = a.key",
    )
    .bind::<Array<SqlUuid>, _>(column(answers, |(key, _)| *key))
    .bind::<Array<Text>, _>(column(answers, |(_, answer)| answer.as_str()))
    .execute(conn)?;
    Ok(())
}

/// Requests that were accepted under these keys.
pub fn find(conn: &mut PgConnection, keys: &[Uuid]) -> Result<HashMap<Uuid, Stored>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sql::<(SqlUuid, SqlUuid, Text)>(
        "SELECT key_hash, fingerprint, answer FROM idempotency_keys WHERE key_hash = ANY(?)",
    )
    .bind::<Array<SqlUuid>, _>(keys)
    .load::<(Uuid, Uuid, String)>(conn)?;
    Ok(rows.into_iter().map(|(key, fingerprint, answer)| (key, Stored { fingerprint, answer })).collect())
}

/// Gives a key back that this transaction has claimed: its request was refused.
pub fn forget(conn: &mut PgConnection, request: Option<Request>) -> Result<(), StoreError> {
    if let Some(request) = request {
        sql::<()>("DELETE FROM idempotency_keys WHERE key_hash = ?")
            .bind::<SqlUuid, _>(request.key)
            .execute(conn)?;
    }
    Ok(())
}

/// Forgets at most `limit` keys accepted before `before`; how many.
pub fn prune(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let text = "DELETE FROM idempotency_keys WHERE key_hash IN \
                (SELECT key_hash FROM idempotency_keys WHERE accepted_at < ? ORDER BY accepted_at LIMIT ?)";
    Ok(sql::<()>(text).bind::<Timestamptz, _>(to_pg(before)).bind::<BigInt, _>(limit).execute(conn)?)
}
