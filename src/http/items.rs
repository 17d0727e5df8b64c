//! The catalogue: `PUT /v1/items` (one or many), list, one, delete.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Batch;
use super::dto;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::catalogue_changes::put_items;
use crate::base::ExternalId;
use crate::catalogue::{ItemError, NewItem};

/// Most items in a list.
const MAX_LIST: usize = 500;

/// Filter and page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    limit: Option<usize>,
    offset: Option<usize>,
    category: Option<String>,
    q: Option<String>,
}

/// Adds or changes items. The good ones are taken, the bad ones named by index; 400 if none is good.
pub async fn put(Batch(body): Batch, app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let value: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}")))?;
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    if list.len() > app.state.config.ingest.max_batch {
        let message = format!("at most {} items in a request", app.state.config.ingest.max_batch);
        return Err(ApiError::invalid("too_many_items", None, message));
    }
    let mut items = Vec::with_capacity(list.len());
    let mut rejected: Vec<(usize, ItemError)> = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        match NewItem::read(value) {
            Ok(item) => items.push(item),
            Err(error) => rejected.push((index, error)),
        }
    }
    if let (true, Some((index, error))) = (items.is_empty(), rejected.first()) {
        let message = format!("item {index}: {}", error.message);
        return Err(ApiError::invalid_field(error.code, error.field.clone(), message));
    }
    let count = if items.is_empty() { 0 } else { put_items(&app.state, &app.registry, items).await? };
    let rejected: Vec<Value> = rejected
        .iter()
        .map(|(index, error)| {
            json!({"index": index, "code": error.code, "field": error.field, "message": error.message})
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "items": count, "rejected": rejected })))
}

/// A page of the catalogue, by id, with the categories of everything that matches the text.
pub async fn list(query: web::Query<ListQuery>, app: web::Data<App>, _caller: Caller) -> HttpResponse {
    let catalogue = app.state.catalogue.load();
    let wanted = query.q.as_deref().unwrap_or("").to_lowercase();
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    let mut matching = Vec::new();
    for item in catalogue.iter() {
        let text_matches = wanted.is_empty()
            || item.name().to_lowercase().contains(&wanted)
            || item.tags.iter().chain(&item.category).any(|word| word.to_lowercase().contains(&wanted));
        if !text_matches {
            continue;
        }
        let category = item.category.first().map(String::as_str);
        if let Some(category) = category {
            *categories.entry(category).or_default() += 1;
        }
        if query.category.as_deref().is_none_or(|wanted| category == Some(wanted)) {
            matching.push(item);
        }
    }
    let total = matching.len();
    let limit = query.limit.unwrap_or(50).min(MAX_LIST);
    let page: Vec<Value> = matching
        .into_iter()
        .skip(query.offset.unwrap_or(0))
        .take(limit)
        .map(|item| dto::item(item))
        .collect();
    let categories: Vec<Value> =
        categories.into_iter().map(|(name, count)| json!({"name": name, "count": count})).collect();
    HttpResponse::Ok().json(json!({"total": total, "items": page, "categories": categories}))
}

/// One item.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let catalogue = app.state.catalogue.load();
    let item = catalogue.find(&ExternalId::parse(&path)?).ok_or(ApiError::NotFound("this item"))?;
    Ok(HttpResponse::Ok().json(dto::item(item)))
}

/// Takes an item out of the catalogue; its history stays.
pub async fn delete(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let id = ExternalId::parse(&path)?;
    let inner =
        app.state.catalogue.load().find(&id).map(|item| item.id).ok_or(ApiError::NotFound("this item"))?;
    app.state.store.run(move |connection| crate::store::items::deactivate(connection, &id)).await?;
    app.state.remove_item(inner);
    Ok(HttpResponse::NoContent().finish())
}
