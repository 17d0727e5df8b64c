//! `/v1/notifications/{id}`: calls of the shop while they go out. What has become of one, pausing it, going on.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::audited::Change;
use super::describe::{self, Described, May};
use super::dto;
use super::error::ApiError;
use super::page::next_after;
use super::permit::{ReadMessages, SendMessages, With};
use tidings_actors::App;
use tidings_actors::notifier::messages::Going;
use tidings_core::base::{NotificationId, Timestamp, nearest};
use tidings_decision::notify::Unsent;
use tidings_decision::privacy::Permission;
use tidings_store::broadcasts::{self, Broadcast, State, To};
use tidings_store::call_progress::{self, Progress};
use tidings_store::calls::{self, Listed, Single};
use tidings_store::{Connection, Fields, StoreError};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;
/// States as they are shown. Sending: it has begun, and something of it waits.
const STATES: [&str; 6] = ["scheduled", "sending", "paused", "sent", "withdrawn", "expired"];
const UNKNOWN: ApiError = ApiError::NotFound("this message");

/// Page of the listing to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Only those in this state.
    state: Option<String>,
    /// At most 200.
    limit: Option<i64>,
    /// The id of the last one of the page before.
    after: Option<Uuid>,
}

/// Audience of a call: one of these.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = CallAudience)]
struct AudienceView {
    #[serde(skip_serializing_if = "Option::is_none")]
    everyone: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<Box<str>>,
    /// Conditions on attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Value>,
    /// Number of named users.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<usize>,
}

impl From<To> for AudienceView {
    fn from(to: To) -> Self {
        let none = Self::default();
        match to {
            To::Everyone => Self { everyone: Some(true), ..none },
            To::Segment(segment) => Self { segment: dto::segment(Some(segment)), ..none },
            To::Topic(topic) => Self { topic: Some(topic), ..none },
            To::Meeting(conditions) => {
                Self { attributes: Some(serde_json::from_str(&conditions).unwrap_or_default()), ..none }
            }
            To::Users(users) => Self { users: Some(users), ..none },
        }
    }
}

/// Users of a call by what has become of it.
#[derive(Serialize, ToSchema)]
struct CallProgress {
    planned: usize,
    /// With the message in their stream.
    sent: usize,
    deferred: usize,
    /// By the reason of the policy's last step.
    refused: BTreeMap<String, usize>,
    /// About whom nothing is decided yet.
    waiting: usize,
    /// Of those with the message.
    displayed: usize,
    clicked: usize,
}

/// A message to many, one with a time, a call of a trigger, or one message to one user.
#[derive(Serialize, ToSchema)]
pub(super) struct Call {
    id: Uuid,
    call_id: Uuid,
    /// `scheduled`, `sending`, `paused`, `sent`, `withdrawn` or `expired`.
    state: &'static str,
    /// Reason why it reached nobody, or nobody more, when its time had come: `lifetime_ended`, `words_unavailable` or
    /// `encrypted_attribute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsent_reason: Option<&'static str>,
    due_at: Timestamp,
    audience: AudienceView,
    users: usize,
    /// Words of the message, or the trigger that was set off; null where there are several or none is kept.
    message: Value,
    /// Absent of a single message to one user that was sent at once, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// Time by each user's clock; null = at `due_at` everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    send_at_local: Option<Option<String>>,
    /// Most users a minute; null = as fast as it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    rate_per_minute: Option<Option<u32>>,
    progress: CallProgress,
}

/// A request of several messages.
#[derive(Serialize, ToSchema)]
struct SeveralCalls {
    id: Uuid,
    /// That of the one with most left to do.
    state: &'static str,
    messages: Vec<Call>,
}

/// A call, or the calls of a request, by id.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Found {
    One(Box<Call>),
    Several(SeveralCalls),
}

/// A page of calls, newest first.
#[derive(Serialize, ToSchema)]
struct CallPage {
    notifications: Vec<Call>,
    /// `after` of the next page; null at the end.
    next_after: Option<Uuid>,
}

/// State of a call after a change.
#[derive(Serialize, ToSchema)]
struct CallState {
    id: Uuid,
    state: &'static str,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let one = "Progress of a message, of all messages of a request, or of a call of a trigger.";
    let found = |path| {
        describe::get(path, May::Needs(Permission::ReadMessages), one).answers::<Found>(200, "Progress.")
    };
    vec![
        describe::get(
            "/v1/notifications",
            May::Needs(Permission::ReadMessages),
            "Latest messages to many or with a time, and calls of triggers, newest first.",
        )
        .query::<PageQuery>()
        .answers::<CallPage>(200, "A page."),
        found("/v1/notifications/{id}").example(EXAMPLE).refuses(&[404]),
        found("/v1/notifications/scheduled/{id}").refuses(&[404]),
        describe::post(
            "/v1/notifications/{id}/pause",
            May::Needs(Permission::SendMessages),
            "Stops what is left of one.",
        )
        .answers::<CallState>(200, "Nothing more of it is decided.")
        .refuses(&[404, 409]),
        describe::post(
            "/v1/notifications/{id}/resume",
            May::Needs(Permission::SendMessages),
            "Lets what is left of a paused one go on.",
        )
        .answers::<CallState>(200, "It goes on.")
        .refuses(&[404, 409]),
    ]
}

