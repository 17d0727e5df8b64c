//! One user's profile. From the live actor when there is one, else from the tables.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::auth::Caller;
use super::dto;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::user::messages::Snapshot;
use crate::base::ExternalId;

/// The live state, else the stored one; `None` for a user nobody has named.
pub(super) async fn state(app: &App, user: &ExternalId) -> Result<Option<Snapshot>, ApiError> {
    if let Some(entry) = app.registry.get(user)
        && let Some(snapshot) = entry.profile().await
    {
        return Ok(Some(snapshot));
    }
    let Some(loaded) = app.loader.load(user, false).await? else { return Ok(None) };
    let snapshot = app.state.snapshot();
    let world = snapshot.world(None, &app.state);
    Ok(Some(Snapshot {
        segment: world.models.segment(&loaded.profile.features(world.feature_context())),
        profile: loaded.profile,
        connections: 0,
        preferences: loaded.document,
        connected_at: world.now,
    }))
}

/// Features, affinities, recent items, segment, and why the user is taken for a robot.
pub async fn profile(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let state = state(&app, &user).await?.ok_or(ApiError::NotFound("this user"))?;
    let named = user.clone();
    let flag = app.state.store.run(move |connection| crate::store::robots::flag(connection, &named)).await?;
    let robot = flag.map(|flag| dto::robot(&flag, app.state.config.ingest.robot_rest_h));
    let snapshot = app.state.snapshot();
    let world = snapshot.world(None, &app.state);
    let mut view = dto::profile(&state.profile, &app.state.event_kinds, &world);
    if let Some(fields) = view.as_object_mut() {
        fields.insert("user_id".to_owned(), json!(user));
        fields.insert("segment".to_owned(), json!(state.segment.map(|segment| segment.to_string())));
        fields.insert("connections".to_owned(), json!(state.connections));
        fields.insert("robot".to_owned(), json!(robot));
    }
    Ok(HttpResponse::Ok().json(view))
}
