//! Click-through of placements, over HTTP.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::describe::{self, Described, May};
use super::error::ApiError;
use super::outcomes::days;
use super::permit::{ReadFigures, With};
use super::query;
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::feedback::placements::{ListCounts, ListShares};
use tidings_decision::privacy::Permission;

/// Over which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PlacementsQuery {
    /// Days looked back, at most 365; 7 without it.
    days: Option<f64>,
}

/// Counts of lists, and their shares with 95 % intervals.
#[derive(Serialize, ToSchema)]
#[schema(as = ListsCounted)]
struct Counted {
    #[serde(flatten)]
    counts: ListCounts,
    #[serde(flatten)]
    shares: ListShares,
}

impl Counted {
    fn of(counts: ListCounts) -> Self {
        Self { counts, shares: counts.shares() }
    }
}

/// Lists of one placement.
#[derive(Serialize, ToSchema)]
#[schema(as = PlacementOutcome)]
struct Named {
    /// Name of the placement.
    name: String,
    #[serde(flatten)]
    counted: Counted,
}

/// Outcomes of lists by placement, the one with the most lists first.
#[derive(Serialize, ToSchema)]
#[schema(as = PlacementOutcomes)]
struct Outcomes {
    days: f64,
    placements: Vec<Named>,
    overall: Counted,
    /// Events that name a list and count for none, by reason: `unknown_list` (no list of a placement, or one that is no longer
    /// kept), `other_user`, `other_item`.
    ignored: BTreeMap<String, u64>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/outcomes/placements",
            May::Needs(Permission::ReadFigures),
            "Click-through of lists by placement.",
        )
        .query::<PlacementsQuery>()
        .answers::<Outcomes>(200, "Counts and shares."),
    ]
}

/// Counts and shares of the lists that were answered, by placement.
pub async fn outcomes(
    request: HttpRequest,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let query: PlacementsQuery = query::read(&request)?;
    let days = days(query.days)?;
    let (since, window) = (Timestamp::now().plus_days(-days), app.state.rules().attribution_window);
    let found = app
        .state
        .store
        .run(move |connection| tidings_store::placements::since(connection, since, window))
        .await?;
    let mut overall = ListCounts::default();
    found.counts.iter().for_each(|(_, counts)| overall.add(counts));
    let named = |(name, counts)| Named { name, counted: Counted::of(counts) };
    Ok(HttpResponse::Ok().json(Outcomes {
        days,
        placements: found.counts.into_iter().map(named).collect(),
        overall: Counted::of(overall),
        ignored: found.ignored,
    }))
}
