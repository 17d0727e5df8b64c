//! For those who run the server: `/healthz` (alive), `/readyz` (can serve), `/metrics` (Prometheus).

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::{ACCEPT, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{Anybody, Monitor, With};
use tidings_actors::App;
use tidings_decision::privacy::Permission;

/// Answer of a process that is alive.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// Always `alive`.
    status: &'static str,
}

/// Answer of a server that can serve.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// Always `ready`.
    status: &'static str,
    /// Version of the model that serves; 0 = none yet.
    model: i32,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get("/healthz", May::Anybody, "Whether the process answers.")
            .answers::<Alive>(200, "It does.")
            .example(r#"{"status": "alive"}"#),
        describe::get(
            "/readyz",
            May::Anybody,
            "Whether the server can serve: 503 while it goes down or the database is away.",
        )
        .answers::<Ready>(200, "It can.")
        .example(r#"{"status": "ready", "model": 17}"#),
        describe::get("/metrics", May::Needs(Permission::Monitor), "Counters, gauges and histograms.")
            .answers_as::<String>(
                200,
                "text/plain",
                "Prometheus 0.0.4, or OpenMetrics for those who accept it.",
            ),
    ]
}

/// The process answers.
pub async fn alive(_: Anybody) -> HttpResponse {
    HttpResponse::Ok().json(Alive { status: "alive" })
}

/// The database answers and the server is not going down.
pub async fn ready(app: web::Data<App>, _: Anybody) -> Result<HttpResponse, ApiError> {
    if app.state.draining.load(Ordering::Acquire) {
        return Err(ApiError::Unavailable("the server is going down".to_owned()));
    }
    let asked = app.state.store.run(tidings_store::server::epoch);
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(_)) => {
            let model = app.state.models.load().version.0;
            Ok(HttpResponse::Ok().json(Ready { status: "ready", model }))
        }
        Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable("the database does not answer".to_owned())),
    }
}

/// Counters, gauges and histograms: in the OpenMetrics text format for those who accept it, else in that of Prometheus 0.0.4.
pub async fn prometheus(
    request: HttpRequest,
    app: web::Data<App>,
    _caller: With<Monitor>,
) -> Result<HttpResponse, ApiError> {
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, body) = if accepted.contains("application/openmetrics-text") {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", app.state.metrics.open_metrics())
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", app.state.metrics.prometheus())
    };
    Ok(HttpResponse::Ok().content_type(kind).insert_header((VARY, "Accept")).body(body))
}
