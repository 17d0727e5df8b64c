//! How many messages were delivered, seen, clicked and bought from: over all, and by kind, trigger, model and segment.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};
use serde::Serialize;

use super::StoreError;
use super::convert::{segment_from_sql, to_pg};
use super::sql::sql;
use crate::base::Timestamp;

/// Counts of messages, and the two shares that matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Put into a stream.
    pub sent: i64,
    /// Acknowledged by a client, or answered by any feedback.
    pub delivered: i64,
    /// Shown.
    pub displayed: i64,
    /// Clicked.
    pub clicked: i64,
    /// Dismissed.
    pub dismissed: i64,
    /// Muted.
    pub muted: i64,
    /// Followed by a purchase of an item in it, within the window.
    pub converted: i64,
    /// Clicked of delivered, 0…1; `None` while nothing was delivered.
    pub click_through_rate: Option<f64>,
    /// Converted of delivered, 0…1; `None` while nothing was delivered.
    pub conversion_rate: Option<f64>,
}

/// [`Rates`] of one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedRates {
    /// The kind, trigger, model version or segment letter; "none" without one.
    pub name: String,
    /// Of this group.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Rates over all and by group; groups with the most messages first, then by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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

type Row = (i32, Option<String>, Option<String>, Option<i32>, Option<i16>, i64, i64, i64, i64, i64, i64, i64);

/// Rates of the messages created since `since`. One pass over them; empty groups are left out.
pub fn rates(conn: &mut PgConnection, since: Timestamp) -> Result<FeedbackRates, StoreError> {
    let rows = sql::<(
        Integer,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Integer>,
        Nullable<SmallInt>,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
    )>(
        "WITH outcomes AS (SELECT f.notification_id, bool_or(outcome = 1) AS displayed, bool_or(outcome = 2) AS clicked, \
         bool_or(outcome = 3) AS dismissed, bool_or(outcome = 4) AS converted, bool_or(outcome = 5) AS muted \
         FROM feedback f JOIN notifications n USING (notification_id) WHERE n.created_at >= ? GROUP BY 1) \
         SELECT grouping(n.kind, n.trigger, n.model_version, n.segment), n.kind, n.trigger, n.model_version, n.segment, \
         count(*), count(*) FILTER (WHERE a.up_to >= n.stream_offset OR o.notification_id IS NOT NULL), \
         count(*) FILTER (WHERE o.displayed), count(*) FILTER (WHERE o.clicked), \
         count(*) FILTER (WHERE o.dismissed), count(*) FILTER (WHERE o.muted), count(*) FILTER (WHERE o.converted) \
         FROM notifications n LEFT JOIN outcomes o USING (notification_id) \
         LEFT JOIN acknowledgements a ON a.user_id = n.user_id WHERE n.created_at >= ? \
         GROUP BY GROUPING SETS ((), (n.kind), (n.trigger), (n.model_version), (n.segment)) ORDER BY 6 DESC",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<Timestamptz, _>(to_pg(since))
    .load::<Row>(conn)?;
    let mut result = FeedbackRates::default();
    for row in rows {
        let (grouping, kind, trigger, model, segment, ..) = &row;
        // grouping() has a bit for each column that is not grouped by, the last column lowest.
        let (group, name) = match grouping {
            0b0111 => (&mut result.by_kind, kind.clone()),
            0b1011 => (&mut result.by_trigger, trigger.clone()),
            0b1101 => (
                &mut result.by_model,
                model.filter(|version| *version > 0).map(|version| version.to_string()),
            ),
            0b1110 => (&mut result.by_segment, segment_from_sql(*segment).map(segment_name)),
            _ => {
                result.overall = rates_of(&row);
                continue;
            }
        };
        group.push(NamedRates { name: name.unwrap_or_else(|| "none".into()), rates: rates_of(&row) });
    }
    for group in [&mut result.by_kind, &mut result.by_trigger, &mut result.by_model, &mut result.by_segment] {
        group.sort_by(|a, b| b.rates.sent.cmp(&a.rates.sent).then_with(|| a.name.cmp(&b.name)));
    }
    Ok(result)
}

/// 0 = A.
fn segment_name(segment: u8) -> String {
    char::from(b'A'.saturating_add(segment)).to_string()
}

fn rates_of(row: &Row) -> Rates {
    let (.., sent, delivered, displayed, clicked, dismissed, muted, converted) = row;
    let [sent, delivered, displayed, clicked, dismissed, muted, converted] =
        [sent, delivered, displayed, clicked, dismissed, muted, converted].map(|count| *count);
    let share = |part: i64| (delivered > 0).then(|| part as f64 / delivered as f64);
    Rates {
        sent,
        delivered,
        displayed,
        clicked,
        dismissed,
        muted,
        converted,
        click_through_rate: share(clicked),
        conversion_rate: share(converted),
    }
}
