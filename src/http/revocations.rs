//! `/v1/admin/revocations`: revoked tokens; `POST /v1/users/{id}/sign-out`: the end of all sessions of a user.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::audited::Change;
use super::auth::Caller;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::page::next_after;
use super::permit::{Own, RevokeTokens, SignOutUsers, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, Timestamp, json, suggest_nearest};
use tidings_decision::privacy::{Permission, Revoked};
use tidings_store::in_transaction;
use tidings_store::revocations::{self, RevocationRow};

/// Revocations of a page, unless another number is asked for, and the most.
const PAGE: i64 = 100;
const MAX_PAGE: i64 = 1_000;
/// Longest id of a token, subject or reason, bytes.
const MAX_TEXT_BYTES: usize = 256;

/// One of `token_id`, `user_id` and `all`.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRevocation)]
#[serde(deny_unknown_fields)]
struct RevocationBody {
    token_id: Option<String>,
    user_id: Option<ExternalId>,
    #[serde(default)]
    all: bool,
    /// Only tokens issued before this; absent = now.
    issued_before: Option<String>,
    #[serde(default)]
    reason: String,
}

/// A revocation as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocation)]
struct RevocationView {
    revocation_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<Timestamp>,
    reason: String,
    created_at: Timestamp,
    created_by: String,
}

/// A revocation that was made, and the connections that it ended.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeRevocation)]
struct MadeView {
    #[serde(flatten)]
    revocation: RevocationView,
    /// Null where the database could not be asked again: they end as soon as it can.
    closed: Option<usize>,
}

/// A page of revocations, the latest first.
#[derive(Serialize, ToSchema)]
struct RevocationPage {
    revocations: Vec<RevocationView>,
    /// `after` of the next page; null at the end.
    next: Option<i64>,
}

/// Place of the last one of the page before, and how many.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    after: Option<i64>,
    limit: Option<i64>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let path = "/v1/admin/revocations";
    vec![
        describe::get(path, May::Needs(Permission::RevokeTokens), "Revocations, the latest first.")
            .query::<PageQuery>()
            .answers::<RevocationPage>(200, "A page."),
        describe::post(
            path,
            May::Needs(Permission::RevokeTokens),
            "Revokes a token by its id, those of a user, or all.",
        )
        .body::<RevocationBody>()
        .body_example(r#"{"user_id": 17, "reason": "lost phone"}"#)
        .answers::<MadeView>(201, "They are revoked, and their connections ended."),
        describe::post(
            "/v1/users/{id}/sign-out",
            May::Owner(Permission::SignOutUsers),
            "Signs the user out everywhere.",
        )
        .answers::<MadeView>(201, "Tokens up to now are revoked, and their connections ended."),
    ]
}

fn view(row: RevocationRow) -> RevocationView {
    let (token_id, user_id, all, issued_before) = match row.revoked {
        Revoked::Token(token) => (Some(token), None, false, None),
        Revoked::Subject(subject, before) => (None, Some(subject), false, Some(before)),
        Revoked::All(before) => (None, None, true, Some(before)),
    };
    let (created_at, created_by, reason) = (row.created_at, row.created_by, row.reason);
    RevocationView {
        revocation_id: row.id,
        token_id,
        user_id,
        all,
        issued_before,
        reason,
        created_at,
        created_by,
    }
}

fn parse(body: &[u8], now: Timestamp) -> Result<(Revoked, String), ApiError> {
    let refused = |field, message: &str| ApiError::invalid("bad_revocation", field, message);
    let body: RevocationBody = json::from_slice(body).map_err(|error| {
        refused(None, &format!("not a revocation: {}", suggest_nearest(&error.to_string())))
    })?;
    let before = match body.issued_before.as_deref() {
        None => now,
        Some(text) => Timestamp::parse(text).filter(|before| *before <= now).ok_or_else(|| {
            refused(Some("issued_before"), "must be a time that has passed, such as 2026-11-29T08:00:00Z")
        })?,
    };
    let is_text = |text: &str| text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control);
    if !is_text(&body.reason) {
        return Err(refused(Some("reason"), "has at most 256 bytes and no control characters"));
    }
    let revoked = match (body.token_id, body.user_id, body.all) {
        (Some(id), None, false) if !id.is_empty() && is_text(&id) => Revoked::Token(id),
        (Some(_), None, false) => {
            return Err(refused(Some("token_id"), "has 1…256 bytes, the jti of the token"));
        }
        (None, Some(user), false) => Revoked::Subject(user.to_string(), before),
        (None, None, true) => Revoked::All(before),
        _ => return Err(refused(None, "names one of token_id, user_id and all: true")),
    };
    Ok((revoked, body.reason))
}

/// Stores a revocation and carries it out.
async fn revoke(
    app: &App,
    caller: &Caller,
    change: Change,
    revoked: Revoked,
    reason: String,
) -> Result<HttpResponse, ApiError> {
    let (by, identity) = (caller.name(), Arc::clone(&app.state.identity));
    let (revocation, closed) = app
        .state
        .store
        .run(move |connection| {
            let made = in_transaction(connection, |connection| {
                let row = revocations::add(connection, &revoked, &reason, &by, Timestamp::now())?;
                let made = view(row);
                change.store(connection, (), &made)?;
                Ok(made)
            })?;
            Ok((made, identity.read_stored(connection)))
        })
        .await?;
    let made = MadeView { revocation, closed };
    Ok(HttpResponse::Created().json(made))
}

/// Revokes a token by its id, those of a user, or all, and ends their connections.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<RevokeTokens>,
) -> Result<HttpResponse, ApiError> {
    let (revoked, reason) = parse(&body, Timestamp::now())?;
    let change = Change::new(&request, &app, StatusCode::CREATED);
    revoke(&app, &caller, change, revoked, reason).await
}

/// Signs a user out everywhere: tokens up to now end, and so do connections.
pub async fn sign_out(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _body: Body,
    caller: Own<SignOutUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let change = Change::new(&request, &app, StatusCode::CREATED);
    let revoked = Revoked::Subject(user.to_string(), Timestamp::now());
    revoke(&app, &caller, change, revoked, "sign-out".to_owned()).await
}

/// Lists revocations, the latest first.
pub async fn list(
    query: web::Query<PageQuery>,
    app: web::Data<App>,
    _caller: With<RevokeTokens>,
) -> Result<HttpResponse, ApiError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let before = query.after.unwrap_or(i64::MAX);
    let rows = app.state.store.run(move |connection| revocations::list(connection, before, limit)).await?;
    let next = next_after(&rows, limit, |row| row.id);
    Ok(HttpResponse::Ok().json(RevocationPage { revocations: rows.into_iter().map(view).collect(), next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_names_one_thing() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let parsed = |text: &str| parse(text.as_bytes(), now).map(|(revoked, _)| revoked);
        assert_eq!(parsed(r#"{"token_id":"a"}"#).unwrap(), Revoked::Token("a".into()));
        assert_eq!(parsed(r#"{"user_id":17}"#).unwrap(), Revoked::Subject("17".into(), now));
        assert_eq!(parsed(r#"{"all":true}"#).unwrap(), Revoked::All(now));
        let earlier = parsed(r#"{"user_id":"17","issued_before":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert!(matches!(earlier, Revoked::Subject(_, before) if before < now));
        for bad in [
            "{}",
            r#"{"token_id":"a","all":true}"#,
            r#"{"token_id":""}"#,
            r#"{"user_id":17,"issued_before":"2036-01-01T00:00:00Z"}"#,
            r#"{"user":17}"#,
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
