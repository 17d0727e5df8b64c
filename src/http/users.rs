//! One user: recommendations, profile, preferences. From the live actor when there is one, else from the tables.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::access::Caller;
use super::body::Body;
use super::error::ApiError;
use super::items::NQuery;
use super::views;
use crate::actors::App;
use crate::actors::user::messages::Snapshot;
use crate::base::{ExternalId, Timestamp};
use crate::config::minute_of_day;
use crate::decide::{Input, Loaded, Recommendations, UserState};
use crate::deliver::frames;
use crate::notify::policy::{Channel, Mute, Settings};
use crate::store::preferences::{self, Preferences};

/// What a user asked of us, on the wire. Of the first four, absent = as the server has it by default; of the others,
/// absent = as it was, so that a client that knows only the first four takes nothing away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferencesBody {
    time_zone: Option<String>,
    locale: Option<String>,
    quiet_hours: Option<QuietHoursBody>,
    #[serde(default)]
    muted: Vec<String>,
    opted_out: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    paused_until: Option<Option<Timestamp>>,
    digest: Option<BTreeSet<String>>,
    blocked_channels: Option<BTreeMap<String, BTreeSet<Channel>>>,
    mutes: Option<Vec<Mute>>,
}

/// `null` is something said, absence is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct QuietHoursBody {
    from: String,
    to: String,
}

/// The live state, else the stored one; `None` for a user nobody has named.
async fn state(app: &App, user: &ExternalId) -> Result<Option<Snapshot>, ApiError> {
    if let Some(entry) = app.registry.get(user)
        && let Some(snapshot) = entry.profile().await
    {
        return Ok(Some(snapshot));
    }
    let now = Timestamp::now();
    Ok(app.loader.load(user, false).await?.map(|loaded| Snapshot {
        user: loaded.user,
        segment: app.state.models.load().segment(&loaded.profile.features(now)),
        profile: loaded.profile,
        connections: 0,
        preferences: loaded.document,
        connected_at: now,
    }))
}

/// The best items for a user right now; for an unknown one, what is popular.
pub async fn recommendations(
    path: web::Path<String>,
    query: web::Query<NQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let listed = listed(&app, &user, query.get()).await?;
    let catalogue = app.state.catalogue.load();
    let items = frames::recommended_items(&listed.items, &catalogue);
    Ok(HttpResponse::Ok().json(json!({"user_id": user, "model": listed.model.0, "items": items})))
}

/// The list that the user's actor makes, else the one it would make if it were started.
async fn listed(app: &App, user: &ExternalId, n: usize) -> Result<Recommendations, ApiError> {
    if let Some(entry) = app.registry.get(user)
        && let Some(listed) = entry.recommend(n).await
    {
        return Ok(listed);
    }
    let loaded = app.loader.load(user, false).await?.map_or_else(Loaded::stranger, |loaded| *loaded);
    let snapshot = app.state.snapshot();
    let world = snapshot.world(None, &app.state);
    Ok(UserState::new(user, loaded, &app.state.epoch, &world).recommend(None, n, &world))
}

/// Features, affinities, recent items, segment.
pub async fn profile(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let state = state(&app, &user).await?.ok_or(ApiError::NotFound("this user"))?;
    let mut view = views::profile(&state.profile, &app.state.catalogue.load(), Timestamp::now());
    if let Some(fields) = view.as_object_mut() {
        fields.insert("user_id".to_owned(), json!(user));
        fields.insert("segment".to_owned(), json!(state.segment.map(|segment| segment.to_string())));
        fields.insert("connections".to_owned(), json!(state.connections));
    }
    Ok(HttpResponse::Ok().json(view))
}

/// What the user asked of us.
pub async fn preferences(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let preferences = state(&app, &user).await?.map(|state| state.preferences).unwrap_or_default();
    Ok(HttpResponse::Ok().json(preferences_view(&preferences)))
}

/// Replaces what the user asked of us; it holds from the next decision.
pub async fn put_preferences(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let body: PreferencesBody = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid("bad_json", None, format!("not preferences: {error}")))?;
    let loaded = app.loader.load(&user, true).await?.ok_or(ApiError::NotFound("this user"))?;
    let preferences = parse_preferences(body, loaded.document.settings())?;
    let stored = preferences.clone();
    app.state
        .store
        .run(move |connection| crate::store::preferences::put(connection, loaded.user, &stored))
        .await?;
    app.registry.happened(&user, Input::PreferencesChanged(Box::new(preferences.clone())));
    Ok(HttpResponse::Ok().json(preferences_view(&preferences)))
}

fn parse_preferences(body: PreferencesBody, mut settings: Settings) -> Result<Preferences, ApiError> {
    if let Some(zone) = &body.time_zone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        let message = format!("\"{zone}\" is not an IANA time zone such as Europe/Berlin");
        return Err(ApiError::invalid("bad_time_zone", Some("time_zone"), message));
    }
    let long = |text: &String| text.is_empty() || text.len() > 64 || text.chars().any(char::is_control);
    if body.locale.as_ref().is_some_and(long) {
        return Err(ApiError::invalid("bad_locale", Some("locale"), "must be a BCP 47 tag such as de-AT"));
    }
    if body.muted.len() > 64 || body.muted.iter().any(long) {
        return Err(ApiError::invalid("bad_muted", Some("muted"), "at most 64 categories of 1…64 bytes"));
    }
    let minute = |text: &str| {
        minute_of_day(text).and_then(|minute| i16::try_from(minute).ok()).ok_or_else(|| {
            ApiError::invalid("bad_time", Some("quiet_hours"), "from and to are local times HH:MM")
        })
    };
    let (from, to) = match &body.quiet_hours {
        Some(quiet) => (Some(minute(&quiet.from)?), Some(minute(&quiet.to)?)),
        None => (None, None),
    };
    settings.opted_out = body.opted_out.unwrap_or(settings.opted_out);
    settings.paused_until = body.paused_until.unwrap_or(settings.paused_until);
    settings.digest = body.digest.unwrap_or(settings.digest);
    settings.blocked_channels = body.blocked_channels.unwrap_or(settings.blocked_channels);
    settings.mutes = body.mutes.unwrap_or(settings.mutes);
    settings
        .validate()
        .map_err(|error| ApiError::invalid("bad_preferences", Some(error.field), error.message))?;
    Ok(Preferences {
        settings: preferences::Settings(serde_json::to_value(settings).unwrap_or_default()),
        time_zone: body.time_zone,
        locale: body.locale,
        quiet_from_minute: from,
        quiet_to_minute: to,
        muted: body.muted,
    })
}

pub(super) fn preferences_view(preferences: &Preferences) -> Value {
    let settings = preferences.settings();
    let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let quiet = preferences
        .quiet_from_minute
        .zip(preferences.quiet_to_minute)
        .map(|(from, to)| json!({"from": time(from), "to": time(to)}));
    json!({
        "time_zone": preferences.time_zone, "locale": preferences.locale, "quiet_hours": quiet,
        "muted": preferences.muted, "opted_out": settings.opted_out, "paused_until": settings.paused_until,
        "digest": settings.digest, "blocked_channels": settings.blocked_channels, "mutes": settings.mutes,
    })
}
