//! For administrators: live metrics, segments, models, decisions, sessions, retraining.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::auth::Caller;
use super::body::Body;
use super::dto;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::recommender::messages::ModelCommand;
use crate::base::{ExternalId, Timestamp};
use crate::config::AuthMode;
use crate::decide::Input;
use crate::store::decisions::DecisionFilter;
use crate::store::{self, StoreError};
use crate::telemetry::{Count, Gauge, Timing};

/// Rates shown are means over this many seconds.
const RATE_WINDOW: usize = 5;
/// Feedback rates look back this far.
const FEEDBACK_DAYS: f64 = 7.0;
/// Feedback rates are read again after this long at the earliest, and take a twentieth of a core at most.
const SLOW_AFTER: Duration = Duration::from_secs(2);
const SLOW_SHARE: u32 = 20;
/// Users in the scatter plot.
const SAMPLE: i64 = 600;
/// Sessions listed.
const MAX_SESSIONS: usize = 200;

/// Set by `tidings demo`: the dashboard says that the shoppers are simulated.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoMode(pub bool);

/// Dashboard figures that cost a query over a week of messages.
#[derive(Clone)]
struct Slow {
    feedback: Value,
    users: i64,
    pushes: Pushes,
}

/// Browsers that can be pushed to, and messages on their way to them.
#[derive(Clone, Copy)]
struct Pushes {
    subscriptions: i64,
    waiting: i64,
}

/// Asked for every second by every open dashboard, read every few seconds. With the time until which it holds.
#[derive(Default)]
pub struct SlowCache(Mutex<Option<(Instant, Slow)>>);

async fn slow(app: &App, cache: &SlowCache) -> Result<Slow, ApiError> {
    let known = cache.0.lock().clone().filter(|(until, _)| Instant::now() < *until);
    if let Some((_, slow)) = known {
        return Ok(slow);
    }
    let began = Instant::now();
    let since = Timestamp::now().plus_days(-FEEDBACK_DAYS);
    let window = app.state.rules().attribution_window;
    let money = app.state.catalogue.load().money().clone();
    let (feedback, users, pushes) = app
        .state
        .store
        .run(move |connection| {
            let pushes = Pushes {
                subscriptions: store::push_subscriptions::count(connection)?,
                waiting: store::push_outbox::waiting(connection)?,
            };
            Ok((
                store::outcomes::rates(connection, since, window, &money)?,
                store::users::count(connection)?,
                pushes,
            ))
        })
        .await?;
    let mut feedback = serde_json::to_value(feedback).unwrap_or_default();
    if let Some(fields) = feedback.as_object_mut() {
        fields.insert("window_days".to_owned(), json!(FEEDBACK_DAYS));
    }
    let slow = Slow { feedback, users, pushes };
    let until = Instant::now() + SLOW_AFTER.max(SLOW_SHARE * began.elapsed());
    *cache.0.lock() = Some((until, slow.clone()));
    Ok(slow)
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    limit: Option<i64>,
    user_id: Option<String>,
    after: Option<Uuid>,
    q: Option<String>,
    #[serde(default)]
    robots: bool,
}

impl ListQuery {
    fn limit(&self) -> i64 {
        self.limit.unwrap_or(50).clamp(1, 500)
    }
}

