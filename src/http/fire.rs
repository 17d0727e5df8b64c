//! `POST /v1/triggers/{name}`: the shop sets a trigger off for some of its users: an order's state, a word of its own.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::audited::Change;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::{ApiError, ErrorBody};
use super::idempotency::{self, Begun};
use super::items::item_named;
use super::permit::{SendMessages, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, ItemId, Timestamp, UserId, json, suggest_nearest};
use tidings_decision::decide::Input;
use tidings_decision::privacy::Permission;
use tidings_store::broadcasts::{self, Broadcast, State, To};
use tidings_store::deferred::{self, DeferredRow};
use tidings_store::idempotency::Request;
use tidings_store::{Connection, Fields, StoreError, users};

/// Most users at a time.
const MAX_USERS: usize = 1_000;
/// Largest `event`, bytes of JSON.
const MAX_EVENT_BYTES: usize = 4_096;

/// Users a trigger is fired for, and what about.
#[derive(Deserialize, ToSchema)]
#[schema(as = TriggerCall)]
#[serde(deny_unknown_fields)]
struct FireBody {
    /// At most 1,000.
    user_ids: Vec<ExternalId>,
    item_id: Option<ExternalId>,
    price_before: Option<f64>,
    /// Value of `event` in its template.
    event: Option<Value>,
}

/// A call that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = TriggerAccepted)]
struct Fired<'a> {
    /// Stands for all of it, as for taking it back.
    id: Uuid,
    /// Number of users; several ids of one person count once.
    accepted: usize,
    /// Users that do not exist.
    unknown: &'a [ExternalId],
}

/// A call of which nobody exists.
#[derive(Serialize, ToSchema)]
#[schema(as = TriggerRefused)]
struct NobodyThere {
    #[serde(flatten)]
    error: ErrorBody,
    /// Present where none of the users exists.
    #[schema(required = false)]
    accepted: usize,
    /// Present where none of the users exists.
    #[schema(required = false)]
    unknown: Vec<ExternalId>,
}

/// The call as it is listed and kept.
#[derive(Serialize)]
struct Kept<'a> {
    trigger: &'a str,
    item_id: &'a Option<ExternalId>,
    price_before: Option<f64>,
    event: &'a Option<Value>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::post(
            "/v1/triggers/{name}",
            May::Needs(Permission::SendMessages),
            "Sets a trigger off for some users.",
        )
        .header("Idempotency-Key", idempotency::ABOUT)
        .body::<FireBody>()
        .body_example(r#"{"user_ids": [7, 8], "event": {"status": "shipped"}}"#)
        .answers::<Fired<'_>>(202, "Stored; judged at once or at the next login.")
        .example(r#"{"id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10", "accepted": 2, "unknown": []}"#)
        .answers::<NobodyThere>(400, "Not a call, or of nobody who exists.")
        .refuses(&[404, 409, 422]),
    ]
}

/// Stored for each user who exists, then judged: at once for those who are here or can be pushed to, at their next login for the
/// others. Users that do not exist are named and not made. Under an `Idempotency-Key` once. The `id` of the answer takes all of it back
/// (`DELETE /v1/notifications/{id}`).
pub async fn post(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    _caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    let keyed = idempotency::request(&request, "triggers", &body)?;
    let _held = match idempotency::begin(&app.state, keyed).await? {
        Begun::New(held) => held,
        Begun::Before(answer) => return Ok(answer),
    };
    let firing = Firing::new(parse(&body)?, &path, &app, Timestamp::now())?;
    let fields = Arc::clone(app.state.store.fields());
    let change = Change::new(&request, &app, StatusCode::ACCEPTED);
    let store = move |connection: &mut Connection| {
        tidings_store::in_transaction(connection, |connection| {
            let stored = firing.store(connection, &fields, keyed)?;
            if let Stored::Now { answer, .. } = &stored {
                change.store(connection, (), serde_json::from_str::<Value>(answer).unwrap_or_default())?;
            }
            Ok(stored)
        })
    };
    let steady = app.registry.aliases.steady().await;
    let stored = app.state.store.run(store).await?;
    drop(steady);
    match (stored, keyed) {
        (Stored::Now { told, rows, answer }, _) => {
            for (user, row) in told.iter().zip(rows) {
                app.registry.happened(user, Input::TriggerFired(Box::new(row)));
            }
            Ok(HttpResponse::Accepted().insert_header((CONTENT_TYPE, "application/json")).body(answer))
        }
        (Stored::Nobody(unknown), _) => {
            let message = "none of these users exists: nothing was set off";
            let error = ErrorBody::new("unknown_users", message, Some("user_ids"));
            Ok(HttpResponse::BadRequest().json(NobodyThere { error, accepted: 0, unknown }))
        }
        (Stored::Before(stored), Some(request)) => idempotency::replay(&request, stored),
        (Stored::Before(_) | Stored::Busy, _) => {
            Err(ApiError::Unavailable("the key is being forgotten, try again in a moment".to_owned()))
        }
    }
}

