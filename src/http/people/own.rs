//! `/v1/people/me` and the like: who somebody is, own sessions and the own password.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::me::Me;
use super::parse;
use super::sign_in::{begin, checked, line};
use crate::audited::Change;
use crate::auth::Caller;
use crate::body::Body;
use crate::describe::{self, Described, May};
use crate::error::ApiError;
use crate::permit::SignedIn;
use crate::rates::{self, Who};
use crate::session_cookie::{self, Line};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::sign_in::csrf_token;
use tidings_state::sign_ins::SignInError;
use tidings_store::person_sessions::SessionRow;
use tidings_store::{Connection, in_transaction, people, person_sessions};

/// A session as its person sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = PersonSession)]
struct SessionView {
    session_id: Uuid,
    /// True if it is the one that asks.
    current: bool,
    created_at: Timestamp,
    /// Right to some seconds.
    seen_at: Timestamp,
    expires_at: Timestamp,
    address: Option<String>,
    browser: Option<String>,
}

/// Own sessions, the latest first; at most 20.
#[derive(Serialize, ToSchema)]
struct OwnSessions {
    sessions: Vec<SessionView>,
}

/// The present password and a new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    password: String,
    /// 12…256 characters.
    new_password: String,
}

/// Sessions that ended.
#[derive(Serialize, ToSchema)]
struct EndedSessions {
    ended: usize,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get("/v1/people/me", May::User, "Who asks, with role and permissions.")
            .answers::<Me>(200, "Role and permissions."),
        describe::get("/v1/people/sessions", May::Person, "Own sessions, the latest first.")
            .answers::<OwnSessions>(200, "Sessions."),
        describe::delete("/v1/people/sessions/{id}", May::Person, "Ends one of the own sessions at once.")
            .empty(204, "It has ended.")
            .refuses(&[404]),
        describe::post("/v1/people/sign-out", May::Person, "Ends the session that asks.")
            .empty(204, "It has ended, and the cookie is removed."),
        describe::post("/v1/people/sign-out-everywhere", May::Person, "Ends all own sessions.")
            .answers::<EndedSessions>(200, "They have ended."),
        describe::post(
            "/v1/people/password",
            May::Person,
            "Changes the own password, and ends all other own sessions.",
        )
        .body::<PasswordChange>()
        .answers::<Me>(200, "It is changed; the session is a new one."),
    ]
}

/// Answers who asks.
pub async fn me(request: HttpRequest, app: web::Data<App>, caller: Caller) -> HttpResponse {
    let access = caller.access();
    let named = Some(access.name.clone()).filter(|name| !name.is_empty());
    let secret = session_cookie::secret(request.head(), &app.state.config);
    HttpResponse::Ok().json(Me {
        permissions: access.permissions().iter().map(|permission| permission.name()).collect(),
        session_id: access.session,
        expires_at: access.expires_at,
        csrf_token: secret.filter(|_| access.session.is_some()).map(|secret| csrf_token(&secret)),
        ..Me::new(named, access.role)
    })
}

/// Lists the own sessions, the latest first.
pub async fn sessions(app: web::Data<App>, caller: SignedIn) -> Result<HttpResponse, ApiError> {
    let (person, current) = (caller.person, caller.session);
    let read =
        move |connection: &mut Connection| person_sessions::of_person(connection, person, Timestamp::now());
    let view = |row: SessionRow| SessionView {
        session_id: row.id,
        current: row.id == current,
        created_at: row.created_at,
        seen_at: row.seen_at,
        expires_at: row.expires_at,
        address: row.address,
        browser: row.browser,
    };
    let sessions = app.state.store.run(read).await?.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(OwnSessions { sessions }))
}

/// Ends sessions of a person, all of them with `None`; how many.
async fn end(app: &App, change: Change, person: Uuid, session: Option<Uuid>) -> Result<usize, ApiError> {
    let identity = Arc::clone(&app.state.identity);
    let ended = app.state.store.run(move |connection| {
        let ended = in_transaction(connection, |connection| {
            let ended = person_sessions::end(connection, person, session)?;
            if ended > 0 {
                change.store(connection, (), ())?;
            }
            Ok(ended)
        })?;
        identity.read_stored(connection);
        Ok(ended)
    });
    Ok(ended.await?)
}

/// Ends one of the own sessions.
pub async fn end_session(
    request: HttpRequest,
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: SignedIn,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    match end(&app, change, caller.person, Some(*path)).await? {
        0 => Err(ApiError::NotFound("this session")),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

/// `Set-Cookie` that removes the session from the browser that asks.
fn forget(request: &HttpRequest, app: &App) -> Option<(actix_web::http::header::HeaderName, String)> {
    Line::of(request.head(), &app.state.config).map(|line| (SET_COOKIE, line.ends()))
}

/// Ends the session that asks.
pub async fn sign_out(
    request: HttpRequest,
    _body: Body,
    app: web::Data<App>,
    caller: SignedIn,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    end(&app, change, caller.person, Some(caller.session)).await?;
    let mut response = HttpResponse::NoContent();
    forget(&request, &app).into_iter().for_each(|header| {
        response.insert_header(header);
    });
    Ok(response.finish())
}

/// Ends all own sessions.
pub async fn sign_out_everywhere(
    request: HttpRequest,
    _body: Body,
    app: web::Data<App>,
    caller: SignedIn,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::OK);
    let ended = end(&app, change, caller.person, None).await?;
    let mut response = HttpResponse::Ok();
    forget(&request, &app).into_iter().for_each(|header| {
        response.insert_header(header);
    });
    Ok(response.json(EndedSessions { ended }))
}

/// Changes the own password. All sessions end, and the browser that asks gets a new one.
pub async fn password(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: SignedIn,
) -> Result<HttpResponse, ApiError> {
    let change: PasswordChange = parse(&body, r#"{"password": "…", "new_password": "…"}"#)?;
    let line = line(&request, &app)?;
    let name = caller.access().name.clone();
    rates::signs_in(&request, &app, &name)?;
    let sign_ins = &app.state.identity.people;
    let person = match sign_ins.check(&app.state.store, &name, change.password).await {
        Err(SignInError::Refused) => {
            rates::identified(&request, &app, Who::Refused)?;
            let message = "the present password is wrong";
            return Err(ApiError::invalid("bad_password", Some("password"), message));
        }
        checked => checked?,
    };
    checked(&change.new_password, &name).map_err(|error| match error {
        ApiError::Invalid { code, message, .. } => ApiError::invalid(code, Some("new_password"), message),
        error => error,
    })?;
    let hash = sign_ins.hash(change.new_password).await?;
    let set = move |connection: &mut Connection| {
        people::set_password(connection, person.id, &hash)?;
        Ok(Some(person))
    };
    let begun = begin(&request, &app, line, StatusCode::OK, set).await?;
    let (cookie, begun) = begun.ok_or(ApiError::SignIn)?;
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).json(Me::of_session(&begun)))
}
