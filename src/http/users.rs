//! One user's profile. From the live actor when there is one, else from the tables.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::describe::{self, Described, May};
use super::dto::{self, ProfileFacts, Robot};
use super::error::ApiError;
use super::permit::{Own, ReadUsers};
use tidings_actors::App;
use tidings_actors::user::messages::Snapshot;
use tidings_core::base::ExternalId;
use tidings_decision::privacy::Permission;

/// Features, affinities, recent items and segment of a user.
#[derive(Serialize, ToSchema)]
struct UserProfile {
    user_id: ExternalId,
    segment: Option<String>,
    /// Open connections.
    connections: usize,
    /// Reason for taking the user for a robot; null = a person.
    robot: Option<Robot>,
    #[serde(flatten)]
    facts: ProfileFacts,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/v1/users/{id}/profile",
            May::Owner(Permission::ReadUsers),
            "Features, affinities, recent items and segment of a user.",
        )
        .answers::<UserProfile>(200, "The profile.")
        .refuses(&[404]),
    ]
}

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
    caller: Own<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let state = state(&app, &user).await?.ok_or(ApiError::NotFound("this user"))?;
    let named = user.clone();
    let flag = app.state.store.run(move |connection| tidings_store::robots::flag(connection, &named)).await?;
    let robot = flag.map(|flag| dto::robot(&flag, app.state.config.ingest.robot_rest_h));
    let snapshot = app.state.snapshot();
    let world = snapshot.world(None, &app.state);
    Ok(HttpResponse::Ok().json(UserProfile {
        user_id: user,
        segment: state.segment.map(|segment| segment.to_string()),
        connections: state.connections,
        robot,
        facts: dto::profile(&state.profile, &app.state.event_kinds, &world),
    }))
}
