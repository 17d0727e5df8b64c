//! `/v1/users/{id}/preferences`: the preferences of one user as one document.
//!
//! - `GET` answers the document and its `ETag`.
//! - `PATCH` merges (RFC 7396): an absent field stays as it was, `null` restores the default.
//! - `PUT` without `If-Match` sets the fields that it names and keeps the others, so that a client that knows only some of them
//!   destroys nothing. With `If-Match` it replaces the whole document: an absent field gets its default.
//!
//! A stale `If-Match` is answered 412. Reading, changing and storing are one transaction.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::audited;
use super::auth::Caller;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::merge_patch::merge;
use super::permit::{Own, ReadUsers, WriteUsers};
use super::users::state;
use tidings_actors::App;
use tidings_actors::journal::messages::Record;
use tidings_core::base::{EventKey, ExternalId, Timestamp, nearest, suggest_nearest};
use tidings_core::config::minute_of_day;
use tidings_decision::decide::Input;
use tidings_decision::notify::content::is_language_tag;
use tidings_decision::notify::policy::{
    Channel, MAX_MUTED_CATEGORIES, MAX_NAME_BYTES, Mute, PreferenceDocument, Settings, SettingsDocument,
    is_name,
};
use tidings_decision::privacy::Permission;
use tidings_store::{preferences, users};

/// Fields of the document.
const FIELDS: [&str; 9] = [
    "time_zone",
    "locale",
    "quiet_hours",
    "muted",
    "opted_out",
    "paused_until",
    "digest",
    "blocked_channels",
    "mutes",
];

/// Local times HH:MM between which nothing disturbs.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuietHours {
    from: String,
    to: String,
}

/// Preferences of a user, with every field.
#[derive(Serialize, ToSchema)]
#[schema(as = Preferences)]
pub(super) struct PreferenceView {
    /// IANA time zone; null = the server's.
    time_zone: Option<String>,
    /// BCP 47 tag; null = the server's.
    locale: Option<String>,
    /// Null = the server's.
    quiet_hours: Option<QuietHours>,
    /// Categories of messages that are not wanted.
    muted: Vec<String>,
    /// True if nothing is wanted at all.
    opted_out: bool,
    paused_until: Option<Timestamp>,
    /// Categories (`*` = all) that are told together once a day.
    digest: BTreeSet<String>,
    /// Channels that a category (`*` = all) may not use.
    blocked_channels: BTreeMap<String, BTreeSet<Channel>>,
    mutes: Vec<Mute>,
}

/// Changes of preferences: some of the fields, or null for the default of one.
struct PreferencePatch(Map<String, Value>);

impl PreferencePatch {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(wish)) => Ok(Self(wish)),
            Ok(_) => Err(ApiError::invalid("bad_json", None, "preferences are an object")),
            Err(error) => Err(ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}"))),
        }
    }
}

impl PartialSchema for PreferencePatch {
    fn schema() -> RefOr<Schema> {
        let about = "Some of the preferences; null restores a default.";
        describe::patch_of(PreferenceView::schema(), about, |_| true)
    }
}

impl ToSchema for PreferencePatch {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        PreferenceView::schemas(schemas);
    }
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let path = "/v1/users/{id}/preferences";
    let change = |route: Described| {
        route
            .header("If-Match", "ETag of the document that is changed.")
            .body::<PreferencePatch>()
            .body_example(r#"{"quiet_hours": {"from": "22:00", "to": "07:30"}, "muted": ["promotion"]}"#)
            .answers::<PreferenceView>(200, "As they are now, with their ETag.")
            .refuses(&[404, 412])
    };
    vec![
        describe::get(
            path,
            May::Owner(Permission::ReadUsers),
            "Preferences of a user, the defaults for an unknown one.",
        )
        .answers::<PreferenceView>(200, "The document, with its ETag.")
        .example(EXAMPLE),
        change(describe::put(
            path,
            May::Owner(Permission::WriteUsers),
            "Sets the fields that are named; with If-Match replaces the document.",
        )),
        change(describe::patch(
            path,
            May::Owner(Permission::WriteUsers),
            "Merges into the preferences (RFC 7396).",
        )),
    ]
}

const EXAMPLE: &str = r#"{
    "time_zone": "Europe/Berlin", "locale": "de-AT", "quiet_hours": {"from": "22:00", "to": "07:30"},
    "muted": ["promotion"], "opted_out": false, "paused_until": null, "digest": [],
    "blocked_channels": {"news": ["push"]}, "mutes": [{"of": "brand", "name": "Acme"}]
}"#;

