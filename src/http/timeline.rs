//! One user's story over HTTP: what was decided, sent and answered, and why or why not, in words.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::describe::{self, Described, May};
use super::dto::{ItemName, item_name};
use super::error::ApiError;
use super::permit::{ReadTimelines, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, ItemId, Timestamp};
use tidings_core::catalogue::Catalogue;
use tidings_decision::decide::record::TraceStep;
use tidings_decision::feedback::FeedbackOutcome;
use tidings_decision::privacy::Permission;
use tidings_store::timeline::{Moment, What};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Page of the timeline to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TimelineQuery {
    /// At most 200.
    limit: Option<usize>,
    /// Strictly older than this; RFC 3339 or Unix seconds.
    before: Option<String>,
}

/// Something that happened to a user.
#[derive(Serialize, ToSchema)]
struct TimelineEntry<'a> {
    at: Timestamp,
    #[serde(flatten)]
    what: Entry<'a>,
}

/// Kind of an entry, and its fields.
#[derive(Serialize, ToSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
#[schema(as = TimelineWhat)]
enum Entry<'a> {
    /// The policy decided.
    Decision {
        decision_id: Uuid,
        trigger: &'a str,
        category: &'a str,
        /// `send`, `defer`, `digest`, `inbox_only` or `drop`.
        outcome: &'a str,
        /// Words of the step that ended it; null when nothing stood in the way.
        because: Option<&'a str>,
        #[schema(value_type = Vec<TraceStep>)]
        steps: &'a Value,
        /// In (0, 1].
        propensity: f32,
        slice: &'a str,
        variant: Option<&'a str>,
        until: Option<Timestamp>,
        notification_id: Option<Uuid>,
    },
    /// A message entered the stream.
    Message {
        notification_id: Uuid,
        kind: &'a str,
        category: &'a str,
        title: Option<&'a str>,
        /// `socket`, `push` or `inbox`.
        channel: &'static str,
        delivered: bool,
        read: bool,
        /// Reason for the withdrawal.
        withdrawn: Option<&'a str>,
    },
    /// An event of a kind of the shop's own.
    Event { kind: &'a str, value: Option<f64>, item: Option<ItemName> },
    /// The user answered.
    Feedback {
        notification_id: Uuid,
        outcome: FeedbackOutcome,
        /// Money of a conversion.
        value: Option<f64>,
        item: Option<ItemName>,
    },
}

/// A page of a timeline, newest first.
#[derive(Serialize, ToSchema)]
struct Timeline<'a> {
    entries: Vec<TimelineEntry<'a>>,
    /// `before` of the next page; null at the end.
    next_before: Option<Timestamp>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/users/{id}/timeline",
            May::Needs(Permission::ReadTimelines),
            "Decisions, messages, feedback and own events of one user.",
        )
        .query::<TimelineQuery>()
        .answers::<Timeline<'_>>(200, "A page, newest first.")
        .refuses(&[404]),
    ]
}

/// A page, newest first; `next_before` leads to the next one, null at the end.
pub async fn timeline(
    path: web::Path<String>,
    query: web::Query<TimelineQuery>,
    app: web::Data<App>,
    _caller: With<ReadTimelines>,
) -> Result<HttpResponse, ApiError> {
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
    let fields = Arc::clone(app.state.store.fields());
    let found = app
        .state
        .store
        .run(move |connection| {
            let Some(user) = tidings_store::users::find(connection, &id)? else { return Ok(None) };
            Ok(Some(tidings_store::timeline::of(connection, &fields, user, before, limit, window, &money)?))
        })
        .await?;
    let moments = found.ok_or(ApiError::NotFound("this user"))?;
    let next = moments.last().filter(|_| moments.len() >= limit).map(|moment| moment.at);
    let catalogue = app.state.catalogue.load();
    let entries = moments.iter().map(|moment| view(moment, &catalogue)).collect();
    Ok(HttpResponse::Ok().json(Timeline { entries, next_before: next }))
}

fn view<'a>(moment: &'a Moment, catalogue: &Catalogue) -> TimelineEntry<'a> {
    let named = |item: &Option<ItemId>| item.and_then(|item| item_name(item, catalogue));
    let what = match &moment.what {
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
        } => Entry::Decision {
            decision_id: *decision_id,
            trigger,
            category,
            outcome,
            because: decisive(steps),
            steps,
            propensity: *propensity,
            slice,
            variant: variant.as_deref(),
            until: *until,
            notification_id: *notification_id,
        },
        What::Message { notification_id, kind, category, title, channel, delivered, read, withdrawn } => {
            Entry::Message {
                notification_id: *notification_id,
                kind,
                category,
                title: title.as_deref(),
                channel: channel_name(*channel),
                delivered: *delivered,
                read: *read,
                withdrawn: withdrawn.as_deref(),
            }
        }
        What::Event { kind, item, value } => Entry::Event { kind, value: *value, item: named(item) },
        What::Feedback { notification_id, outcome, item, value } => Entry::Feedback {
            notification_id: *notification_id,
            outcome: *outcome,
            value: *value,
            item: named(item),
        },
    };
    TimelineEntry { at: moment.at, what }
}

/// The words of the step that ended it; null when nothing stood in the way.
fn decisive(steps: &Value) -> Option<&str> {
    let ends = |step: &&Value| matches!(step["verdict"].as_str(), Some("stop" | "change"));
    steps.as_array()?.iter().rev().find(ends).and_then(|step| step["text"].as_str())
}

fn channel_name(channel: i16) -> &'static str {
    match channel {
        0 => "socket",
        1 => "push",
        _ => "inbox",
    }
}