const EXAMPLE: &str = r#"{
    "id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10", "call_id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10",
    "state": "sending", "due_at": "2026-12-01T09:00:00Z", "audience": {"everyone": true}, "users": 41200,
    "message": {"title": "Winter sale", "category": "promotion", "expires_at": "2026-12-02T09:00:00Z"},
    "created_at": "2026-11-30T16:20:11Z", "send_at_local": null, "rate_per_minute": 6000,
    "progress": {"planned": 41200, "sent": 17950, "deferred": 310, "refused": {"muted_category": 820},
                 "waiting": 22120, "displayed": 9120, "clicked": 611}
}"#;

/// A page of the latest messages to many or with a time, and calls of triggers, newest first.
pub async fn list(
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    _caller: With<ReadMessages>,
) -> Result<HttpResponse, ApiError> {
    let listed = listed(query.state.as_deref())?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = query.after;
    let fields = Arc::clone(app.state.store.fields());
    let (rows, views) = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::latest(connection, &fields, listed, after, limit)?;
            let views = views(connection, &rows, Timestamp::now())?;
            Ok((rows, views))
        })
        .await?;
    let next_after = next_after(&rows, limit, |row| row.id);
    Ok(HttpResponse::Ok().json(CallPage { notifications: views, next_after }))
}

fn listed(state: Option<&str>) -> Result<Listed, ApiError> {
    match state {
        None => Ok(Listed::All),
        Some("sending") => Ok(Listed::Sending),
        Some(name) => State::parse(name).map(Listed::State).ok_or_else(|| {
            let message = match nearest(name, STATES) {
                Some(near) => format!("there is no state \"{name}\"; did you mean {near}?"),
                None => format!("there is no state \"{name}\"; there are {}", STATES.join(", ")),
            };
            ApiError::invalid("bad_state", Some("state"), message)
        }),
    }
}

/// Progress of one: a message to many, a call of a trigger, a request of several messages, or one message to one user.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<ReadMessages>,
) -> Result<HttpResponse, ApiError> {
    let id = parse(&path)?;
    let fields = Arc::clone(app.state.store.fields());
    let view = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::find(connection, &fields, id)?;
            if rows.is_empty() {
                return Ok(single(connection, &fields, id)?.map(Box::new).map(Found::One));
            }
            let views = views(connection, &rows, Timestamp::now())?;
            Ok(Some(match <[Call; 1]>::try_from(views) {
                Ok([one]) => Found::One(Box::new(one)),
                Err(messages) => {
                    Found::Several(SeveralCalls { id, state: common_state(&messages), messages })
                }
            }))
        })
        .await?
        .ok_or(UNKNOWN)?;
    Ok(HttpResponse::Ok().json(view))
}

fn parse(path: &str) -> Result<Uuid, ApiError> {
    path.parse()
        .map_err(|_| ApiError::invalid("bad_id", Some("id"), "the id of a message or of a request is a UUID"))
}

/// Stops what is left of one. Answered when nothing more of it is decided.
pub async fn pause(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    switch(&request, &app, parse(&path)?, Going::Paused).await
}

/// Lets what is left of a paused one go on.
pub async fn resume(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    switch(&request, &app, parse(&path)?, Going::On).await
}

async fn switch(request: &HttpRequest, app: &App, id: Uuid, to: Going) -> Result<HttpResponse, ApiError> {
    let fields = Arc::clone(app.state.store.fields());
    let (rows, waiting) = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::find(connection, &fields, id)?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            let waiting = calls::waiting(connection, &ids)?;
            Ok((rows, waiting))
        })
        .await?;
    if rows.is_empty() {
        let message = "this message to many, or with a time; one to one user that is sent at once is too late to pause, and";
        return Err(ApiError::NotFound(message));
    }
    let may = |row: &&Broadcast| match to {
        Going::Paused => {
            row.state == State::Scheduled || (row.state == State::Sent && waiting.contains(&row.id))
        }
        Going::On => row.state == State::Paused,
    };
    let ids: Vec<Uuid> = rows.iter().filter(may).map(|row| row.id).collect();
    // Asked for again: it is as it should be.
    let is_so = to == Going::Paused && rows.iter().any(|row| row.state == State::Paused);
    if ids.is_empty() && !is_so {
        let message = match to {
            Going::Paused => "nothing of it waits: it was sent, taken back, or its lifetime has ended",
            Going::On => "it is not paused",
        };
        return Err(ApiError::Conflict(message.to_owned()));
    }
    if !ids.is_empty() {
        let change = Change::new(request, app, StatusCode::OK);
        app.notifier.switch(ids, to, change.entry((), ())).await?;
        change.note_stored();
    }
    let fields = Arc::clone(app.state.store.fields());
    let shown = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::find(connection, &fields, id)?;
            views(connection, &rows, Timestamp::now())
        })
        .await?;
    let state = common_state(&shown);
    Ok(HttpResponse::Ok().json(CallState { id, state }))
}

