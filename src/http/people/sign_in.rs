//! `/v1/people/sign-in` and links: how somebody without a session gets one.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{SET_COOKIE, USER_AGENT};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::me::Me;
use super::{name, parse};
use crate::audited::{Change, Seen};
use crate::body::Body;
use crate::describe::{self, Described, May};
use crate::error::ApiError;
use crate::permit::Anybody;
use crate::rates::{self, Who};
use crate::session_cookie::{self, Line};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_core::config::AuthMode;
use tidings_decision::privacy::sign_in::{self, Person};
use tidings_decision::privacy::{Access, password};
use tidings_state::sign_ins::{Begun, Client, SignInError};
use tidings_store::{Connection, StoreError, in_transaction, people, person_sessions};

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
    password: String,
}

/// A link that somebody opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenedLink {
    /// The text behind `#/join/`.
    link: String,
}

/// Person of a link.
#[derive(Serialize, ToSchema)]
struct LinkOwner {
    /// Name of the account whose password it sets; null = it makes the first administrator, who chooses a name.
    name: Option<String>,
}

/// A password to be set by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Joining {
    /// The text behind `#/join/`.
    link: String,
    /// Name of the first administrator; otherwise it is known.
    name: Option<String>,
    /// 12…256 characters.
    password: String,
}

/// Ways to sign in.
#[derive(Serialize, ToSchema)]
struct SignInWays {
    /// True if anybody has to sign in at all.
    needed: bool,
    /// By name and password.
    password: bool,
    /// Name of the identity provider at `/v1/people/oidc`; null = there is none.
    provider: Option<String>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let signed_in = "Signed in; the session is a cookie.";
    vec![
        describe::get("/v1/people/sign-in", May::Anybody, "Ways to sign in.")
            .answers::<SignInWays>(200, "The ways."),
        describe::post("/v1/people/sign-in", May::Anybody, "Signs a person in by name and password.")
            .body::<SignIn>()
            .answers::<Me>(200, signed_in)
            .refuses(&[401, 403, 409]),
        describe::post("/v1/people/link", May::Anybody, "Whose password a link sets.")
            .body::<OpenedLink>()
            .answers::<LinkOwner>(200, "The link is good.")
            .refuses(&[404]),
        describe::post(
            "/v1/people/join",
            May::Anybody,
            "Sets a password by a link, and signs its person in.",
        )
        .body::<Joining>()
        .answers::<Me>(200, signed_in)
        .refuses(&[403, 404, 409]),
    ]
}

/// The way of a request whose client may get a session.
pub(crate) fn line(request: &HttpRequest, app: &App) -> Result<Line, ApiError> {
    if app.state.config.auth.mode == AuthMode::Off {
        return Err(ApiError::Conflict("nobody signs in while auth.mode = \"off\"".to_owned()));
    }
    Line::of(request.head(), &app.state.config).ok_or(ApiError::Insecure)
}

/// Begins a session of a person, in place of the one that the browser has, and sets its cookie; `None` where `person` finds nobody. It
/// works in the same transaction, as does the entry of the audit log.
pub(crate) async fn begin(
    request: &HttpRequest,
    app: &App,
    line: Line,
    status: StatusCode,
    person: impl FnOnce(&mut Connection) -> Result<Option<Person>, StoreError> + Send + 'static,
) -> Result<Option<(String, Begun)>, ApiError> {
    let browser = request.headers().get(USER_AGENT).and_then(|name| name.to_str().ok()).map(str::to_owned);
    let client = Client { address: rates::address(request.head(), app), browser };
    let (identity, now) = (Arc::clone(&app.state.identity), Timestamp::now());
    let old = session_cookie::secret(request.head(), &app.state.config)
        .and_then(|secret| identity.verify_session(&secret).ok());
    let change = Change::signing_in(request, app, status);
    let is_stored = change.stored();
    let begun = app
        .state
        .store
        .run(move |connection| {
            let begun = in_transaction(connection, |connection| {
                let Some(person) = person(connection)? else { return Ok(None) };
                let (new, begun) = identity.people.begin(person, client, now);
                if let Some((person, session)) = old.and_then(|old| old.person.zip(old.session)) {
                    person_sessions::end(connection, person, Some(session))?;
                }
                person_sessions::begin(connection, &new)?;
                change.by(&access(&begun)).store(connection, (), ())?;
                Ok(Some(begun))
            })?;
            identity.read_stored(connection);
            Ok(begun)
        })
        .await?;
    let Some(begun) = begun else { return Ok(None) };
    request.extensions_mut().insert(Seen { access: access(&begun), is_stored });
    Ok(Some((line.begins(&begun.secret, now, begun.expires_at), begun)))
}

