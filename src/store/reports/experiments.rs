//! Actions of users under each arm of an experiment, and its choices: read from `decisions`, whose rows say which
//! slice, arm and variant held.

use std::collections::BTreeSet;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Float, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz,
    Uuid as SqlUuid,
};

use serde_json::Value;

use super::conversions;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, segment_from_sql, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{Millis, NotificationId, Timestamp, UserId};
use tidings_core::catalogue::Money;
pub use tidings_core::response::CoinDecision;
use tidings_decision::feedback::attribution::{self, Brought, Kept};
use tidings_decision::feedback::lift::UserOutcome;

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

type UserColumns = (i32, String, Option<i16>, PgTimestamp, i64, i64, bool, bool);

type CoinTypes = (Integer, Timestamptz, Text, Text, Nullable<SmallInt>, Nullable<Array<Float>>, Bool, Float);
type CoinColumns = (i32, PgTimestamp, String, String, Option<i16>, Option<Vec<f32>>, bool, f32);

/// A variant chosen by chance, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantChoice {
    /// Trigger of the template.
    pub trigger: String,
    /// Variant that was chosen.
    pub variant: String,
    /// Segment at that moment, 0 = A.
    pub segment: Option<u8>,
    /// It was clicked.
    pub clicked: bool,
    /// Probability of the choice, in (0, 1].
    pub propensity: f32,
}

/// First moment since `since` at which anybody was held out or given a random policy; `None` before that: the slices are
/// not in force.
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

/// Moment at which the shares of held-out and random users became what they are; `None` if they always were. `shares` says
/// those of a stored policy, `None` for the configured one.
pub fn slices_changed_at(
    conn: &mut PgConnection,
    shares: impl Fn(Option<&Value>) -> (f64, f64),
) -> Result<Option<Timestamp>, StoreError> {
    let rows = sql::<(Text, Jsonb, Timestamptz)>(
        "SELECT state, body, changed_at FROM definitions WHERE kind = 'policy' AND state <> 'draft' ORDER BY version DESC",
    )
    .load::<(String, Value, PgTimestamp)>(conn)?;
    let of = |row: &(String, Value, PgTimestamp)| shares(Some(&row.1).filter(|_| row.0 == "active"));
    let configured = shares(None);
    let current = rows.first().map_or(configured, of);
    let same = rows.iter().take_while(|row| of(row) == current).count();
    let is_original = same == rows.len() && configured == current;
    Ok(rows.get(same.wrapping_sub(1)).filter(|_| !is_original).map(|row| from_pg(row.2)))
}

/// Every user with a decision since `since`, at most [`MAX_USERS`]: by slice, or by the arm of the named experiment.
/// What a user bought and did not return, and whom a user left, counts from that user's first decision on. Robots are left
/// out. `window` is that of [`ArmUser::last_touch`]; revenue is in the base of `money`.
pub fn users(
    conn: &mut PgConnection,
    experiment: Option<&str>,
    since: Timestamp,
    window: Millis,
    money: &Money,
) -> Result<Vec<ArmUser>, StoreError> {
    let credits = conversions::credits(conn, None, since, window, money)?;
    let brought: Vec<(NotificationId, Brought)> = attribution::by_message(&credits).into_iter().collect();
    let rows = sql::<(Integer, Text, Nullable<SmallInt>, Timestamptz, BigInt, BigInt, Bool, Bool)>(
        include_str!("sql/experiment_users.sql"),
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Nullable<Text>, _>(experiment)
    .bind::<Array<SqlUuid>, _>(column(&brought, |(id, _)| id.0))
    .bind::<Array<Bool>, _>(column(&brought, |(_, brought)| brought.first.is_some()))
    .bind::<BigInt, _>(MAX_USERS)
    .load::<UserColumns>(conn)?;
    let bought = conversions::kept(conn, rows.iter().map(|row| UserId::from_sql(row.0)), since, money)?;
    let user = |(id, arm, segment, first, delivered, clicked, opted_out, last_touch): UserColumns| {
        let first = from_pg(first);
        let bought = bought.get(&UserId::from_sql(id)).map_or(&[][..], Vec::as_slice);
        let counted = || bought.iter().filter(|kept| kept.trade.at >= first);
        ArmUser {
            arm,
            segment: segment_from_sql(segment),
            outcome: UserOutcome {
                delivered: u32::try_from(delivered).unwrap_or(u32::MAX),
                clicked: u32::try_from(clicked).unwrap_or(u32::MAX),
                converted: counted().next().is_some(),
                revenue: counted().map(Kept::value).sum(),
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
    let rows = sql::<(Text, Text, Nullable<SmallInt>, Bool, Float)>(include_str!("sql/variant_choices.sql"))
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

/// Decisions of the random slice that a coin made since `since` and whose `window` is over, the newest `limit`; of each user the
/// first in every span of one window, so that a purchase is seldom counted twice. Robots are left out.
pub fn coin_decisions(
    conn: &mut PgConnection,
    since: Timestamp,
    window: Millis,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<CoinDecision>, StoreError> {
    let window_s = window.0 as f64 / 1_000.0;
    let rows = sql::<CoinTypes>(include_str!("sql/coin_decisions.sql"))
        .bind::<Timestamptz, _>(to_pg(since))
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Double, _>(window_s)
        .bind::<BigInt, _>(limit.clamp(0, MAX_CHOICES))
        .load::<CoinColumns>(conn)?;
    let users: BTreeSet<UserId> = rows.iter().map(|row| UserId::from_sql(row.0)).collect();
    let bought = conversions::kept(conn, users, since, Money::NONE)?;
    let decision = |(user, at, trigger, category, segment, features, sent, propensity): CoinColumns| {
        let at = from_pg(at);
        let within = |kept: &Kept| kept.trade.at > at && kept.trade.at <= at + window;
        CoinDecision {
            user: UserId::from_sql(user),
            trigger,
            category,
            segment: segment_from_sql(segment),
            features: features.unwrap_or_default(),
            sent,
            propensity,
            bought: bought.get(&UserId::from_sql(user)).is_some_and(|kept| kept.iter().any(within)),
        }
    };
    Ok(rows.into_iter().map(decision).collect())
}
