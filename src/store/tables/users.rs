//! Table `users`: who there is. Outside ids to inner ids and back, search.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};

use super::external_ids::{Names, find_all, resolve_all};
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{external_id, segment_from_sql, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_schema::users;

pub use super::user_states::{Wishes, load_states, load_wishes};

/// A user as a list shows one.
#[derive(Clone, Debug, PartialEq)]
pub struct UserSummary {
    /// Dense inner id.
    pub user: UserId,
    /// The shop's id.
    pub external_id: ExternalId,
    /// As of the last training, 0 = A; `None` before it.
    pub segment: Option<u8>,
}

/// Inner ids by id; makes the users that are missing, but not those that were erased. At most three queries.
pub fn resolve_many(
    conn: &mut PgConnection,
    ids: &[ExternalId],
) -> Result<HashMap<ExternalId, UserId>, StoreError> {
    let found = conn.transaction(|conn| resolve_all(conn, Names::Users, ids))?;
    Ok(found.into_iter().map(|(id, user)| (id.clone(), UserId::from_sql(user))).collect())
}

/// Inner ids in the order asked for; makes the users that are missing. Those that were erased are left out. At most three queries.
pub fn resolve(conn: &mut PgConnection, ids: &[ExternalId]) -> Result<Vec<UserId>, StoreError> {
    let found = conn.transaction(|conn| resolve_all(conn, Names::Users, ids))?;
    Ok(ids.iter().filter_map(|id| found.get(id)).map(|id| UserId::from_sql(*id)).collect())
}

/// The inner id; `None` for a user that nothing has named yet.
pub fn find(conn: &mut PgConnection, id: &ExternalId) -> Result<Option<UserId>, StoreError> {
    Ok(find_all(conn, Names::Users, [id])?.get(id).map(|id| UserId::from_sql(*id)))
}

/// Inner ids of those of the users that exist. One query.
pub fn find_many(
    conn: &mut PgConnection,
    ids: &[ExternalId],
) -> Result<HashMap<ExternalId, UserId>, StoreError> {
    let found = find_all(conn, Names::Users, ids)?;
    Ok(found.into_iter().map(|(id, user)| (id.clone(), UserId::from_sql(user))).collect())
}

/// The shop's ids of the users that exist; of one that was merged into another, that user's. One query.
pub fn external_ids(
    conn: &mut PgConnection,
    of: &[UserId],
) -> Result<HashMap<UserId, ExternalId>, StoreError> {
    let ids: Vec<i32> = of.iter().map(|user| user.to_sql()).collect();
    let rows = sql::<(Integer, Text)>(
        "SELECT u.user_id, k.external_id FROM users u JOIN users k ON k.user_id = coalesce(u.merged_into, u.user_id) \
         WHERE u.user_id = ANY(?)",
    )
    .bind::<Array<Integer>, _>(ids)
    .load::<(i32, String)>(conn)?;
    rows.into_iter().map(|(user, text)| Ok((UserId::from_sql(user), external_id("users", &text)?))).collect()
}

/// All ids of the people whom these ids name, by the id that was asked for and beside it; none for those with one id. One query.
pub fn other_names(
    conn: &mut PgConnection,
    ids: &[ExternalId],
) -> Result<HashMap<ExternalId, Vec<ExternalId>>, StoreError> {
    let rows = sql::<(Text, Text)>(
        "WITH named AS (\
           SELECT external_id, coalesce(merged_into, user_id) AS person FROM users WHERE external_id = ANY(?)), \
         people AS (SELECT n.external_id, u.external_id AS name FROM named n JOIN users u ON u.user_id = n.person \
           UNION ALL SELECT n.external_id, u.external_id FROM named n JOIN users u ON u.merged_into = n.person) \
         SELECT external_id, name FROM people WHERE name <> external_id ORDER BY external_id, name",
    )
    .bind::<Array<Text>, _>(column(ids, ToString::to_string))
    .load::<(String, String)>(conn)?;
    let mut names: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    for (id, name) in rows {
        names.entry(external_id("users", &id)?).or_default().push(external_id("users", &name)?);
    }
    Ok(names)
}

/// The user whom an inner id stands for now, with the shop's id; `None` for one that does not exist.
pub fn current(conn: &mut PgConnection, user: UserId) -> Result<Option<(UserId, ExternalId)>, StoreError> {
    let found = sql::<(Integer, Text)>(
        "SELECT k.user_id, k.external_id FROM users u JOIN users k ON k.user_id = coalesce(u.merged_into, u.user_id) \
         WHERE u.user_id = ?",
    )
    .bind::<Integer, _>(user.to_sql())
    .load::<(i32, String)>(conn)?;
    let named = |(id, text): (i32, String)| Ok((UserId::from_sql(id), external_id("users", &text)?));
    found.into_iter().next().map(named).transpose()
}

/// Ids of users that were merged into others, each with the id of that user.
pub fn aliases(conn: &mut PgConnection) -> Result<Vec<(ExternalId, ExternalId)>, StoreError> {
    let rows = sql::<(Text, Text)>(
        "SELECT a.external_id, k.external_id FROM users a JOIN users k ON k.user_id = a.merged_into",
    )
    .load::<(String, String)>(conn)?;
    rows.iter().map(|(alias, user)| Ok((external_id("users", alias)?, external_id("users", user)?))).collect()
}

/// Users who are neither robots nor merged into others, after one in the order in which they came, at most `limit`.
pub fn after(
    conn: &mut PgConnection,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<(UserId, ExternalId)>, StoreError> {
    let rows = sql::<(Integer, Text)>(
        "SELECT user_id, external_id FROM users WHERE user_id > ? AND NOT is_robot AND merged_into IS NULL \
         ORDER BY user_id LIMIT ?",
    )
    .bind::<Integer, _>(after.map_or(-1, UserId::to_sql))
    .bind::<BigInt, _>(limit)
    .load::<(i32, String)>(conn)?;
    rows.into_iter().map(|(user, text)| Ok((UserId::from_sql(user), external_id("users", &text)?))).collect()
}

/// Users whose id begins with `prefix` (all for the empty one), at most `limit`: those with a segment first, then
/// the shorter id, then by text. Reads the whole table: for a person's search box.
pub fn search(conn: &mut PgConnection, prefix: &str, limit: i64) -> Result<Vec<UserSummary>, StoreError> {
    let rows = sql::<(Integer, Text, Nullable<SmallInt>)>(
        "SELECT u.user_id, u.external_id, f.segment FROM users u LEFT JOIN user_features f USING (user_id) \
         WHERE starts_with(u.external_id, ?) AND NOT u.is_robot AND u.merged_into IS NULL \
         ORDER BY f.segment IS NULL, length(u.external_id), u.external_id LIMIT ?",
    )
    .bind::<Text, _>(prefix)
    .bind::<BigInt, _>(limit.max(0))
    .load::<(i32, String, Option<i16>)>(conn)?;
    rows.into_iter()
        .map(|(user, text, segment)| {
            Ok(UserSummary {
                user: UserId::from_sql(user),
                external_id: external_id("users", &text)?,
                segment: segment_from_sql(segment),
            })
        })
        .collect()
}

/// Notes that users have a connection open at these moments; kept to the hour, so that coming and going writes little.
pub fn note_connected(conn: &mut PgConnection, connected: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
    // One statement changes a row once.
    let mut latest: BTreeMap<UserId, Timestamp> = BTreeMap::new();
    for (user, at) in connected {
        let known = latest.entry(*user).or_insert(*at);
        *known = (*known).max(*at);
    }
    if latest.is_empty() {
        return Ok(());
    }
    let (users, moments): (Vec<i32>, Vec<_>) =
        latest.into_iter().map(|(user, at)| (user.to_sql(), to_pg(at))).unzip();
    sql::<()>(
        "UPDATE users SET last_connected_at = c.at FROM unnest(?, ?) AS c (user_id, at) WHERE users.user_id = c.user_id \
         AND (last_connected_at IS NULL OR last_connected_at < c.at - interval '1 hour')",
    )
    .bind::<Array<Integer>, _>(users)
    .bind::<Array<Timestamptz>, _>(moments)
    .execute(conn)?;
    Ok(())
}

/// One more than the largest inner id: the width of user-indexed vectors. More than [`count`] where a transaction that
/// named new users was rolled back, since a sequence never gives a number twice.
pub fn width(conn: &mut PgConnection) -> Result<usize, StoreError> {
    let largest = users::table.select(diesel::dsl::max(users::user_id)).get_result::<Option<i32>>(conn)?;
    Ok(largest.map_or(0, |id| UserId::from_sql(id).index() + 1))
}

/// Number of users, without those merged into others. Counts the rows: O(users).
pub fn count(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(users::table.filter(users::merged_into.is_null()).count().get_result(conn)?)
}