fn access(begun: &Begun) -> Access {
    let Person { name, role, .. } = begun.person.clone();
    Access { role, name, session: Some(begun.id), ..Access::open() }
}

/// Answers the ways to sign in.
pub async fn ways(app: web::Data<App>, _: Anybody) -> HttpResponse {
    let config = &app.state.config;
    HttpResponse::Ok().json(SignInWays {
        needed: config.auth.mode != AuthMode::Off,
        password: config.people.passwords,
        provider: config.oidc.is_on().then(|| config.oidc.name.clone()),
    })
}

fn allowed(app: &App) -> Result<(), ApiError> {
    let refused = || ApiError::Conflict("passwords are switched off (people.passwords)".to_owned());
    if app.state.config.people.passwords { Ok(()) } else { Err(refused()) }
}

/// Signs a person in by name and password. Attempts count by name and by address before a password is checked; a name that nobody has is
/// answered as a wrong password is, after the same time.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    _: Anybody,
) -> Result<HttpResponse, ApiError> {
    let SignIn { name, password } = parse(&body, r#"{"name": "anna", "password": "…"}"#)?;
    let line = line(&request, &app)?;
    allowed(&app)?;
    let name = name.trim().to_lowercase();
    rates::signs_in(&request, &app, &name)?;
    let person = match app.state.identity.people.check(&app.state.store, &name, password).await {
        Err(SignInError::Refused) => {
            rates::identified(&request, &app, Who::Refused)?;
            return Err(ApiError::SignIn);
        }
        checked => checked?,
    };
    let begun = begin(&request, &app, line, StatusCode::OK, move |_| Ok(Some(person))).await?;
    let (cookie, begun) = begun.ok_or(ApiError::SignIn)?;
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).json(Me::of_session(&begun)))
}

/// A link is not good any more; to guess one is an attempt.
fn lost(request: &HttpRequest, app: &App) -> ApiError {
    match rates::identified(request, app, Who::Refused) {
        Err(limited) => limited,
        Ok(()) => ApiError::NotFound("this link, or it was used or has expired: ask for another;"),
    }
}

/// Tells whose password a link sets.
pub async fn link(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    _: Anybody,
) -> Result<HttpResponse, ApiError> {
    let OpenedLink { link } = parse(&body, r#"{"link": "…"}"#)?;
    let hash = sign_in::hash(&link);
    let found =
        app.state.store.run(move |connection| people::link(connection, &hash, Timestamp::now())).await?;
    let owner = found.ok_or_else(|| lost(&request, &app))?;
    Ok(HttpResponse::Ok().json(LinkOwner { name: owner.map(|row| row.person.name) }))
}

/// Checks a new password of a person of that name.
pub(super) fn checked(password: &str, name: &str) -> Result<(), ApiError> {
    password::check(password, name)
        .map_err(|fault| ApiError::invalid("bad_password", Some("password"), fault.to_string()))
}

/// Sets a password by a link, and signs its person in. Sessions of the person from before end.
pub async fn join(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    _: Anybody,
) -> Result<HttpResponse, ApiError> {
    let Joining { link, name: chosen, password } = parse(&body, r#"{"link": "…", "password": "…"}"#)?;
    let line = line(&request, &app)?;
    allowed(&app)?;
    let (store, hash) = (&app.state.store, sign_in::hash(&link));
    let owner = store.run(move |connection| people::link(connection, &hash, Timestamp::now())).await?;
    let name = match owner.ok_or_else(|| lost(&request, &app))? {
        Some(row) => row.person.name,
        None => name(chosen.as_deref().unwrap_or_default())?,
    };
    checked(&password, &name)?;
    let password_hash = app.state.identity.people.hash(password).await?;
    let redeem = move |connection: &mut Connection| {
        people::redeem(connection, &hash, &name, &password_hash, Timestamp::now())
    };
    let begun = begin(&request, &app, line, StatusCode::OK, redeem).await?;
    let (cookie, begun) = begun.ok_or_else(|| lost(&request, &app))?;
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).json(Me::of_session(&begun)))
}
