//! `/admin/rules`: the association rules of a model version, a page at a time.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, ItemId, ModelVersion};
use crate::catalogue::Catalogue;
use crate::store::rules::{RuleFilter, RuleRow};
use crate::store::{self, items};

/// Filter and page of the rules to return.
#[derive(Deserialize)]
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

/// Rules, the greatest lift first. An item that is not known is a 404; a version without rules an empty page.
pub async fn list(
    query: web::Query<RulesQuery>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
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
            let total = store::rules::count(connection, version, item)?;
            Ok(Some((total, store::rules::list(connection, &filter)?)))
        })
        .await?;
    let (total, rows) = found.ok_or(ApiError::NotFound("this item"))?;
    let catalogue = app.state.catalogue.load();
    let rules: Vec<Value> = rows.iter().map(|row| rule(row, &catalogue)).collect();
    let serves = version == models.version;
    let known = models.association_rules();
    Ok(HttpResponse::Ok().json(json!({
        "model_version": version.0,
        "total": total,
        "baskets": serves.then_some(known.n_baskets),
        "least_count": serves.then_some(known.least_count),
        "notes": if serves { known.notes.as_slice() } else { &[] },
        "rules": rules,
        "next": (rows.len() as i64 == limit).then(|| rows.last().map(|row| row.place)).flatten(),
    })))
}

fn rule(row: &RuleRow, catalogue: &Catalogue) -> Value {
    json!({
        "place": row.place, "antecedent": names(&row.antecedent, catalogue),
        "consequent": names(&row.consequent, catalogue), "count": row.count, "support": row.support,
        "confidence": row.confidence, "lift": row.lift,
    })
}

/// An item that has left the catalogue is still part of the rule: null and a placeholder.
fn names(items: &[ItemId], catalogue: &Catalogue) -> Vec<Value> {
    items
        .iter()
        .map(|item| {
            super::dto::item_name(*item, catalogue)
                .unwrap_or_else(|| json!({"item_id": null, "title": "(no longer in the catalogue)"}))
        })
        .collect()
}