/// The state of several: that of the one with most left to do.
fn common_state(views: &[Call]) -> &'static str {
    let order = ["sending", "paused", "scheduled", "sent", "expired", "withdrawn"];
    order.into_iter().find(|state| views.iter().any(|view| view.state == *state)).unwrap_or("withdrawn")
}

/// Returns whether a broadcast is a call that set a trigger off.
pub(super) fn is_of_trigger(row: &Broadcast) -> bool {
    let message: Value = serde_json::from_str(&row.message).unwrap_or_default();
    message.get("trigger").is_some()
}

/// Broadcasts as they are shown, with their progress.
pub(super) fn views(
    connection: &mut Connection,
    rows: &[Broadcast],
    now: Timestamp,
) -> Result<Vec<Call>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let sizes = broadcasts::sizes(connection, rows)?;
    let mut progress = call_progress::read(connection, &ids)?;
    let waiting = calls::waiting(connection, &ids)?;
    let view = |row: &Broadcast| {
        let message: Value = serde_json::from_str(&row.message).unwrap_or_default();
        let planned = sizes.get(&row.id).copied().unwrap_or(0);
        let waits = waiting.contains(&row.id);
        let state = state(row, waits, now);
        let is_open = matches!(state, "scheduled" | "paused" | "sending");
        Call {
            id: row.id,
            call_id: row.call,
            state,
            unsent_reason: row.unsent.map(Unsent::name),
            due_at: row.due_at,
            audience: row.to.clone().into(),
            users: planned,
            message,
            created_at: Some(row.created_at),
            send_at_local: Some(row.local.map(|local| local.to_string())),
            rate_per_minute: Some(row.pace.map(|pace| pace.per_minute())),
            progress: shown(progress.remove(&row.id).unwrap_or_default(), planned, is_open),
        }
    };
    Ok(rows.iter().map(view).collect())
}

/// Of named users a scheduled message is in the outbox, and on its way when its time has come.
fn state(row: &Broadcast, waits: bool, now: Timestamp) -> &'static str {
    match row.state {
        State::Scheduled if !row.batches.is_empty() && (row.due_at <= now || row.local.is_some()) => {
            "sending"
        }
        State::Sent if waits => "sending",
        state => state.name(),
    }
}

/// `is_open`: what is neither sent nor refused may still be.
fn shown(progress: Progress, planned: usize, is_open: bool) -> CallProgress {
    let left = if is_open { planned.saturating_sub(progress.done()) } else { 0 };
    let deferred = progress.deferred.min(left);
    let Progress { sent, refused, displayed, clicked, .. } = progress;
    CallProgress { planned, sent, deferred, refused, waiting: left - deferred, displayed, clicked }
}

/// One message to one user.
fn single(connection: &mut Connection, fields: &Fields, id: Uuid) -> Result<Option<Call>, StoreError> {
    let found = calls::single(connection, fields, NotificationId(id))?;
    let mut progress = call_progress::read(connection, &[id])?.remove(&id).unwrap_or_default();
    let (state, message, due_at) = match found {
        Some(Single::Placed { withdrawn, frame, created_at, displayed, clicked }) => {
            let (displayed, clicked) = (usize::from(displayed), usize::from(clicked));
            progress = Progress { sent: 1, displayed, clicked, ..Progress::default() };
            (if withdrawn { "withdrawn" } else { "sent" }, frame, created_at)
        }
        Some(Single::Waiting { message, due_at }) => ("sending", message, due_at),
        Some(Single::Refused { decided_at }) => ("sent", "null".to_owned(), decided_at),
        None => return Ok(None),
    };
    let message: Value = serde_json::from_str(&message).unwrap_or_default();
    Ok(Some(Call {
        id,
        call_id: id,
        state,
        unsent_reason: None,
        due_at,
        audience: To::Users(1).into(),
        users: 1,
        message,
        created_at: None,
        send_at_local: None,
        rate_per_minute: None,
        progress: shown(progress, 1, state == "sending"),
    }))
}
