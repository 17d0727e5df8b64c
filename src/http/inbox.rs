//! The inbox over HTTP: what a user was sent, and what was read and seen of it. What changes here is told to every open
//! connection of the user at once.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::notifier::recall;
use crate::base::{ExternalId, Millis, NotificationId, Timestamp, UserId};
use crate::deliver::{Input, Withdrawal};
use crate::store::broadcasts::{self, State};
use crate::store::inbox::{self, InboxRow, Mark};
use crate::store::{Connection, StoreError, in_transaction, outbox, users};

const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;
/// Most messages marked in one request.
const MAX_MARKED: usize = 1_000;
/// Time before its due moment within which a message may be on its way already.
pub(super) const ON_ITS_WAY: Millis = Millis(5_000);

/// Page of the inbox to return.
#[derive(Deserialize)]
pub struct PageQuery {
    /// Older than this offset.
    before: Option<i64>,
    limit: Option<i64>,
}

/// Messages that were opened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadBody {
    #[serde(default)]
    notification_ids: Vec<NotificationId>,
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenBody {
    up_to: i64,
}

/// A page, newest first, with the counts.
pub async fn page(
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let before = query.before.unwrap_or(i64::MAX);
    let (rows, counts) = app
        .state
        .store
        .run(move |connection| {
            let Some(user) = users::find(connection, &user)? else { return Ok((Vec::new(), (0, 0))) };
            let now = Timestamp::now();
            Ok((inbox::page(connection, user, before, limit, now)?, inbox::counts(connection, user, now)?))
        })
        .await?;
    let full = i64::try_from(rows.len()).is_ok_and(|n| n == limit);
    let next_before = rows.last().filter(|_| full).map(|row| row.offset);
    let messages: Vec<Value> = rows.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({
        "messages": messages, "unread": counts.0, "unseen": counts.1, "next_before": next_before,
    })))
}

fn view(row: InboxRow) -> Value {
    let mut frame: Value = serde_json::from_str(&row.frame).unwrap_or_else(|_| json!({}));
    if let Some(fields) = frame.as_object_mut() {
        fields.insert("read".to_owned(), json!(row.read));
        fields.insert("seen".to_owned(), json!(row.seen));
    }
    frame
}

/// Marks messages, or all of them, as read.
pub async fn read(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let ReadBody { notification_ids: ids, all } = parse(&body)?;
    // Exactly one of the two.
    if all != ids.is_empty() || ids.len() > MAX_MARKED {
        let message = format!("give notification_ids (at most {MAX_MARKED}) or all: true");
        return Err(ApiError::invalid("missing_field", Some("notification_ids"), message));
    }
    let inputs = match all {
        true => vec![Input::ReadAll { by: None }],
        false => ids.iter().map(|id| Input::Read { id: *id, by: None }).collect(),
    };
    change(&app, user, inputs, move |connection, user, at| match all {
        true => inbox::read_all(connection, user, at),
        false => inbox::mark(connection, &[Mark::Read { user, ids, at }]),
    })
    .await
}

/// Marks everything up to an offset as seen.
pub async fn seen(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    caller.may_act_for(&user)?;
    let SeenBody { up_to } = parse(&body)?;
    change(&app, user, vec![Input::Seen { up_to, by: None }], move |connection, user, at| {
        inbox::mark(connection, &[Mark::Seen { user, up_to, at }])
    })
    .await
}

/// Messages that were taken back.
enum TakenBack {
    /// A message in a stream, and whose it was.
    Message(ExternalId),
    /// A message that was still in the outbox.
    Waiting,
    /// Broadcasts, of which messages may be anywhere.
    Broadcasts(recall::TakenBack),
}

/// `DELETE /v1/notifications/{id}`: takes a message, or all messages of a request, back, from the inbox and from every open page,
/// or before their time.
pub async fn withdraw(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = path.parse::<Uuid>().map_err(|_| {
        ApiError::invalid("bad_id", Some("notification_id"), "the id of a message or of a request is a UUID")
    })?;
    let taken_back = app
        .state
        .store
        .run(move |connection| take_back(connection, id))
        .await?
        .ok_or(ApiError::NotFound("this message, or it was taken back before,"))?;
    match taken_back {
        TakenBack::Message(owner) => tell(&app, &owner, Input::Withdrawn(NotificationId(id))),
        TakenBack::Waiting => {}
        TakenBack::Broadcasts(taken_back) => {
            recall::recall(taken_back, &app.notifier, &app.state.store, &app.registry).await?;
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

fn take_back(connection: &mut Connection, id: Uuid) -> Result<Option<TakenBack>, StoreError> {
    let (now, message) = (Timestamp::now(), NotificationId(id));
    if let Some(user) = inbox::withdraw(connection, message, now, Withdrawal::Withdrawn)? {
        return Ok(users::external_ids(connection, &[user])?.remove(&user).map(TakenBack::Message));
    }
    if outbox::take_back(connection, message, now + ON_ITS_WAY)? {
        return Ok(Some(TakenBack::Waiting));
    }
    in_transaction(connection, |connection| {
        let mut rows = broadcasts::lock(connection, id)?;
        rows.retain(|row| matches!(row.state, State::Scheduled | State::Sent));
        if rows.is_empty() {
            return Ok(None);
        }
        let deferred = broadcasts::withdraw(connection, &rows)?;
        Ok(Some(TakenBack::Broadcasts(recall::TakenBack { rows, deferred })))
    })
}

/// Stores first, then tells the user's actor; answered with the counts as stored.
async fn change(
    app: &App,
    user: ExternalId,
    inputs: Vec<Input>,
    store: impl FnOnce(&mut Connection, UserId, Timestamp) -> Result<(), StoreError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let named = user.clone();
    let counts = app
        .state
        .store
        .run(move |connection| {
            let Some(user) = users::find(connection, &named)? else { return Ok(None) };
            let now = Timestamp::now();
            store(connection, user, now)?;
            inbox::counts(connection, user, now).map(Some)
        })
        .await?
        .ok_or(ApiError::NotFound("this user"))?;
    for input in inputs {
        tell(app, &user, input);
    }
    Ok(HttpResponse::Ok().json(json!({"unread": counts.0, "unseen": counts.1})))
}

fn tell(app: &App, user: &ExternalId, input: Input) {
    app.registry.happened(user, crate::decide::Input::InboxChanged(input));
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::invalid("bad_json", None, error.to_string()))
}
