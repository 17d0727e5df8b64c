//! `/admin/models`: the registry. Versions with their metrics, which one serves, and one beside it.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::recommender::messages::ModelCommand;
use crate::base::ModelVersion;
use crate::evaluate::card::ModelCard;
use crate::recommend::ModelSet;
use crate::store;

/// Versions listed.
const MAX_VERSIONS: i64 = 50;

/// Versions, newest first, with drift since training and the comparison with a shadow.
pub async fn list(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (rows, sizes) = app
        .state
        .store
        .run(|connection| {
            Ok((store::models::list(connection, MAX_VERSIONS)?, store::models::sizes(connection)?))
        })
        .await?;
    let models: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "version": row.version.0, "state": row.state.name(), "created_at": row.created_at,
                "events": row.events, "took_ms": row.took_ms, "metrics": row.metrics,
                "parameters": row.parameters, "gate": row.gate, "activated_at": row.activated_at,
                "bytes": sizes.get(&row.version),
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "active": app.state.models.load().version.0, "models": models, "drift": app.state.monitor.drift(),
        "shadow": app.state.monitor.shadow_report(),
    })))
}

/// The card of a version: data, parameters, figures with intervals, changes; and the same to read.
pub async fn card(
    path: web::Path<i32>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let version = ModelVersion(*path);
    let card = app.state.store.run(move |connection| store::models::card(connection, version)).await?;
    let card = card.ok_or(ApiError::NotFound("a card of this model version"))?;
    let text = serde_json::from_value::<ModelCard>(card.clone()).map(|card| card.text());
    Ok(HttpResponse::Ok().json(json!({ "card": card, "text": text.ok() })))
}

/// Lets a version serve: roll back or forward.
pub async fn activate(
    path: web::Path<i32>,
    app: web::Data<App>,
    caller: Caller,
    _body: Body,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    serve(&app, ModelVersion(*path), &caller).await
}

/// Lets the version serve that served before; twice is back again.
pub async fn rollback(app: web::Data<App>, caller: Caller, _body: Body) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let previous = app.state.store.run(store::models::previous_version).await?;
    serve(&app, previous.ok_or(ApiError::NotFound("a version that served before"))?, &caller).await
}

async fn serve(app: &App, version: ModelVersion, caller: &Caller) -> Result<HttpResponse, ApiError> {
    let active = |version: i32| json!({ "active": version });
    caller.changed(active(app.state.models.load().version.0), active(version.0));
    let (reply, answer) = oneshot::channel();
    let _ = app.recommender.offer(ModelCommand::Activate(version, reply));
    match answer.await {
        Ok(Ok(true)) => Ok(HttpResponse::Ok().json(json!({ "active": version.0 }))),
        Ok(Ok(false)) => Err(ApiError::NotFound("this model version")),
        Ok(Err(message)) => Err(ApiError::Conflict(message)),
        Err(_) => Err(ApiError::Unavailable("the recommender does not answer".to_owned())),
    }
}

/// Scores a version beside the one that serves, on live decisions, and shows nobody what it says; it takes the place of
/// the one before and lasts until the server stops.
pub async fn shadow(
    path: web::Path<i32>,
    app: web::Data<App>,
    caller: Caller,
    _body: Body,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let version = ModelVersion(*path);
    let artefact = app.state.store.run(move |connection| store::models::load(connection, version)).await?;
    let artefact = artefact.ok_or(ApiError::NotFound("this model version"))?;
    let decoded = web::block(move || ModelSet::decode(&artefact)).await;
    let decoded = decoded.map_err(|_| ApiError::Unavailable("the server is going down".to_owned()))?;
    let mut model = decoded.map_err(|error| ApiError::Conflict(error.to_string()))?;
    model.version = version;
    app.state.monitor.shadow(Some(model));
    Ok(HttpResponse::Ok().json(json!({ "shadow": version.0 })))
}

/// Scores nothing beside the one that serves any more.
pub async fn end_shadow(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    app.state.monitor.shadow(None);
    Ok(HttpResponse::NoContent().finish())
}
