//! `/admin/metrics`: everything the dashboard shows each second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use crate::dto::{self, Job};
use crate::error::ApiError;
use crate::permit::{ReadFigures, With};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_core::config::AuthMode;
use tidings_decision::deliver::push_services::ServiceStatus;
use tidings_state::monitor::{DriftReport, ShadowReport};
use tidings_store::outcomes::FeedbackRates;
use tidings_telemetry::{Count, Gauge, Percentiles, Sample, Timing};

/// Rates shown are means over this many seconds.
const RATE_WINDOW: usize = 5;
/// Feedback rates look back this far.
const FEEDBACK_DAYS: f64 = 7.0;
/// Feedback rates are read again after this long at the earliest, and take a twentieth of a core at most.
const SLOW_AFTER: Duration = Duration::from_secs(2);
const SLOW_SHARE: u32 = 20;

/// Set by `tidings demo`: the dashboard says that the shoppers are simulated.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoMode(pub bool);

/// Outcomes of the messages of some days.
#[derive(Clone, Serialize, ToSchema)]
struct Feedback {
    #[serde(flatten)]
    rates: FeedbackRates,
    window_days: f64,
}

/// Dashboard figures that cost a query over a week of messages.
#[derive(Clone)]
struct Slow {
    feedback: Feedback,
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
    let (rates, users, pushes) = app
        .state
        .store
        .run(move |connection| {
            let pushes = Pushes {
                subscriptions: tidings_store::push_subscriptions::count(connection)?,
                waiting: tidings_store::push_outbox::waiting(connection)?,
            };
            Ok((
                tidings_store::outcomes::rates(connection, since, window, &money)?,
                tidings_store::users::count(connection)?,
                pushes,
            ))
        })
        .await?;
    let feedback = Feedback { rates, window_days: FEEDBACK_DAYS };
    let slow = Slow { feedback, users, pushes };
    let until = Instant::now() + SLOW_AFTER.max(SLOW_SHARE * began.elapsed());
    *cache.0.lock() = Some((until, slow.clone()));
    Ok(slow)
}

/// The model that serves.
#[derive(Serialize, ToSchema)]
struct ServingModel {
    version: i32,
    trained_at: Timestamp,
    events: u64,
    /// Metrics on held-out data, by name.
    metrics: BTreeMap<String, f64>,
    drift: DriftReport,
    shadow: Option<ShadowReport>,
}

/// Means of the last seconds.
#[derive(Serialize, ToSchema)]
struct MeanRates {
    events_per_s: f64,
    pushes_per_s: f64,
    decisions_per_s: f64,
}

/// Counts since the start of the server.
#[derive(Serialize, ToSchema)]
struct Totals {
    events: u64,
    pushes: u64,
    decisions: u64,
    rejected_events: u64,
    feedback: u64,
}

/// Web Push since the start of the server.
#[derive(Serialize, ToSchema)]
struct WebPushFigures {
    sent: u64,
    retried: u64,
    gone: u64,
    refused: u64,
    expired: u64,
    subscriptions: i64,
    waiting: i64,
    services: Vec<PushService>,
}

/// State of one push service.
#[derive(Serialize, ToSchema)]
struct PushService {
    /// Origin of its endpoints.
    service: String,
    /// `closed`, `half_open`, `returning` or `open`.
    breaker: &'static str,
    open_until: Option<Timestamp>,
    in_flight: usize,
    requests: u64,
    failed: u64,
}

/// Size of the catalogue.
#[derive(Serialize, ToSchema)]
struct CatalogueSize {
    items: usize,
}

