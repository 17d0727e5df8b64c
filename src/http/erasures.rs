//! `DELETE /v1/users/{id}`: erasure of a user (GDPR article 17), and its receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::audited::Change;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{EraseUsers, Own, ReleaseIds, UserOr, With};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::{Permission, Role};
use tidings_store::erasures::{self, Receipt};
use tidings_store::{Connection, erased_rows, in_transaction};

const UNKNOWN: ApiError = ApiError::NotFound("this erasure");

/// Kind of rows that are kept.
#[derive(Serialize, ToSchema)]
#[schema(as = KeptRows)]
struct KeptView {
    table: &'static str,
    rows: u64,
    /// Name of the user in them.
    named: String,
    why: &'static str,
}

/// Receipt of an erasure.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasureReceipt)]
struct ReceiptView {
    erasure_id: Uuid,
    state: String,
    requested_at: Timestamp,
    requested_by: String,
    erased_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Rows by table.
    removed: BTreeMap<String, u64>,
    kept: Vec<KeptView>,
    /// Name of the user in what is kept.
    pseudonym: String,
    /// The id is refused until then; `null` = it is not, or no longer.
    tombstone_until: Option<Timestamp>,
}

/// Tables of which rows are kept, and why.
const KEPT: [(&str, &str); 1] = [(
    "audit_log",
    "shows who read and changed personal data (GDPR articles 5(2) and 32); entries name the user by the pseudonym",
)];

fn view(receipt: Receipt) -> ReceiptView {
    let named = receipt.pseudonym.clone();
    let mut removed: BTreeMap<String, u64> =
        erased_rows::tables().map(|table| (table.to_owned(), 0)).collect();
    removed.extend(receipt.removed);
    let kept = KEPT.into_iter().filter_map(|(table, why)| {
        let rows = receipt.kept.get(table).copied()?;
        Some(KeptView { table, rows, named: named.clone(), why })
    });
    ReceiptView {
        kept: kept.collect(),
        erasure_id: receipt.id,
        state: receipt.state,
        requested_at: receipt.requested_at,
        requested_by: receipt.requested_by,
        erased_at: receipt.erased_at,
        finished_at: receipt.finished_at,
        removed,
        pseudonym: receipt.pseudonym,
        tombstone_until: receipt.tombstone_until,
    }
}

/// Accepted request.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasureAccepted)]
struct AcceptedView {
    erasure_id: Uuid,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::delete("/v1/users/{id}", May::Owner(Permission::EraseUsers), "Erases the user soon.")
            .answers::<AcceptedView>(202, "The receipt says how far it is.")
            .example(r#"{"erasure_id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10"}"#)
            .refuses(&[404]),
        describe::get("/v1/erasures/{id}", May::UserOr(Permission::EraseUsers), "Receipt of an erasure.")
            .answers::<ReceiptView>(200, "What was removed, and what is kept.")
            .refuses(&[404]),
        describe::post(
            "/v1/erasures/{id}/release",
            May::Needs(Permission::ReleaseIds),
            "Lets the ids of an erased user be used anew.",
        )
        .answers::<ReceiptView>(200, "The receipt.")
        .refuses(&[404, 409]),
    ]
}

/// Erases the user of the path soon; the receipt says how far it is. Users may erase themselves with `privacy.erase_own` only.
pub async fn post(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Own<EraseUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.erasable(&path, &app)?;
    let change = Change::new(&request, &app, StatusCode::ACCEPTED);
    let entry = move |connection: &mut Connection, id: &Uuid| {
        change.store(connection, (), AcceptedView { erasure_id: *id })
    };
    let receipt = app.erasures.request(&user, caller.access().role.name(), Box::new(entry)).await?;
    let erasure_id = receipt.ok_or(ApiError::NotFound("this user"))?;
    Ok(HttpResponse::Accepted().json(AcceptedView { erasure_id }))
}

async fn read(app: &App, id: Uuid) -> Result<ReceiptView, ApiError> {
    let read = move |connection: &mut Connection| erasures::receipt(connection, id, Timestamp::now());
    Ok(view(app.state.store.run(read).await?.ok_or(UNKNOWN)?))
}

/// Receipt of an erasure, for the shop and for the person whose id it was.
pub async fn get(
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: UserOr<EraseUsers>,
) -> Result<HttpResponse, ApiError> {
    let id = *path;
    if let (Role::User, Some(user)) = (caller.access().role, caller.subject().cloned()) {
        let is_own = app.state.store.run(move |connection| erasures::is_of(connection, id, &user)).await?;
        if !is_own {
            return Err(ApiError::NotPermitted);
        }
    }
    Ok(HttpResponse::Ok().json(read(&app, id).await?))
}

/// Lets the ids of an erased user be used anew.
pub async fn release(
    request: HttpRequest,
    path: web::Path<Uuid>,
    app: web::Data<App>,
    _body: Body,
    _caller: With<ReleaseIds>,
) -> Result<HttpResponse, ApiError> {
    let id = *path;
    let before = read(&app, id).await?;
    if before.erased_at.is_none() {
        return Err(ApiError::Conflict(
            "the user is being erased: the id is free once that is over".to_owned(),
        ));
    }
    let change = Change::new(&request, &app, StatusCode::OK);
    let tombstones = Arc::clone(&app.state.tombstones);
    let release = move |connection: &mut Connection| {
        let released = in_transaction(connection, |connection| {
            erasures::release(connection, id)?;
            let Some(after) = erasures::receipt(connection, id, Timestamp::now())? else {
                return Ok(Err(UNKNOWN));
            };
            change.store(connection, before.tombstone_until, after.tombstone_until)?;
            Ok(Ok(view(after)))
        })?;
        tombstones.read_stored(connection);
        Ok(released)
    };
    let after = app.state.store.run(release).await??;
    Ok(HttpResponse::Ok().json(after))
}
