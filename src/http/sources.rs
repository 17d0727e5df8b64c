//! `/v1/sources`: reports of pullers, for the dashboard.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{Monitor, ReportSources, With};
use tidings_actors::App;
use tidings_core::base::json;
use tidings_decision::privacy::Permission;
use tidings_state::sources::{SourceReport, SourceStatus};

/// Longest name of a puller, bytes.
const MAX_NAME: usize = 40;

/// Latest report of each puller.
#[derive(Serialize, ToSchema)]
struct Sources {
    sources: Vec<SourceStatus>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get("/v1/sources", May::Needs(Permission::Monitor), "Latest report of each puller.")
            .answers::<Sources>(200, "Reports, kept in memory for a day."),
        describe::post(
            "/v1/sources/{name}",
            May::Needs(Permission::ReportSources),
            "Takes the report of a puller.",
        )
        .body::<SourceReport>()
        .empty(204, "It is noted."),
    ]
}

/// Takes the report of a puller.
pub async fn post(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<ReportSources>,
) -> Result<HttpResponse, ApiError> {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if !(1..=MAX_NAME).contains(&path.len()) || !path.bytes().all(is_plain) {
        let message = "the name of a source is 1 to 40 lower-case letters, digits, - and _";
        return Err(ApiError::invalid("bad_name", Some("name"), message));
    }
    let report: SourceReport = json::from_slice(&body)
        .map_err(|error| ApiError::invalid("bad_json", None, format!("the report can't be read: {error}")))?;
    app.state.sources.note(&path, report);
    Ok(HttpResponse::NoContent().finish())
}

/// Latest report of each puller.
pub async fn list(app: web::Data<App>, _caller: With<Monitor>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(Sources { sources: app.state.sources.list() }))
}