/// Figures of the running server.
#[derive(Serialize, ToSchema)]
pub(super) struct Figures {
    server_time: Timestamp,
    uptime_s: u64,
    /// Of the server.
    version: &'static str,
    /// True if shoppers are simulated.
    demo: bool,
    /// `off` or `token`.
    auth: &'static str,
    connected_users: i64,
    connections: i64,
    rates: MeanRates,
    totals: Totals,
    webpush: WebPushFigures,
    /// By what was timed, over the last minute.
    latency_ms: BTreeMap<String, Percentiles>,
    /// One a second, the oldest first.
    history: Vec<Sample>,
    /// Null before the first training.
    model: Option<ServingModel>,
    job: Option<Job>,
    catalogue: CatalogueSize,
    users: i64,
    feedback: Feedback,
}

/// Everything the dashboard shows each second.
pub async fn metrics(
    app: web::Data<App>,
    demo: web::Data<DemoMode>,
    cache: web::Data<SlowCache>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let Slow { feedback, users, pushes } = slow(&app, &cache).await?;
    let metrics = &app.state.metrics;
    let timed = |timing: &Timing| (timing.key().to_owned(), metrics.percentiles(*timing, 60));
    let history = metrics.history();
    Ok(HttpResponse::Ok().json(Figures {
        server_time: Timestamp::now(),
        uptime_s: metrics.uptime().as_secs(),
        version: env!("CARGO_PKG_VERSION"),
        demo: demo.0,
        auth: match app.state.config.auth.mode {
            AuthMode::Off => "off",
            AuthMode::Token => "token",
        },
        connected_users: metrics.gauge(Gauge::ConnectedUsers),
        connections: metrics.gauge(Gauge::Connections),
        rates: mean_rates(&history),
        totals: totals(&app),
        webpush: webpush(&app, pushes),
        latency_ms: Timing::ALL.iter().map(timed).collect(),
        history,
        model: serving(&app),
        job: app.state.jobs.current().as_ref().map(dto::job),
        catalogue: CatalogueSize { items: app.state.catalogue.load().len() },
        users,
        feedback,
    }))
}

fn mean_rates(history: &[Sample]) -> MeanRates {
    let recent: Vec<_> = history.iter().rev().take(RATE_WINDOW).collect();
    let mean = |value: fn(&Sample) -> f64| {
        recent.iter().map(|sample| value(sample)).sum::<f64>() / recent.len().max(1) as f64
    };
    MeanRates {
        events_per_s: mean(|sample| sample.events_per_s),
        pushes_per_s: mean(|sample| sample.pushes_per_s),
        decisions_per_s: mean(|sample| sample.decisions_per_s),
    }
}

fn totals(app: &App) -> Totals {
    let count = |count| app.state.metrics.count(count);
    Totals {
        events: count(Count::Events),
        pushes: count(Count::Pushes),
        decisions: count(Count::Sends) + count(Count::Defers) + count(Count::Drops),
        rejected_events: count(Count::RejectedEvents),
        feedback: count(Count::Feedback),
    }
}

fn webpush(app: &App, pushes: Pushes) -> WebPushFigures {
    let count = |count| app.state.metrics.count(count);
    WebPushFigures {
        sent: count(Count::PushSent),
        retried: count(Count::PushRetried),
        gone: count(Count::PushGone),
        refused: count(Count::PushRefused),
        expired: count(Count::PushExpired),
        subscriptions: pushes.subscriptions,
        waiting: pushes.waiting,
        services: app.state.push.services.load().iter().map(push_service).collect(),
    }
}

/// One service; those in trouble come first.
fn push_service(one: &ServiceStatus) -> PushService {
    PushService {
        service: one.service.clone(),
        breaker: one.breaker.name(),
        open_until: one.open_until,
        in_flight: one.in_flight,
        requests: one.ended,
        failed: one.failed,
    }
}

fn serving(app: &App) -> Option<ServingModel> {
    let models = app.state.models.load();
    (models.version.0 > 0).then(|| ServingModel {
        version: models.version.0,
        trained_at: models.trained_at,
        events: models.events,
        metrics: models.metrics.clone(),
        drift: app.state.monitor.drift(),
        shadow: app.state.monitor.shadow_report(),
    })
}
