//! The inbox over HTTP: what a user was sent, and what was read, seen, archived, snoozed and deleted of it. What changes here is
//! told to every open connection of the user at once, and the counts are those that connections know.

mod forms;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use self::forms::described;
use self::forms::{
    ChangeBody, InboxChanged, InboxMessage, InboxPage, PageQuery, ReadBody, SeenBody, SnoozeBody,
};
use super::audited::{self, MAX_NOTED, in_one};
use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use super::page::next_after;
use super::preferences::stored_by_actor;
use super::query;
use crate::permit::{Own, ReadUsers, SendMessages, With, WriteUsers};
use tidings_actors::App;
use tidings_actors::notifier::recall;
use tidings_core::base::{
    ExternalId, Millis, NotificationId, Timestamp, UserId, json, nearest, suggest_nearest,
};
use tidings_decision::deliver::{Change, Input, Withdrawal};
use tidings_store::broadcasts::{self, State};
use tidings_store::inbox::{self, Outcome, Page, Part};
use tidings_store::{Connection, Fields, StoreError, outbox, users};

const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;
/// Most messages changed in one request.
const MAX_CHANGED: usize = 1_000;
/// Longest name of a category, bytes.
const MAX_CATEGORY_BYTES: usize = 128;
/// Time before its due moment within which a message may be on its way already.
pub(super) const ON_ITS_WAY: Millis = Millis(5_000);

/// A page, newest first, with the counts.
pub async fn page(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Own<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let page = wanted(request.query_string())?;
    let limit = page.limit;
    let named = user.clone();
    // What a frame has changed is in the counts at once, and is to be in the rows.
    stored_by_actor(&app, &user).await;
    let known = resident_counts(&app, &user).await;
    let fields = Arc::clone(app.state.store.fields());
    let (rows, counts) = app
        .state
        .store
        .run(move |connection| {
            let Some(user) = users::find(connection, &named)? else { return Ok((Vec::new(), (0, 0))) };
            let now = Timestamp::now();
            let rows = inbox::page(connection, &fields, user, &page, now)?;
            let counts = match known {
                Some(counts) => counts,
                None => inbox::counts(connection, user, now)?,
            };
            Ok((rows, counts))
        })
        .await?;
    let next_before = next_after(&rows, limit, |row| row.offset);
    let messages = rows.into_iter().map(InboxMessage::from).collect();
    let (unread, unseen) = counts;
    Ok(HttpResponse::Ok().json(InboxPage { messages, unread, unseen, next_before }))
}

fn wanted(query: &str) -> Result<Page, ApiError> {
    let PageQuery { state, category, before, limit } = query::parse(query)?;
    let parts = Part::ALL.map(Part::name);
    let part = match &state {
        None => Part::default(),
        Some(state) => Part::ALL.into_iter().find(|part| part.name() == state).ok_or_else(|| {
            let of = nearest(state, parts).map_or_else(
                || format!("one of {}", parts.join(", ")),
                |name| format!("did you mean {name}?"),
            );
            ApiError::invalid("bad_state", Some("state"), format!("there is no such state of messages; {of}"))
        })?,
    };
    if category.as_ref().is_some_and(|name| name.len() > MAX_CATEGORY_BYTES) {
        let message = format!("a category has at most {MAX_CATEGORY_BYTES} bytes");
        return Err(ApiError::invalid("bad_category", Some("category"), message));
    }
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    Ok(Page { part, category, before: before.unwrap_or(i64::MAX), limit })
}

/// Marks messages, or all of them, as read.
pub async fn read(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    carry_out(&request, &path, &app, &caller, to_read(&body)).await
}

/// Puts messages back into the inbox, as ones that were not opened.
pub async fn unread(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    carry_out(&request, &path, &app, &caller, named(&body, Change::Unread)).await
}

/// Puts messages into the archive.
pub async fn archive(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    carry_out(&request, &path, &app, &caller, named(&body, Change::Archive)).await
}

