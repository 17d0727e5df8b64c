//! One user's story over HTTP: what was decided, sent and answered, and why or why not, in words.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::dto;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, Timestamp};
use crate::catalogue::Catalogue;
use crate::store;
use crate::store::timeline::{Moment, What};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Page of the timeline to return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelineQuery {
    limit: Option<usize>,
    /// Strictly older than this; RFC 3339 or Unix seconds.
    before: Option<String>,
}

/// A page, newest first; `next_before` leads to the next one, null at the end.
pub async fn timeline(
    path: web::Path<String>,
    query: web::Query<TimelineQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let id = ExternalId::parse(&path)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let before = match &query.before {
        Some(text) => Timestamp::parse(text).ok_or_else(|| {
            ApiError::invalid("bad_time", Some("before"), "before must be an RFC 3339 time or Unix seconds")
        })?,
        None => Timestamp::now().plus_days(1.0),
    };
    let window = app.state.rules().attribution_window;
    let money = app.state.catalogue.load().money().clone();
    let found = app
        .state
        .store
        .run(move |connection| {
            let Some(user) = store::users::find(connection, &id)? else { return Ok(None) };
            Ok(Some(store::timeline::of(connection, user, before, limit, window, &money)?))
        })
        .await?;
    let moments = found.ok_or(ApiError::NotFound("this user"))?;
    let next = moments.last().filter(|_| moments.len() >= limit).map(|moment| moment.at);
    let catalogue = app.state.catalogue.load();
    let entries: Vec<Value> = moments.iter().map(|moment| view(moment, &catalogue)).collect();
    Ok(HttpResponse::Ok().json(json!({"entries": entries, "next_before": next})))
}

fn view(moment: &Moment, catalogue: &Catalogue) -> Value {
    let at = moment.at;
    match &moment.what {
        What::Decision {
            decision_id,
            trigger,
            category,
            outcome,
            steps,
            propensity,
            slice,
            variant,
            until,
            notification_id,
        } => json!({
            "what": "decision", "at": at, "decision_id": decision_id, "trigger": trigger, "category": category,
            "outcome": outcome, "because": decisive(steps), "steps": steps, "propensity": propensity, "slice": slice,
            "variant": variant, "until": until, "notification_id": notification_id,
        }),
        What::Message { notification_id, kind, category, title, channel, delivered, read, withdrawn } => {
            json!({
                "what": "message", "at": at, "notification_id": notification_id, "kind": kind, "category": category,
                "title": title, "channel": channel_name(*channel), "delivered": delivered, "read": read,
                "withdrawn": withdrawn,
            })
        }
        What::Event { kind, item, value } => json!({
            "what": "event", "at": at, "kind": kind, "value": value,
            "item": item.and_then(|item| dto::item_name(item, catalogue)),
        }),
        What::Feedback { notification_id, outcome, item, value } => json!({
            "what": "feedback", "at": at, "notification_id": notification_id, "outcome": outcome, "value": value,
            "item": item.and_then(|item| dto::item_name(item, catalogue)),
        }),
    }
}

/// The words of the step that ended it; null when nothing stood in the way.
fn decisive(steps: &Value) -> Option<&Value> {
    let ends = |step: &&Value| matches!(step["verdict"].as_str(), Some("stop" | "change"));
    steps.as_array()?.iter().rev().find(ends).map(|step| &step["text"])
}

fn channel_name(channel: i16) -> &'static str {
    match channel {
        0 => "socket",
        1 => "push",
        _ => "inbox",
    }
}
