//! `/admin/rules`: the association rules of a model version, a page at a time.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::describe::{self, Described, May};
use super::dto::{ItemName, item_name};
use super::error::ApiError;
use super::page::next_after;
use super::permit::{ReadFigures, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, ItemId, ModelVersion};
use tidings_core::catalogue::Catalogue;
use tidings_decision::privacy::Permission;
use tidings_store::items;
use tidings_store::rules::{RuleFilter, RuleRow};

/// Filter and page of the rules to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RulesQuery {
    /// Only rules with this item on either side.
    item: Option<String>,
    /// At most 500.
    limit: Option<i64>,
    /// The `place` of the last rule that is known.
    after: Option<i32>,
    /// Of which model; the one that serves if absent.
    version: Option<i32>,
}

/// An association rule: baskets with the antecedent and those of them with the consequent.
#[derive(Serialize, ToSchema)]
struct Rule {
    /// By lift, from 0.
    place: i32,
    antecedent: Vec<ItemName>,
    consequent: Vec<ItemName>,
    /// Baskets with both.
    count: u32,
    support: f64,
    confidence: f64,
    lift: f64,
}

/// A page of rules, the greatest lift first.
#[derive(Serialize, ToSchema)]
struct Rules {
    model_version: i32,
    total: i64,
    /// Baskets that were read; null for a model that does not serve, as the next.
    baskets: Option<u64>,
    /// Fewest baskets of a rule.
    least_count: Option<u32>,
    notes: Vec<String>,
    rules: Vec<Rule>,
    /// `after` of the next page; null at the end.
    next: Option<i32>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/rules",
            May::Needs(Permission::ReadFigures),
            "Association rules of a model, the greatest lift first.",
        )
        .query::<RulesQuery>()
        .answers::<Rules>(200, "A page; empty for a version without rules.")
        .refuses(&[404]),
    ]
}

/// Rules, the greatest lift first. An item that is not known is a 404; a version without rules an empty page.
pub async fn list(
    query: web::Query<RulesQuery>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let models = app.state.models.load_full();
    let version = query.version.map_or(models.version, ModelVersion);
    let wanted = query.item.as_deref().filter(|text| !text.is_empty()).map(ExternalId::parse).transpose()?;
    let after = query.after.unwrap_or(-1);
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let found = app
        .state
        .store
        .run(move |connection| {
            let item = match &wanted {
                Some(id) => match items::find(connection, id)? {
                    Some(item) => Some(item),
                    None => return Ok(None),
                },
                None => None,
            };
            let filter = RuleFilter { version, item, after, limit };
            let total = tidings_store::rules::count(connection, version, item)?;
            Ok(Some((total, tidings_store::rules::list(connection, &filter)?)))
        })
        .await?;
    let (total, rows) = found.ok_or(ApiError::NotFound("this item"))?;
    let catalogue = app.state.catalogue.load();
    let serves = version == models.version;
    let known = models.association_rules();
    let next = next_after(&rows, limit, |row| row.place);
    Ok(HttpResponse::Ok().json(Rules {
        model_version: version.0,
        total,
        baskets: serves.then_some(known.n_baskets),
        least_count: serves.then_some(known.least_count),
        notes: if serves { known.notes.clone() } else { Vec::new() },
        rules: rows.iter().map(|row| rule(row, &catalogue)).collect(),
        next,
    }))
}

fn rule(row: &RuleRow, catalogue: &Catalogue) -> Rule {
    Rule {
        place: row.place,
        antecedent: names(&row.antecedent, catalogue),
        consequent: names(&row.consequent, catalogue),
        count: row.count,
        support: row.support,
        confidence: row.confidence,
        lift: row.lift,
    }
}

/// An item that has left the catalogue is still part of the rule: null and a placeholder.
fn names(items: &[ItemId], catalogue: &Catalogue) -> Vec<ItemName> {
    let gone = || ItemName { item_id: None, title: "(no longer in the catalogue)".to_owned() };
    items.iter().map(|item| item_name(*item, catalogue).unwrap_or_else(gone)).collect()
}
