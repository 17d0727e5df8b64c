//! Table `decisions`: every decision about a candidate message, sent or not, with its reasons.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use uuid::Uuid;

use super::StoreError;
use super::convert::{from_pg, items_from_sql, segment_from_sql};
use super::schema::decisions as table;
use crate::base::{ItemId, ModelVersion, NotificationId, Timestamp, UserId};
use crate::recommend::propensity::Probabilities;

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRow {
    /// UUIDv7.
    pub decision_id: Uuid,
    /// When.
    pub decided_at: Timestamp,
    /// About whom.
    pub user: UserId,
    /// What set it off.
    pub trigger: String,
    /// Category of the candidate.
    pub category: String,
    /// `send`, `defer` or `drop`.
    pub outcome: String,
    /// Each policy step that spoke, in order; no control characters.
    pub reasons: Vec<String>,
    /// The message, when sent.
    pub notification_id: Option<NotificationId>,
    /// Model that chose the items; 0 = none.
    pub model_version: ModelVersion,
    /// The user's segment at that moment, 0 = A.
    pub segment: Option<u8>,
    /// The candidate's items, best first.
    pub items: Vec<ItemId>,
    /// Probability of the outcome, in (0, 1]: of the coin, or of the hour where it decided; 1 = deterministic. The wording has
    /// its own ([`Trace::variant_propensity`]).
    pub propensity: f32,
    /// Deferred until when.
    pub until: Option<Timestamp>,
    /// How likely a click, a purchase, a mute; `None` for decisions of older releases.
    pub expected: Option<Probabilities>,
    /// The numbers `expected` was made from; empty unless sent.
    pub features: Vec<f32>,
    /// How it came about.
    pub trace: Trace,
}

/// How a decision came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The way it took or would have taken.
    pub channel: String,
    /// Name of the trigger or campaign.
    pub campaign: String,
    /// Names the occasion.
    pub dedupe_key: Option<i64>,
    /// Version of the policy; 0 = the configuration.
    pub policy_version: i32,
    /// Held out of everything.
    pub holdout: bool,
    /// Its message counts towards frequency caps.
    pub counted: bool,
    /// What could have been chosen, the chosen one first; no control characters.
    pub alternatives: Vec<String>,
    /// Array of {step, verdict, reason, text}.
    pub steps: serde_json::Value,
    /// What held for the user: `ordinary`, `holdout` or `random`.
    pub slice: String,
    /// The wording, where there were several.
    pub variant: Option<String>,
    /// Probability of that wording among those on offer, in (0, 1]; `None` where there was nothing to choose.
    pub variant_propensity: Option<f32>,
    /// Experiment → arm.
    pub arms: serde_json::Value,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            channel: "socket".to_owned(),
            campaign: String::new(),
            dedupe_key: None,
            policy_version: 0,
            holdout: false,
            counted: true,
            alternatives: Vec::new(),
            steps: serde_json::json!([]),
            slice: "ordinary".to_owned(),
            variant: None,
            variant_propensity: None,
            arms: serde_json::json!({}),
        }
    }
}

/// Which decisions to read.
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
                steps: row.steps,
                slice: row.slice,
                variant: row.variant,
                variant_propensity: row.variant_propensity,
                arms: row.arms,
            },
        })
        .collect())
}
