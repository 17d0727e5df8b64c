//! What came of messages, by any property of theirs: one pass over `notifications`, their feedback and their decisions.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Text, Timestamptz};

use super::StoreError;
use super::convert::to_pg;
use super::sql::sql;
use crate::base::Timestamp;
use crate::feedback::outcomes::OutcomeCounts;

/// What messages are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// recommendation, announcement, …
    Kind,
    /// What set it off, with the variant of its template: `["view", "a"]`.
    TriggerVariant,
    /// What set it off.
    Trigger,
    /// The user's segment when it was sent, 0 = A.
    Segment,
    /// Weekday (1 = Monday) and hour: `["1", "0"]`.
    WeekdayHour,
    /// Model that chose the items.
    Model,
    /// Version of the policy; 0 = the configuration.
    Policy,
    /// socket, push or inbox.
    Channel,
}

/// One group.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeGroup {
    /// The value, in one part or two; empty text where there is none.
    pub key: (String, String),
    /// Of this group.
    pub counts: OutcomeCounts,
}

/// Most groups of one answer.
const MAX_GROUPS: i64 = 1_000;

type Row = (String, String, i64, i64, i64, i64, i64, i64, i64, i64, f64, i64, i64);

/// The statement for a key in two parts. An opt-out is of the last message before it, up to 30 days back.
macro_rules! grouped_by {
    ($first:literal, $second:literal) => {
        concat!(
            "WITH asked AS (SELECT ?::timestamptz AS since, ?::text AS zone), \
             came AS (SELECT f.notification_id, bool_or(outcome = 1) AS displayed, bool_or(outcome = 2) AS clicked, \
             bool_or(outcome = 3) AS dismissed, bool_or(outcome = 4) AS converted, sum(value) FILTER (WHERE outcome = 4) \
             AS revenue, bool_or(outcome = 5) AS muted, bool_or(outcome = 6) AS liked, bool_or(outcome = 7) AS disliked \
             FROM feedback f JOIN notifications n USING (notification_id), asked WHERE n.created_at >= since GROUP BY 1), \
             gone AS (SELECT user_id, min(at) AS at FROM (SELECT user_id, recorded_at AS at FROM consents, asked \
             WHERE purpose = 'marketing' AND NOT granted AND recorded_at >= since \
             UNION ALL SELECT user_id, updated_at FROM user_preferences p, asked \
             WHERE (p.settings->>'opted_out')::boolean AND updated_at >= since) left_at GROUP BY 1), \
             last AS (SELECT m.notification_id FROM gone CROSS JOIN LATERAL (SELECT notification_id FROM notifications n \
             WHERE n.user_id = gone.user_id AND n.created_at BETWEEN gone.at - interval '30 days' AND gone.at \
             ORDER BY stream_offset DESC LIMIT 1) m), \
             ways AS (SELECT DISTINCT ON (notification_id) notification_id, policy_version, \
             coalesce(variant, alternatives[1]) AS variant FROM decisions, asked \
             WHERE notification_id IS NOT NULL AND decided_at >= since - interval '1 day' ORDER BY notification_id) \
             SELECT ", $first, ", ", $second, ", count(*), \
             count(*) FILTER (WHERE a.up_to >= n.stream_offset OR c.notification_id IS NOT NULL), \
             count(*) FILTER (WHERE c.displayed), count(*) FILTER (WHERE c.clicked), \
             count(*) FILTER (WHERE c.dismissed), count(*) FILTER (WHERE c.liked), count(*) FILTER (WHERE c.disliked), \
             count(*) FILTER (WHERE c.converted), coalesce(sum(c.revenue), 0)::float8, \
             count(*) FILTER (WHERE c.muted), count(l.notification_id) \
             FROM asked CROSS JOIN notifications n LEFT JOIN acknowledgements a ON a.user_id = n.user_id \
             LEFT JOIN came c USING (notification_id) \
             LEFT JOIN last l USING (notification_id) LEFT JOIN ways w USING (notification_id) \
             WHERE n.created_at >= since GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ?"
        )
    };
}

/// Outcomes of the messages created since `since`, the largest group first; at most 1,000 groups. Hours and weekdays are
/// those of `zone` (IANA name).
pub fn by(
    conn: &mut PgConnection,
    group: GroupBy,
    since: Timestamp,
    zone: &str,
) -> Result<Vec<OutcomeGroup>, StoreError> {
    let text = match group {
        GroupBy::Kind => grouped_by!("n.kind", "''"),
        GroupBy::Trigger => grouped_by!("n.trigger", "''"),
        GroupBy::TriggerVariant => grouped_by!("n.trigger", "coalesce(w.variant, '')"),
        GroupBy::Segment => grouped_by!("coalesce(n.segment::text, '')", "''"),
        GroupBy::WeekdayHour => grouped_by!(
            "extract(isodow FROM n.created_at AT TIME ZONE zone)::text",
            "extract(hour FROM n.created_at AT TIME ZONE zone)::text"
        ),
        GroupBy::Model => grouped_by!("n.model_version::text", "''"),
        GroupBy::Policy => grouped_by!("coalesce(w.policy_version::text, '')", "''"),
        GroupBy::Channel => {
            grouped_by!("(ARRAY['socket', 'push', 'inbox'])[n.channel + 1]", "''")
        }
    };
    let rows = sql::<(
        Text,
        Text,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        Double,
        BigInt,
        BigInt,
    )>(text)
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Text, _>(zone)
    .bind::<BigInt, _>(MAX_GROUPS)
    .load::<Row>(conn)?;
    Ok(rows.into_iter().map(group_of).collect())
}

fn group_of(row: Row) -> OutcomeGroup {
    let (
        first,
        second,
        sent,
        delivered,
        displayed,
        clicked,
        dismissed,
        liked,
        disliked,
        converted,
        revenue,
        muted,
        gone,
    ) = row;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let counts = OutcomeCounts {
        sent: count(sent),
        delivered: count(delivered),
        displayed: count(displayed),
        clicked: count(clicked),
        dismissed: count(dismissed),
        liked: count(liked),
        disliked: count(disliked),
        converted: count(converted),
        revenue,
        muted: count(muted),
        unsubscribed: count(gone),
    };
    OutcomeGroup { key: (first, second), counts }
}
