//! Table `decisions`: every decision about a candidate message, sent or not, with its reasons.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, items_from_sql, segment_from_sql};
use tidings_core::base::{ModelVersion, NotificationId, UserId};
use tidings_core::response::Probabilities;
pub use tidings_decision::decide::record::{DecisionRow, Trace};
use tidings_schema::decisions as table;

/// Filter for the decisions to read.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionFilter {
    /// At most so many.
    pub limit: i64,
    /// About this user only.
    pub user: Option<UserId>,
    /// Newer than this decision only.
    pub after: Option<Uuid>,
}

#[derive(Queryable)]
struct Columns {
    decision_id: Uuid,
    decided_at: PgTimestamp,
    user_id: i32,
    trigger: String,
    category: String,
    outcome: String,
    reasons: Vec<String>,
    notification_id: Option<Uuid>,
    model_version: i32,
    segment: Option<i16>,
    items: Vec<i32>,
    propensity: f32,
    until: Option<PgTimestamp>,
    p_click: Option<f32>,
    p_purchase: Option<f32>,
    p_mute: Option<f32>,
    features: Option<Vec<f32>>,
    channel: String,
    campaign: String,
    dedupe_key: Option<i64>,
    policy_version: i32,
    holdout: bool,
    counted: bool,
    alternatives: Vec<String>,
    steps: serde_json::Value,
    slice: String,
    variant: Option<String>,
    arms: serde_json::Value,
    variant_propensity: Option<f32>,
    inputs: serde_json::Value,
    call_id: Option<Uuid>,
}

/// Newest first.
pub fn recent(conn: &mut PgConnection, filter: &DecisionFilter) -> Result<Vec<DecisionRow>, StoreError> {
    let mut query = table::table
        .order((table::decided_at.desc(), table::decision_id.desc()))
        .limit(filter.limit.max(0))
        .into_boxed();
    if let Some(user) = filter.user {
        query = query.filter(table::user_id.eq(user.to_sql()));
    }
    if let Some(after) = filter.after {
        query = query.filter(table::decision_id.gt(after));
    }
    let rows = query.load::<Columns>(conn)?;
    Ok(rows
        .into_iter()
        .map(|row| DecisionRow {
            decision_id: row.decision_id,
            decided_at: from_pg(row.decided_at),
            user: UserId::from_sql(row.user_id),
            trigger: row.trigger,
            category: row.category,
            outcome: row.outcome,
            reasons: row.reasons,
            notification_id: row.notification_id.map(NotificationId),
            model_version: ModelVersion(row.model_version),
            segment: segment_from_sql(row.segment),
            items: items_from_sql(row.items),
            propensity: row.propensity,
            until: row.until.map(from_pg),
            expected: match (row.p_click, row.p_purchase, row.p_mute) {
                (Some(click), Some(purchase), Some(mute)) => Some(Probabilities { click, purchase, mute }),
                _ => None,
            },
            features: row.features.unwrap_or_default(),
            trace: Trace {
                channel: row.channel,
                campaign: row.campaign,
                dedupe_key: row.dedupe_key,
                policy_version: row.policy_version,
                holdout: row.holdout,
                counted: row.counted,
                alternatives: row.alternatives,
                steps: serde_json::from_value(row.steps).unwrap_or_default(),
                slice: row.slice,
                variant: row.variant,
                variant_propensity: row.variant_propensity,
                arms: serde_json::from_value(row.arms).unwrap_or_default(),
                inputs: serde_json::from_value(row.inputs).unwrap_or_default(),
            },
            call: row.call_id,
        })
        .collect())
}