/// Puts messages back into the inbox, as ones that were opened.
pub async fn unarchive(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    carry_out(&request, &path, &app, &caller, named(&body, Change::Unarchive)).await
}

/// Deletes messages for good.
pub async fn delete(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    carry_out(&request, &path, &app, &caller, named(&body, Change::Delete)).await
}

/// Takes messages out of the inbox until a moment.
pub async fn snooze(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    carry_out(&request, &path, &app, &caller, to_snooze(&body)).await
}

/// Marks everything up to an offset as seen.
pub async fn seen(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let wish = parse(&body).map(|SeenBody { up_to }| Wish::Seen(up_to));
    carry_out(&request, &path, &app, &caller, wish).await
}

/// Change that a request asks for.
enum Wish {
    Change(Vec<NotificationId>, Change),
    ReadAll(Option<i64>),
    Seen(i64),
}

/// A change for the audit log.
#[derive(Serialize)]
struct Noted {
    /// The first of the messages that were named.
    notification_ids: Vec<NotificationId>,
    changed: usize,
}

/// Outcome in the store.
struct Stored {
    changed: usize,
    not_found: Vec<NotificationId>,
    /// Input of the user's actor.
    input: Input,
    counts: (i64, i64),
}

fn to_read(body: &[u8]) -> Result<Wish, ApiError> {
    let ReadBody { notification_ids: ids, all, up_to } = parse(body)?;
    // Exactly one of the two.
    if all != ids.is_empty() || (up_to.is_some() && !all) {
        let message =
            format!("give notification_ids (at most {MAX_CHANGED}), or all: true with or without up_to");
        return Err(ApiError::invalid("missing_field", Some("notification_ids"), message));
    }
    Ok(if all { Wish::ReadAll(up_to) } else { Wish::Change(checked(ids)?, Change::Read) })
}

fn to_snooze(body: &[u8]) -> Result<Wish, ApiError> {
    let SnoozeBody { notification_ids, until } = parse(body)?;
    if until <= Timestamp::now() {
        return Err(ApiError::invalid("bad_until", Some("until"), "until must lie ahead"));
    }
    Ok(Wish::Change(checked(notification_ids)?, Change::Snooze(until)))
}

fn named(body: &[u8], change: Change) -> Result<Wish, ApiError> {
    let ChangeBody { notification_ids } = parse(body)?;
    Ok(Wish::Change(checked(notification_ids)?, change))
}

fn checked(ids: Vec<NotificationId>) -> Result<Vec<NotificationId>, ApiError> {
    if ids.is_empty() || ids.len() > MAX_CHANGED {
        let message = format!("notification_ids names 1 to {MAX_CHANGED} messages");
        return Err(ApiError::invalid("bad_notification_ids", Some("notification_ids"), message));
    }
    Ok(ids)
}

/// Stores a change, tells the user's actor, and answers with the counts that connections know. Who may not change it is refused before
/// anything is said of the body.
async fn carry_out(
    request: &HttpRequest,
    path: &str,
    app: &App,
    caller: &Caller,
    wish: Result<Wish, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (user, wish) = (caller.user(path, app)?, wish?);
    let (user, order) = caller.in_order(&user, &app.registry).await?;
    let named = user.clone();
    let entry = audited::Change::new(request, app, StatusCode::OK);
    let stored = in_one(app, move |connection| {
        let Some(user) = users::find(connection, &named)? else {
            return Ok(Err(ApiError::NotFound("this user")));
        };
        let asked = match &wish {
            Wish::Change(ids, _) => ids.iter().take(MAX_NOTED).copied().collect(),
            Wish::ReadAll(_) | Wish::Seen(_) => Vec::new(),
        };
        let stored = store(connection, user, wish)?;
        if let Ok(Stored { changed, .. }) = &stored {
            entry.store(connection, (), Noted { notification_ids: asked, changed: *changed })?;
        }
        Ok(stored)
    })
    .await?;
    let Stored { changed, not_found, input, counts } = stored;
    tell(app, &user, input);
    drop(order);
    let (unread, unseen) = resident_counts(app, &user).await.unwrap_or(counts);
    Ok(HttpResponse::Ok().json(InboxChanged { unread, unseen, changed, not_found }))
}

