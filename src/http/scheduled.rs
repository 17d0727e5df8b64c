//! `/v1/notifications/scheduled`: messages that wait for their `send_at`: listed and taken back until then; and changes of what waits
//! or is paused. Who is in a segment, and who everyone is, is read when the message is due.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use uuid::Uuid;

use super::audited::{Change, in_one};
use super::body::Body;
use super::calls::{Call, is_of_trigger, views};
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::inbox::ON_ITS_WAY;
use super::merge_patch::merge;
use super::notifications::check_words;
use super::page::next_after;
use super::permit::{ReadMessages, SendMessages, With};
use tidings_actors::App;
use tidings_actors::notifier::recall::{TakenBack, recall};
use tidings_core::base::{FieldError, Millis, Timestamp, json, nearest};
use tidings_decision::notify::Message;
use tidings_decision::notify::message::RawMessage;
use tidings_decision::privacy::Permission;
use tidings_store::broadcasts::{self, Broadcast, State};
use tidings_store::{Connection, Fields, calls};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 500;
const UNKNOWN_AFTER: &str = "after is next_after of the page before: the id of a message that is kept";
/// Fields that can be changed.
const CHANGEABLE: [&str; 14] = [
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
    "template",
    "variables",
    "item_id",
];

/// Page of the scheduled messages to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// At most 500.
    limit: Option<i64>,
    /// The id of the last one of the page before.
    after: Option<Uuid>,
}

/// A page of messages that wait, the earliest due first.
#[derive(Serialize, ToSchema)]
struct ScheduledPage {
    scheduled: Vec<Call>,
    /// `after` of the next page; null at the end.
    next_after: Option<Uuid>,
}

/// Changes of a message: those of its fields that can be changed.
struct MessagePatch(Map<String, Value>);

impl PartialSchema for MessagePatch {
    fn schema() -> RefOr<Schema> {
        let about = "What is absent stays as it was; null removes.";
        describe::patch_of(RawMessage::schema(), about, |name| CHANGEABLE.contains(&name))
    }
}

impl ToSchema for MessagePatch {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RawMessage::schemas(schemas);
    }
}

impl MessagePatch {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let wish = match serde_json::from_slice(body) {
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
        Ok(Self(wish))
    }
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let change = |path| {
        describe::patch(
            path,
            May::Needs(Permission::SendMessages),
            "Changes words and time (RFC 7396) of what waits or is paused.",
        )
        .body::<MessagePatch>()
        .body_example(r#"{"title": "Winter sale, last day", "send_at": "2026-12-02T09:00:00Z"}"#)
        .answers::<Call>(200, "As it is now.")
        .refuses(&[404, 409])
    };
    vec![
        describe::get(
            "/v1/notifications/scheduled",
            May::Needs(Permission::ReadMessages),
            "Messages that wait for their time, the earliest due first.",
        )
        .query::<PageQuery>()
        .answers::<ScheduledPage>(200, "A page."),
        change("/v1/notifications/{id}"),
        change("/v1/notifications/scheduled/{id}"),
        describe::delete(
            "/v1/notifications/scheduled/{id}",
            May::Needs(Permission::SendMessages),
            "Takes one back before its time.",
        )
        .empty(204, "It is taken back.")
        .refuses(&[404, 409]),
    ]
}

/// A page of those that wait, the earliest due first.
pub async fn list(
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    _caller: With<ReadMessages>,
) -> Result<HttpResponse, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = query.after;
    let fields = Arc::clone(app.state.store.fields());
    let (rows, views) = app
        .state
        .store
        .run(move |connection| {
            let last = match after {
                Some(id) => {
                    match calls::find(connection, &fields, id)?.into_iter().find(|row| row.id == id) {
                        Some(row) => (row.due_at, row.id),
                        None => return Ok(Err(ApiError::invalid("bad_after", Some("after"), UNKNOWN_AFTER))),
                    }
                }
                None => (Timestamp(0), Uuid::nil()),
            };
            let rows = broadcasts::scheduled(connection, &fields, last, limit)?;
            let views = views(connection, &rows, Timestamp::now())?;
            Ok(Ok((rows, views)))
        })
        .await??;
    let next_after = next_after(&rows, limit, |row| row.id);
    Ok(HttpResponse::Ok().json(ScheduledPage { scheduled: views, next_after }))
}

