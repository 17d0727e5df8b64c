//! The log of an endpoint's deliveries, and replay of those that have ended.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{id, read};
use crate::actors::App;
use crate::actors::webhooks::messages::LookNow;
use crate::base::{Timestamp, suggest_nearest};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::error::ApiError;
use crate::http::page::next_after;
use crate::store::webhook_outbox::{self, Logged, MAX_REPLAYED, Replay};

const STATES: [&str; 3] = ["pending", "delivered", "failed"];
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;

/// Page of the log to return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    state: Option<String>,
    limit: Option<i64>,
    /// The last delivery of the page before.
    before: Option<i64>,
}

/// Deliveries of an endpoint, the latest first, each with its latest attempts.
pub async fn deliveries(
    path: web::Path<String>,
    query: web::Query<LogQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
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
    let deliveries: Vec<Value> = rows.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({"deliveries": deliveries, "next_before": next_before})))
}

fn view(row: &Logged) -> Value {
    let requests: Vec<Value> = row
        .requests
        .iter()
        .map(|request| {
            json!({"at": request.at, "took_ms": request.took_ms, "status": request.status, "answer": request.answer})
        })
        .collect();
    json!({
        "delivery_id": row.delivery, "message_id": format!("msg_{}", row.message.simple()), "event": row.event,
        "state": row.state, "attempts": row.attempts, "created_at": row.created_at, "due_at": row.due_at,
        "finished_at": row.finished_at, "requests": requests,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    delivery_id: Option<i64>,
    failed_since: Option<Timestamp>,
}

/// Makes one delivery, or those that were given up since a moment, due again under the ids they had: `more` says that some may be
/// left, to be asked for again.
pub async fn replay(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let id = id(&path)?;
    let body: ReplayBody = serde_json::from_slice(&body)
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
    let now = Timestamp::now();
    let replayed =
        app.state.store.run(move |connection| webhook_outbox::replay(connection, id, wanted, now)).await?;
    if replayed == 0 && matches!(wanted, Replay::One(_)) {
        return Err(ApiError::NotFound("a finished delivery with this delivery_id"));
    }
    // A full mailbox looks soon anyway.
    let _ = app.webhooks.offer(LookNow);
    Ok(HttpResponse::Accepted().json(json!({"replayed": replayed, "more": replayed == MAX_REPLAYED})))
}
