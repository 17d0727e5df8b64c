//! `/v1/topics` and `/v1/users/{id}/topics`: what users follow, as the shop sees it and as they do.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::audited::{Change, MAX_NOTED, in_one};
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::page::next_after;
use super::permit::{Own, ReadUsers, With, WriteUsers};
use tidings_actors::App;
use tidings_core::base::{ExternalId, Timestamp, UserId, json, nearest, suggest_nearest};
use tidings_decision::notify::message::topic_name;
use tidings_decision::privacy::Permission;
use tidings_store::topics::{self, MAX_TOPICS};
use tidings_store::{Connection, users};

/// Most users of one request.
const MAX_USERS: usize = 10_000;
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1_000;
const UNKNOWN_AFTER: &str = "after is next_after of the page before: a user who exists";

/// Users of a topic, at most 10,000.
#[derive(Deserialize, ToSchema)]
#[schema(as = TopicUsers)]
#[serde(deny_unknown_fields)]
struct UsersBody {
    user_ids: Vec<ExternalId>,
}

/// Page of followers to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// At most 1,000.
    limit: Option<i64>,
    /// The last user of the page before.
    after: Option<String>,
}

/// Users who follow a topic now.
#[derive(Serialize, ToSchema)]
struct Subscribed {
    topic: String,
    /// Named users who follow it.
    subscribed: usize,
    /// Users that do not exist.
    unknown: Vec<ExternalId>,
    /// Users who follow the most topics that one may.
    full: Vec<ExternalId>,
    /// All followers.
    subscribers: i64,
}

/// Users who follow a topic no longer.
#[derive(Serialize, ToSchema)]
struct Unsubscribed {
    topic: String,
    unsubscribed: usize,
    unknown: Vec<ExternalId>,
    subscribers: i64,
}

/// A follower.
#[derive(Serialize, ToSchema)]
struct Subscriber {
    user_id: ExternalId,
    subscribed_at: Timestamp,
}

/// A page of followers.
#[derive(Serialize, ToSchema)]
struct Subscribers {
    topic: String,
    /// All followers.
    count: i64,
    subscribers: Vec<Subscriber>,
    /// `after` of the next page; null at the end.
    next_after: Option<ExternalId>,
}

/// A topic that a user follows.
#[derive(Serialize, ToSchema)]
struct FollowedTopic {
    topic: String,
    subscribed_at: Timestamp,
}

