//! `POST /v1/users/{id}/merge`: an anonymous visitor turned out to be this user.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::merges::MergeError;
use crate::base::{ExternalId, suggest_nearest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    anonymous_id: ExternalId,
}

/// Merges the named visitor into the user. Repeating it changes nothing.
pub async fn post(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let user = ExternalId::parse(&path)?;
    let MergeBody { anonymous_id } = serde_json::from_slice(&body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        ApiError::invalid("bad_merge", None, format!("not {{\"anonymous_id\":…}}: {error}"))
    })?;
    let merged = app.merges.merge(&user, &anonymous_id).await?;
    let moved = merged.moved.unwrap_or_default();
    let answer = json!({
        "user_id": merged.user, "anonymous_id": anonymous_id, "merged": merged.moved.is_some(),
        "events": moved.events, "messages": moved.messages,
    });
    caller.changed((), &answer);
    Ok(HttpResponse::Ok().json(answer))
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
