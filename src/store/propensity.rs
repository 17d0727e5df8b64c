//! Messages sent, with the numbers they were decided by and what came of them: what propensities are learned from.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Float, Nullable, SmallInt, Text, Timestamptz};

use super::convert::{from_pg, segment_from_sql, to_pg};
use super::sql::sql;
use super::{StoreError, without_time_limit};
use crate::base::{Millis, Timestamp};
use crate::recommend::propensity::PerResponse;

pub use crate::recommend::propensity::Message;

type Columns = (
    Timestamptz,
    Text,
    Text,
    Nullable<SmallInt>,
    Nullable<Array<Float>>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
);
type Row =
    (PgTimestamp, String, String, Option<i16>, Option<Vec<f32>>, Option<i64>, Option<i64>, Option<i64>);

/// The latest messages decided since `since`, at most `limit`, in order of time; robots' are left out. One query.
pub fn messages(conn: &mut PgConnection, since: Timestamp, limit: i64) -> Result<Vec<Message>, StoreError> {
    let mut rows = without_time_limit(conn, |conn| {
        Ok(sql::<Columns>(
            "SELECT d.decided_at, d.trigger, d.category, d.segment, d.features, f.clicked, f.purchased, f.muted \
             FROM (SELECT * FROM decisions WHERE outcome = 'send' AND decided_at >= ? \
             AND NOT EXISTS (SELECT FROM users u WHERE u.user_id = decisions.user_id AND u.is_robot) \
             ORDER BY decided_at DESC, decision_id DESC LIMIT ?) d \
             LEFT JOIN LATERAL (SELECT min(ms) FILTER (WHERE outcome = 2) AS clicked, \
             min(ms) FILTER (WHERE outcome = 4) AS purchased, min(ms) FILTER (WHERE outcome = 5) AS muted \
             FROM (SELECT outcome, (extract(epoch FROM occurred_at - d.decided_at) * 1000)::bigint AS ms \
             FROM feedback WHERE notification_id = d.notification_id) o) f ON true \
             ORDER BY d.decided_at DESC, d.decision_id DESC",
        )
        .bind::<Timestamptz, _>(to_pg(since))
        .bind::<BigInt, _>(limit.max(0))
        .load::<Row>(conn)?)
    })?;
    rows.reverse();
    // A purchase carries the client's clock, which may be behind ours.
    let delay = |ms: Option<i64>| ms.map(|ms| Millis(u64::try_from(ms).unwrap_or(0)));
    Ok(rows
        .into_iter()
        .map(|(sent_at, trigger, category, segment, features, clicked, purchased, muted)| Message {
            sent_at: from_pg(sent_at),
            trigger,
            category,
            segment: segment_from_sql(segment),
            features: features.unwrap_or_default(),
            after: PerResponse { click: delay(clicked), purchase: delay(purchased), mute: delay(muted) },
        })
        .collect())
}
