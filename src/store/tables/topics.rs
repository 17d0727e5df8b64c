//! Tables `topics` and `topic_subscribers`: what users follow.

use std::collections::{BTreeMap, BTreeSet};

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::{external_id, from_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, Timestamp, UserId};

/// Most topics of a user.
pub const MAX_TOPICS: i64 = 1_000;
/// Names among which the nearest to an unknown one is looked for.
const MAX_NAMES: i64 = 10_000;

/// Lets users follow a topic, which is made if nobody followed it before; who of them follows it now. The others have as many topics
/// as a user may.
pub fn subscribe(
    conn: &mut PgConnection,
    topic: &str,
    users: &[UserId],
) -> Result<BTreeSet<UserId>, StoreError> {
    sql::<()>("INSERT INTO topics (name) VALUES (?) ON CONFLICT DO NOTHING")
        .bind::<Text, _>(topic)
        .execute(conn)?;
    let ids: Vec<i32> = users.iter().map(|user| user.to_sql()).collect();
    // Two calls for one user take turns, so that neither passes the bound.
    sql::<Integer>("SELECT user_id FROM users WHERE user_id = ANY(?) ORDER BY user_id FOR NO KEY UPDATE")
        .bind::<Array<Integer>, _>(&ids)
        .load::<i32>(conn)?;
    sql::<()>(
        "INSERT INTO topic_subscribers (topic_id, user_id) \
         SELECT t.topic_id, u FROM topics t, unnest(?) AS u WHERE t.name = ? \
         AND (SELECT count(*) FROM topic_subscribers s WHERE s.user_id = u) < ? ON CONFLICT DO NOTHING",
    )
    .bind::<Array<Integer>, _>(&ids)
    .bind::<Text, _>(topic)
    .bind::<BigInt, _>(MAX_TOPICS)
    .execute(conn)?;
    let following = sql::<Integer>(
        "SELECT s.user_id FROM topic_subscribers s JOIN topics t USING (topic_id) \
         WHERE t.name = ? AND s.user_id = ANY(?)",
    )
    .bind::<Text, _>(topic)
    .bind::<Array<Integer>, _>(&ids)
    .load::<i32>(conn)?;
    Ok(following.into_iter().map(UserId::from_sql).collect())
}

/// Ends that users follow a topic; how many did.
pub fn unsubscribe(conn: &mut PgConnection, topic: &str, users: &[UserId]) -> Result<usize, StoreError> {
    let ids: Vec<i32> = users.iter().map(|user| user.to_sql()).collect();
    Ok(sql::<()>(
        "DELETE FROM topic_subscribers USING topics t \
         WHERE t.topic_id = topic_subscribers.topic_id AND t.name = ? AND user_id = ANY(?)",
    )
    .bind::<Text, _>(topic)
    .bind::<Array<Integer>, _>(ids)
    .execute(conn)?)
}

/// Followers of a topic after a user, in the order in which the users were first seen, at most `limit`.
pub fn subscribers(
    conn: &mut PgConnection,
    topic: &str,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<(ExternalId, Timestamp)>, StoreError> {
    let rows = sql::<(Text, Timestamptz)>(
        "SELECT u.external_id, s.subscribed_at FROM topic_subscribers s JOIN topics t USING (topic_id) \
         JOIN users u USING (user_id) WHERE t.name = ? AND s.user_id > coalesce(?, -1) ORDER BY s.user_id LIMIT ?",
    )
    .bind::<Text, _>(topic)
    .bind::<Nullable<Integer>, _>(after.map(UserId::to_sql))
    .bind::<BigInt, _>(limit.max(0))
    .load::<(String, PgTimestamp)>(conn)?;
    rows.into_iter().map(|(user, at)| Ok((external_id("users", &user)?, from_pg(at)))).collect()
}

/// Number of followers; `None` for a topic that nobody ever followed.
pub fn count(conn: &mut PgConnection, topic: &str) -> Result<Option<i64>, StoreError> {
    Ok(counts(conn, &[topic.to_owned()])?.remove(topic))
}

/// Number of followers of each of these topics that somebody ever followed.
pub fn counts(conn: &mut PgConnection, topics: &[String]) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = sql::<(Text, BigInt)>(
        "SELECT t.name, (SELECT count(*) FROM topic_subscribers s WHERE s.topic_id = t.topic_id) \
         FROM topics t WHERE t.name = ANY(?)",
    )
    .bind::<Array<Text>, _>(topics)
    .load::<(String, i64)>(conn)?;
    Ok(rows.into_iter().collect())
}

/// Topics that a user follows, by name, each with when that began.
pub fn of_user(conn: &mut PgConnection, user: UserId) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows = sql::<(Text, Timestamptz)>(
        "SELECT t.name, s.subscribed_at FROM topic_subscribers s JOIN topics t USING (topic_id) \
         WHERE s.user_id = ? ORDER BY t.name",
    )
    .bind::<Integer, _>(user.to_sql())
    .load::<(String, PgTimestamp)>(conn)?;
    Ok(rows.into_iter().map(|(name, at)| (name, from_pg(at))).collect())
}

/// Names of topics, by name, at most ten thousand.
pub fn names(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let text = "SELECT name FROM topics ORDER BY name LIMIT ?";
    Ok(sql::<Text>(text).bind::<BigInt, _>(MAX_NAMES).load::<String>(conn)?)
}
