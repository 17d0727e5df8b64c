//! For those who run the server: `/healthz` (alive), `/readyz` (can serve), `/metrics` (Prometheus).

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::auth::Caller;
use super::error::ApiError;
use crate::actors::App;

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// The database answers and the server is not going down.
pub async fn ready(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    if app.state.draining.load(Ordering::Acquire) {
        return Err(ApiError::Unavailable("the server is going down".to_owned()));
    }
    let asked = app.state.store.run(crate::store::server::epoch);
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(_)) => {
            Ok(HttpResponse::Ok()
                .json(json!({"status": "ready", "model": app.state.models.load().version.0})))
        }
        Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable("the database does not answer".to_owned())),
    }
}

/// Counters, gauges and histograms in the OpenMetrics text format.
pub async fn prometheus(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(app.state.metrics.prometheus()))
}
