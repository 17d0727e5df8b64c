//! `/v1/notifications/{id}`: calls of the shop while they go out. What has become of one, pausing it, going on.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::error::ApiError;
use super::page::next_after;
use crate::actors::App;
use crate::actors::notifier::messages::Going;
use crate::base::{NotificationId, Timestamp, nearest};
use crate::store::broadcasts::{self, Broadcast, State};
use crate::store::call_progress::{self, Progress};
use crate::store::calls::{self, Listed, Single};
use crate::store::{Connection, StoreError};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;
/// States as they are shown. Sending: it has begun, and something of it waits.
const STATES: [&str; 6] = ["scheduled", "sending", "paused", "sent", "withdrawn", "expired"];
const UNKNOWN: ApiError = ApiError::NotFound("this message");

/// Page of the listing to return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Only those in this state.
    state: Option<String>,
    limit: Option<i64>,
    /// The id of the last one of the page before.
    after: Option<Uuid>,
}

/// A page of the latest messages to many or with a time, and calls of triggers, newest first.
pub async fn list(
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let listed = listed(query.state.as_deref())?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = query.after;
    let (rows, views) = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::latest(connection, listed, after, limit)?;
            let views = views(connection, &rows, Timestamp::now())?;
            Ok((rows, views))
        })
        .await?;
    let next_after = next_after(&rows, limit, |row| row.id);
    Ok(HttpResponse::Ok().json(json!({"notifications": views, "next_after": next_after})))
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
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = parse(&path)?;
    let view = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::find(connection, id)?;
            if rows.is_empty() {
                return single(connection, id);
            }
            let views = views(connection, &rows, Timestamp::now())?;
            Ok(match <[Value; 1]>::try_from(views) {
                Ok([one]) => Some(one),
                Err(several) => Some(json!({"id": id, "state": common_state(&several), "messages": several})),
            })
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
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    switch(&app, parse(&path)?, Going::Paused).await
}

/// Lets what is left of a paused one go on.
pub async fn resume(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    switch(&app, parse(&path)?, Going::On).await
}

async fn switch(app: &App, id: Uuid, to: Going) -> Result<HttpResponse, ApiError> {
    let (rows, waiting) = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::find(connection, id)?;
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
        app.notifier.switch(ids, to).await?;
    }
    let shown = app
        .state
        .store
        .run(move |connection| {
            let rows = calls::find(connection, id)?;
            views(connection, &rows, Timestamp::now())
        })
        .await?;
    let state = common_state(&shown);
    Ok(HttpResponse::Ok().json(json!({"id": id, "state": state})))
}

/// The state of several: that of the one with most left to do.
fn common_state(views: &[Value]) -> &'static str {
    let order = ["sending", "paused", "scheduled", "sent", "expired", "withdrawn"];
    order.into_iter().find(|state| views.iter().any(|view| view["state"] == *state)).unwrap_or("withdrawn")
}

/// Whether a broadcast is a call that set a trigger off.
pub(super) fn is_of_trigger(row: &Broadcast) -> bool {
    let message: Value = serde_json::from_str(&row.message).unwrap_or_default();
    message.get("trigger").is_some()
}

/// Broadcasts as they are shown, with their progress.
pub(super) fn views(
    connection: &mut Connection,
    rows: &[Broadcast],
    now: Timestamp,
) -> Result<Vec<Value>, StoreError> {
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
        let progress = progress_json(progress.remove(&row.id).unwrap_or_default(), planned, is_open);
        json!({
            "id": row.id, "call_id": row.call, "state": state, "due_at": row.due_at,
            "audience": row.to.to_json(), "users": planned, "message": message, "created_at": row.created_at,
            "send_at_local": row.local.map(|local| local.to_string()),
            "rate_per_minute": row.pace.map(|pace| pace.per_minute()), "progress": progress,
        })
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
fn progress_json(progress: Progress, planned: usize, is_open: bool) -> Value {
    let left = if is_open { planned.saturating_sub(progress.done()) } else { 0 };
    let deferred = progress.deferred.min(left);
    json!({
        "planned": planned, "sent": progress.sent, "deferred": deferred, "refused": progress.refused,
        "waiting": left - deferred, "displayed": progress.displayed, "clicked": progress.clicked,
    })
}

/// One message to one user.
fn single(connection: &mut Connection, id: Uuid) -> Result<Option<Value>, StoreError> {
    let found = calls::single(connection, NotificationId(id))?;
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
    Ok(Some(json!({
        "id": id, "call_id": id, "state": state, "due_at": due_at, "audience": {"users": 1}, "users": 1,
        "message": message, "progress": progress_json(progress, 1, state == "sending"),
    })))
}
