//! `POST /v1/triggers/{name}`: the shop sets a trigger off for some of its users: an order's state, a word of its own.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, Timestamp};
use crate::decide::Input;
use crate::store::held::{self, HeldRow};
use crate::store::users;

/// Most users at a time.
const MAX_USERS: usize = 1_000;
/// Largest `event`, bytes of JSON.
const MAX_EVENT_BYTES: usize = 4_096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetOffBody {
    user_ids: Vec<ExternalId>,
    item_id: Option<ExternalId>,
    price_before: Option<f64>,
    /// What its template reads as `event`.
    event: Option<Value>,
}

/// Stored for each user, then judged: at once for those who are here or can be pushed to, at their next login for the others.
pub async fn post(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let bad = |field, message: String| ApiError::invalid("bad_trigger", field, message);
    let wish: SetOffBody = serde_json::from_slice(&body)
        .map_err(|error| bad(None, format!("not {{\"user_ids\":[…],\"item_id\"?,\"event\"?}}: {error}")))?;
    if !(1..=MAX_USERS).contains(&wish.user_ids.len()) {
        return Err(bad(Some("user_ids"), format!("1…{MAX_USERS} users at a time")));
    }
    if wish.event.as_ref().is_some_and(|event| event.to_string().len() > MAX_EVENT_BYTES) {
        return Err(bad(Some("event"), format!("at most {MAX_EVENT_BYTES} bytes of JSON")));
    }
    let definitions = app.state.definitions.load_full();
    let definition = definitions.triggers.find(&path).ok_or(ApiError::NotFound("this trigger"))?;
    let item = match &wish.item_id {
        Some(id) => Some(
            app.state.catalogue.load().find(id).map(|item| item.id).ok_or(ApiError::NotFound("this item"))?,
        ),
        None => None,
    };
    let now = Timestamp::now();
    let expires_at = now + definition.expires_after(app.state.rules().expires_after);
    let (name, category) = (definition.name.clone(), definition.category.clone());
    let ids = wish.user_ids.clone();
    let rows = app
        .state
        .store
        .run(move |connection| {
            crate::store::in_transaction(connection, |connection| {
                let rows: Vec<HeldRow> = users::resolve(connection, &ids)?
                    .into_iter()
                    .map(|user| HeldRow {
                        held_id: Uuid::now_v7(),
                        user,
                        trigger: name.clone(),
                        category: category.clone(),
                        item,
                        price_before: wish.price_before,
                        event: wish.event.clone().map(Arc::new),
                        for_digest: false,
                        until: now,
                        expires_at,
                    })
                    .collect();
                held::put(connection, &rows)?;
                Ok(rows)
            })
        })
        .await?;
    let accepted = rows.len();
    for (user, row) in wish.user_ids.iter().zip(rows) {
        app.registry.happened(user, Input::TriggerFired(Box::new(row)));
    }
    Ok(HttpResponse::Accepted().json(json!({ "accepted": accepted })))
}
