//! Users of a segment, or everyone: counted, and read into table `outbox`. Robots are the audience of transactional messages only.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::encryption::Fields;
use crate::postgres::StoreError;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::notify::Priority;
use tidings_decision::notify::message::Encoded;
use tidings_decision::privacy::encryption::Field;

/// Condition on users `u`: rows that an erasure has taken the name off, and not removed yet, get nothing. (They count as robots.)
const NOT_BEING_ERASED: &str =
    "NOT EXISTS (SELECT FROM erasures e WHERE e.state = 'removing' AND u.user_id = ANY(e.inner_ids))";

/// Audience that is read when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wide<'a> {
    /// Everyone.
    Everyone,
    /// A segment, 0 = A.
    Segment(u8),
    /// Followers of a topic.
    Topic(&'a str),
    /// Users whose attributes meet conditions, as JSON.
    Meeting(&'a str),
}

impl Wide<'_> {
    /// Text after `FROM`, with users as `u`, and its parameter: those that a message, as JSON in the outbox, is for.
    pub(super) fn members(self, message: &str) -> (String, Option<String>) {
        let people = if is_for_everybody(message) { NOT_BEING_ERASED } else { "NOT u.is_robot" };
        let of_segment = || {
            format!(
                "users u LEFT JOIN user_features f USING (user_id) \
                 WHERE {people} AND u.merged_into IS NULL AND f.segment IS NOT DISTINCT FROM coalesce(?::text::smallint, f.segment)"
            )
        };
        match self {
            Self::Everyone => (of_segment(), None),
            Self::Segment(segment) => (of_segment(), Some(segment.to_string())),
            Self::Topic(topic) => (
                format!(
                    "topics t JOIN topic_subscribers s USING (topic_id) JOIN users u USING (user_id) \
                     WHERE t.name = ? AND {people}"
                ),
                Some(topic.to_owned()),
            ),
            Self::Meeting(conditions) => (
                format!(
                    "users u LEFT JOIN user_attributes a USING (user_id) WHERE {people} AND u.merged_into IS NULL \
                     AND attributes_meet(coalesce(a.attributes, '{{}}'), ?::text::jsonb)"
                ),
                Some(conditions.to_owned()),
            ),
        }
    }
}

/// Returns whether a message reaches robots too.
fn is_for_everybody(message: &str) -> bool {
    Encoded::parse(message).is_some_and(|encoded| encoded.message.priority == Priority::Transactional)
}

/// Most users of one row of the outbox.
pub(super) const MAX_USERS: usize = 1_000;

/// Users of the audience of a message. Counts the rows.
pub(super) fn size(conn: &mut PgConnection, wide: Wide<'_>, message: &str) -> Result<usize, StoreError> {
    let (members, parameter) = wide.members(message);
    let n = sql::<BigInt>(format!("SELECT count(*) FROM {members}"))
        .bind::<Nullable<Text>, _>(parameter)
        .load::<i64>(conn)?;
    Ok(n.into_iter().next().and_then(|n| usize::try_from(n).ok()).unwrap_or(0))
}

/// Segments that somebody is in, 0 = A. One look into an index for each letter.
pub fn inhabited_segments(conn: &mut PgConnection) -> Result<Vec<u8>, StoreError> {
    let rows = sql::<SmallInt>(
        "SELECT s::smallint FROM generate_series(0, 25) AS s WHERE EXISTS (\
         SELECT FROM user_features f JOIN users u USING (user_id) WHERE f.segment = s::smallint AND NOT u.is_robot) ORDER BY s",
    )
    .load::<i16>(conn)?;
    Ok(rows.into_iter().filter_map(|segment| u8::try_from(segment).ok()).collect())
}

/// Returns whether any user is known who is no robot.
pub fn has_anybody(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let rows = sql::<Integer>("SELECT 1 FROM users WHERE NOT is_robot AND merged_into IS NULL LIMIT 1")
        .load::<i32>(conn)?;
    Ok(!rows.is_empty())
}

/// Common part of the rows of an audience.
pub(super) struct Like<'a> {
    /// The broadcast; the batches of the rows follow from it.
    pub broadcast: Uuid,
    /// As JSON.
    pub message: &'a str,
    /// Not before this.
    pub due_at: Timestamp,
    /// Not on the timeline yet: it goes out at a rate.
    pub is_held: bool,
}

/// An audience in rows of [`MAX_USERS`]: how many users, and the batches of the rows. These have the
/// time of the broadcast and a hash of all of it and their place: batches of one millisecond differ in a few bits only. About 2 s a million
/// users.
pub(super) fn insert(
    conn: &mut PgConnection,
    fields: &Fields,
    like: &Like<'_>,
    wide: Wide<'_>,
) -> Result<(usize, Vec<Uuid>), StoreError> {
    let (members, parameter) = wide.members(like.message);
    let message = fields.words(conn, [])?.seal(None, Field::Waiting, like.message)?.into_owned();
    let text = include_str!("sql/insert_audience.sql").replace("{members}", &members);
    let rows = sql::<(Integer, SqlUuid)>(text)
        .bind::<BigInt, _>(MAX_USERS as i64)
        .bind::<Nullable<Text>, _>(parameter)
        .bind::<Timestamptz, _>(to_pg(like.due_at))
        .bind::<Text, _>(message)
        .bind::<Bool, _>(like.is_held)
        .bind::<Text, _>(like.broadcast.to_string())
        .load::<(i32, Uuid)>(conn)?;
    let users = rows.iter().filter_map(|(n, _)| usize::try_from(*n).ok()).sum();
    Ok((users, rows.into_iter().map(|(_, batch)| batch).collect()))
}
