//! Over HTTP: where messages end on their way through the policy, and how much of caps and budget is used.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{ReadFigures, With};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::Permission;

/// Decisions of so many hours are counted.
const WINDOW_HOURS: f64 = 24.0;
/// The same answer serves every dashboard for so long: it reads a day of decisions.
const FRESH: Duration = Duration::from_secs(3);

/// Decisions that ended alike.
#[derive(Clone, Serialize, ToSchema)]
struct Ending {
    /// Step of the policy that stopped or changed it; empty when nothing did.
    step: String,
    /// `send`, `defer`, `digest`, `inbox_only` or `drop`.
    outcome: String,
    decisions: i64,
}

/// A frequency cap and its use.
#[derive(Clone, Serialize, ToSchema)]
struct CapUse {
    category: String,
    channel: String,
    campaign: String,
    window_min: u64,
    max: usize,
    /// Users with at least one message that it counts.
    users: i64,
    /// Of them those who can get no more for now.
    at_limit: i64,
}

/// Messages of the hour.
#[derive(Clone, Serialize, ToSchema)]
struct BudgetUse {
    /// Null = no bound.
    per_hour: Option<u64>,
    left: Option<u64>,
}

/// Steps at which messages end, caps and budget in use.
#[derive(Clone, Serialize, ToSchema)]
struct Limits {
    /// Hours that are counted.
    hours: f64,
    endings: Vec<Ending>,
    caps: Vec<CapUse>,
    budget: BudgetUse,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/limits",
            May::Needs(Permission::ReadFigures),
            "Steps at which messages end, caps and budget in use.",
        )
        .answers::<Limits>(200, "The last day."),
    ]
}

/// The last answer, and when it was made.
#[derive(Default)]
pub struct LimitsCache(Mutex<Option<(Instant, Limits)>>);

/// The funnel of the last day, the caps and the hour's budget.
pub async fn limits(
    app: web::Data<App>,
    cache: web::Data<LimitsCache>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let known = cache.0.lock().clone().filter(|(at, _)| at.elapsed() < FRESH);
    if let Some((_, answer)) = known {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let answer = read(&app).await?;
    *cache.0.lock() = Some((Instant::now(), answer.clone()));
    Ok(HttpResponse::Ok().json(answer))
}

async fn read(app: &App) -> Result<Limits, ApiError> {
    let now = Timestamp::now();
    let rules = app.state.rules();
    let caps = rules.caps.clone();
    let (endings, usages) = app
        .state
        .store
        .run(move |connection| {
            let endings = tidings_store::limits::endings(connection, now.plus_days(-WINDOW_HOURS / 24.0))?;
            let usages: Result<Vec<_>, _> =
                caps.iter().map(|cap| tidings_store::limits::cap_usage(connection, cap, now)).collect();
            Ok((endings, usages?))
        })
        .await?;
    let endings = endings.into_iter().map(|end| Ending {
        step: end.step,
        outcome: end.outcome,
        decisions: end.decisions,
    });
    let caps = rules.caps.iter().zip(usages).map(|(cap, usage)| CapUse {
        category: cap.category.clone(),
        channel: cap.channel.clone(),
        campaign: cap.campaign.clone(),
        window_min: cap.window_min,
        max: cap.max,
        users: usage.users,
        at_limit: usage.at_limit,
    });
    let left = rules.budget_per_hour.map(|budget| budget.saturating_sub(app.state.budget.used(now)));
    let budget = BudgetUse { per_hour: rules.budget_per_hour, left };
    Ok(Limits { hours: WINDOW_HOURS, endings: endings.collect(), caps: caps.collect(), budget })
}
