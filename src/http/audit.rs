//! `GET /v1/admin/audit`: entries of the audit log, the latest first.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::describe::{self, Described, May};
use super::error::ApiError;
use super::page::next_after;
use super::permit::{ReadAudit, With};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::Permission;
use tidings_decision::privacy::audit::{Chained, hex};
use tidings_store::audit::{self, AuditFilter};

/// Entries of a page, unless another number is asked for, and the most.
const PAGE: i64 = 50;
const MAX_PAGE: i64 = 500;

/// Filter and page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Text within the name of whoever acted.
    actor: Option<String>,
    /// Text within method and route.
    action: Option<String>,
    /// Text within the path.
    object: Option<String>,
    /// HTTP status.
    status: Option<i16>,
    /// RFC 3339.
    since: Option<String>,
    /// RFC 3339.
    until: Option<String>,
    /// Place of the last entry of the page before.
    after: Option<i64>,
    /// At most 500.
    limit: Option<i64>,
}

/// An entry as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView<'a> {
    seq: i64,
    occurred_at: Timestamp,
    actor: Option<&'a str>,
    role: &'a str,
    address: Option<&'a str>,
    action: &'a str,
    object: &'a str,
    status: u16,
    before: Option<Value>,
    after: Option<Value>,
    hash: String,
}

impl<'a> AuditView<'a> {
    /// View of an entry.
    pub fn of(chained: &'a Chained) -> Self {
        let json = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let entry = &chained.entry;
        Self {
            seq: chained.seq,
            occurred_at: entry.occurred_at,
            actor: entry.actor.as_deref(),
            role: &entry.role,
            address: entry.address.as_deref(),
            action: &entry.action,
            object: &entry.object,
            status: entry.status,
            before: json(&entry.before),
            after: json(&entry.after),
            hash: hex(&chained.hash),
        }
    }
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
struct AuditPage<'a> {
    entries: Vec<AuditView<'a>>,
    /// `after` of the next page; null at the end.
    next: Option<i64>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/v1/admin/audit",
            May::Needs(Permission::ReadAudit),
            "Entries of the audit log, the latest first.",
        )
        .query::<AuditQuery>()
        .answers::<AuditPage<'_>>(200, "A page."),
    ]
}

fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let bad = || {
        ApiError::invalid(
            "bad_query",
            Some(field),
            format!("{field} must be a time such as 2026-11-29T08:00:00Z"),
        )
    };
    text.map(|text| Timestamp::parse(text).ok_or_else(bad)).transpose()
}

/// Entries that pass a filter.
pub async fn list(
    query: web::Query<AuditQuery>,
    app: web::Data<App>,
    _caller: With<ReadAudit>,
) -> Result<HttpResponse, ApiError> {
    let query = query.into_inner();
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let filter = AuditFilter {
        since: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
        actor: query.actor,
        action: query.action,
        object: query.object,
        status: query.status,
        before: query.after,
        limit,
    };
    let rows = app.state.store.run(move |connection| audit::list(connection, &filter)).await?;
    let page = AuditPage {
        entries: rows.iter().map(AuditView::of).collect(),
        next: next_after(&rows, limit, |row| row.seq),
    };
    Ok(HttpResponse::Ok().json(page))
}
