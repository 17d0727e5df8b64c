//! `/v1/webhooks`: endpoints of the shop that are told what happens, their keys, the log of deliveries, and replay.

pub mod log;

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::audited::{Change, in_one};
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use crate::permit::{ManageWebhooks, With};
use tidings_actors::App;
use tidings_actors::webhooks::messages::LookNow;
use tidings_core::base::{Timestamp, json, nearest, suggest_nearest};
use tidings_decision::deliver::webhooks::WebhookEvent;
use tidings_decision::privacy::Permission;
use tidings_decision::privacy::webhook_secret::{SECRET_BYTES, WebhookSecret};
use tidings_store::webhooks::{self, Endpoint, EndpointChange, MAX_ENDPOINTS};
use tidings_store::{Connection, StoreError, webhook_outbox, webhook_upkeep};
use tidings_transport::webhooks::check_url;

/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 500;
/// Name of the event that only tests send.
const TEST_EVENT: &str = "webhook.test";
const UNKNOWN: ApiError = ApiError::NotFound("this webhook");

/// An endpoint, or changes of one: what is absent stays. A new one needs `url` and `events`, and is active.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewWebhook)]
#[serde(deny_unknown_fields)]
struct EndpointBody {
    url: Option<String>,
    /// At most 500 bytes.
    description: Option<String>,
    /// Names of events.
    events: Option<Vec<String>>,
    /// Only of changes.
    active: Option<bool>,
}

/// An endpoint of the shop that is told what happens.
#[derive(Serialize, ToSchema)]
struct Webhook {
    webhook_id: Uuid,
    url: String,
    description: String,
    events: Vec<String>,
    active: bool,
    /// Null = it was not disabled.
    disabled_reason: Option<String>,
    /// First failure since the last delivery.
    failing_since: Option<Timestamp>,
    /// Deliveries that wait.
    pending: i64,
    created_at: Timestamp,
    changed_at: Timestamp,
    changed_by: String,
}

impl From<Endpoint> for Webhook {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            webhook_id: endpoint.id,
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.events,
            active: endpoint.is_active,
            disabled_reason: endpoint.disabled_reason,
            failing_since: endpoint.failing_since,
            pending: endpoint.pending,
            created_at: endpoint.created_at,
            changed_at: endpoint.changed_at,
            changed_by: endpoint.changed_by,
        }
    }
}

/// A new endpoint with its key, shown once.
#[derive(Serialize, ToSchema)]
struct MadeWebhook {
    #[serde(flatten)]
    webhook: Webhook,
    secret: String,
}

/// Every endpoint, and the names of all events.
#[derive(Serialize, ToSchema)]
struct Webhooks {
    webhooks: Vec<Webhook>,
    events: Vec<&'static str>,
}

/// A new key, shown once.
#[derive(Serialize, ToSchema)]
struct RotatedSecret {
    webhook_id: Uuid,
    secret: String,
}

/// A test that is on its way.
#[derive(Serialize, ToSchema)]
struct TestDelivery {
    delivery_id: i64,
}

/// The event of a test.
#[derive(Serialize)]
struct TestEvent {
    r#type: &'static str,
    timestamp: Timestamp,
    data: TestData,
}

