//! Parameters and answers about segments, decisions, sessions, cleaning, users and jobs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::figures::Figures;
use crate::describe::{self, Described, May};
use crate::dto::{self, Decision, Job, Robot};
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::event::clean::CleaningStep;
use tidings_core::profile::SegmentSummary;
use tidings_decision::privacy::Permission;
use tidings_store::cleaning::CleaningRow;
use tidings_store::user_features::UserFeaturesRow;
use tidings_store::users::UserSummary;

/// A page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// 1…500.
    limit: Option<i64>,
    /// Only of this user.
    pub(super) user_id: Option<String>,
    /// The last decision of the page before.
    pub(super) after: Option<Uuid>,
    /// Beginning of the user's id.
    pub(super) q: Option<String>,
    /// Only users taken for robots, each with the reason.
    #[serde(default)]
    pub(super) robots: bool,
}

impl ListQuery {
    pub(super) fn limit(&self) -> i64 {
        self.limit.unwrap_or(50).clamp(1, 500)
    }
}

/// A segment: means over its users at training.
#[derive(Serialize, ToSchema)]
pub(super) struct Segment {
    segment: String,
    /// Users in it.
    size: u64,
    /// Of all users.
    share: f64,
    purchases_per_month: f64,
    browsing_minutes_per_month: f64,
    searches_per_month: f64,
    recency_days: Option<f64>,
    monetary: f64,
}

impl Segment {
    pub(super) fn of(summary: &SegmentSummary, all: u64) -> Self {
        Self {
            segment: summary.segment.to_string(),
            size: summary.size,
            share: summary.size as f64 / all.max(1) as f64,
            purchases_per_month: summary.purchases_per_month,
            browsing_minutes_per_month: summary.browsing_minutes_per_month,
            searches_per_month: summary.searches_per_month,
            recency_days: summary.recency_days,
            monetary: summary.monetary,
        }
    }
}

/// A user in the plot of segments.
#[derive(Serialize, ToSchema)]
pub(super) struct SampledUser {
    segment: Option<String>,
    purchases_per_month: f64,
    browsing_minutes_per_month: f64,
    searches_per_month: f64,
}

impl SampledUser {
    pub(super) fn of(row: &UserFeaturesRow) -> Self {
        Self {
            segment: dto::segment(row.segment),
            purchases_per_month: row.purchases_per_month,
            browsing_minutes_per_month: row.browsing_minutes_per_month,
            searches_per_month: row.searches_per_month,
        }
    }
}

/// Segments of the model that serves, and a sample of users.
#[derive(Serialize, ToSchema)]
pub(super) struct Segments {
    pub(super) model_version: i32,
    pub(super) segments: Vec<Segment>,
    pub(super) sample: Vec<SampledUser>,
}

/// A page of decisions, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Decisions<'a> {
    pub(super) decisions: Vec<Decision<'a>>,
}

/// A connected user.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    pub(super) user_id: ExternalId,
    pub(super) connections: usize,
    /// Arrival of the first of the present connections.
    pub(super) connected_at: Timestamp,
    pub(super) segment: Option<String>,
}

/// Connected users.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    /// Users whose actors run, connected or not.
    pub(super) total: usize,
    /// Users who are connected: all of them, though not all are listed.
    pub(super) connected: usize,
    pub(super) sessions: Vec<Session>,
}

/// Cleaning of an import's rows.
#[derive(Serialize, ToSchema)]
pub(super) struct CleaningReport {
    source: String,
    created_at: Timestamp,
    rows_read: i64,
    rows_kept: i64,
    #[schema(value_type = Vec<CleaningStep>)]
    steps: Value,
}

impl From<CleaningRow> for CleaningReport {
    fn from(row: CleaningRow) -> Self {
        let report = row.report;
        Self {
            source: report.source,
            created_at: row.created_at,
            rows_read: report.rows_read,
            rows_kept: report.rows_kept,
            steps: report.steps,
        }
    }
}

/// Reports of the latest imports.
#[derive(Serialize, ToSchema)]
pub(super) struct Cleanings {
    pub(super) reports: Vec<CleaningReport>,
}

/// A user in a list to choose from.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedUser {
    user_id: ExternalId,
    segment: Option<String>,
    /// Of users taken for robots, when those are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    robot: Option<Robot>,
}

impl ListedUser {
    pub(super) fn of(row: &UserSummary, robot: Option<Robot>) -> Self {
        Self { user_id: row.external_id.clone(), segment: dto::segment(row.segment), robot }
    }
}

/// Users to choose from.
#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    pub(super) users: Vec<ListedUser>,
}

/// A job that was started or told to end.
#[derive(Serialize, ToSchema)]
pub(super) struct Started {
    pub(super) job: Uuid,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    [of_figures(), of_users(), of_jobs()].into_iter().flatten().collect()
}

/// Figures of the server and of its data.
fn of_figures() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/metrics",
            May::Needs(Permission::ReadFigures),
            "Figures of the running server.",
        )
        .answers::<Figures>(200, "Figures as the dashboard shows them each second."),
        describe::get(
            "/admin/segments",
            May::Needs(Permission::ReadFigures),
            "Segments of the model that serves, and a sample of users.",
        )
        .answers::<Segments>(200, "Segments."),
        describe::get("/admin/cleaning", May::Needs(Permission::ReadFigures), "Cleaning reports of imports.")
            .answers::<Cleanings>(200, "The latest."),
    ]
}

/// Users, their sessions and the decisions about them.
fn of_users() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/decisions",
            May::Needs(Permission::ReadDecisions),
            "Decisions, newest first, sent or not, with reasons.",
        )
        .query::<ListQuery>()
        .answers::<Decisions<'_>>(200, "A page."),
        describe::get(
            "/admin/sessions",
            May::Needs(Permission::ReadDecisions),
            "Users who are connected right now.",
        )
        .answers::<Sessions>(200, "Some of them."),
        describe::get(
            "/admin/users",
            May::Needs(Permission::ReadDecisions),
            "Users to choose from, or those taken for robots.",
        )
        .query::<ListQuery>()
        .answers::<Users>(200, "Users by id."),
        describe::delete(
            "/admin/users/{id}/robot",
            May::Needs(Permission::Operate),
            "Says that a user is no robot.",
        )
        .empty(204, "What they did is learnt from again.")
        .refuses(&[404]),
    ]
}

/// Trainings and other jobs.
fn of_jobs() -> Vec<Described> {
    vec![
        describe::post(
            "/admin/retrain",
            May::Needs(Permission::Operate),
            "Starts a training; while one runs, the answer names that one.",
        )
        .answers::<Started>(202, "The job."),
        describe::get(
            "/admin/jobs/{id}",
            May::Needs(Permission::ReadFigures),
            "State, stage and progress of a job.",
        )
        .answers::<Job>(200, "The job.")
        .refuses(&[404]),
        describe::delete(
            "/admin/jobs/{id}",
            May::Needs(Permission::Operate),
            "Stops a job soon; what serves goes on serving.",
        )
        .answers::<Started>(202, "It is told to end.")
        .refuses(&[404, 409]),
    ]
}
