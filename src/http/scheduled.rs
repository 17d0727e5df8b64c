//! `/v1/notifications/scheduled`: messages that wait for their `send_at`: listed, shown, changed and taken back until then. Who is in a
//! segment, and who everyone is, is read when the message is due.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use super::inbox::ON_ITS_WAY;
use super::merge_patch::merge;
use crate::actors::App;
use crate::actors::notifier::recall::{TakenBack, recall};
use crate::base::{Millis, Timestamp, nearest};
use crate::notify::Message;
use crate::notify::message::RawMessage;
use crate::store::broadcasts::{self, Broadcast, State};
use crate::store::{Connection, in_transaction};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 500;
/// Fields that can be changed.
const CHANGEABLE: [&str; 11] = [
    "title",
    "body",
    "kind",
    "category",
    "priority",
    "url",
    "image_url",
    "data",
    "collapse_key",
    "send_at",
    "expires_at",
];

/// Page of the scheduled messages to return.
#[derive(Deserialize)]
pub struct PageQuery {
    limit: Option<i64>,
    /// The id of the last one of the page before.
    after: Option<Uuid>,
}

/// A page of those that wait, the earliest due first.
pub async fn list(
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = query.after;
    let (rows, sizes) = app
        .state
        .store
        .run(move |connection| {
            let last = match after {
                Some(id) => broadcasts::find(connection, id)?.map(|row| (row.due_at, row.id)),
                None => None,
            };
            let rows = broadcasts::scheduled(connection, last.unwrap_or((Timestamp(0), Uuid::nil())), limit)?;
            let sizes = broadcasts::sizes(connection, &rows)?;
            Ok((rows, sizes))
        })
        .await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n == limit);
    let next_after = rows.last().filter(|_| is_full).map(|row| row.id);
    let now = Timestamp::now();
    let views: Vec<Value> =
        rows.iter().map(|row| view(row, sizes.get(&row.id).copied().unwrap_or(0), now)).collect();
    Ok(HttpResponse::Ok().json(json!({"scheduled": views, "next_after": next_after})))
}

/// One of them, also after its time.
pub async fn get(
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = path.into_inner();
    let found = app
        .state
        .store
        .run(move |connection| {
            let row = broadcasts::find(connection, id)?;
            let sizes = broadcasts::sizes(connection, row.as_slice())?;
            Ok(row.map(|row| (sizes.get(&row.id).copied().unwrap_or(0), row)))
        })
        .await?;
    let (users, row) = found.ok_or(UNKNOWN)?;
    Ok(HttpResponse::Ok().json(view(&row, users, Timestamp::now())))
}

