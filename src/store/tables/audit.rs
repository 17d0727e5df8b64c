//! Table `audit_log`: rows are added; each carries the hash of the chain up to it. Only an erasure changes some, by replacing the id of
//! a user, which the chain bears.

use diesel::connection::SimpleConnection;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz};

use crate::postgres::columns::Batch;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, in_transaction, lock_until_commit};
use tidings_core::base::Timestamp;
use tidings_decision::privacy::audit::{AuditEntry, Chained, FIRST, Hash, Salt, Seal};

/// Key of the advisory lock under which rows are added ("audit" in ASCII).
const LOCK: i64 = 0x0061_7564_6974;

/// Entries that are asked for, the latest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Subject of a token, or account of a command.
    pub actor: Option<String>,
    /// Text in the action or the command.
    pub action: Option<String>,
    /// Text in the object.
    pub object: Option<String>,
    /// HTTP status.
    pub status: Option<i16>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Only entries before this place.
    pub before: Option<i64>,
    /// Most entries.
    pub limit: i64,
}

type Columns = (
    BigInt,
    Timestamptz,
    Nullable<Text>,
    Text,
    Nullable<Text>,
    Text,
    Text,
    SmallInt,
    Nullable<Text>,
    Nullable<Text>,
    Binary,
    Nullable<Binary>,
    Nullable<Binary>,
    Bool,
);
type Row = (
    i64,
    PgTimestamp,
    Option<String>,
    String,
    Option<String>,
    String,
    String,
    i16,
    Option<String>,
    Option<String>,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    bool,
);

fn unreadable(reason: &str) -> StoreError {
    StoreError::Unreadable { table: "audit_log", reason: reason.to_owned() }
}

fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| unreadable("a hash has 32 bytes"))
}

fn salt(bytes: &[u8]) -> Result<Salt, StoreError> {
    bytes.try_into().map_err(|_| unreadable("a salt has 16 bytes"))
}

fn chained(row: Row) -> Result<Chained, StoreError> {
    let (
        seq,
        at,
        actor,
        role,
        address,
        action,
        object,
        status,
        before,
        after,
        bytes,
        salted,
        digest,
        is_pseudonymous,
    ) = row;
    let (occurred_at, status) = (from_pg(at), u16::try_from(status).unwrap_or_default());
    let entry = AuditEntry { occurred_at, actor, role, address, action, object, status, before, after };
    let seal = match digest {
        Some(digest) => Some(Seal { salt: salted.as_deref().map(salt).transpose()?, digest: hash(&digest)? }),
        None => None,
    };
    Ok(Chained { seq, entry, hash: hash(&bytes)?, seal, is_pseudonymous })
}