/// Way in which a request changes the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// RFC 7396.
    Merge,
    /// The fields that are named, each as a whole.
    Set,
    /// The whole document.
    Replace,
}

/// Answers the document with its `ETag`; the defaults for an unknown user.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Own<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let preferences = state(&app, &user).await?.map(|state| state.preferences).unwrap_or_default();
    Ok(answer(&preferences))
}

/// Sets the fields that are named, or replaces the document that `If-Match` names. Holds from the next decision.
pub async fn put(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let change = if request.headers().contains_key(IF_MATCH) { Change::Replace } else { Change::Set };
    change_document(change, &request, &path, &body, &app, &caller).await
}

/// Merges into the document. Holds from the next decision.
pub async fn patch(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    change_document(Change::Merge, &request, &path, &body, &app, &caller).await
}

async fn change_document(
    change: Change,
    request: &HttpRequest,
    path: &str,
    body: &[u8],
    app: &App,
    caller: &Caller,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(path, app)?;
    let PreferencePatch(wish) = PreferencePatch::read(body)?;
    let expected = expected_tags(request)?;
    let (user, order) = caller.in_order(&user, &app.registry).await?;
    let named = user.clone();
    stored_by_actor(app, &user).await;
    let entry = audited::Change::new(request, app, StatusCode::OK);
    let (before, after) = audited::in_one(app, move |connection| {
        let Some(inner) = users::resolve(connection, &[named])?.pop() else {
            return Ok(Err(ApiError::NotFound("this user")));
        };
        let before = preferences::get_for_update(connection, inner)?;
        if !expected.is_empty() && !matches(&expected, &tag(&before)) {
            return Ok(Err(ApiError::PreconditionFailed));
        }
        match parse(&changed(change, document(&before), wish), &before) {
            Ok(after) => {
                preferences::put(connection, inner, &after)?;
                entry.store(connection, document(&before), document(&after))?;
                Ok(Ok((before, after)))
            }
            Err(error) => Ok(Err(error)),
        }
    })
    .await?;
    let answer = answer(&after);
    let (before, after) = (Box::new(before), Box::new(after));
    app.registry.happened(&user, Input::PreferencesChanged { before, after });
    drop(order);
    Ok(answer)
}

/// Waits until what the user's connections changed a moment ago is stored: a mute that is undone at once must not come back.
pub(super) async fn stored_by_actor(app: &App, user: &ExternalId) {
    let (reply, stored) = oneshot::channel();
    if app.registry.get(user).is_some() && app.journal.offer(Record::Flush(reply)).is_queued() {
        // A journal that ends takes nobody's change with it: what is said again is stored then.
        let _ = stored.await;
    }
}

/// The tags of `If-Match`; empty without the header.
fn expected_tags(request: &HttpRequest) -> Result<Vec<String>, ApiError> {
    let mut tags = Vec::new();
    for header in request.headers().get_all(IF_MATCH) {
        let text = header.to_str().map_err(|_| {
            ApiError::invalid("bad_if_match", None, "If-Match is * or the ETag that GET answered")
        })?;
        // A proxy that compresses may have made the tag a weak one.
        tags.extend(text.split(',').map(|tag| tag.trim().trim_start_matches("W/").to_owned()));
    }
    Ok(tags)
}

fn matches(expected: &[String], tag: &str) -> bool {
    expected.iter().any(|expected| expected == "*" || expected == tag)
}

/// The document after a change.
fn changed(change: Change, mut before: Map<String, Value>, wish: Map<String, Value>) -> Map<String, Value> {
    match change {
        Change::Replace => wish,
        Change::Set => {
            before.extend(wish);
            before
        }
        Change::Merge => {
            merge(&mut before, wish);
            before
        }
    }
}

/// Reads one field; absent and `null` are the default.
fn field<T: DeserializeOwned + Default>(
    document: &Map<String, Value>,
    name: &'static str,
    what: &str,
) -> Result<T, ApiError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => T::deserialize(value).map_err(|error| {
            ApiError::invalid(
                "bad_preferences",
                Some(name),
                format!("{name} is {what}: {}", suggest_nearest(&error.to_string())),
            )
        }),
    }
}

