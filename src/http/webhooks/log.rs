//! The log of an endpoint's deliveries, and replay of those that have ended.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{id, read};
use crate::audited::{Change, in_one};
use crate::body::Body;
use crate::describe::{self, Described, May};
use crate::error::ApiError;
use crate::page::next_after;
use crate::permit::{ManageWebhooks, With};
use tidings_actors::App;
use tidings_actors::webhooks::messages::LookNow;
use tidings_core::base::{Timestamp, json, suggest_nearest};
use tidings_decision::privacy::Permission;
use tidings_store::webhook_outbox::{self, Logged, LoggedAttempt, MAX_REPLAYED, Replay};

const STATES: [&str; 3] = ["pending", "delivered", "failed"];
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;

/// Page of the log to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// `pending`, `delivered` or `failed`.
    state: Option<String>,
    /// 1…100.
    limit: Option<i64>,
    /// The last delivery of the page before.
    before: Option<i64>,
}

/// An attempt to deliver.
#[derive(Serialize, ToSchema)]
struct Attempt {
    at: Timestamp,
    took_ms: i32,
    /// HTTP status; 0 = no answer.
    status: i16,
    /// First bytes of the answer, or why there was none.
    answer: String,
}

/// A delivery, with its latest attempts.
#[derive(Serialize, ToSchema)]
struct Delivery {
    delivery_id: i64,
    message_id: String,
    event: String,
    /// `pending`, `delivered` or `failed`.
    state: String,
    /// Since it was last replayed.
    attempts: i32,
    created_at: Timestamp,
    due_at: Timestamp,
    /// Null = it waits.
    finished_at: Option<Timestamp>,
    requests: Vec<Attempt>,
}

impl From<Logged> for Delivery {
    fn from(row: Logged) -> Self {
        let attempt = |LoggedAttempt { at, took_ms, status, answer }| Attempt { at, took_ms, status, answer };
        Self {
            delivery_id: row.delivery,
            message_id: message_id(row.message),
            event: row.event,
            state: row.state,
            attempts: row.attempts,
            created_at: row.created_at,
            due_at: row.due_at,
            finished_at: row.finished_at,
            requests: row.requests.into_iter().map(attempt).collect(),
        }
    }
}

fn message_id(message: Uuid) -> String {
    format!("msg_{}", message.simple())
}

/// A page of deliveries, the latest first.
#[derive(Serialize, ToSchema)]
struct Deliveries {
    deliveries: Vec<Delivery>,
    /// `before` of the next page; null at the end.
    next_before: Option<i64>,
}

/// Deliveries that are due again.
#[derive(Serialize, ToSchema)]
struct Replayed {
    replayed: usize,
    /// True if some may be left, to be asked for again.
    more: bool,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/v1/webhooks/{id}/deliveries",
            May::Needs(Permission::ManageWebhooks),
            "Deliveries of an endpoint, the latest first.",
        )
        .query::<LogQuery>()
        .answers::<Deliveries>(200, "A page.")
        .refuses(&[404]),
        describe::post(
            "/v1/webhooks/{id}/replay",
            May::Needs(Permission::ManageWebhooks),
            "Makes a delivery, or those that failed, due again.",
        )
        .body::<ReplayBody>()
        .body_example(r#"{"failed_since": "2026-11-29T08:00:00Z"}"#)
        .answers::<Replayed>(202, "They are due.")
        .refuses(&[404, 409]),
    ]
}

/// Deliveries of an endpoint, the latest first, each with its latest attempts.
pub async fn deliveries(
    path: web::Path<String>,
    query: web::Query<LogQuery>,
    app: web::Data<App>,
    _caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let id = id(&path)?;
    let LogQuery { state, limit, before } = query.into_inner();
    if state.as_ref().is_some_and(|state| !STATES.contains(&state.as_str())) {
        return Err(ApiError::invalid("bad_query", Some("state"), format!("one of {}", STATES.join(", "))));
    }
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid("bad_query", Some("limit"), format!("1…{MAX_LIMIT}")));
    }
    read(&app, id).await?;
    let rows = app
        .state
        .store
        .run(move |connection| webhook_outbox::log(connection, id, state.as_deref(), before, limit))
        .await?;
    let next_before = next_after(&rows, limit, |row| row.delivery);
    let deliveries = rows.into_iter().map(Delivery::from).collect();
    Ok(HttpResponse::Ok().json(Deliveries { deliveries, next_before }))
}

/// One of the two.
#[derive(Deserialize, ToSchema)]
#[schema(as = ReplayRequest)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    delivery_id: Option<i64>,
    failed_since: Option<Timestamp>,
}

/// Makes one delivery, or those that were given up since a moment, due again under the ids they had: `more` says that some may be
/// left, to be asked for again.
pub async fn replay(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let id = id(&path)?;
    let body: ReplayBody = json::from_slice(&body)
        .map_err(|error| ApiError::invalid("bad_json", None, suggest_nearest(&error.to_string())))?;
    let wanted = match (body.delivery_id, body.failed_since) {
        (Some(delivery), None) => Replay::One(delivery),
        (None, Some(since)) => Replay::FailedSince(since),
        _ => {
            let message = "give delivery_id, or failed_since with a time";
            return Err(ApiError::invalid("bad_replay", None, message));
        }
    };
    if !read(&app, id).await?.is_active {
        return Err(ApiError::Conflict("this webhook is disabled; activate it first".to_owned()));
    }
    let (now, change) = (Timestamp::now(), Change::new(&request, &app, StatusCode::ACCEPTED));
    let replayed = in_one(&app, move |connection| {
        let replayed = webhook_outbox::replay(connection, id, wanted, now)?;
        if replayed == 0 && matches!(wanted, Replay::One(_)) {
            return Ok(Err(ApiError::NotFound("a finished delivery with this delivery_id")));
        }
        let replayed = Replayed { replayed, more: replayed == MAX_REPLAYED };
        change.store(connection, (), &replayed)?;
        Ok(Ok(replayed))
    })
    .await?;
    // A full mailbox looks soon anyway.
    let _ = app.webhooks.offer(LookNow);
    Ok(HttpResponse::Accepted().json(replayed))
}