/// Topics that a user follows.
#[derive(Serialize, ToSchema)]
struct FollowedTopics {
    topics: Vec<FollowedTopic>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let followers = "/v1/topics/{name}/subscribers";
    vec![
        describe::get(
            followers,
            May::Needs(Permission::ReadUsers),
            "Followers of a topic, with their number.",
        )
        .query::<PageQuery>()
        .answers::<Subscribers>(200, "A page."),
        describe::put(followers, May::Needs(Permission::WriteUsers), "Lets users follow a topic.")
            .body::<UsersBody>()
            .body_example(r#"{"user_ids": [7, 8]}"#)
            .answers::<Subscribed>(200, "They follow it.")
            .example(r#"{"topic": "vinyl", "subscribed": 2, "unknown": [], "full": [], "subscribers": 40}"#),
        describe::delete(followers, May::Needs(Permission::WriteUsers), "Ends that users follow a topic.")
            .body::<UsersBody>()
            .answers::<Unsubscribed>(200, "They do not follow it."),
        describe::get(
            "/v1/users/{id}/topics",
            May::Owner(Permission::ReadUsers),
            "Topics that a user follows.",
        )
        .answers::<FollowedTopics>(200, "All of them."),
        describe::put(
            "/v1/users/{id}/topics/{name}",
            May::Owner(Permission::WriteUsers),
            "A user follows a topic.",
        )
        .empty(204, "The user follows it.")
        .refuses(&[409]),
        describe::delete(
            "/v1/users/{id}/topics/{name}",
            May::Owner(Permission::WriteUsers),
            "A user follows a topic no longer.",
        )
        .empty(204, "The user does not follow it."),
    ]
}

/// Followers of one request, for the audit log.
#[derive(Serialize)]
struct Noted {
    /// The first of them.
    user_ids: Vec<ExternalId>,
    /// Number of those for whom it was a change.
    changed: usize,
}

fn noted(known: &[(ExternalId, UserId)]) -> Vec<ExternalId> {
    known.iter().take(MAX_NOTED).map(|(user, _)| user.clone()).collect()
}

/// Lets users follow a topic. Users that do not exist are named and not made.
pub async fn subscribe(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let (topic, named) = (topic(&path)?, parse(&body)?);
    let _steady = app.registry.aliases.steady().await;
    let change = Change::new(&request, &app, StatusCode::OK);
    let answer = in_one(&app, move |connection| {
        let (known, unknown) = known(connection, named)?;
        let ids: Vec<UserId> = known.iter().map(|(_, id)| *id).collect();
        let user_ids = noted(&known);
        let following = topics::subscribe(connection, &topic, &ids)?;
        let full = known.into_iter().filter(|(_, id)| !following.contains(id));
        let full = full.map(|(user, _)| user).collect();
        let subscribers = topics::count(connection, &topic)?.unwrap_or(0);
        change.store(connection, (), Noted { user_ids, changed: following.len() })?;
        Ok(Ok(Subscribed { topic, subscribed: following.len(), unknown, full, subscribers }))
    })
    .await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Ends that users follow a topic.
pub async fn unsubscribe(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let (topic, named) = (topic(&path)?, parse(&body)?);
    let change = Change::new(&request, &app, StatusCode::OK);
    let answer = in_one(&app, move |connection| {
        let Some(_) = topics::count(connection, &topic)? else {
            return Ok(Err(unknown(connection, &topic)?));
        };
        let (known, unknown) = known(connection, named)?;
        let (user_ids, ids) = (noted(&known), known.iter().map(|(_, id)| *id).collect::<Vec<UserId>>());
        let n = topics::unsubscribe(connection, &topic, &ids)?;
        let subscribers = topics::count(connection, &topic)?.unwrap_or(0);
        change.store(connection, (), Noted { user_ids, changed: n })?;
        Ok(Ok(Unsubscribed { topic, unsubscribed: n, unknown, subscribers }))
    })
    .await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// A page of the followers of a topic, with the number of all of them.
pub async fn subscribers(
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    _caller: With<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
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
            let subscriber = |(user_id, subscribed_at)| Subscriber { user_id, subscribed_at };
            let subscribers = rows.into_iter().map(subscriber).collect();
            Ok(Ok(Subscribers { topic, count, subscribers, next_after }))
        })
        .await??;
    Ok(HttpResponse::Ok().json(answer))
}

/// Topics that a user follows.
pub async fn of_user(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Own<ReadUsers>,
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
    let followed = |(topic, subscribed_at)| FollowedTopic { topic, subscribed_at };
    Ok(HttpResponse::Ok().json(FollowedTopics { topics: rows.into_iter().map(followed).collect() }))
}

/// A user follows a topic.
pub async fn follow(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let (user, name) = path.into_inner();
    let (user, topic) = (caller.user(&user, &app)?, topic(&name)?);
    let _steady = app.registry.aliases.steady().await;
    // It may have been merged meanwhile.
    let user = caller.known(&user, &app)?;
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    in_one(&app, move |connection| {
        let ids = users::resolve(connection, &[user])?;
        if topics::subscribe(connection, &topic, &ids)?.is_empty() {
            return Ok(Err(ApiError::Conflict(format!("a user follows at most {MAX_TOPICS} topics"))));
        }
        change.store(connection, (), ())?;
        Ok(Ok(()))
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A user follows a topic no longer.
pub async fn unfollow(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let (user, name) = path.into_inner();
    let (user, topic) = (caller.user(&user, &app)?, topic(&name)?);
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    in_one(&app, move |connection| {
        if let Some(user) = users::find(connection, &user)? {
            topics::unsubscribe(connection, &topic, &[user])?;
        }
        change.store(connection, (), ())?;
        Ok(Ok(()))
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

fn topic(name: &str) -> Result<String, ApiError> {
    let name =
        topic_name(name).map_err(|error| ApiError::invalid_field(error.code, error.field, error.message))?;
    Ok(name.into())
}

/// Each user once.
fn parse(body: &[u8]) -> Result<Vec<ExternalId>, ApiError> {
    let UsersBody { user_ids: mut named } = json::from_slice(body).map_err(|error| {
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
) -> Result<(Vec<(ExternalId, UserId)>, Vec<ExternalId>), tidings_store::StoreError> {
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

fn unknown(connection: &mut Connection, topic: &str) -> Result<ApiError, tidings_store::StoreError> {
    let names = topics::names(connection)?;
    Ok(ApiError::invalid("unknown_topic", Some("topic"), unknown_topic(topic, &names)))
}

/// Text of the error for a topic that nobody ever followed.
pub(super) fn unknown_topic(topic: &str, names: &[String]) -> String {
    let near = nearest(topic, names.iter().map(String::as_str));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("nobody ever followed the topic \"{topic}\"{near}")
}