/// Its data.
#[derive(Serialize)]
struct TestData {
    webhook_id: Uuid,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let one = "/v1/webhooks/{id}";
    vec![
        describe::get(
            "/v1/webhooks",
            May::Needs(Permission::ManageWebhooks),
            "Endpoints that are told what happens.",
        )
        .answers::<Webhooks>(200, "All of them."),
        describe::post("/v1/webhooks", May::Needs(Permission::ManageWebhooks), "Makes an endpoint.")
            .body::<EndpointBody>()
            .body_example(r#"{"url": "https://shop.example/hooks", "events": ["message.sent"]}"#)
            .answers::<MadeWebhook>(201, "The endpoint, with its key, shown once.")
            .refuses(&[409]),
        describe::get(one, May::Needs(Permission::ManageWebhooks), "One endpoint.")
            .answers::<Webhook>(200, "The endpoint.")
            .refuses(&[404]),
        describe::patch(one, May::Needs(Permission::ManageWebhooks), "Changes an endpoint.")
            .body::<EndpointBody>()
            .answers::<Webhook>(200, "As it is now.")
            .refuses(&[404]),
        describe::delete(
            one,
            May::Needs(Permission::ManageWebhooks),
            "Removes an endpoint with what waits for it and its log.",
        )
        .empty(204, "It is removed.")
        .refuses(&[404]),
        describe::post(
            "/v1/webhooks/{id}/rotate",
            May::Needs(Permission::ManageWebhooks),
            "Gives an endpoint a new key.",
        )
        .answers::<RotatedSecret>(200, "The key, shown once; the one before signs as well for a day.")
        .refuses(&[404]),
        describe::post(
            "/v1/webhooks/{id}/test",
            May::Needs(Permission::ManageWebhooks),
            "Sends an endpoint an event without a meaning.",
        )
        .answers::<TestDelivery>(202, "It is on its way.")
        .refuses(&[404, 409]),
    ]
}

/// Every endpoint.
pub async fn list(app: web::Data<App>, _caller: With<ManageWebhooks>) -> Result<HttpResponse, ApiError> {
    let endpoints = app.state.store.run(|connection| webhooks::list(connection, None)).await?;
    Ok(HttpResponse::Ok().json(Webhooks {
        webhooks: endpoints.into_iter().map(Webhook::from).collect(),
        events: WebhookEvent::ALL.iter().map(|event| event.name()).collect(),
    }))
}

/// One endpoint.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(Webhook::from(read(&app, id(&path)?).await?)))
}

/// Makes an endpoint; the answer shows its key, once.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let new = parse(&body, &app)?;
    if new.active.is_some() {
        return Err(ApiError::invalid(
            "bad_webhook",
            Some("active"),
            "a new webhook is active; leave this away",
        ));
    }
    for (field, is_missing) in [("url", new.url.is_none()), ("events", new.events.is_none())] {
        if is_missing {
            return Err(ApiError::invalid("bad_webhook", Some(field), format!("{field} is missing")));
        }
    }
    let change = Change::new(&request, &app, StatusCode::CREATED);
    let (id, secret, by) = (Uuid::now_v7(), new_secret(), caller.name());
    let bytes = secret.as_bytes().to_vec();
    let webhook = in_one(&app, move |connection| {
        if !webhooks::insert(connection, id, &new, &bytes, &by)? {
            let text = format!("there are {MAX_ENDPOINTS} webhooks already; delete one first");
            return Ok(Err(ApiError::Conflict(text)));
        }
        let Some(made) = shown(connection, id)? else { return Ok(Err(UNKNOWN)) };
        change.store(connection, (), &made)?;
        Ok(Ok(made))
    })
    .await?;
    Ok(HttpResponse::Created().json(MadeWebhook { webhook, secret: secret.reveal() }))
}

/// Changes an endpoint; what is absent stays.
pub async fn patch(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let (id, wish, by) = (id(&path)?, parse(&body, &app)?, caller.name());
    let change = Change::new(&request, &app, StatusCode::OK);
    let changed = in_one(&app, move |connection| {
        webhooks::lock(connection, id)?;
        let before = shown(connection, id)?;
        if !webhooks::change(connection, id, &wish, &by)? {
            return Ok(Err(UNKNOWN));
        }
        let after = shown(connection, id)?;
        change.store(connection, before, &after)?;
        Ok(after.ok_or(UNKNOWN))
    })
    .await?;
    Ok(HttpResponse::Ok().json(changed))
}