/// Checks what a whole document changes of the one `before` it: what is stored may stay, though no request may say it now. It may have
/// as many entries as that one, which may have been joined from two users.
pub fn parse(
    document: &Map<String, Value>,
    before: &PreferenceDocument,
) -> Result<PreferenceDocument, ApiError> {
    if let Some(unknown) = document.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let message = match nearest(unknown, FIELDS) {
            Some(name) => format!("there is no preference \"{unknown}\"; did you mean {name}?"),
            None => format!("there is no preference \"{unknown}\"; there are {}", FIELDS.join(", ")),
        };
        return Err(ApiError::invalid("unknown_field", None, message));
    }
    let time_zone: Option<String> = field(document, "time_zone", "an IANA time zone such as Europe/Berlin")?;
    if let Some(zone) = &time_zone
        && time_zone != before.time_zone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        let message = format!("\"{zone}\" is not an IANA time zone such as Europe/Berlin");
        return Err(ApiError::invalid("bad_time_zone", Some("time_zone"), message));
    }
    let locale: Option<String> = field(document, "locale", "a BCP 47 tag such as de-AT")?;
    if let Some(tag) = &locale
        && locale != before.locale
        && !is_language_tag(tag)
    {
        return Err(ApiError::invalid("bad_locale", Some("locale"), "must be a BCP 47 tag such as de-AT"));
    }
    let muted: Vec<String> = field(document, "muted", "an array of categories")?;
    let is_good = |name: &String| is_name(name) || before.muted.contains(name);
    if muted.len() > MAX_MUTED_CATEGORIES.max(before.muted.len()) || !muted.iter().all(is_good) {
        let message = format!(
            "at most {MAX_MUTED_CATEGORIES} categories of 1…{MAX_NAME_BYTES} bytes of UTF-8 without control characters"
        );
        return Err(ApiError::invalid("bad_muted", Some("muted"), message));
    }
    let minute = |text: &str| {
        minute_of_day(text).and_then(|minute| i16::try_from(minute).ok()).ok_or_else(|| {
            ApiError::invalid("bad_time", Some("quiet_hours"), "from and to are local times HH:MM")
        })
    };
    let quiet: Option<QuietHours> =
        field(document, "quiet_hours", "an object of the local times from and to")?;
    let (from, to) = match &quiet {
        Some(quiet) => (Some(minute(&quiet.from)?), Some(minute(&quiet.to)?)),
        None => (None, None),
    };
    Ok(PreferenceDocument {
        settings: SettingsDocument::from(&settings(document, &before.settings())?),
        time_zone,
        locale,
        quiet_from_minute: from,
        quiet_to_minute: to,
        muted,
    })
}

/// Checks the settings that are not columns of their own.
fn settings(document: &Map<String, Value>, before: &Settings) -> Result<Settings, ApiError> {
    let settings = Settings {
        opted_out: field(document, "opted_out", "true or false")?,
        paused_until: field::<Option<Timestamp>>(
            document,
            "paused_until",
            "a time such as 2030-01-31T08:00:00Z",
        )?,
        digest: field::<BTreeSet<String>>(document, "digest", "an array of categories")?,
        blocked_channels: field::<BTreeMap<String, BTreeSet<Channel>>>(
            document,
            "blocked_channels",
            "an object of categories, each with an array of socket, push and inbox",
        )?,
        mutes: field::<Vec<Mute>>(document, "mutes", "an array of {\"of\":…,\"name\":…}")?,
    };
    settings
        .validate(before)
        .map_err(|error| ApiError::invalid("bad_preferences", Some(error.field), error.message))?;
    Ok(settings)
}

fn document(preferences: &PreferenceDocument) -> Map<String, Value> {
    match serde_json::to_value(view(preferences)) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn tag(preferences: &PreferenceDocument) -> String {
    let text = Value::Object(document(preferences)).to_string();
    format!("\"{}\"", EventKey::from_parts(&[text.as_bytes()]).0.simple())
}

fn answer(preferences: &PreferenceDocument) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, tag(preferences))).json(view(preferences))
}

/// The document as clients see it, with every field.
pub(super) fn view(preferences: &PreferenceDocument) -> PreferenceView {
    let settings = preferences.settings();
    let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let quiet = preferences
        .quiet_from_minute
        .zip(preferences.quiet_to_minute)
        .map(|(from, to)| QuietHours { from: time(from), to: time(to) });
    PreferenceView {
        time_zone: preferences.time_zone.clone(),
        locale: preferences.locale.clone(),
        quiet_hours: quiet,
        muted: preferences.muted.clone(),
        opted_out: settings.opted_out,
        paused_until: settings.paused_until,
        digest: settings.digest,
        blocked_channels: settings.blocked_channels,
        mutes: settings.mutes,
    }
}

#[cfg(test)]
mod tests;
