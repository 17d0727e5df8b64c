//! Outcomes of messages, over HTTP: counts and shares with their intervals, by any of their properties.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::describe::{self, Described, May};
use super::dto;
use super::error::ApiError;
use super::permit::{ReadFigures, With};
use super::query;
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::feedback::outcomes::{OutcomeCounts, OutcomeShares};
use tidings_decision::privacy::Permission;
use tidings_store::outcomes::{GroupBy, OutcomeGroup};

/// Days looked back without `days`.
pub(super) const DEFAULT_DAYS: f64 = 7.0;
/// Most days looked back.
pub(super) const MAX_DAYS: f64 = 365.0;

/// Property that messages are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(as = OutcomesBy)]
#[serde(rename_all = "snake_case")]
enum By {
    #[default]
    Kind,
    Template,
    Variant,
    Trigger,
    Segment,
    Hour,
    Model,
    Policy,
    Channel,
}

/// By what, over which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OutcomesQuery {
    #[serde(default)]
    #[param(inline)]
    by: By,
    /// Days looked back, at most 365; 7 without it.
    days: Option<f64>,
}

impl By {
    fn group(self) -> GroupBy {
        match self {
            Self::Kind => GroupBy::Kind,
            // A message knows its trigger; the trigger knows its template.
            Self::Template | Self::Variant => GroupBy::TriggerVariant,
            Self::Trigger => GroupBy::Trigger,
            Self::Segment => GroupBy::Segment,
            Self::Hour => GroupBy::WeekdayHour,
            Self::Model => GroupBy::Model,
            Self::Policy => GroupBy::Policy,
            Self::Channel => GroupBy::Channel,
        }
    }

    /// The name a group is shown by; groups of one name are one.
    fn name(self, group: &OutcomeGroup, app: &App) -> String {
        let (first, second) = &group.key;
        let none = || "none".to_owned();
        match self {
            Self::Template => template_of(first, app),
            Self::Variant if second.is_empty() => template_of(first, app),
            Self::Variant => format!("{} / {second}", template_of(first, app)),
            Self::Segment => {
                first.parse().ok().and_then(|letter| dto::segment(Some(letter))).unwrap_or_else(none)
            }
            Self::Hour => format!("{second:0>2}:00"),
            Self::Model if first == "0" => none(),
            Self::Policy if first == "0" => "configuration".to_owned(),
            _ if first.is_empty() => none(),
            _ => first.clone(),
        }
    }
}

/// The template that words what a trigger sets off; the trigger's own name for messages of the shop.
fn template_of(trigger: &str, app: &App) -> String {
    let definitions = app.state.definitions.load();
    let special = [&definitions.login, &definitions.digest].map(|one| &one.definition);
    let known = special.into_iter().chain(definitions.triggers.iter()).find(|one| one.name == trigger);
    known.map_or_else(|| trigger.to_owned(), |definition| definition.template.clone())
}

/// Days in bounds, or the default.
pub(super) fn days(asked: Option<f64>) -> Result<f64, ApiError> {
    let days = asked.unwrap_or(DEFAULT_DAYS);
    if days > 0.0 && days <= MAX_DAYS {
        return Ok(days);
    }
    Err(ApiError::invalid("bad_days", Some("days"), format!("days must be above 0 and at most {MAX_DAYS}")))
}

/// Counts of messages, and their shares with 95 % intervals.
#[derive(Serialize, ToSchema)]
#[schema(as = OutcomesCounted)]
struct Counted {
    sent: u64,
    delivered: u64,
    displayed: u64,
    clicked: u64,
    dismissed: u64,
    disliked: u64,
    converted: u64,
    /// In the shop's currency.
    revenue: f64,
    muted: u64,
    unsubscribed: u64,
    /// Of these `liked` is the share of those who said either.
    #[serde(flatten)]
    shares: OutcomeShares,
}

impl Counted {
    fn of(counts: OutcomeCounts) -> Self {
        Self {
            sent: counts.sent,
            delivered: counts.delivered,
            displayed: counts.displayed,
            clicked: counts.clicked,
            dismissed: counts.dismissed,
            disliked: counts.disliked,
            converted: counts.converted,
            revenue: counts.revenue,
            muted: counts.muted,
            unsubscribed: counts.unsubscribed,
            shares: counts.shares(),
        }
    }
}

/// Outcomes of a group.
#[derive(Serialize, ToSchema)]
#[schema(as = OutcomeGroup)]
struct NamedGroup {
    name: String,
    #[serde(flatten)]
    counted: Counted,
}

/// A cell of the heat map.
#[derive(Serialize, ToSchema)]
#[schema(as = OutcomeCell)]
struct Cell {
    /// 1 = Monday … 7.
    weekday: Option<u8>,
    /// 0 … 23.
    hour: Option<u8>,
    #[serde(flatten)]
    counted: Counted,
}

impl Cell {
    fn of(group: &OutcomeGroup) -> Self {
        let (weekday, hour) = &group.key;
        Self { weekday: weekday.parse().ok(), hour: hour.parse().ok(), counted: Counted::of(group.counts) }
    }
}

/// Outcomes of messages by one property, the largest group first (hours in order).
#[derive(Serialize, ToSchema)]
struct Outcomes {
    by: By,
    days: f64,
    /// Of weekdays and hours.
    time_zone: String,
    groups: Vec<NamedGroup>,
    overall: Counted,
    /// With `by=hour`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<Vec<Cell>>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/outcomes",
            May::Needs(Permission::ReadFigures),
            "Outcomes of messages by one of their properties.",
        )
        .query::<OutcomesQuery>()
        .answers::<Outcomes>(200, "Counts and shares."),
    ]
}

/// Counts and shares by one property, the largest group first (hours in order). `by=hour` adds the hour × weekday cells.
pub async fn outcomes(
    request: HttpRequest,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let query: OutcomesQuery = query::read(&request).map_err(|error| match error {
        ApiError::Invalid { code: "bad_query", message, .. } => {
            ApiError::invalid("bad_query", Some("by"), message)
        }
        other => other,
    })?;
    let (by, days) = (query.by, days(query.days)?);
    let since = Timestamp::now().plus_days(-days);
    let rules = app.state.rules();
    let (zone, window) = (rules.time_zone.iana_name().unwrap_or("UTC").to_owned(), rules.attribution_window);
    let (asked, money) = (zone.clone(), app.state.catalogue.load().money().clone());
    let groups = app
        .state
        .store
        .run(move |connection| {
            tidings_store::outcomes::by(connection, by.group(), since, &asked, window, &money)
        })
        .await?;
    let cells = (by == By::Hour).then(|| groups.iter().map(Cell::of).collect());
    let (groups, overall) = (named(by, &groups, &app), whole(&groups));
    Ok(HttpResponse::Ok().json(Outcomes { by, days, time_zone: zone, groups, overall, cells }))
}

fn whole(groups: &[OutcomeGroup]) -> Counted {
    let mut sum = OutcomeCounts::default();
    groups.iter().for_each(|group| sum.add(&group.counts));
    Counted::of(sum)
}

fn named(by: By, groups: &[OutcomeGroup], app: &App) -> Vec<NamedGroup> {
    let mut sums: BTreeMap<String, OutcomeCounts> = BTreeMap::new();
    for group in groups {
        sums.entry(by.name(group, app)).or_default().add(&group.counts);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    if by != By::Hour {
        sums.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.sent));
    }
    sums.into_iter().map(|(name, counts)| NamedGroup { name, counted: Counted::of(counts) }).collect()
}
