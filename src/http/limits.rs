//! Over HTTP: where messages end on their way through the policy, and how much of caps and budget is used.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::ApiError;
use crate::actors::App;
use crate::base::Timestamp;
use crate::store;

/// Decisions of so many hours are counted.
const WINDOW_HOURS: f64 = 24.0;
/// The same answer serves every dashboard for so long: it reads a day of decisions.
const FRESH: Duration = Duration::from_secs(3);

/// The last answer, and when it was made.
#[derive(Default)]
pub struct LimitsCache(Mutex<Option<(Instant, Value)>>);

/// The funnel of the last day, the caps and the hour's budget.
pub async fn limits(
    app: web::Data<App>,
    cache: web::Data<LimitsCache>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let known = cache.0.lock().clone().filter(|(at, _)| at.elapsed() < FRESH);
    if let Some((_, answer)) = known {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let answer = read(&app).await?;
    *cache.0.lock() = Some((Instant::now(), answer.clone()));
    Ok(HttpResponse::Ok().json(answer))
}

async fn read(app: &App) -> Result<Value, ApiError> {
    let now = Timestamp::now();
    let rules = app.state.rules();
    let caps = rules.caps.clone();
    let (endings, usages) = app
        .state
        .store
        .run(move |connection| {
            let endings = store::limits::endings(connection, now.plus_days(-WINDOW_HOURS / 24.0))?;
            let usages: Result<Vec<_>, _> =
                caps.iter().map(|cap| store::limits::cap_usage(connection, cap, now)).collect();
            Ok((endings, usages?))
        })
        .await?;
    let endings: Vec<Value> = endings
        .iter()
        .map(|end| json!({"step": end.step, "outcome": end.outcome, "decisions": end.decisions}))
        .collect();
    let caps: Vec<Value> = rules
        .caps
        .iter()
        .zip(usages)
        .map(|(cap, usage)| {
            json!({"category": cap.category, "channel": cap.channel, "campaign": cap.campaign,
                "window_min": cap.window_min, "max": cap.max, "users": usage.users, "at_limit": usage.at_limit})
        })
        .collect();
    Ok(json!({"hours": WINDOW_HOURS, "endings": endings, "caps": caps,
        "budget": {"per_hour": rules.budget_per_hour, "left": rules.budget_per_hour.map(|budget| budget.saturating_sub(app.state.budget.used(now)))}}))
}