/// Takes one back before its time; what has been sent is taken back with `DELETE /v1/notifications/{id}`.
pub async fn delete(
    request: HttpRequest,
    path: web::Path<Uuid>,
    app: web::Data<App>,
    _caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    let id = path.into_inner();
    let fields = Arc::clone(app.state.store.fields());
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    let taken_back = in_one(&app, move |connection| {
        let rows = match waiting(connection, &fields, id, Timestamp::now())? {
            Ok(row) => vec![row],
            Err(error) => return Ok(Err(error)),
        };
        let deferred = broadcasts::withdraw(connection, &rows)?;
        change.store(connection, (), ())?;
        Ok(Ok(TakenBack { rows, deferred }))
    })
    .await?;
    recall(taken_back, &app.notifier, &app.state.store, &app.registry).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The message after a change for the audit log, which keeps no words: with the names of the fields that were changed.
fn audited(view: Option<&Call>, changed: Vec<String>) -> Option<Value> {
    let mut value = serde_json::to_value(view?).ok()?;
    value.as_object_mut()?.insert("changed".to_owned(), changed.into());
    Some(value)
}

/// Changes words or time by a merge patch (RFC 7396). A new `send_at` moves `expires_at` along, unless that is given too.
pub async fn patch(
    request: HttpRequest,
    path: web::Path<Uuid>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    let id = path.into_inner();
    let MessagePatch(wish) = MessagePatch::read(&body)?;
    let names: Vec<String> = wish.keys().cloned().collect();
    let lifetime = Millis::hours(app.state.config.policy.expires_after_h);
    let state = app.clone();
    let fields = Arc::clone(app.state.store.fields());
    let change = Change::new(&request, &app, StatusCode::OK);
    let (due_at, view) = in_one(&app, move |connection| {
        let now = Timestamp::now();
        let row = match waiting(connection, &fields, id, now)? {
            Ok(row) => row,
            Err(error) => return Ok(Err(error)),
        };
        let before = views(connection, std::slice::from_ref(&row), now)?.pop();
        let (message, due_at) = match changed(&state, &row, wish, now, lifetime) {
            Ok(changed) => changed,
            Err(error) => return Ok(Err(error)),
        };
        let due_at = broadcasts::change(connection, &fields, &row, &message, due_at, now + ON_ITS_WAY)?;
        let row = Broadcast { message, due_at, ..row };
        let view = views(connection, std::slice::from_ref(&row), now)?.pop();
        change.store(connection, before, audited(view.as_ref(), names))?;
        Ok(Ok((row.due_at, view)))
    })
    .await?;
    app.notifier.note_due(due_at);
    Ok(HttpResponse::Ok().json(view))
}

const UNKNOWN: ApiError = ApiError::NotFound("this message");

/// The one of that id, locked, if it still waits or is paused.
fn waiting(
    connection: &mut Connection,
    fields: &Fields,
    id: Uuid,
    now: Timestamp,
) -> Result<Result<Broadcast, ApiError>, tidings_store::StoreError> {
    let mut rows = broadcasts::lock(connection, fields, id)?;
    let Some(place) = rows.iter().position(|row| row.id == id) else { return Ok(Err(UNKNOWN)) };
    let row = rows.swap_remove(place);
    let has_begun = row.local.is_some() && !row.batches.is_empty();
    let on_its_way = has_begun
        || row.state == State::Scheduled && !row.batches.is_empty() && row.due_at <= now + ON_ITS_WAY;
    Ok(match row.state {
        State::Withdrawn => Err(ApiError::NotFound("this message, or it was taken back before,")),
        State::Paused if is_of_trigger(&row) => Err(ApiError::Conflict(
            "it set a trigger off, whose words are those of its template: there is nothing to change".to_owned(),
        )),
        State::Paused if row.is_of_several() => Err(ApiError::Conflict(
            "each of its messages has words of its own: take it back (DELETE /v1/notifications/{id}) and send it anew".to_owned(),
        )),
        State::Paused => Ok(row),
        State::Scheduled if !on_its_way => Ok(row),
        State::Scheduled | State::Sent => Err(ApiError::Conflict(
            "it has been sent or is on its way: POST /v1/notifications/{id}/pause stops what is left of it, which can be \
             changed then; DELETE /v1/notifications/{id} takes it back"
                .to_owned(),
        )),
        State::Expired => Err(ApiError::Conflict("its lifetime ended before it could be sent".to_owned())),
    })
}

/// The message after a change, as stored, and when it is due.
fn changed(
    app: &App,
    row: &Broadcast,
    wish: Map<String, Value>,
    now: Timestamp,
    lifetime: Millis,
) -> Result<(String, Timestamp), ApiError> {
    let invalid = |error: serde_json::Error| ApiError::invalid("bad_message", None, error.to_string());
    let before: Message = serde_json::from_str(&row.message).map_err(invalid)?;
    let mut raw: Map<String, Value> = serde_json::from_str(&row.message).map_err(invalid)?;
    let is_moved = wish.contains_key("send_at");
    if is_moved && row.local.is_some() {
        let text = "it is due at a wall time in each user's own zone: take it back and send it anew";
        return Err(ApiError::invalid("bad_time", Some("send_at"), text));
    }
    let moves_alone = is_moved && !wish.contains_key("expires_at");
    raw.insert("send_at".to_owned(), row.due_at.to_string().into());
    merge(&mut raw, wish);
    if moves_alone {
        // Checked anew below, from the new time on.
        raw.remove("expires_at");
    }
    raw.insert("everyone".to_owned(), true.into()); // Whom it goes to does not change.
    let raw: RawMessage = json::from_value(Value::Object(raw)).map_err(invalid)?;
    let refused = |error: FieldError| ApiError::invalid_field(error.code, error.field, error.message);
    let addressed = raw.validate(now, lifetime).map_err(refused)?;
    check_words(app, &addressed, now).map_err(refused)?;
    // Of what is paused, and has begun, the time has passed.
    let due_at = addressed.send_at.unwrap_or(if is_moved { now } else { row.due_at });
    let mut message = addressed.message;
    if moves_alone {
        message.expires_at = due_at + before.expires_at.millis_since(row.due_at);
    }
    Ok((serde_json::to_string(&message).map_err(invalid)?, due_at))
}
