//! `/v1/topics` and `/v1/users/{id}/topics`: what users follow, as the shop sees it and as they do.

use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use super::page::next_after;
use crate::actors::App;
use crate::base::{ExternalId, UserId, nearest, suggest_nearest};
use crate::notify::message::topic_name;
use crate::store::topics::{self, MAX_TOPICS};
use crate::store::{Connection, in_transaction, users};

/// Most users of one request.
const MAX_USERS: usize = 10_000;
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1_000;
const UNKNOWN_AFTER: &str = "after is next_after of the page before: a user who exists";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersBody {
    user_ids: Vec<ExternalId>,
}

/// Page of followers to return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    limit: Option<i64>,
    /// The last user of the page before.
    after: Option<String>,
}

/// Lets users follow a topic. Users that do not exist are named and not made.
pub async fn subscribe(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let (topic, named) = (topic(&path)?, parse(&body)?);
    let _steady = app.registry.aliases.steady().await;
    let answer = app
        .state
        .store
        .run(move |connection| {
            in_transaction(connection, |connection| {
                let (known, unknown) = known(connection, named)?;
                let ids: Vec<UserId> = known.iter().map(|(_, id)| *id).collect();
                let following = topics::subscribe(connection, &topic, &ids)?;
                let full: Vec<&ExternalId> =
                    known.iter().filter(|(_, id)| !following.contains(id)).map(|(user, _)| user).collect();
                let subscribers = topics::count(connection, &topic)?.unwrap_or(0);
                Ok(json!({"topic": topic, "subscribed": following.len(), "unknown": unknown, "full": full,
                          "subscribers": subscribers}))
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Ends that users follow a topic.
pub async fn unsubscribe(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let (topic, named) = (topic(&path)?, parse(&body)?);
    let answer = app
        .state
        .store
        .run(move |connection| {
            let Some(_) = topics::count(connection, &topic)? else {
                return Ok(Err(unknown(connection, &topic)?));
            };
            let (known, unknown) = known(connection, named)?;
            let ids: Vec<UserId> = known.into_iter().map(|(_, id)| id).collect();
            let n = topics::unsubscribe(connection, &topic, &ids)?;
            let subscribers = topics::count(connection, &topic)?.unwrap_or(0);
            Ok(Ok(json!({"topic": topic, "unsubscribed": n, "unknown": unknown, "subscribers": subscribers})))
        })
        .await??;
    Ok(HttpResponse::Ok().json(answer))
}

/// A page of the followers of a topic, with the number of all of them.
pub async fn subscribers(
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let topic = topic(&path)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let after = query.after.as_deref().map(ExternalId::parse).transpose()?;
    let answer = app
        .state
        .store
        .run(move |connection| {
            let Some(count) = topics::count(connection, &topic)? else {
                return Ok(Err(unknown(connection, &topic)?));
            };
            let after = match after {
                Some(user) => match users::find(connection, &user)? {
                    Some(user) => Some(user),
                    None => return Ok(Err(ApiError::invalid("bad_after", Some("after"), UNKNOWN_AFTER))),
                },
                None => None,
            };
            let rows = topics::subscribers(connection, &topic, after, limit)?;
            let next_after = next_after(&rows, limit, |(user, _)| user.clone());
            let subscribers: Vec<Value> =
                rows.iter().map(|(user, at)| json!({"user_id": user, "subscribed_at": at})).collect();
            Ok(Ok(
                json!({"topic": topic, "count": count, "subscribers": subscribers, "next_after": next_after}),
            ))
        })
        .await??;
    Ok(HttpResponse::Ok().json(answer))
}

/// Topics that a user follows.
pub async fn of_user(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let rows = app
        .state
        .store
        .run(move |connection| match users::find(connection, &user)? {
            Some(user) => topics::of_user(connection, user),
            None => Ok(Vec::new()),
        })
        .await?;
    let topics: Vec<Value> =
        rows.iter().map(|(name, at)| json!({"topic": name, "subscribed_at": at})).collect();
    Ok(HttpResponse::Ok().json(json!({"topics": topics})))
}

/// A user follows a topic.
pub async fn follow(
    path: web::Path<(String, String)>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let (user, name) = path.into_inner();
    let (user, topic) = (caller.user(&user, &app)?, topic(&name)?);
    let _steady = app.registry.aliases.steady().await;
    // It may have been merged meanwhile.
    let user = caller.known(&user, &app)?;
    let is_followed = app
        .state
        .store
        .run(move |connection| {
            in_transaction(connection, |connection| {
                let ids = users::resolve(connection, &[user])?;
                Ok(!topics::subscribe(connection, &topic, &ids)?.is_empty())
            })
        })
        .await?;
    match is_followed {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::Conflict(format!("a user follows at most {MAX_TOPICS} topics"))),
    }
}

/// A user follows a topic no longer.
pub async fn unfollow(
    path: web::Path<(String, String)>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let (user, name) = path.into_inner();
    let (user, topic) = (caller.user(&user, &app)?, topic(&name)?);
    app.state
        .store
        .run(move |connection| match users::find(connection, &user)? {
            Some(user) => topics::unsubscribe(connection, &topic, &[user]),
            None => Ok(0),
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

fn topic(name: &str) -> Result<String, ApiError> {
    let name =
        topic_name(name).map_err(|error| ApiError::invalid(error.code, Some(error.field), error.message))?;
    Ok(name.into())
}

/// Each user once.
fn parse(body: &[u8]) -> Result<Vec<ExternalId>, ApiError> {
    let UsersBody { user_ids: mut named } = serde_json::from_slice(body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        ApiError::invalid("bad_json", None, format!("not {{\"user_ids\":[…]}}: {error}"))
    })?;
    let mut seen = HashSet::with_capacity(named.len());
    named.retain(|user| seen.insert(user.clone()));
    if !(1..=MAX_USERS).contains(&named.len()) {
        let message = format!("1…{MAX_USERS} users at a time");
        return Err(ApiError::invalid("too_many_users", Some("user_ids"), message));
    }
    Ok(named)
}

/// Users that exist, with their ids, and those that do not.
#[expect(clippy::type_complexity, reason = "taken apart at once")]
fn known(
    connection: &mut Connection,
    named: Vec<ExternalId>,
) -> Result<(Vec<(ExternalId, UserId)>, Vec<ExternalId>), crate::store::StoreError> {
    let found = users::find_many(connection, &named)?;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for user in named {
        match found.get(&user) {
            Some(id) => known.push((user, *id)),
            None => unknown.push(user),
        }
    }
    Ok((known, unknown))
}

fn unknown(connection: &mut Connection, topic: &str) -> Result<ApiError, crate::store::StoreError> {
    let names = topics::names(connection)?;
    Ok(ApiError::invalid("unknown_topic", Some("topic"), unknown_topic(topic, &names)))
}

/// Text of the error for a topic that nobody ever followed.
pub(super) fn unknown_topic(topic: &str, names: &[String]) -> String {
    let near = nearest(topic, names.iter().map(String::as_str));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("nobody ever followed the topic \"{topic}\"{near}")
}
