//! Trying before telling: what a template would say, and whom a trigger would reach.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::body::Body;
use super::error::ApiError;
use super::views;
use crate::actors::App;
use crate::base::{ExternalId, Timestamp};
use crate::decide::UserState;
use crate::notify::content::{ItemVariables, Template, Templates};
use crate::notify::triggers::{Definition, Trigger};
use crate::store;

/// Most users of one dry run: each is read from the tables.
const MAX_USERS: usize = 100;
/// Users when none are named.
const SOME_USERS: usize = 25;
/// Most items in a preview.
const MAX_ITEMS: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewBody {
    /// Of a stored template; or `template`.
    name: Option<String>,
    template: Option<Template>,
    #[serde(default = "english")]
    locale: String,
    #[serde(default)]
    variant: usize,
    time_zone: Option<String>,
    #[serde(default)]
    item_ids: Vec<ExternalId>,
    price_before: Option<f64>,
    #[serde(default)]
    event: Value,
}

fn english() -> String {
    "en".to_owned()
}

/// What a template would say about these items.
pub async fn preview(
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let bad = |message: String| ApiError::invalid("bad_preview", None, message);
    let wish: PreviewBody =
        serde_json::from_slice(&body).map_err(|error| bad(format!("not a preview: {error}")))?;
    if wish.item_ids.len() > MAX_ITEMS {
        return Err(bad(format!("at most {MAX_ITEMS} items")));
    }
    let catalogue = app.state.catalogue.load();
    let items: Vec<Value> = wish
        .item_ids
        .iter()
        .filter_map(|id| catalogue.find(id))
        .map(|item| json!(ItemVariables::from(item.as_ref())))
        .collect();
    let words = json!({
        "user": {"user_id": "someone", "segment": "A"}, "item": items.first(), "count": items.len(), "items": items,
        "price_before": wish.price_before, "event": wish.event, "locale": wish.locale,
        "time_zone": wish.time_zone, "now": Timestamp::now(),
    });
    let definitions = app.state.definitions.load();
    let own;
    let (name, templates) = match (&wish.name, &wish.template) {
        (_, Some(template)) => {
            own = Templates::new([template]).map_err(|error| bad(error.to_string()))?;
            (template.name.as_str(), &own)
        }
        (Some(name), None) => (name.as_str(), &definitions.templates),
        (None, None) => return Err(bad("give a template, or the name of one".to_owned())),
    };
    let rendered = templates
        .render(name, wish.variant, &wish.locale, &words)
        .ok_or(ApiError::NotFound("this template"))?
        .map_err(|error| bad(error.to_string()))?;
    Ok(HttpResponse::Ok().json(json!({
        "title": rendered.content.title, "body": rendered.content.body, "variant": rendered.variant,
        "language": rendered.language, "variants": templates.variants(name),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct DryRunBody {
    user_ids: Vec<ExternalId>,
    item_id: Option<ExternalId>,
    price_before: Option<f64>,
    /// Of a trigger that is not stored.
    trigger: Option<Definition>,
}

/// Who would get it now, who not and why. Users: those named, else some of those connected, then any.
pub async fn try_trigger(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let bad = |message: String| ApiError::invalid("bad_dry_run", None, message);
    let wish: DryRunBody = if body.is_empty() {
        DryRunBody::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| bad(format!("not a dry run: {error}")))?
    };
    if wish.user_ids.len() > MAX_USERS {
        return Err(bad(format!("at most {MAX_USERS} users")));
    }
    let definition = match wish.trigger {
        Some(definition) => {
            definition.validate().map_err(|error| bad(error.to_string()))?;
            Arc::new(definition)
        }
        None => {
            let definitions = app.state.definitions.load();
            Arc::clone(definitions.triggers.find(&path).ok_or(ApiError::NotFound("this trigger"))?)
        }
    };
    let item = match &wish.item_id {
        Some(id) => Some(
            app.state.catalogue.load().find(id).map(|item| item.id).ok_or(ApiError::NotFound("this item"))?,
        ),
        None => None,
    };
    let trigger = Trigger { price_before: wish.price_before, ..Trigger::of(&definition, item) };
    let mut results = Vec::new();
    for user in whom(&app, wish.user_ids).await? {
        let Some(loaded) = app.loader.load(&user, false).await? else {
            results.push(json!({"user_id": user, "outcome": "unknown_user", "reasons": []}));
            continue;
        };
        let snapshot = app.state.snapshot();
        let world = snapshot.world(Some(loaded.user), &app.state);
        let found = UserState::new(&user, *loaded, &app.state.epoch, &world).dry_run(&trigger, &world);
        let catalogue = app.state.catalogue.load();
        let items: Vec<Value> =
            found.items.iter().filter_map(|item| views::item_name(*item, &catalogue)).collect();
        results.push(json!({
            "user_id": user, "outcome": found.outcome, "until": found.until, "reasons": found.reasons,
            "steps": found.steps, "title": found.content.title, "body": found.content.body, "items": items,
        }));
    }
    let would = results.iter().filter(|one| one["outcome"] == "send").count();
    Ok(HttpResponse::Ok().json(json!({
        "trigger": definition.name, "users": results.len(), "would_get_it": would, "results": results,
    })))
}

async fn whom(app: &App, named: Vec<ExternalId>) -> Result<Vec<ExternalId>, ApiError> {
    if !named.is_empty() {
        return Ok(named);
    }
    let mut users: Vec<ExternalId> =
        app.registry.users(SOME_USERS).into_iter().map(|(user, _)| user).collect();
    if users.len() < SOME_USERS {
        let rows =
            app.state.store.run(|connection| store::users::search(connection, "", SOME_USERS as i64)).await?;
        for row in rows {
            if users.len() < SOME_USERS && !users.contains(&row.external_id) {
                users.push(row.external_id);
            }
        }
    }
    users.sort();
    Ok(users)
}