/// Adds entries to the end of the chain, in their order; writers take turns up to their commits, and reach the disk together.
pub fn append(conn: &mut PgConnection, entries: &[AuditEntry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    in_transaction(conn, |conn| {
        lock_until_commit(conn, LOCK)?;
        let last = sql::<(BigInt, Binary)>("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1")
            .load::<(i64, Vec<u8>)>(conn)?
            .pop();
        let (mut seq, mut end) = match last {
            Some((seq, bytes)) => (seq, hash(&bytes)?),
            None => (0, FIRST),
        };
        let rows: Vec<Chained> = entries
            .iter()
            .map(|entry| {
                let entry = entry.clone().bounded();
                seq += 1;
                let link = Chained::after(&end, seq, entry, rand::random());
                end = link.hash;
                link
            })
            .collect();
        insert(conn, &rows)
    })
}

fn insert(conn: &mut PgConnection, rows: &[Chained]) -> Result<(), StoreError> {
    let columns = Batch::of(rows)
        .column::<BigInt, _>("seq", |row| row.seq)
        .column::<Timestamptz, _>("occurred_at", |row| to_pg(row.entry.occurred_at))
        .column::<Nullable<Text>, _>("actor", |row| row.entry.actor.as_deref())
        .column::<Text, _>("role", |row| row.entry.role.as_str())
        .column::<Nullable<Text>, _>("address", |row| row.entry.address.as_deref())
        .column::<Text, _>("action", |row| row.entry.action.as_str())
        .column::<Text, _>("object", |row| row.entry.object.as_str())
        .column::<SmallInt, _>("status", |row| i16::try_from(row.entry.status).unwrap_or(i16::MAX))
        .column::<Nullable<Text>, _>("before", |row| row.entry.before.as_deref())
        .column::<Nullable<Text>, _>("after", |row| row.entry.after.as_deref())
        .column::<Binary, _>("hash", |row| row.hash.as_slice())
        .column::<Nullable<Binary>, _>("salt", |row| row.seal.as_ref()?.salt.as_ref().map(Salt::as_slice))
        .column::<Nullable<Binary>, _>("digest", |row| Some(row.seal.as_ref()?.digest.as_slice()));
    sql::<()>(columns.insert_into("audit_log")).binds(columns.into_binds()).execute(conn)?;
    Ok(())
}

/// Entries behind a place, in their order.
pub fn after(conn: &mut PgConnection, seq: i64, limit: i64) -> Result<Vec<Chained>, StoreError> {
    let rows = sql::<Columns>(
        "SELECT seq, occurred_at, actor, role, address, action, object, status, before, after, hash, salt, digest, \
         is_pseudonymous FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?",
    )
    .bind::<BigInt, _>(seq)
    .bind::<BigInt, _>(limit)
    .load::<Row>(conn)?;
    rows.into_iter().map(chained).collect()
}

/// Entries that pass the filter, the latest first.
pub fn list(conn: &mut PgConnection, filter: &AuditFilter) -> Result<Vec<Chained>, StoreError> {
    let rows = sql::<Columns>(include_str!("sql/audit_list.sql"))
        .bind::<Nullable<Text>, _>(filter.actor.as_deref())
        .bind::<Nullable<Text>, _>(filter.action.as_deref())
        .bind::<Nullable<Text>, _>(filter.object.as_deref())
        .bind::<Nullable<SmallInt>, _>(filter.status)
        .bind::<Nullable<Timestamptz>, _>(filter.since.map(to_pg))
        .bind::<Nullable<Timestamptz>, _>(filter.until.map(to_pg))
        .bind::<Nullable<BigInt>, _>(filter.before)
        .bind::<BigInt, _>(filter.limit)
        .load::<Row>(conn)?;
    rows.into_iter().map(chained).collect()
}

/// Place and hash of the last entry that was removed because of its age; `None` if none was.
pub fn begin(conn: &mut PgConnection) -> Result<Option<(i64, Hash)>, StoreError> {
    let begin = sql::<(BigInt, Binary)>("SELECT seq, hash FROM audit_begin").load::<(i64, Vec<u8>)>(conn)?;
    begin.into_iter().next().map(|(seq, bytes)| Ok((seq, hash(&bytes)?))).transpose()
}

/// Removes at most `limit` entries at the beginning of the log that are from before a moment; how many. The last entry stays: the chain goes on
/// from it.
pub fn prune(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    in_transaction(conn, |conn| {
        conn.batch_execute("SET LOCAL tidings.pruning = 'on'")?;
        sql::<()>("SELECT pg_advisory_xact_lock(?)").bind::<BigInt, _>(LOCK).execute(conn)?;
        let last = sql::<(BigInt, Binary)>(include_str!("sql/audit_last_old.sql"))
            .bind::<BigInt, _>(limit)
            .bind::<Timestamptz, _>(to_pg(before))
            .bind::<Timestamptz, _>(to_pg(before))
            .load::<(i64, Vec<u8>)>(conn)?
            .pop();
        let Some((seq, end)) = last else { return Ok(0) };
        sql::<()>(
            "INSERT INTO audit_begin (seq, hash) VALUES (?, ?) \
             ON CONFLICT (singleton) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        )
        .bind::<BigInt, _>(seq)
        .bind::<Binary, _>(end)
        .execute(conn)?;
        Ok(sql::<()>("DELETE FROM audit_log WHERE seq <= ?").bind::<BigInt, _>(seq).execute(conn)?)
    })
}

/// Entries behind a place that have one of the texts in a field that may name a person, in their order.
pub fn naming(
    conn: &mut PgConnection,
    texts: &[String],
    seq: i64,
    limit: i64,
) -> Result<Vec<Chained>, StoreError> {
    let rows = sql::<Columns>(include_str!("sql/audit_naming.sql"))
        .bind::<BigInt, _>(seq)
        .bind::<Array<Text>, _>(texts)
        .bind::<BigInt, _>(limit)
        .load::<Row>(conn)?;
    rows.into_iter().map(chained).collect()
}

/// Replaces the fields of entries that named an erased user, and forgets the salts of their digests. In a transaction of an erasure.
pub fn replace(conn: &mut PgConnection, entries: &[Chained]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let columns = Batch::of(entries)
        .column::<BigInt, _>("seq", |row| row.seq)
        .column::<Nullable<Text>, _>("actor", |row| row.entry.actor.as_deref())
        .column::<Nullable<Text>, _>("address", |row| row.entry.address.as_deref())
        .column::<Text, _>("object", |row| row.entry.object.as_str())
        .column::<Nullable<Text>, _>("before", |row| row.entry.before.as_deref())
        .column::<Nullable<Text>, _>("after", |row| row.entry.after.as_deref());
    let statement = format!(
        "UPDATE audit_log a SET actor = n.actor, address = n.address, object = n.object, before = n.before, after = n.after, \
         salt = NULL, is_pseudonymous = true FROM {} WHERE a.seq = n.seq",
        columns.unnest("n")
    );
    sql::<()>(statement).binds(columns.into_binds()).execute(conn)?;
    Ok(())
}
