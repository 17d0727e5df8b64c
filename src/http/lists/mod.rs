//! Lists on request: for a user, beside an item, or for nobody in particular; filtered, paged, and by placement.

pub mod asked;
pub mod bulk;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::asked::{Asked, Resolved};
use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, Timestamp};
use crate::catalogue::Catalogue;
use crate::decide::{ListRequest, Loaded, Recommendations};
use crate::deliver::frames;
use crate::profile::Profile;
use crate::recommend::serve::live::RecentCounts;
use crate::recommend::{Recommendation, Request};
use crate::state::user_lists::made;

/// The best items for a user right now; for an unknown one, what is popular.
pub async fn recommendations(
    path: web::Path<String>,
    request: HttpRequest,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    answer_for(Some(user), Asked::of_query(request.query_string())?, &app).await
}

/// The same by a body, also for nobody in particular.
pub async fn post(Body(body): Body, app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let body: Value = match body.is_empty() {
        true => Value::Object(Map::new()),
        false => serde_json::from_slice(&body)
            .map_err(|error| ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}")))?,
    };
    let asked = Asked::of_json(body)?;
    let named = asked.user_id.clone().or_else(|| caller.subject().cloned());
    let user = named.map(|named| caller.known(&named, &app)).transpose()?;
    answer_for(user, asked, &app).await
}

/// Items that go with this one, for anybody.
pub async fn similar(
    path: web::Path<String>,
    request: HttpRequest,
    app: web::Data<App>,
    _caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let catalogue = app.state.catalogue.load();
    let item = catalogue.find(&ExternalId::parse(&path)?).ok_or(ApiError::NotFound("this item"))?;
    let asked = Asked::of_query(request.query_string())?;
    let resolved = asked.resolve(&catalogue, &app.state.definitions.load())?;
    let (models, now) = (app.state.models.load(), Timestamp::now());
    let (found, nobody) = (app.state.live.look_up(Some(item.id), now), Profile::default());
    let request = Request {
        seed: Some(item.id),
        offset: resolved.list.offset,
        selection: &resolved.list.selection,
        settings: &app.state.config.recommend,
        live: found.evidence(),
        ..Request::new(&nobody, &catalogue, now, resolved.list.n)
    };
    let list = match request.selection.placement {
        Some(_) => models.page(&request),
        None => models.similar(item.id, &request),
    };
    let listed = Recommendations { items: list.items, model: models.version, removed: list.removed };
    let head = json!({"item_id": item.external_id});
    Ok(HttpResponse::Ok().json(answer(head, &listed, &resolved, &catalogue)))
}

async fn answer_for(user: Option<ExternalId>, asked: Asked, app: &App) -> Result<HttpResponse, ApiError> {
    let resolved = asked.resolve(&app.state.catalogue.load(), &app.state.definitions.load())?;
    let listed = match &user {
        Some(user) => listed(app, user, &resolved.list).await?,
        None => made(&app.state, &nobody()?, Loaded::stranger(), &resolved.list),
    };
    let head = json!({ "user_id": user });
    let catalogue = app.state.catalogue.load();
    Ok(HttpResponse::Ok().json(answer(head, &listed, &resolved, &catalogue)))
}

/// Name under which a list for nobody in particular is made; no user of a shop can have it.
fn nobody() -> Result<ExternalId, ApiError> {
    Ok(ExternalId::parse(&Uuid::now_v7().to_string())?)
}

/// The list that the user's actor makes, else the one it would make if it were started.
async fn listed(app: &App, user: &ExternalId, list: &ListRequest) -> Result<Recommendations, ApiError> {
    if let Some(entry) = app.registry.get(user)
        && let Some(listed) = entry.recommend(list.clone()).await
    {
        return Ok(listed);
    }
    let loaded = app.loader.load(user, false).await?.map_or_else(Loaded::stranger, |loaded| *loaded);
    Ok(made(&app.state, user, loaded, list))
}

/// A list as an answer: items with reasons and rules, and what was left out.
pub fn answer(
    mut head: Value,
    listed: &Recommendations,
    resolved: &Resolved,
    catalogue: &Catalogue,
) -> Value {
    let placement = resolved.list.selection.placement.as_deref();
    let items: Vec<Value> =
        listed.items.iter().filter_map(|recommended| item(recommended, resolved, catalogue)).collect();
    if let Some(fields) = head.as_object_mut() {
        fields.insert("list_id".to_owned(), json!(Uuid::now_v7()));
        fields.insert("model".to_owned(), json!(listed.model.0));
        if let Some(placement) = placement {
            fields.insert("placement".to_owned(), json!(placement.name));
        }
        fields.insert("items".to_owned(), items.into());
        fields.insert("removed".to_owned(), json!(listed.removed));
        if !resolved.warnings.is_empty() {
            fields.insert("warnings".to_owned(), json!(resolved.warnings));
        }
    }
    head
}

fn item(recommended: &Recommendation, resolved: &Resolved, catalogue: &Catalogue) -> Option<Value> {
    let shown = frames::recommended_items(std::slice::from_ref(recommended), catalogue).pop()?;
    let mut shown = serde_json::to_value(shown).ok()?;
    let placement = resolved.list.selection.placement.as_deref();
    let rule = placement.zip(recommended.touch).and_then(|(placement, touch)| placement.name_of(touch));
    if let (Some(rule), Some(fields)) = (rule, shown.as_object_mut()) {
        fields.insert("rule".to_owned(), rule.into());
    }
    Some(shown)
}
