//! `/admin/live`: what happened since the model was trained, as recommendations see it.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::describe::{self, Described, May};
use super::dto::{ItemName, item_name};
use super::error::ApiError;
use super::items::item_named;
use super::permit::{ReadFigures, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_decision::privacy::Permission;

/// Items of each list.
const MOST: usize = 100;

/// Query parameters of the live counts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LiveQuery {
    /// Item whose companions are listed.
    item: Option<String>,
}

/// An item by the interest in it.
#[derive(Serialize, ToSchema)]
struct PopularNow {
    #[serde(flatten)]
    item: ItemName,
    /// In units of a purchase, halving with age.
    interest: f32,
}

/// An item by the visitors who dealt with it and with the one asked for.
#[derive(Serialize, ToSchema)]
struct NearNow {
    #[serde(flatten)]
    item: ItemName,
    visitors: u32,
}

/// Counts of events since the last training.
#[derive(Serialize, ToSchema)]
struct LiveCounts {
    model_version: i32,
    events: u64,
    popular: Vec<PopularNow>,
    /// Empty unless an item is asked for.
    near: Vec<NearNow>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/live",
            May::Needs(Permission::ReadFigures),
            "Events since the last training: items by interest, and those that go with one now.",
        )
        .query::<LiveQuery>()
        .answers::<LiveCounts>(200, "Counts.")
        .refuses(&[404]),
    ]
}

/// Events counted, items by interest (units of a purchase, halving with age), and, beside `item`, items by the number of
/// visitors who dealt with both. An item that is not known is a 404.
pub async fn get(
    query: web::Query<LiveQuery>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let catalogue = app.state.catalogue.load();
    let asked = query.item.as_deref().filter(|text| !text.is_empty()).map(ExternalId::parse).transpose()?;
    let seed = match asked {
        Some(id) => Some(item_named(&catalogue, &id)?.id),
        None => None,
    };
    let now = Timestamp::now();
    let (n_events, popular, near) = app.state.live.read(|counts| {
        let near = seed.map(|seed| counts.near(seed, MOST)).unwrap_or_default();
        (counts.n_events(), counts.popular(MOST, now), near)
    });
    let popular = popular
        .into_iter()
        .filter_map(|(item, interest)| Some(PopularNow { item: item_name(item, &catalogue)?, interest }));
    let near = near
        .into_iter()
        .filter_map(|(item, visitors)| Some(NearNow { item: item_name(item, &catalogue)?, visitors }));
    Ok(HttpResponse::Ok().json(LiveCounts {
        model_version: app.state.models.load().version.0,
        events: n_events,
        popular: popular.collect(),
        near: near.collect(),
    }))
}
