//! `POST /v1/users/{id}/merge`: an anonymous visitor turned out to be this user.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audited::Change;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{With, WriteUsers};
use tidings_actors::App;
use tidings_actors::merges::{self, MergeError};
use tidings_core::base::{ExternalId, json, suggest_nearest};
use tidings_decision::privacy::Permission;
use tidings_store::Connection;

/// The visitor who turned out to be the user of the path.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    anonymous_id: ExternalId,
}

/// Outcome of a merge.
#[derive(Serialize, ToSchema)]
struct Merged {
    user_id: ExternalId,
    anonymous_id: ExternalId,
    /// False = they were one before.
    merged: bool,
    /// Events that were moved.
    events: usize,
    /// Messages that were moved.
    messages: usize,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::post(
            "/v1/users/{id}/merge",
            May::Needs(Permission::WriteUsers),
            "Merges an anonymous visitor into the user.",
        )
        .body::<MergeBody>()
        .body_example(r#"{"anonymous_id": "anon-71"}"#)
        .answers::<Merged>(200, "They are one.")
        .example(r#"{"user_id": 17, "anonymous_id": "anon-71", "merged": true, "events": 12, "messages": 1}"#)
        .refuses(&[404, 409]),
    ]
}

/// Merges the named visitor into the user. Repeating it changes nothing.
pub async fn post(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    let MergeBody { anonymous_id } = json::from_slice(&body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        ApiError::invalid("bad_merge", None, format!("not {{\"anonymous_id\":…}}: {error}"))
    })?;
    let change = Change::new(&request, &app, StatusCode::OK);
    let alias = anonymous_id.clone();
    let entry = move |connection: &mut Connection, merged: &merges::Merged| {
        change.store(connection, (), Merged::of(merged, alias))
    };
    let merged = app.merges.merge(&user, &anonymous_id, Box::new(entry)).await?;
    Ok(HttpResponse::Ok().json(Merged::of(&merged, anonymous_id)))
}

impl Merged {
    fn of(merged: &merges::Merged, anonymous_id: ExternalId) -> Self {
        let moved = merged.moved.unwrap_or_default();
        Self {
            user_id: merged.user.clone(),
            anonymous_id,
            merged: merged.moved.is_some(),
            events: moved.events,
            messages: moved.messages,
        }
    }
}

impl From<MergeError> for ApiError {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Itself => Self::invalid("same_user", Some("anonymous_id"), error.to_string()),
            MergeError::Elsewhere => Self::Conflict(error.to_string()),
            MergeError::Erased => Self::Erased,
            MergeError::Unavailable => Self::Unavailable(error.to_string()),
        }
    }
}