/// Removes an endpoint with what waits for it and its log.
pub async fn delete(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let id = id(&path)?;
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    in_one(&app, move |connection| {
        webhooks::lock(connection, id)?;
        let before = shown(connection, id)?;
        if !webhooks::remove(connection, id)? {
            return Ok(Err(UNKNOWN));
        }
        change.store(connection, before, ())?;
        Ok(Ok(()))
    })
    .await?;
    // The rest, of an endpoint with many deliveries, goes with the next sweeps.
    app.state
        .store
        .run(|connection| webhook_upkeep::remove_endpoints(connection, webhook_upkeep::STEP))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Gives an endpoint a new key, shown once; the one before signs as well for a day.
pub async fn rotate(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _body: Body,
    caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let (id, secret, by) = (id(&path)?, new_secret(), caller.name());
    let change = Change::new(&request, &app, StatusCode::OK);
    let bytes = secret.as_bytes().to_vec();
    in_one(&app, move |connection| {
        if !webhooks::rotate(connection, id, &bytes, &by, Timestamp::now())? {
            return Ok(Err(UNKNOWN));
        }
        change.store(connection, (), ())?;
        Ok(Ok(()))
    })
    .await?;
    Ok(HttpResponse::Ok().json(RotatedSecret { webhook_id: id, secret: secret.reveal() }))
}

/// Sends an endpoint an event without a meaning; whether it arrived stands in the log.
pub async fn test(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _body: Body,
    _caller: With<ManageWebhooks>,
) -> Result<HttpResponse, ApiError> {
    let id = id(&path)?;
    let endpoint = read(&app, id).await?;
    if !endpoint.is_active {
        return Err(ApiError::Conflict("this webhook is disabled; activate it first".to_owned()));
    }
    let event =
        TestEvent { r#type: TEST_EVENT, timestamp: Timestamp::now(), data: TestData { webhook_id: id } };
    let payload = serde_json::to_string(&event).unwrap_or_default();
    let change = Change::new(&request, &app, StatusCode::ACCEPTED);
    let delivery = in_one(&app, move |connection| {
        let id = webhook_outbox::put(connection, id, Uuid::now_v7(), TEST_EVENT, &payload)?;
        let delivery = TestDelivery { delivery_id: id };
        change.store(connection, (), &delivery)?;
        Ok(Ok(delivery))
    })
    .await?;
    // A full mailbox looks soon anyway.
    let _ = app.webhooks.offer(LookNow);
    Ok(HttpResponse::Accepted().json(delivery))
}

/// An endpoint as it is shown.
fn shown(connection: &mut Connection, id: Uuid) -> Result<Option<Webhook>, StoreError> {
    Ok(webhooks::list(connection, Some(id))?.pop().map(Webhook::from))
}

fn new_secret() -> WebhookSecret {
    WebhookSecret::from_bytes(rand::rng().random::<[u8; SECRET_BYTES]>())
}

fn id(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| UNKNOWN)
}

async fn read(app: &App, id: Uuid) -> Result<Endpoint, ApiError> {
    let found = app.state.store.run(move |connection| webhooks::list(connection, Some(id))).await?;
    found.into_iter().next().ok_or(UNKNOWN)
}

/// Reads an endpoint from a body, each field checked.
fn parse(body: &[u8], app: &App) -> Result<EndpointChange, ApiError> {
    let body: EndpointBody = json::from_slice(body).map_err(|error| {
        ApiError::invalid("bad_json", None, format!("no webhook: {}", suggest_nearest(&error.to_string())))
    })?;
    let refuse = |field, message: String| ApiError::invalid("bad_webhook", Some(field), message);
    if let Some(url) = &body.url {
        check_url(url, app.state.config.webhooks.allow_private)
            .map_err(|error| refuse("url", format!("url {error}")))?;
    }
    if body
        .description
        .as_ref()
        .is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES || text.chars().any(char::is_control))
    {
        let message = format!("at most {MAX_DESCRIPTION_BYTES} bytes, no control characters");
        return Err(refuse("description", message));
    }
    if let Some(events) = &body.events {
        check_events(events).map_err(|message| refuse("events", message))?;
    }
    Ok(EndpointChange {
        url: body.url,
        description: body.description,
        events: body.events,
        active: body.active,
    })
}

fn check_events(events: &[String]) -> Result<(), String> {
    let names = || WebhookEvent::ALL.iter().map(|event| event.name());
    if let Some(unknown) = events.iter().find(|name| WebhookEvent::from_name(name).is_none()) {
        let near =
            nearest(unknown, names()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let all: Vec<&str> = names().collect();
        return Err(format!("there is no event {unknown}{near} (there are {})", all.join(", ")));
    }
    let different: BTreeSet<&String> = events.iter().collect();
    if events.is_empty() || different.len() < events.len() {
        return Err("names one event or more, each once".to_owned());
    }
    Ok(())
}
