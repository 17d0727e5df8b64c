//! The inbox over HTTP: what a user was sent, and what was read and seen of it. What changes here is told to every open
//! connection of the user at once.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, Millis, NotificationId, Timestamp, UserId};
use crate::deliver::{Input, Withdrawal};
use crate::store::inbox::{self, InboxRow, Mark};
use crate::store::{outbox, users};

const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;
/// Most messages marked in one request.
const MAX_MARKED: usize = 1_000;
/// What is due this soon may be on its way already.
const ON_ITS_WAY: Millis = Millis(5_000);

/// Which page.
#[derive(Deserialize)]
pub struct PageQuery {
    /// Older than this offset.
    before: Option<i64>,
    limit: Option<i64>,
}

/// What was opened.
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

/// `DELETE /v1/notifications/{id}`: takes a message back, from the inbox and from every open page, or before its time.
pub async fn withdraw(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = path
        .parse::<Uuid>()
        .map(NotificationId)
        .map_err(|_| ApiError::invalid("bad_id", Some("notification_id"), "a notification_id is a UUID"))?;
    let owner = app
        .state
        .store
        .run(move |connection| {
            let now = Timestamp::now();
            let Some(user) = inbox::withdraw(connection, id, now, Withdrawal::Withdrawn)? else {
                return Ok(outbox::take_back(connection, id, now + ON_ITS_WAY)?.then_some(None));
            };
            Ok(users::external_ids(connection, &[user])?.remove(&user).map(Some))
        })
        .await?
        .ok_or(ApiError::NotFound("this message, or it was taken back before,"))?;
    if let Some(owner) = owner {
        tell(&app, &owner, Input::Withdrawn(id));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Stores first, then tells the user's actor; answered with the counts as stored.
async fn change(
    app: &App,
    user: ExternalId,
    inputs: Vec<Input>,
    store: impl FnOnce(&mut crate::store::Connection, UserId, Timestamp) -> Result<(), crate::store::StoreError>
    + Send
    + 'static,
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
