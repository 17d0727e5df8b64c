//! Steps at which messages end and usage of each cap, counted from `decisions`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz};

use crate::postgres::StoreError;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{Millis, Timestamp};
use tidings_core::config::Cap;

/// Users by how much of a cap they have used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapUsage {
    /// Users with at least one message that it counts within its window.
    pub users: i64,
    /// Of them those who can get no more for now.
    pub at_limit: i64,
}

/// Decisions that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The step of the policy that stopped or changed it; empty when nothing did.
    pub step: String,
    /// send, defer, digest, inbox_only or drop.
    pub outcome: String,
    /// Number of decisions.
    pub decisions: i64,
}

/// One cap's use at `now`. Messages that pass caps are not counted.
pub fn cap_usage(conn: &mut PgConnection, cap: &Cap, now: Timestamp) -> Result<CapUsage, StoreError> {
    let since = now - Millis(cap.window_min.saturating_mul(60_000));
    let rows = sql::<(BigInt, BigInt)>(
        "WITH cap AS (SELECT ?::timestamptz AS since, ?::text AS category, ?::text AS channel, ?::text AS campaign, \
         ?::bigint AS most) \
         SELECT count(*), count(*) FILTER (WHERE used >= most) FROM (SELECT cap.most, count(*) AS used \
         FROM cap, decisions d WHERE d.decided_at > cap.since AND d.counted AND d.notification_id IS NOT NULL \
         AND cap.category IN ('*', d.category) AND cap.channel IN ('*', d.channel) \
         AND cap.campaign IN ('*', d.campaign) GROUP BY d.user_id, cap.most) used_by",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Text, _>(cap.category.as_str())
    .bind::<Text, _>(cap.channel.as_str())
    .bind::<Text, _>(cap.campaign.as_str())
    .bind::<BigInt, _>(i64::try_from(cap.max).unwrap_or(i64::MAX))
    .load::<(i64, i64)>(conn)?;
    let (users, at_limit) = rows.into_iter().next().unwrap_or_default();
    Ok(CapUsage { users, at_limit })
}

/// Decisions since `since`, counted by step and outcome at their end.
pub fn endings(conn: &mut PgConnection, since: Timestamp) -> Result<Vec<Ending>, StoreError> {
    let rows = sql::<(Text, Text, BigInt)>(
        "SELECT coalesce((SELECT s.value->>'step' FROM jsonb_array_elements(d.steps) WITH ORDINALITY s \
         WHERE s.value->>'verdict' IN ('stop', 'change') ORDER BY s.ordinality DESC LIMIT 1), ''), d.outcome, count(*) \
         FROM decisions d WHERE d.decided_at >= ? GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .load::<(String, String, i64)>(conn)?;
    Ok(rows.into_iter().map(|(step, outcome, decisions)| Ending { step, outcome, decisions }).collect())
}