fn store(
    connection: &mut Connection,
    user: UserId,
    wish: Wish,
) -> Result<Result<Stored, ApiError>, StoreError> {
    let (at, by) = (Timestamp::now(), None);
    let (changed, not_found, input) = match wish {
        Wish::Change(ids, change) => match inbox::change(connection, user, &ids, change, at)? {
            Outcome::Done { changed, found, not_found } => {
                (changed, not_found, Input::Change { ids: found, change, at, by })
            }
            Outcome::ExpiresBefore(id, expires_at) => {
                let message =
                    format!("until must lie before the message expires: {} expires at {expires_at}", id.0);
                return Ok(Err(ApiError::invalid("bad_until", Some("until"), message)));
            }
        },
        Wish::ReadAll(up_to) => {
            let (up_to, changed) = inbox::read_all(connection, user, up_to, at)?;
            (changed, Vec::new(), Input::ReadAll { up_to, at, by })
        }
        Wish::Seen(up_to) => {
            let changed = inbox::seen(connection, user, up_to, at)?;
            (changed, Vec::new(), Input::Seen { up_to, at, by })
        }
    };
    let counts = inbox::counts(connection, user, at)?;
    Ok(Ok(Stored { changed, not_found, input, counts }))
}

/// The counts that open connections know; `None` of a user without an actor, of whom the store knows all.
async fn resident_counts(app: &App, user: &ExternalId) -> Option<(i64, i64)> {
    let counts = app.registry.get(user)?.inbox_counts().await?;
    Some((i64::try_from(counts.unread).ok()?, i64::try_from(counts.unseen).ok()?))
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
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    let id = path.parse::<Uuid>().map_err(|_| {
        ApiError::invalid("bad_id", Some("notification_id"), "the id of a message or of a request is a UUID")
    })?;
    let fields = Arc::clone(app.state.store.fields());
    let entry = audited::Change::new(&request, &app, StatusCode::NO_CONTENT);
    let taken_back = in_one(&app, move |connection| {
        let Some(taken_back) = take_back(connection, &fields, id)? else {
            return Ok(Err(ApiError::NotFound("this message, or it was taken back before,")));
        };
        entry.store(connection, (), ())?;
        Ok(Ok(taken_back))
    })
    .await?;
    match taken_back {
        TakenBack::Message(owner) => tell(&app, &owner, Input::Withdrawn(NotificationId(id))),
        TakenBack::Waiting => {}
        TakenBack::Broadcasts(taken_back) => {
            recall::recall(taken_back, &app.notifier, &app.state.store, &app.registry).await?;
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

fn take_back(
    connection: &mut Connection,
    fields: &Fields,
    id: Uuid,
) -> Result<Option<TakenBack>, StoreError> {
    let (now, message) = (Timestamp::now(), NotificationId(id));
    if let Some(user) = inbox::withdraw(connection, message, now, Withdrawal::Withdrawn)? {
        return Ok(users::external_ids(connection, &[user])?.remove(&user).map(TakenBack::Message));
    }
    if outbox::take_back(connection, message, now + ON_ITS_WAY)? {
        return Ok(Some(TakenBack::Waiting));
    }
    let mut rows = broadcasts::lock(connection, fields, id)?;
    rows.retain(|row| matches!(row.state, State::Scheduled | State::Sent | State::Paused));
    if rows.is_empty() {
        return Ok(None);
    }
    let deferred = broadcasts::withdraw(connection, &rows)?;
    Ok(Some(TakenBack::Broadcasts(recall::TakenBack { rows, deferred })))
}

fn tell(app: &App, user: &ExternalId, input: Input) {
    app.registry.happened(user, tidings_decision::decide::Input::InboxChanged(input));
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    json::from_slice(body)
        .map_err(|error| ApiError::invalid("bad_json", None, suggest_nearest(&error.to_string())))
}