/// Takes one back before its time; what has been sent is taken back with `DELETE /v1/notifications/{id}`.
pub async fn delete(
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = path.into_inner();
    let taken_back = app
        .state
        .store
        .run(move |connection| {
            in_transaction(connection, |connection| {
                let rows = match waiting(connection, id, Timestamp::now())? {
                    Ok(row) => vec![row],
                    Err(error) => return Ok(Err(error)),
                };
                let deferred = broadcasts::withdraw(connection, &rows)?;
                Ok(Ok(TakenBack { rows, deferred }))
            })
        })
        .await??;
    recall(taken_back, &app.notifier, &app.state.store, &app.registry).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Changes words or time by a merge patch (RFC 7396). A new `send_at` moves `expires_at` along, unless that is given too.
pub async fn patch(
    path: web::Path<Uuid>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = path.into_inner();
    let wish = match serde_json::from_slice(&body) {
        Ok(Value::Object(wish)) => wish,
        Ok(_) => return Err(ApiError::invalid("bad_json", None, "a change is an object")),
        Err(error) => {
            return Err(ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}")));
        }
    };
    if let Some(name) = wish.keys().find(|name| !CHANGEABLE.contains(&name.as_str())) {
        let message = match nearest(name, CHANGEABLE) {
            Some(near) => format!("\"{name}\" can't be changed; did you mean {near}?"),
            None => format!("\"{name}\" can't be changed; what can are {}", CHANGEABLE.join(", ")),
        };
        return Err(ApiError::invalid("unknown_field", None, message));
    }
    let lifetime = Millis::hours(app.state.config.policy.expires_after_h);
    let (row, users) = app
        .state
        .store
        .run(move |connection| {
            in_transaction(connection, |connection| {
                let now = Timestamp::now();
                let row = match waiting(connection, id, now)? {
                    Ok(row) => row,
                    Err(error) => return Ok(Err(error)),
                };
                let (message, due_at) = match changed(&row, wish, now, lifetime) {
                    Ok(changed) => changed,
                    Err(error) => return Ok(Err(error)),
                };
                let due_at = broadcasts::change(connection, &row, &message, due_at, now + ON_ITS_WAY)?;
                let row = Broadcast { message, due_at, ..row };
                let users = broadcasts::sizes(connection, std::slice::from_ref(&row))?;
                Ok(Ok((row, users)))
            })
        })
        .await??;
    app.notifier.note_due(row.due_at);
    let users = users.get(&row.id).copied().unwrap_or(0);
    Ok(HttpResponse::Ok().json(view(&row, users, Timestamp::now())))
}

const UNKNOWN: ApiError = ApiError::NotFound("this scheduled message");

/// The one of that id, locked, if it still waits.
fn waiting(
    connection: &mut Connection,
    id: Uuid,
    now: Timestamp,
) -> Result<Result<Broadcast, ApiError>, crate::store::StoreError> {
    let mut rows = broadcasts::lock(connection, id)?;
    let Some(place) = rows.iter().position(|row| row.id == id) else { return Ok(Err(UNKNOWN)) };
    let row = rows.swap_remove(place);
    Ok(match state(&row, now) {
        State::Withdrawn => Err(ApiError::NotFound("this scheduled message, or it was taken back before,")),
        State::Scheduled if row.batches.is_empty() || row.due_at > now + ON_ITS_WAY => Ok(row),
        State::Scheduled | State::Sent => Err(ApiError::Conflict(
            "it has been sent or is on its way: DELETE /v1/notifications/{id} takes it back".to_owned(),
        )),
        State::Expired => Err(ApiError::Conflict("its lifetime ended before it could be sent".to_owned())),
    })
}

/// Of named users it is in the outbox, and on its way when its time has come.
fn state(row: &Broadcast, now: Timestamp) -> State {
    match row.state {
        State::Scheduled if !row.batches.is_empty() && row.due_at <= now => State::Sent,
        state => state,
    }
}

/// The message after a change, as stored, and when it is due.
fn changed(
    row: &Broadcast,
    wish: Map<String, Value>,
    now: Timestamp,
    lifetime: Millis,
) -> Result<(String, Timestamp), ApiError> {
    let invalid = |error: serde_json::Error| ApiError::invalid("bad_message", None, error.to_string());
    let before: Message = serde_json::from_str(&row.message).map_err(invalid)?;
    let mut raw: Map<String, Value> = serde_json::from_str(&row.message).map_err(invalid)?;
    let moves_alone = wish.contains_key("send_at") && !wish.contains_key("expires_at");
    raw.insert("send_at".to_owned(), json!(row.due_at));
    merge(&mut raw, wish);
    if moves_alone {
        // Checked anew below, from the new time on.
        raw.remove("expires_at");
    }
    raw.insert("everyone".to_owned(), json!(true)); // Whom it goes to does not change.
    let raw: RawMessage = serde_json::from_value(Value::Object(raw)).map_err(invalid)?;
    let addressed = raw
        .validate(now, lifetime)
        .map_err(|error| ApiError::invalid(error.code, Some(error.field), error.message))?;
    let due_at = addressed.send_at.unwrap_or(now);
    let mut message = addressed.message;
    if moves_alone {
        message.expires_at = due_at + before.expires_at.millis_since(row.due_at);
    }
    Ok((serde_json::to_string(&message).map_err(invalid)?, due_at))
}

fn view(row: &Broadcast, users: usize, now: Timestamp) -> Value {
    let message: Value = serde_json::from_str(&row.message).unwrap_or_default();
    json!({
        "id": row.id, "call_id": row.call, "state": state(row, now).name(), "due_at": row.due_at,
        "audience": row.to.to_json(), "users": users, "message": message, "created_at": row.created_at,
    })
}
