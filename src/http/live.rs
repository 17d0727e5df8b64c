//! `/admin/live`: what happened since the model was trained, as recommendations see it.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, Timestamp};

/// Items of each list.
const MOST: usize = 100;

/// Query parameters of the live counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveQuery {
    /// Item whose companions are listed.
    item: Option<String>,
}

/// Events counted, items by interest (units of a purchase, halving with age), and, beside `item`, items by the number of
/// visitors who dealt with both. An item that is not known is a 404.
pub async fn get(
    query: web::Query<LiveQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let catalogue = app.state.catalogue.load();
    let asked = query.item.as_deref().filter(|text| !text.is_empty()).map(ExternalId::parse).transpose()?;
    let seed = match asked {
        Some(id) => Some(catalogue.find(&id).ok_or(ApiError::NotFound("this item"))?.id),
        None => None,
    };
    let now = Timestamp::now();
    let (n_events, popular, near) = app.state.live.read(|counts| {
        let near = seed.map(|seed| counts.near(seed, MOST)).unwrap_or_default();
        (counts.n_events(), counts.popular(MOST, now), near)
    });
    let named = |item, what: &str, value: Value| -> Option<Value> {
        let mut row = super::dto::item_name(item, &catalogue)?;
        row.as_object_mut()?.insert(what.to_owned(), value);
        Some(row)
    };
    let popular: Vec<Value> =
        popular.into_iter().filter_map(|(item, sum)| named(item, "interest", json!(sum))).collect();
    let near: Vec<Value> =
        near.into_iter().filter_map(|(item, count)| named(item, "visitors", json!(count))).collect();
    Ok(HttpResponse::Ok().json(json!({
        "model_version": app.state.models.load().version.0, "events": n_events, "popular": popular, "near": near,
    })))
}
