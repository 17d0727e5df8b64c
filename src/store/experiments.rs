//! What users did under each arm of an experiment, and what its choices were: read from `decisions`, whose rows say which
//! slice, arm and variant held.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Float, Jsonb, Nullable, SmallInt, Text, Timestamptz};

use super::StoreError;
use super::convert::{from_pg, segment_from_sql, to_pg};
use super::sql::sql;
use crate::base::{Millis, Timestamp};
use crate::feedback::lift::UserOutcome;

/// Most users of one reading: some 100 MB while it is made.
pub const MAX_USERS: i64 = 1_000_000;
/// Most logged choices of one estimate.
pub const MAX_CHOICES: i64 = 500_000;
/// Most experiments listed.
const MAX_EXPERIMENTS: i64 = 100;

/// One user of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmUser {
    /// Name of the arm, as last decided.
    pub arm: String,
    /// Segment as last decided, 0 = A.
    pub segment: Option<u8>,
    /// Since the user's first decision in it.
    pub outcome: UserOutcome,
    /// Bought within the attribution window of a message that named the item.
    pub last_touch: bool,
}

type UserColumns = (String, Option<i16>, i64, i64, bool, f64, bool, bool);

/// A variant chosen by chance, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantChoice {
    /// Which trigger's template.
    pub trigger: String,
    /// What was chosen.
    pub variant: String,
    /// Segment at that moment, 0 = A.
    pub segment: Option<u8>,
    /// It was clicked.
    pub clicked: bool,
    /// Probability of the choice, in (0, 1].
    pub propensity: f32,
}

/// Whether to send, decided by a coin, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CoinDecision {
    /// What set it off.
    pub trigger: String,
    /// Segment at that moment, 0 = A.
    pub segment: Option<u8>,
    /// The coin said send.
    pub sent: bool,
    /// Probability of what it said, in (0, 1].
    pub propensity: f32,
    /// The user bought something within the window after it.
    pub bought: bool,
}

