//! Tables `erasures` and `tombstones`: erasures of users with their receipts, and the ids that are refused since. The rows themselves go in
//! [`super::erased_rows`].

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use serde_json::Value;
use uuid::Uuid;

use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, in_transaction, without_time_limit};
use tidings_core::base::{ExternalId, Timestamp};
use tidings_decision::privacy::audit::Hash;

/// Request for an erasure.
#[derive(Clone, Debug)]
pub struct NewErasure {
    /// UUIDv7.
    pub id: Uuid,
    /// User.
    pub user: ExternalId,
    /// By whom: `admin`, `service`, `user` or `operator`.
    pub by: &'static str,
    /// Moment of the request.
    pub now: Timestamp,
    /// End of the tombstone.
    pub until: Timestamp,
}

/// An erasure that has rows to remove.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderWay {
    /// Id of the receipt.
    pub id: Uuid,
    /// Ids of the user; before it has begun the one that was asked for.
    pub names: Vec<ExternalId>,
    /// Inner ids; `None` before it has begun.
    pub inner: Option<Vec<i32>>,
    /// Items that only events have named; `None` before they were looked for, and once that is settled.
    pub items: Option<Vec<i32>>,
}

/// Receipt of an erasure.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Its id.
    pub id: Uuid,
    /// `requested`, `removing`, `models` or `done`.
    pub state: String,
    /// Name of the user in what is kept.
    pub pseudonym: String,
    /// Moment of the request.
    pub requested_at: Timestamp,
    /// By whom.
    pub requested_by: String,
    /// Moment at which the last row was gone.
    pub erased_at: Option<Timestamp>,
    /// Moment at which no model was left that was trained before.
    pub finished_at: Option<Timestamp>,
    /// Rows removed by table.
    pub removed: BTreeMap<String, u64>,
    /// Rows kept under the pseudonym by table.
    pub kept: BTreeMap<String, u64>,
    /// End of its tombstones; `None` once they were released or have passed.
    pub tombstone_until: Option<Timestamp>,
}

/// Key of the hashes of erased ids.
pub fn key(conn: &mut PgConnection) -> Result<[u8; 32], StoreError> {
    let key = sql::<Binary>("SELECT key FROM erasure_key").get_result::<Vec<u8>>(conn)?;
    let reason = || "a key has 32 bytes".to_owned();
    key.try_into().map_err(|_| StoreError::Unreadable { table: "erasure_key", reason: reason() })
}

/// Tombstones that have not passed, each with its end.
pub fn tombstones(conn: &mut PgConnection, now: Timestamp) -> Result<Vec<(Hash, Timestamp)>, StoreError> {
    let rows = sql::<(Binary, Timestamptz)>("SELECT id_hash, until FROM tombstones WHERE until > ?")
        .bind::<Timestamptz, _>(to_pg(now))
        .load::<(Vec<u8>, PgTimestamp)>(conn)?;
    Ok(rows.into_iter().filter_map(|(hash, until)| Some((hash.try_into().ok()?, from_pg(until)))).collect())
}

/// Notes a request, and refuses the id from then on; the id of its receipt. One that was asked for before has that of then; `None`, and
/// nothing is noted, for an id that nothing names.
pub fn request(conn: &mut PgConnection, new: &NewErasure) -> Result<Option<Uuid>, StoreError> {
    in_transaction(conn, |conn| {
        let user = new.user.to_string();
        let before = sql::<SqlUuid>(
            "SELECT erasure_id FROM tombstones WHERE id_hash = erased_id_hash(?) AND until > ? FOR UPDATE",
        )
        .bind::<Text, _>(&user)
        .bind::<Timestamptz, _>(to_pg(new.now))
        .load::<Uuid>(conn)?;
        if let Some(before) = before.first() {
            return Ok(Some(*before));
        }
        let is_named = sql::<Bool>(include_str!("sql/is_named.sql"))
            .bind::<Text, _>(&user)
            .bind::<Text, _>(&user)
            .bind::<Text, _>(&user)
            .bind::<Text, _>(&user)
            .get_result::<bool>(conn)?;
        if !is_named {
            return Ok(None);
        }
        sql::<()>(
            "INSERT INTO erasures (erasure_id, pseudonym, requested_at, requested_by, names_under_way) \
             VALUES (?, 'erased-' || left(encode(erased_id_hash(?), 'hex'), 32), ?, ?, ?)",
        )
        .bind::<SqlUuid, _>(new.id)
        .bind::<Text, _>(&user)
        .bind::<Timestamptz, _>(to_pg(new.now))
        .bind::<Text, _>(new.by)
        .bind::<Array<Text>, _>(vec![&user])
        .execute(conn)?;
        raise(conn, new.id, std::slice::from_ref(&user), new.until)?;
        Ok(Some(new.id))
    })
}

