//! Table `data_keys`: wrapped keys, and whose they are now.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::columns::column;
use crate::postgres::error::StoreError;
use crate::postgres::session::connect;
use crate::postgres::sql::sql;
use tidings_decision::privacy::encryption::Owner;

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct WrappedKey {
    pub(super) id: Uuid,
    pub(super) owner: Owner,
    /// The owner, or the user that it was merged into.
    pub(super) belongs_to: Owner,
    pub(super) master_key: String,
    pub(super) wrapped: Vec<u8>,
}

type Columns = (SqlUuid, Integer, Integer, Text, Binary);
type Row = (Uuid, i32, i32, String, Vec<u8>);

fn from_row((id, owner, belongs_to, master_key, wrapped): Row) -> WrappedKey {
    WrappedKey { id, owner: Owner(owner), belongs_to: Owner(belongs_to), master_key, wrapped }
}

const SELECT: &str = "SELECT k.key_id, k.user_id, coalesce(u.merged_into, k.user_id), k.master_key, k.wrapped \
     FROM data_keys k LEFT JOIN users u USING (user_id)";

/// Keys that were made for these owners, the oldest first.
pub(super) fn of_owners(conn: &mut PgConnection, owners: &[Owner]) -> Result<Vec<WrappedKey>, StoreError> {
    let rows = sql::<Columns>(format!("{SELECT} WHERE k.user_id = ANY(?) ORDER BY k.created_at, k.key_id"))
        .bind::<Array<Integer>, _>(column(owners, |owner| owner.0))
        .load::<Row>(conn)?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// Keys of these ids.
pub(super) fn of_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<WrappedKey>, StoreError> {
    let rows = sql::<Columns>(format!("{SELECT} WHERE k.key_id = ANY(?)"))
        .bind::<Array<SqlUuid>, _>(ids)
        .load::<Row>(conn)?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// Keys of a user and of those merged into it.
pub(super) fn of_user(conn: &mut PgConnection, user: Owner) -> Result<Vec<WrappedKey>, StoreError> {
    let rows = sql::<Columns>(format!("{SELECT} WHERE k.user_id = ? OR u.merged_into = ?"))
        .bind::<Integer, _>(user.0)
        .bind::<Integer, _>(user.0)
        .load::<Row>(conn)?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// Stores keys, each once.
pub(super) fn insert(conn: &mut PgConnection, keys: &[WrappedKey]) -> Result<(), StoreError> {
    // The answer to a commit may have been lost.
    sql::<()>(
        "INSERT INTO data_keys (key_id, user_id, master_key, wrapped) SELECT * FROM unnest(?, ?, ?, ?) \
         ON CONFLICT DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(column(keys, |key| key.id))
    .bind::<Array<Integer>, _>(column(keys, |key| key.owner.0))
    .bind::<Array<Text>, _>(column(keys, |key| key.master_key.as_str()))
    .bind::<Array<Binary>, _>(column(keys, |key| key.wrapped.as_slice()))
    .execute(conn)?;
    Ok(())
}

/// A session for keys alone: what uses them may be rolled back, they may not.
pub(super) struct KeySession {
    url: String,
    session: Option<PgConnection>,
}

impl KeySession {
    /// Connects when there is something to do.
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), session: None }
    }

    /// Runs `work`, over a new connection if the one before fails: PostgreSQL may have been restarted.
    pub(super) fn run<T>(
        &mut self,
        work: impl Fn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(mut session) = self.session.take()
            && let Ok(done) = work(&mut session)
        {
            self.session = Some(session);
            return Ok(done);
        }
        let mut session = connect(&self.url)?;
        let done = work(&mut session)?;
        self.session = Some(session);
        Ok(done)
    }
}

/// Number of data keys that a master key wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeyUse {
    /// Name of the master key.
    pub name: String,
    /// Data keys wrapped by it.
    pub data_keys: i64,
}

/// Master keys that wrap data keys. Reads the table.
pub fn uses(conn: &mut PgConnection) -> Result<Vec<MasterKeyUse>, StoreError> {
    let rows =
        sql::<(Text, BigInt)>("SELECT master_key, count(*) FROM data_keys GROUP BY 1 ORDER BY 2 DESC, 1")
            .load::<(String, i64)>(conn)?;
    Ok(rows.into_iter().map(|(name, data_keys)| MasterKeyUse { name, data_keys }).collect())
}

/// Names of the master keys that wrap data keys. One index probe a name.
pub fn names(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    Ok(sql::<Text>(
        "WITH RECURSIVE names AS ((SELECT master_key FROM data_keys ORDER BY master_key LIMIT 1) UNION ALL \
         SELECT (SELECT k.master_key FROM data_keys k WHERE k.master_key > n.master_key ORDER BY k.master_key LIMIT 1) \
         FROM names n WHERE n.master_key IS NOT NULL) \
         SELECT master_key FROM names WHERE master_key IS NOT NULL",
    )
    .load::<String>(conn)?)
}
