//! `/admin/models`: the registry. Versions with their metrics, which one serves, and one beside it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::audited::Change;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{Operate, ReadFigures, With};
use tidings_actors::App;
use tidings_actors::recommender::messages::ModelCommand;
use tidings_core::base::{ModelVersion, Timestamp};
use tidings_core::evaluate::card::ModelCard;
use tidings_core::recommend::ModelSet;
use tidings_decision::privacy::Permission;
use tidings_state::monitor::{DriftReport, ShadowReport};
use tidings_store::Connection;
use tidings_store::models::ModelRow;

/// Versions listed.
const MAX_VERSIONS: i64 = 50;

/// A version of the model.
#[derive(Serialize, ToSchema)]
struct StoredModel {
    version: i32,
    /// `active`, `retired` or `rejected`.
    state: &'static str,
    created_at: Timestamp,
    /// Number of events trained on.
    events: i64,
    took_ms: i32,
    /// On held-out data, by name.
    metrics: Value,
    /// Hyper-parameters.
    parameters: Value,
    /// Comparison made by the gate, and its verdict.
    gate: Value,
    /// Last time it began to serve.
    activated_at: Option<Timestamp>,
    /// Size of the artefact; null once it is removed.
    bytes: Option<i64>,
}

/// Versions, newest first.
#[derive(Serialize, ToSchema)]
struct Models {
    /// Version that serves; 0 = none yet.
    active: i32,
    models: Vec<StoredModel>,
    drift: DriftReport,
    shadow: Option<ShadowReport>,
}

/// Version that serves.
#[derive(Serialize, ToSchema)]
struct ActiveModel {
    active: i32,
}

/// Version that is scored beside the one that serves.
#[derive(Serialize, ToSchema)]
struct ShadowModel {
    shadow: i32,
}

/// The card of a version.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelCard)]
struct CardView {
    /// Data, parameters, figures with intervals, and changes.
    card: Value,
    /// The same to read; null where it is of another release.
    text: Option<String>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/models",
            May::Needs(Permission::ReadFigures),
            "Versions of the model, with metrics, gate and size.",
        )
        .answers::<Models>(200, "Versions, newest first."),
        describe::post(
            "/admin/models/{version}/activate",
            May::Needs(Permission::Operate),
            "Lets a version serve.",
        )
        .answers::<ActiveModel>(200, "It serves.")
        .refuses(&[404, 409]),
        describe::get(
            "/admin/models/{version}/card",
            May::Needs(Permission::ReadFigures),
            "Card of a version of the model.",
        )
        .answers::<CardView>(200, "The card.")
        .refuses(&[404]),
        describe::post(
            "/admin/models/rollback",
            May::Needs(Permission::Operate),
            "Lets the version serve that served before.",
        )
        .answers::<ActiveModel>(200, "It serves.")
        .refuses(&[404, 409]),
        describe::post(
            "/admin/models/{version}/shadow",
            May::Needs(Permission::Operate),
            "Scores a version beside the one that serves, shown to nobody.",
        )
        .answers::<ShadowModel>(200, "It is scored.")
        .refuses(&[404, 409]),
        describe::delete(
            "/admin/models/shadow",
            May::Needs(Permission::Operate),
            "Ends the scoring of a shadow.",
        )
        .empty(204, "Nothing is scored any more."),
    ]
}

/// Versions, newest first, with drift since training and the comparison with a shadow.
pub async fn list(app: web::Data<App>, _caller: With<ReadFigures>) -> Result<HttpResponse, ApiError> {
    let (rows, sizes) = app
        .state
        .store
        .run(|connection| {
            Ok((
                tidings_store::models::list(connection, MAX_VERSIONS)?,
                tidings_store::models::sizes(connection)?,
            ))
        })
        .await?;
    let view = |row: ModelRow| StoredModel {
        version: row.version.0,
        state: row.state.name(),
        created_at: row.created_at,
        events: row.events,
        took_ms: row.took_ms,
        metrics: row.metrics,
        parameters: row.parameters,
        gate: row.gate,
        activated_at: row.activated_at,
        bytes: sizes.get(&row.version).copied(),
    };
    Ok(HttpResponse::Ok().json(Models {
        active: app.state.models.load().version.0,
        models: rows.into_iter().map(view).collect(),
        drift: app.state.monitor.drift(),
        shadow: app.state.monitor.shadow_report(),
    }))
}