/// Refuses ids until then.
fn raise(conn: &mut PgConnection, id: Uuid, names: &[String], until: Timestamp) -> Result<(), StoreError> {
    sql::<()>(
        "INSERT INTO tombstones (id_hash, erasure_id, until) SELECT erased_id_hash(n), ?, ? FROM unnest(?) AS n \
         ON CONFLICT (id_hash) DO UPDATE SET erasure_id = excluded.erasure_id, until = excluded.until",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(to_pg(until))
    .bind::<Array<Text>, _>(names)
    .execute(conn)?;
    Ok(())
}

/// Erasures whose rows are not all gone, in the order of their requests.
pub fn under_way(conn: &mut PgConnection) -> Result<Vec<UnderWay>, StoreError> {
    type Row = (Uuid, Vec<String>, Option<Vec<i32>>, Option<Vec<i32>>);
    let rows = sql::<(SqlUuid, Array<Text>, Nullable<Array<Integer>>, Nullable<Array<Integer>>)>(
        "SELECT erasure_id, names_under_way, inner_ids, items_under_way FROM erasures \
         WHERE state IN ('requested', 'removing') ORDER BY requested_at, erasure_id",
    )
    .load::<Row>(conn)?;
    rows.into_iter()
        .map(|(id, names, inner, items)| {
            let names: Result<Vec<ExternalId>, StoreError> =
                names.iter().map(|name| external_id("erasures", name)).collect();
            Ok(UnderWay { id, names: names?, inner, items })
        })
        .collect()
}

/// Takes the user's names off its rows, and refuses all of them until the end of the tombstone of the one that was asked for. Nobody may
/// be storing anything that was looked up by a name.
pub fn begin(conn: &mut PgConnection, work: &UnderWay) -> Result<UnderWay, StoreError> {
    in_transaction(conn, |conn| {
        let mut names: Vec<String> = work.names.iter().map(ToString::to_string).collect();
        let mut inner = Vec::new();
        for name in names.clone() {
            let own = sql::<(Integer, Text)>(include_str!("sql/begin_erasure.sql"))
                .bind::<Text, _>(&name)
                .load::<(i32, String)>(conn)?;
            for (id, name) in own {
                inner.push(id);
                names.push(name);
            }
        }
        names.sort_unstable();
        names.dedup();
        // By name as well: an erasure of another id of the user may have taken this one's tombstone over.
        let until = sql::<Timestamptz>(
            "SELECT max(until) FROM tombstones WHERE erasure_id = ? \
             OR id_hash IN (SELECT erased_id_hash(name) FROM unnest(?) AS name)",
        )
        .bind::<SqlUuid, _>(work.id)
        .bind::<Array<Text>, _>(&names)
        .get_result::<PgTimestamp>(conn)?;
        raise(conn, work.id, &names, from_pg(until))?;
        sql::<()>(
            "UPDATE erasures SET state = 'removing', names_under_way = ?, inner_ids = ? WHERE erasure_id = ?",
        )
        .bind::<Array<Text>, _>(&names)
        .bind::<Array<Integer>, _>(&inner)
        .bind::<SqlUuid, _>(work.id)
        .execute(conn)?;
        let names: Result<Vec<ExternalId>, StoreError> =
            names.iter().map(|name| external_id("erasures", name)).collect();
        Ok(UnderWay { id: work.id, names: names?, inner: Some(inner), items: None })
    })
}

/// Adds rows to the counts of a receipt; `kind` is `removed` or `kept`.
pub(super) fn count(
    conn: &mut PgConnection,
    id: Uuid,
    kind: Counted,
    table: &str,
    rows: usize,
) -> Result<(), StoreError> {
    if rows == 0 {
        return Ok(());
    }
    let column = match kind {
        Counted::Removed => "removed",
        Counted::Kept => "kept",
    };
    let statement = format!(
        "UPDATE erasures SET {column} = {column} || jsonb_build_object(t, coalesce(({column} ->> t)::bigint, 0) + n) \
         FROM (SELECT ? AS t, ? AS n) c WHERE erasure_id = ?"
    );
    sql::<()>(statement)
        .bind::<Text, _>(table)
        .bind::<BigInt, _>(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind::<SqlUuid, _>(id)
        .execute(conn)?;
    Ok(())
}

/// Counts of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Rows that are gone.
    Removed,
    /// Rows that are kept under the pseudonym.
    Kept,
}

/// Runs work of an erasure in a transaction without a time limit: triggers tell nobody about it, and the audit log bears it.
pub(super) fn erasing<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    without_time_limit(conn, |conn| {
        conn.batch_execute("SET LOCAL tidings.erasing = 'on'")?;
        work(conn)
    })
}