/// Everything the dashboard shows each second.
pub async fn metrics(
    app: web::Data<App>,
    demo: web::Data<DemoMode>,
    cache: web::Data<SlowCache>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let Slow { feedback, users, pushes } = slow(&app, &cache).await?;
    let metrics = &app.state.metrics;
    let history = metrics.history();
    let recent: Vec<_> = history.iter().rev().take(RATE_WINDOW).collect();
    let mean = |value: fn(&crate::telemetry::Sample) -> f64| {
        recent.iter().map(|sample| value(sample)).sum::<f64>() / recent.len().max(1) as f64
    };
    let models = app.state.models.load();
    let model = (models.version.0 > 0).then(|| {
        json!({"version": models.version.0, "trained_at": models.trained_at, "events": models.events, "metrics": models.metrics,
            "drift": app.state.monitor.drift(), "shadow": app.state.monitor.shadow_report()})
    });
    let latency: serde_json::Map<String, Value> = Timing::ALL
        .iter()
        .map(|timing| (timing.key().to_owned(), json!(metrics.percentiles(*timing, 60))))
        .collect();
    let decisions = metrics.count(Count::Sends) + metrics.count(Count::Defers) + metrics.count(Count::Drops);
    Ok(HttpResponse::Ok().json(json!({
        "server_time": Timestamp::now(),
        "uptime_s": metrics.uptime().as_secs(),
        "version": env!("CARGO_PKG_VERSION"),
        "demo": demo.0,
        "auth": match app.state.config.auth.mode { AuthMode::Off => "off", AuthMode::Token => "token" },
        "connected_users": metrics.gauge(Gauge::ConnectedUsers),
        "connections": metrics.gauge(Gauge::Connections),
        "rates": {
            "events_per_s": mean(|sample| sample.events_per_s),
            "pushes_per_s": mean(|sample| sample.pushes_per_s),
            "decisions_per_s": mean(|sample| sample.decisions_per_s),
        },
        "totals": {
            "events": metrics.count(Count::Events), "pushes": metrics.count(Count::Pushes), "decisions": decisions,
            "rejected_events": metrics.count(Count::RejectedEvents), "feedback": metrics.count(Count::Feedback),
        },
        "webpush": {
            "sent": metrics.count(Count::PushSent), "retried": metrics.count(Count::PushRetried),
            "gone": metrics.count(Count::PushGone), "refused": metrics.count(Count::PushRefused),
            "expired": metrics.count(Count::PushExpired), "subscriptions": pushes.subscriptions,
            "waiting": pushes.waiting, "services": push_services(&app),
        },
        "latency_ms": latency,
        "history": history,
        "model": model,
        "job": app.state.jobs.current().as_ref().map(dto::job),
        "catalogue": {"items": app.state.catalogue.load().len()},
        "users": users,
        "feedback": feedback,
    })))
}

/// Push services, those in trouble first.
fn push_services(app: &App) -> Vec<Value> {
    let one = |one: &crate::deliver::push_services::ServiceStatus| {
        json!({
            "service": one.service, "breaker": one.breaker.name(), "open_until": one.open_until,
            "in_flight": one.in_flight, "requests": one.ended, "failed": one.failed,
        })
    };
    app.state.push.services.load().iter().map(one).collect()
}

/// Segments of the model that serves, and a sample of users for the plot.
pub async fn segments(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let sample = app.state.store.run(|connection| store::user_features::sample(connection, SAMPLE)).await?;
    let models = app.state.models.load();
    let summaries =
        models.segmentation.as_ref().map(|segmentation| segmentation.summaries()).unwrap_or_default();
    let all: u64 = summaries.iter().map(|summary| summary.size).sum();
    let segments: Vec<Value> = summaries
        .iter()
        .map(|summary| {
            json!({
                "segment": summary.segment.to_string(), "size": summary.size,
                "share": summary.size as f64 / all.max(1) as f64,
                "purchases_per_month": summary.purchases_per_month,
                "browsing_minutes_per_month": summary.browsing_minutes_per_month,
                "searches_per_month": summary.searches_per_month,
                "recency_days": summary.recency_days, "monetary": summary.monetary,
            })
        })
        .collect();
    let sample: Vec<Value> = sample
        .iter()
        .map(|row| {
            json!({
                "segment": dto::segment(row.segment), "purchases_per_month": row.purchases_per_month,
                "browsing_minutes_per_month": row.browsing_minutes_per_month,
                "searches_per_month": row.searches_per_month,
            })
        })
        .collect();
    Ok(HttpResponse::Ok()
        .json(json!({"model_version": models.version.0, "segments": segments, "sample": sample})))
}

/// Lists decisions, newest first, sent or not, with reasons.
pub async fn decisions(
    query: web::Query<ListQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let wanted =
        query.user_id.as_deref().filter(|text| !text.is_empty()).map(ExternalId::parse).transpose()?;
    let (limit, after) = (query.limit(), query.after);
    let (rows, users) = app
        .state
        .store
        .run(move |connection| {
            let user = match &wanted {
                Some(id) => match store::users::find(connection, id)? {
                    Some(user) => Some(user),
                    None => return Ok((Vec::new(), Default::default())),
                },
                None => None,
            };
            let rows = store::decisions::recent(connection, &DecisionFilter { limit, user, after })?;
            let ids: Vec<_> = rows.iter().map(|row| row.user).collect();
            let users = store::users::external_ids(connection, &ids)?;
            Ok((rows, users))
        })
        .await?;
    let catalogue = app.state.catalogue.load();
    let decisions: Vec<Value> = rows.iter().map(|row| dto::decision(row, &users, &catalogue)).collect();
    Ok(HttpResponse::Ok().json(json!({ "decisions": decisions })))
}

