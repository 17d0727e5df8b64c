//! Outcomes of messages, over HTTP: counts and shares with their intervals, by any of their properties.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::dto;
use super::error::ApiError;
use super::query;
use crate::actors::App;
use crate::base::Timestamp;
use crate::feedback::outcomes::OutcomeCounts;
use crate::store;
use crate::store::outcomes::{GroupBy, OutcomeGroup};

/// Days looked back without `days`.
pub(super) const DEFAULT_DAYS: f64 = 7.0;
/// Most days looked back.
pub(super) const MAX_DAYS: f64 = 365.0;

/// Property that messages are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomesQuery {
    #[serde(default)]
    by: By,
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

/// Counts and shares by one property, the largest group first (hours in order). `by=hour` adds the hour × weekday cells.
pub async fn outcomes(
    request: HttpRequest,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
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
        .run(move |connection| store::outcomes::by(connection, by.group(), since, &asked, window, &money))
        .await?;
    let mut answer = json!({"by": name_of(by), "days": days, "time_zone": zone, "groups": named(by, &groups, &app),
        "overall": whole(&groups)});
    if let (By::Hour, Some(fields)) = (by, answer.as_object_mut()) {
        fields.insert("cells".to_owned(), groups.iter().map(cell).collect());
    }
    Ok(HttpResponse::Ok().json(answer))
}

fn name_of(by: By) -> &'static str {
    match by {
        By::Kind => "kind",
        By::Template => "template",
        By::Variant => "variant",
        By::Trigger => "trigger",
        By::Segment => "segment",
        By::Hour => "hour",
        By::Model => "model",
        By::Policy => "policy",
        By::Channel => "channel",
    }
}

fn view(counts: &OutcomeCounts) -> Value {
    let mut view = serde_json::to_value(counts).unwrap_or_default();
    let shares = serde_json::to_value(counts.shares()).unwrap_or_default();
    if let (Some(fields), Value::Object(shares)) = (view.as_object_mut(), shares) {
        fields.extend(shares);
    }
    view
}

fn whole(groups: &[OutcomeGroup]) -> Value {
    let mut sum = OutcomeCounts::default();
    groups.iter().for_each(|group| sum.add(&group.counts));
    view(&sum)
}

fn with(mut view: Value, name: &str, value: Value) -> Value {
    if let Some(fields) = view.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    view
}

fn named(by: By, groups: &[OutcomeGroup], app: &App) -> Vec<Value> {
    let mut sums: BTreeMap<String, OutcomeCounts> = BTreeMap::new();
    for group in groups {
        sums.entry(by.name(group, app)).or_default().add(&group.counts);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    if by != By::Hour {
        sums.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.sent));
    }
    sums.into_iter().map(|(name, counts)| with(view(&counts), "name", json!(name))).collect()
}

/// A cell of the heat map: weekday 1 = Monday … 7, hour 0 … 23.
fn cell(group: &OutcomeGroup) -> Value {
    let number = |text: &str| json!(text.parse::<u8>().ok());
    let view = with(view(&group.counts), "weekday", number(&group.key.0));
    with(view, "hour", number(&group.key.1))
}