/// Notes that no row is left. Versions of models that were trained before `now` are looked after by [`settle_models`].
pub(super) fn erased(conn: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
    sql::<()>(
        "UPDATE erasures SET state = 'models', erased_at = ?, names_under_way = NULL, items_under_way = NULL \
         WHERE erasure_id = ?",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<SqlUuid, _>(id)
    .execute(conn)?;
    Ok(())
}

/// Removes the versions of models that were trained before the last row of an erased user was gone, once a newer one serves; the
/// one that serves and those that running experiments name stay until then. Finishes the erasures that wait for no version; how many
/// still wait.
pub fn settle_models(conn: &mut PgConnection, now: Timestamp) -> Result<i64, StoreError> {
    in_transaction(conn, |conn| {
        sql::<()>(include_str!("sql/remove_erased_models.sql")).execute(conn)?;
        sql::<()>(
            "UPDATE erasures e SET state = 'done', finished_at = ? WHERE state = 'models' \
             AND NOT EXISTS (SELECT FROM models m WHERE m.created_at <= e.erased_at)",
        )
        .bind::<Timestamptz, _>(to_pg(now))
        .execute(conn)?;
        Ok(sql::<BigInt>("SELECT count(*) FROM erasures WHERE state = 'models'").get_result(conn)?)
    })
}

/// The receipt; `None` when there is none of this id.
pub fn receipt(conn: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<Option<Receipt>, StoreError> {
    type Columns = (
        Text,
        Text,
        Timestamptz,
        Text,
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
        Jsonb,
        Jsonb,
        Nullable<Timestamptz>,
    );
    type Row = (
        String,
        String,
        PgTimestamp,
        String,
        Option<PgTimestamp>,
        Option<PgTimestamp>,
        Value,
        Value,
        Option<PgTimestamp>,
    );
    let rows = sql::<Columns>(
        "SELECT state, pseudonym, requested_at, requested_by, erased_at, finished_at, removed, kept, \
         (SELECT max(until) FROM tombstones t WHERE t.erasure_id = e.erasure_id AND until > ?) \
         FROM erasures e WHERE erasure_id = ?",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<SqlUuid, _>(id)
    .load::<Row>(conn)?;
    let counts =
        |value: Value| -> BTreeMap<String, u64> { serde_json::from_value(value).unwrap_or_default() };
    Ok(rows.into_iter().next().map(|row| {
        let (state, pseudonym, requested, requested_by, erased, finished, removed, kept, until) = row;
        Receipt {
            id,
            state,
            pseudonym,
            requested_at: from_pg(requested),
            requested_by,
            erased_at: erased.map(from_pg),
            finished_at: finished.map(from_pg),
            removed: counts(removed),
            kept: counts(kept),
            tombstone_until: until.map(from_pg),
        }
    }))
}

/// Lets the ids of an erasure be used anew; how many.
pub fn release(conn: &mut PgConnection, id: Uuid) -> Result<usize, StoreError> {
    Ok(sql::<()>("DELETE FROM tombstones WHERE erasure_id = ?").bind::<SqlUuid, _>(id).execute(conn)?)
}

/// Returns whether the erasure is of this user.
pub fn is_of(conn: &mut PgConnection, id: Uuid, user: &ExternalId) -> Result<bool, StoreError> {
    Ok(sql::<Bool>(
        "SELECT EXISTS (SELECT FROM tombstones WHERE erasure_id = ? AND id_hash = erased_id_hash(?))",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(user.to_string())
    .get_result(conn)?)
}