/// Users who are connected right now.
pub async fn sessions(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let mut sessions = Vec::new();
    for (user, entry) in app.registry.users(MAX_SESSIONS) {
        if let Some(snapshot) = entry.profile().await
            && snapshot.connections > 0
        {
            sessions.push(json!({
                "user_id": user, "connections": snapshot.connections, "connected_at": snapshot.connected_at,
                "segment": snapshot.segment.map(|segment| segment.to_string()),
            }));
        }
    }
    Ok(HttpResponse::Ok().json(json!({"total": app.registry.len(), "sessions": sessions})))
}

/// Lists the cleaning reports of imports: rows read, changed and refused.
pub async fn cleaning(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let rows = app.state.store.run(|connection| store::cleaning::recent(connection, 20)).await?;
    let reports: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            json!({
                "source": row.report.source, "created_at": row.created_at, "rows_read": row.report.rows_read,
                "rows_kept": row.report.rows_kept, "steps": row.report.steps,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "reports": reports })))
}

/// Users to choose from; `robots=true`: those who are taken for robots, each with the reason.
pub async fn users(
    query: web::Query<ListQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (prefix, limit) = (query.q.clone().unwrap_or_default(), query.limit());
    if query.robots {
        let rows =
            app.state.store.run(move |connection| store::robots::list(connection, &prefix, limit)).await?;
        let users: Vec<Value> = rows
            .iter()
            .map(|(row, flag)| {
                json!({"user_id": row.external_id, "segment": dto::segment(row.segment),
                    "robot": dto::robot(flag, app.state.config.ingest.robot_rest_h)})
            })
            .collect();
        return Ok(HttpResponse::Ok().json(json!({ "users": users })));
    }
    let rows =
        app.state.store.run(move |connection| store::users::search(connection, &prefix, limit)).await?;
    let users: Vec<Value> = rows
        .iter()
        .map(|row| json!({"user_id": row.external_id, "segment": dto::segment(row.segment)}))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "users": users })))
}

/// Starts a training; while one runs, the answer names that one. A body, which means nothing here, is read all the
/// same: a connection with an unread body could not be used again.
pub async fn retrain(app: web::Data<App>, caller: Caller, _body: Body) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (reply, answer) = oneshot::channel();
    let _ = app.recommender.offer(ModelCommand::Retrain(reply));
    let job =
        answer.await.map_err(|_| ApiError::Unavailable("the recommender does not answer".to_owned()))?;
    caller.changed((), json!({ "job": job }));
    Ok(HttpResponse::Accepted().json(json!({ "job": job })))
}

/// State, stage and progress of a job.
pub async fn job(
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let id = *path;
    if let Some(job) = app.state.jobs.current().filter(|job| job.job_id == id) {
        return Ok(HttpResponse::Ok().json(dto::job(&job)));
    }
    let found: Result<_, StoreError> =
        app.state.store.run(move |connection| store::jobs::find(connection, id)).await;
    let job = found?.ok_or(ApiError::NotFound("this job"))?;
    Ok(HttpResponse::Ok().json(dto::job(&job)))
}

/// Stops a job soon; what serves goes on serving.
pub async fn cancel(
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    if app.state.jobs.cancel(*path) {
        return Ok(HttpResponse::Accepted().json(json!({ "job": *path })));
    }
    let id = *path;
    match app.state.store.run(move |connection| store::jobs::find(connection, id)).await? {
        Some(job) => Err(ApiError::Conflict(format!("the job has ended: {}", job.state))),
        None => Err(ApiError::NotFound("this job")),
    }
}

/// Says that a user is no robot. What they did is learnt from again; a rate that no person has flags them anew.
pub async fn lift_robot(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let user = ExternalId::parse(&path)?;
    let named = user.clone();
    let lifted = app
        .state
        .store
        .run(move |connection| {
            let Some(inner) = store::users::find(connection, &named)? else { return Ok(false) };
            store::robots::lift(connection, inner)
        })
        .await?;
    if !lifted {
        return Err(ApiError::NotFound("a robot of this name"));
    }
    log::info!("robot lifted user_id={user} by={}", caller.name());
    app.registry.happened(&user, Input::RobotLifted);
    Ok(HttpResponse::NoContent().finish())
}
