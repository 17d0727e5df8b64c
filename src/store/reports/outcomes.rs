//! Outcomes of messages by any property of theirs: one pass over `notifications`, their feedback and their decisions, with the
//! purchases credited to them ([`conversions`]). A client's own report of a conversion counts where no purchase is known.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Text, Timestamptz, Uuid as SqlUuid};
use serde::Serialize;

use super::conversions;
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::to_pg;
use crate::postgres::sql::sql;
use tidings_core::base::{Millis, NotificationId, Timestamp};
use tidings_core::catalogue::Money;
use tidings_decision::feedback::attribution::{self, Brought};
use tidings_decision::feedback::outcomes::{OutcomeCounts, Share};

/// Key by which messages are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// recommendation, announcement, …
    Kind,
    /// Trigger, with the variant of its template: `["view", "a"]`.
    TriggerVariant,
    /// Name of the trigger.
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

/// The statement for a key in two parts, `first` and `second`, grouped by `group`.
fn grouped_by(first: &str, second: &str, group: &str) -> String {
    format!(include_str!("sql/outcomes_by_group.sql"), first = first, second = second, group = group)
}

/// Outcomes of the messages created since `since`, the largest group first; at most 1,000 groups. Hours and weekdays are
/// those of `zone` (IANA name); purchases count up to `window` after the message, in the base of `money`.
pub fn by(
    conn: &mut PgConnection,
    group: GroupBy,
    since: Timestamp,
    zone: &str,
    window: Millis,
    money: &Money,
) -> Result<Vec<OutcomeGroup>, StoreError> {
    let (first, second) = match group {
        GroupBy::Kind => ("n.kind", "''"),
        GroupBy::Trigger => ("n.trigger", "''"),
        GroupBy::TriggerVariant => ("n.trigger", "coalesce(w.variant, '')"),
        GroupBy::Segment => ("coalesce(n.segment::text, '')", "''"),
        GroupBy::WeekdayHour => (
            "extract(isodow FROM n.created_at AT TIME ZONE zone)::text",
            "extract(hour FROM n.created_at AT TIME ZONE zone)::text",
        ),
        GroupBy::Model => ("n.model_version::text", "''"),
        GroupBy::Policy => ("coalesce(w.policy_version::text, '')", "''"),
        GroupBy::Channel => ("(ARRAY['socket', 'push', 'inbox'])[n.channel + 1]", "''"),
    };
    groups(conn, grouped_by(first, second, "1, 2"), since, zone, window, money)
}

fn groups(
    conn: &mut PgConnection,
    text: String,
    since: Timestamp,
    zone: &str,
    window: Millis,
    money: &Money,
) -> Result<Vec<OutcomeGroup>, StoreError> {
    let credits = conversions::credits(conn, None, since, window, money)?;
    let brought: Vec<(NotificationId, Brought)> = attribution::by_message(&credits).into_iter().collect();
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
    .bind::<Array<SqlUuid>, _>(column(&brought, |(id, _)| id.0))
    .bind::<Array<Bool>, _>(column(&brought, |(_, brought)| brought.first.is_some()))
    .bind::<Array<Double>, _>(column(&brought, |(_, brought)| brought.revenue))
    .bind::<BigInt, _>(MAX_GROUPS)
    .load::<Row>(conn)?;
    Ok(rows.into_iter().map(group_of).collect())
}

/// Counts of messages, and the two shares that matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = OutcomeRates)]
pub struct Rates {
    /// As counted.
    #[serde(flatten)]
    pub counts: OutcomeCounts,
    /// Clicked of delivered, 0…1; `None` while nothing was delivered.
    pub click_through_rate: Option<f64>,
    /// Converted of delivered, 0…1; `None` while nothing was delivered.
    pub conversion_rate: Option<f64>,
}

impl Rates {
    fn of(counts: OutcomeCounts) -> Self {
        let shares = counts.shares();
        let value = |share: Option<Share>| share.map(|share| share.value);
        Self {
            counts,
            click_through_rate: value(shares.click_through),
            conversion_rate: value(shares.conversion),
        }
    }
}

/// [`Rates`] of one group.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = NamedOutcomeRates)]
pub struct NamedRates {
    /// The kind, trigger, model version or segment letter; "none" without one.
    pub name: String,
    /// Of this group.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Rates over all and by group; groups with the most messages first, then by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FeedbackRates {
    /// Over all.
    pub overall: Rates,
    /// By kind of message.
    pub by_kind: Vec<NamedRates>,
    /// By what set it off.
    pub by_trigger: Vec<NamedRates>,
    /// By model version.
    pub by_model: Vec<NamedRates>,
    /// By the user's segment when it was sent.
    pub by_segment: Vec<NamedRates>,
}

/// Rates of the messages created since `since`, with purchases up to `window` after each. One pass over them; empty groups are
/// left out, and beyond 1,000 the smallest.
pub fn rates(
    conn: &mut PgConnection,
    since: Timestamp,
    window: Millis,
    money: &Money,
) -> Result<FeedbackRates, StoreError> {
    // grouping() has a bit for each column that is not grouped by, the last column lowest.
    let text = grouped_by(
        "CASE grouping(n.kind, n.trigger, n.model_version, n.segment) \
         WHEN 7 THEN 'kind' WHEN 11 THEN 'trigger' WHEN 13 THEN 'model' WHEN 14 THEN 'segment' ELSE 'overall' END",
        "coalesce(n.kind, n.trigger, n.model_version::text, n.segment::text, '')",
        "GROUPING SETS ((), (n.kind), (n.trigger), (n.model_version), (n.segment))",
    );
    let mut result = FeedbackRates::default();
    for OutcomeGroup { key: (of, value), counts } in groups(conn, text, since, "UTC", window, money)? {
        let rates = Rates::of(counts);
        let (group, name) = match of.as_str() {
            "kind" => (&mut result.by_kind, Some(value)),
            "trigger" => (&mut result.by_trigger, Some(value)),
            "model" => (&mut result.by_model, Some(value).filter(|version| version != "0")),
            "segment" => (&mut result.by_segment, value.parse().ok().map(segment_name)),
            _ => {
                result.overall = rates;
                continue;
            }
        };
        group.push(NamedRates { name: name.unwrap_or_else(|| "none".into()), rates });
    }
    for group in [&mut result.by_kind, &mut result.by_trigger, &mut result.by_model, &mut result.by_segment] {
        group.sort_by(|a, b| b.rates.counts.sent.cmp(&a.rates.counts.sent).then_with(|| a.name.cmp(&b.name)));
    }
    Ok(result)
}

/// 0 = A.
fn segment_name(segment: u8) -> String {
    char::from(b'A'.saturating_add(segment)).to_string()
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