/// When anybody was first held out or given a random policy since `since`; `None` before that: the slices are not in force.
pub fn slices_since(conn: &mut PgConnection, since: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let moments = sql::<Nullable<Timestamptz>>(
        "SELECT min(decided_at) FROM decisions WHERE decided_at >= ? AND slice <> 'ordinary'",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .load::<Option<PgTimestamp>>(conn)?;
    Ok(moments.into_iter().flatten().next().map(from_pg))
}

/// Names of the experiments that decisions since `since` were part of, with the arms seen, both in order; at most 100.
pub fn names(conn: &mut PgConnection, since: Timestamp) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let rows = sql::<(Text, Array<Text>)>(
        "SELECT e.key, array_agg(DISTINCT e.value ORDER BY e.value) FROM decisions d, jsonb_each_text(d.arms) e \
         WHERE d.decided_at >= ? AND d.arms <> '{}' GROUP BY 1 ORDER BY 1 LIMIT ?",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<BigInt, _>(MAX_EXPERIMENTS)
    .load::<(String, Vec<String>)>(conn)?;
    Ok(rows)
}

/// The stored definition of an experiment, its latest version that was ever active; `None` when there is none.
pub fn definition(conn: &mut PgConnection, name: &str) -> Result<Option<serde_json::Value>, StoreError> {
    let rows = sql::<Jsonb>(
        "SELECT body FROM definitions WHERE kind = 'experiment' AND name = ? AND state <> 'draft' \
         ORDER BY version DESC LIMIT 1",
    )
    .bind::<Text, _>(name)
    .load::<serde_json::Value>(conn)?;
    Ok(rows.into_iter().next())
}

/// Every user with a decision since `since`, at most [`MAX_USERS`]: by slice, or by the arm of the named experiment.
/// What a user bought and whom a user left counts from that user's first decision on. Robots are left out.
pub fn users(
    conn: &mut PgConnection,
    experiment: Option<&str>,
    since: Timestamp,
) -> Result<Vec<ArmUser>, StoreError> {
    let rows = sql::<(Text, Nullable<SmallInt>, BigInt, BigInt, Bool, Double, Bool, Bool)>(
        "WITH asked AS (SELECT ?::timestamptz AS since, ?::text AS experiment), \
         decided AS (SELECT user_id, decided_at, segment, \
         CASE WHEN experiment IS NULL THEN slice ELSE arms->>experiment END AS arm \
         FROM asked, decisions WHERE decided_at >= since), \
         seen AS (SELECT user_id, min(decided_at) AS first, (array_agg(arm ORDER BY decided_at DESC))[1] AS arm, \
         (array_agg(segment ORDER BY decided_at DESC))[1] AS segment \
         FROM decided JOIN users u USING (user_id) WHERE arm IS NOT NULL AND NOT u.is_robot \
         GROUP BY 1 ORDER BY 1 LIMIT ?), \
         came AS (SELECT f.notification_id, bool_or(outcome = 2) AS clicked, bool_or(outcome = 4) AS converted, \
         bool_or(outcome = 5) AS muted FROM feedback f JOIN notifications n USING (notification_id), asked \
         WHERE n.created_at >= since GROUP BY 1), \
         told AS (SELECT n.user_id, \
         count(*) FILTER (WHERE a.up_to >= n.stream_offset OR c.notification_id IS NOT NULL) AS delivered, \
         count(*) FILTER (WHERE c.clicked) AS clicked, coalesce(bool_or(c.converted), false) AS converted, \
         coalesce(bool_or(c.muted), false) AS muted \
         FROM asked CROSS JOIN notifications n LEFT JOIN acknowledgements a ON a.user_id = n.user_id \
         LEFT JOIN came c USING (notification_id) \
         WHERE n.created_at >= since GROUP BY 1), \
         bought AS (SELECT e.user_id, sum(coalesce(e.value, 0)) AS revenue FROM asked CROSS JOIN events e \
         JOIN seen s USING (user_id) WHERE e.kind = 5 AND e.occurred_at >= since AND e.occurred_at >= s.first GROUP BY 1) \
         SELECT s.arm, s.segment, coalesce(t.delivered, 0), coalesce(t.clicked, 0), b.user_id IS NOT NULL, \
         coalesce(b.revenue, 0)::float8, coalesce(t.muted, false) \
         OR EXISTS (SELECT FROM consents c WHERE c.user_id = s.user_id AND c.purpose = 'marketing' AND NOT c.granted \
         AND c.recorded_at >= s.first) \
         OR EXISTS (SELECT FROM opt_outs o WHERE o.user_id = s.user_id AND o.opted_out_at >= s.first), coalesce(t.converted, false) \
         FROM seen s LEFT JOIN told t USING (user_id) LEFT JOIN bought b USING (user_id)",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Nullable<Text>, _>(experiment)
    .bind::<BigInt, _>(MAX_USERS)
    .load::<UserColumns>(conn)?;
    let user =
        |(arm, segment, delivered, clicked, converted, revenue, opted_out, last_touch): UserColumns| {
            ArmUser {
                arm,
                segment: segment_from_sql(segment),
                outcome: UserOutcome {
                    delivered: u32::try_from(delivered).unwrap_or(u32::MAX),
                    clicked: u32::try_from(clicked).unwrap_or(u32::MAX),
                    converted,
                    revenue,
                    opted_out,
                },
                last_touch,
            }
        };
    Ok(rows.into_iter().map(user).collect())
}

/// Messages confirmed as delivered since `since` whose words were drawn among variants, by the bandit or evenly, the newest
/// [`MAX_CHOICES`]. The propensity is the wording's own: whether and when it was sent is not what is judged.
pub fn variant_choices(conn: &mut PgConnection, since: Timestamp) -> Result<Vec<VariantChoice>, StoreError> {
    let rows = sql::<(Text, Text, Nullable<SmallInt>, Bool, Float)>(
        "SELECT d.trigger, coalesce(d.variant, d.alternatives[1]), d.segment, \
         EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id AND f.outcome = 2), d.variant_propensity \
         FROM decisions d JOIN notifications n USING (notification_id) \
         WHERE d.decided_at >= ? AND d.outcome = 'send' AND d.variant_propensity < 1 \
         AND (EXISTS (SELECT FROM acknowledgements a WHERE a.user_id = n.user_id AND a.up_to >= n.stream_offset) \
         OR EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id)) \
         ORDER BY d.decided_at DESC LIMIT ?",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<BigInt, _>(MAX_CHOICES)
    .load::<(String, String, Option<i16>, bool, f32)>(conn)?;
    let choice = |(trigger, variant, segment, clicked, propensity)| VariantChoice {
        trigger,
        variant,
        segment: segment_from_sql(segment),
        clicked,
        propensity,
    };
    Ok(rows.into_iter().map(choice).collect())
}

/// Decisions of the random slice that a coin made since `since` and whose `window` is over, the newest [`MAX_CHOICES`]; of each
/// user the first in every span of one window, so that a purchase is seldom counted twice. Robots are left out.
pub fn coin_decisions(
    conn: &mut PgConnection,
    since: Timestamp,
    window: Millis,
    now: Timestamp,
) -> Result<Vec<CoinDecision>, StoreError> {
    let window_s = window.0 as f64 / 1_000.0;
    let rows = sql::<(Text, Nullable<SmallInt>, Bool, Float, Bool)>(
        "WITH asked AS (SELECT ?::timestamptz AS since, ?::timestamptz AS over, make_interval(secs => ?) AS span), \
         first AS (SELECT DISTINCT ON (d.user_id, date_bin(span, d.decided_at, since)) d.* \
         FROM asked, decisions d JOIN users u USING (user_id) \
         WHERE d.decided_at >= since AND d.decided_at <= over - span AND d.slice = 'random' AND NOT u.is_robot \
         AND d.propensity < 1 AND d.steps @> '[{\"step\": \"experiment\"}]' \
         ORDER BY d.user_id, date_bin(span, d.decided_at, since), d.decided_at) \
         SELECT trigger, segment, outcome <> 'drop', propensity, EXISTS (SELECT FROM events e \
         WHERE e.user_id = first.user_id AND e.kind = 5 AND e.occurred_at > decided_at AND e.occurred_at <= decided_at + span) \
         FROM first, asked ORDER BY decided_at DESC LIMIT ?",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Double, _>(window_s)
    .bind::<BigInt, _>(MAX_CHOICES)
    .load::<(String, Option<i16>, bool, f32, bool)>(conn)?;
    let decision = |(trigger, segment, sent, propensity, bought)| CoinDecision {
        trigger,
        segment: segment_from_sql(segment),
        sent,
        propensity,
        bought,
    };
    Ok(rows.into_iter().map(decision).collect())
}
