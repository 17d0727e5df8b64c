//! Messages sent, with the numbers they were decided by and what came of them: what propensities are learned from.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Float, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::conversions;
use crate::postgres::convert::{from_pg, segment_from_sql, to_pg};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{Millis, NotificationId, Timestamp};
use tidings_core::catalogue::Money;
use tidings_core::response::PerResponse;
use tidings_decision::feedback::attribution;

pub use tidings_core::response::Message;

type Columns = (
    Nullable<SqlUuid>,
    Timestamptz,
    Text,
    Text,
    Nullable<SmallInt>,
    Nullable<Array<Float>>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
);
type Row = (
    Option<Uuid>,
    PgTimestamp,
    String,
    String,
    Option<i16>,
    Option<Vec<f32>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The latest messages decided since `since`, at most `limit`, in order of time; robots' are left out. Purchases are
/// those credited to them within `window`.
pub fn messages(
    conn: &mut PgConnection,
    since: Timestamp,
    limit: i64,
    window: Millis,
) -> Result<Vec<Message>, StoreError> {
    let (mut rows, credits) = without_time_limit(conn, |conn| {
        let rows = sql::<Columns>(include_str!("sql/sent_messages.sql"))
            .bind::<Timestamptz, _>(to_pg(since))
            .bind::<BigInt, _>(limit.max(0))
            .load::<Row>(conn)?;
        Ok((rows, conversions::credits(conn, None, since, window, Money::NONE)?))
    })?;
    rows.reverse();
    let brought = attribution::by_message(&credits);
    let delay = |ms: Option<i64>| ms.map(|ms| Millis(u64::try_from(ms).unwrap_or(0)));
    let message = |(id, sent_at, trigger, category, segment, features, clicked, reported, muted): Row| {
        let sent_at = from_pg(sent_at);
        let bought = id.and_then(|id| brought.get(&NotificationId(id)));
        let purchase = match bought {
            Some(brought) => brought.first.map(|at| at.millis_since(sent_at)),
            None => delay(reported),
        };
        Message {
            sent_at,
            trigger,
            category,
            segment: segment_from_sql(segment),
            features: features.unwrap_or_default(),
            after: PerResponse { click: delay(clicked), purchase, mute: delay(muted) },
        }
    };
    Ok(rows.into_iter().map(message).collect())
}