/// The card of a version: data, parameters, figures with intervals, changes; and the same to read.
pub async fn card(
    path: web::Path<i32>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let version = ModelVersion(*path);
    let card =
        app.state.store.run(move |connection| tidings_store::models::card(connection, version)).await?;
    let card = card.ok_or(ApiError::NotFound("a card of this model version"))?;
    let text = serde_json::from_value::<ModelCard>(card.clone()).map(|card| card.text());
    Ok(HttpResponse::Ok().json(CardView { card, text: text.ok() }))
}

/// Lets a version serve: roll back or forward.
pub async fn activate(
    request: HttpRequest,
    path: web::Path<i32>,
    app: web::Data<App>,
    _body: Body,
    _caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    serve(&request, &app, ModelVersion(*path)).await
}

/// Lets the version serve that served before; twice is back again.
pub async fn rollback(
    request: HttpRequest,
    app: web::Data<App>,
    _body: Body,
    _caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    let previous = app.state.store.run(tidings_store::models::previous_version).await?;
    serve(&request, &app, previous.ok_or(ApiError::NotFound("a version that served before"))?).await
}

async fn serve(request: &HttpRequest, app: &App, version: ModelVersion) -> Result<HttpResponse, ApiError> {
    let before = ActiveModel { active: app.state.models.load().version.0 };
    let change = Change::new(request, app, StatusCode::OK);
    let entry = move |connection: &mut Connection, version: &ModelVersion| {
        change.store(connection, before, ActiveModel { active: version.0 })
    };
    let (reply, answer) = oneshot::channel();
    let _ = app.recommender.offer(ModelCommand::Activate(version, Box::new(entry), reply));
    match answer.await {
        Ok(Ok(true)) => Ok(HttpResponse::Ok().json(ActiveModel { active: version.0 })),
        Ok(Ok(false)) => Err(ApiError::NotFound("this model version")),
        Ok(Err(message)) => Err(ApiError::Conflict(message)),
        Err(_) => Err(ApiError::Unavailable("the recommender does not answer".to_owned())),
    }
}

/// Scores a version beside the one that serves, on live decisions, and shows nobody what it says; it takes the place of
/// the one before and lasts until the server stops.
pub async fn shadow(
    request: HttpRequest,
    path: web::Path<i32>,
    app: web::Data<App>,
    _body: Body,
    _caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    let version = ModelVersion(*path);
    let artefact =
        app.state.store.run(move |connection| tidings_store::models::load(connection, version)).await?;
    let artefact = artefact.ok_or(ApiError::NotFound("this model version"))?;
    let decoded = web::block(move || ModelSet::decode(&artefact)).await;
    let decoded = decoded.map_err(|_| ApiError::Unavailable("the server is going down".to_owned()))?;
    let mut model = decoded.map_err(|error| ApiError::Conflict(error.to_string()))?;
    model.version = version;
    let change = Change::new(&request, &app, StatusCode::OK);
    change.store_first(&app, shadow_of(&app), ShadowModel { shadow: version.0 }).await?;
    app.state.monitor.shadow(Some(model));
    Ok(HttpResponse::Ok().json(ShadowModel { shadow: version.0 }))
}

/// Scores nothing beside the one that serves any more.
pub async fn end_shadow(
    request: HttpRequest,
    app: web::Data<App>,
    _caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    change.store_first(&app, shadow_of(&app), ()).await?;
    app.state.monitor.shadow(None);
    Ok(HttpResponse::NoContent().finish())
}

/// The version that is scored beside the one that serves.
fn shadow_of(app: &App) -> Option<ShadowModel> {
    app.state.monitor.shadow_report().map(|report| ShadowModel { shadow: report.version })
}