/// A request that is understood: a trigger that is defined, an item that is there.
struct Firing {
    call: Uuid,
    wish: FireBody,
    trigger: String,
    category: String,
    item: Option<ItemId>,
    now: Timestamp,
    expires_at: Timestamp,
}

impl Firing {
    fn new(wish: FireBody, trigger: &str, app: &App, now: Timestamp) -> Result<Self, ApiError> {
        let definitions = app.state.definitions.load();
        let definition = definitions.triggers.find(trigger).ok_or(ApiError::NotFound("this trigger"))?;
        let item = match &wish.item_id {
            Some(id) => Some(item_named(&app.state.catalogue.load(), id)?.id),
            None => None,
        };
        Ok(Self {
            call: Uuid::now_v7(),
            wish,
            trigger: definition.name.clone(),
            category: definition.category.clone(),
            item,
            now,
            expires_at: now + definition.expires_after(app.state.rules().expires_after),
        })
    }

    /// Stores a row for each user who exists, the call, and the answer under its key; nothing if the key came before.
    fn store(
        self,
        connection: &mut Connection,
        fields: &Fields,
        keyed: Option<Request>,
    ) -> Result<Stored, StoreError> {
        if let Some(request) = keyed
            && tidings_store::idempotency::claim(connection, &[request])?.is_empty()
        {
            let before = tidings_store::idempotency::find(connection, &[request.key])?.remove(&request.key);
            return Ok(before.map_or(Stored::Busy, Stored::Before));
        }
        let known = users::find_many(connection, &self.wish.user_ids)?;
        let (mut told, mut rows, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for user in &self.wish.user_ids {
            match known.get(user) {
                Some(id) if seen.insert(*id) => {
                    rows.push(self.row(*id));
                    told.push(user.clone());
                }
                Some(_) => {} // Another id of the same person.
                None => unknown.push(user.clone()),
            }
        }
        if rows.is_empty() {
            // No answer is stored: the request may come again when they exist.
            tidings_store::idempotency::forget(connection, keyed)?;
            return Ok(Stored::Nobody(unknown));
        }
        deferred::put(connection, fields, &rows)?;
        broadcasts::insert(connection, fields, &[self.broadcast(&told)])?;
        let answer = Fired { id: self.call, accepted: rows.len(), unknown: &unknown };
        let answer = serde_json::to_string(&answer).unwrap_or_default();
        if let Some(request) = keyed {
            tidings_store::idempotency::answer(connection, &[(request.key, answer.clone())])?;
        }
        Ok(Stored::Now { told, rows, answer })
    }

    fn row(&self, user: UserId) -> DeferredRow {
        DeferredRow {
            held_id: Uuid::now_v7(),
            user,
            trigger: self.trigger.clone(),
            category: self.category.clone(),
            item: self.item,
            price_before: self.wish.price_before,
            event: self.wish.event.clone().map(Arc::new),
            for_digest: false,
            until: self.now,
            expires_at: self.expires_at,
            call: Some(self.call),
        }
    }

    /// The call as it is listed and taken back.
    fn broadcast(&self, told: &[ExternalId]) -> Broadcast {
        let message = Kept {
            trigger: &self.trigger,
            item_id: &self.wish.item_id,
            price_before: self.wish.price_before,
            event: &self.wish.event,
        };
        Broadcast {
            id: self.call,
            call: self.call,
            state: State::Sent,
            to: To::Users(told.len()),
            only: <&[ExternalId; 1]>::try_from(told).ok().map(|[user]| user.clone()),
            message: serde_json::to_string(&message).unwrap_or_default(),
            users: told.len(),
            pace: None,
            local: None,
            batches: vec![self.call],
            due_at: self.now,
            created_at: self.now,
            unsent: None,
        }
    }
}

/// Outcome of a request.
enum Stored {
    /// Accepted: for whom, what is to be judged, and the answer.
    Now { told: Vec<ExternalId>, rows: Vec<DeferredRow>, answer: String },
    /// None of its users exists.
    Nobody(Vec<ExternalId>),
    /// Its key came before.
    Before(tidings_store::idempotency::Stored),
    /// Its key was there, and is not any more.
    Busy,
}

/// Each user once, in the order given.
fn parse(body: &[u8]) -> Result<FireBody, ApiError> {
    let bad = |field, message: String| ApiError::invalid("bad_trigger", field, message);
    let mut wish: FireBody = json::from_slice(body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        bad(None, format!("not {{\"user_ids\":[…],\"item_id\"?,\"event\"?}}: {error}"))
    })?;
    let mut seen = HashSet::with_capacity(wish.user_ids.len());
    wish.user_ids.retain(|user| seen.insert(user.clone()));
    if !(1..=MAX_USERS).contains(&wish.user_ids.len()) {
        return Err(bad(Some("user_ids"), format!("1…{MAX_USERS} users at a time")));
    }
    if wish.event.as_ref().is_some_and(|event| event.to_string().len() > MAX_EVENT_BYTES) {
        return Err(bad(Some("event"), format!("at most {MAX_EVENT_BYTES} bytes of JSON")));
    }
    Ok(wish)
}
