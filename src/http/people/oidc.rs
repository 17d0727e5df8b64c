//! `/v1/people/oidc` and `/oidc/callback`: sign-in of people with an identity provider.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::sign_in::{begin, line};
use crate::describe::{self, Described, May};
use crate::error::ApiError;
use crate::forwarded::Original;
use crate::permit::Anybody;
use crate::session_cookie::{self, Line};
use tidings_actors::App;
use tidings_decision::privacy::oidc::OidcError;
use tidings_decision::privacy::sign_in::is_same;
use tidings_state::oidc::LASTS;
use tidings_store::{Connection, people};

/// Parameters with which a provider sends the browser back.
#[derive(Deserialize, IntoParams)]
pub struct CallbackQuery {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get("/v1/people/oidc", May::Anybody, "Sends the browser to the identity provider.")
            .empty(303, "On the way.")
            .refuses(&[403, 404, 409]),
        describe::get("/oidc/callback", May::Anybody, "Signs in whom the identity provider sends back.")
            .query::<CallbackQuery>()
            .empty(303, "Signed in; the session is a cookie.")
            .answers_as::<String>(401, "text/html", "Nobody is signed in, and why.")
            .answers_as::<String>(403, "text/html", "The person may not sign in here, and why.")
            .answers_as::<String>(404, "text/html", "No identity provider is configured.")
            .answers_as::<String>(502, "text/html", "The identity provider did not answer as it should.")
            .answers_as::<String>(503, "text/html", "Nobody can be signed in now."),
    ]
}

/// Name of the cookie that ties an attempt to the browser that began it.
fn cookie_name(line: Line) -> &'static str {
    match line {
        Line::Tls => "__Host-tidings-oidc",
        Line::Loopback => "tidings-oidc",
    }
}

/// Address of the dashboard, with a slash at its end, as the browser sees it.
fn dashboard(request: &HttpRequest, app: &App, line: Line) -> String {
    let config = &app.state.config;
    let public = config.oidc.public_url.trim_end_matches('/');
    if !public.is_empty() {
        return format!("{public}/");
    }
    let scheme = if line == Line::Tls { "https" } else { "http" };
    let host = Original::of(request.head(), &config.server.trusted_proxies).host.unwrap_or_default();
    format!("{scheme}://{host}{}/", config.server.base_path.as_str())
}

/// Sends the browser to the page of the provider.
pub async fn start(request: HttpRequest, app: web::Data<App>, _: Anybody) -> Result<HttpResponse, ApiError> {
    let (config, identity) = (&app.state.config, &app.state.identity);
    if !config.oidc.is_on() {
        return Err(ApiError::NotFound("an identity provider (oidc.issuer)"));
    }
    let line = line(&request, &app)?;
    let redirect_uri = format!("{}oidc/callback", dashboard(&request, &app, line));
    let client = Original::of(request.head(), &config.server.trusted_proxies).client;
    let begun = identity.oidc.begin(&config.oidc, &config.auth, redirect_uri, client).await;
    let (url, state) = begun.map_err(|error| {
        log::warn!("identity provider error={error}");
        ApiError::Unavailable("the identity provider does not answer, try again in a moment".to_owned())
    })?;
    // Lax: the provider's page leads back here.
    let cookie = line.cookie(cookie_name(line), &state, "Lax", i64::try_from(LASTS.as_secs()).unwrap_or(0));
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, url)).insert_header((SET_COOKIE, cookie)).finish())
}

/// Reason why nobody is signed in, for a person.
struct Failed {
    status: StatusCode,
    message: Cow<'static, str>,
}

impl Failed {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into() }
    }

    /// A page without anything that a stranger wrote.
    fn page(&self, back: &str) -> HttpResponse {
        let Self { status, message } = self;
        HttpResponse::build(*status).insert_header((CACHE_CONTROL, "no-store")).content_type("text/html; charset=utf-8").body(
            format!(
                "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not signed in</title>\
                 <h1>Not signed in</h1><p>{message}</p><p><a href=\"{back}\">Back to the sign-in page</a></p></html>"
            ),
        )
    }
}

impl From<OidcError> for Failed {
    fn from(error: OidcError) -> Self {
        log::warn!("nobody signed in by the identity provider error={error}");
        let (status, message) = match error {
            OidcError::Provider(_) => (
                StatusCode::BAD_GATEWAY,
                "The identity provider did not answer as it should. Try again in a moment.",
            ),
            OidcError::Token(_) | OidcError::Nonce | OidcError::AuthorizedParty => {
                (StatusCode::UNAUTHORIZED, "What the identity provider says of you can't be believed here.")
            }
            OidcError::NoRole => {
                (StatusCode::FORBIDDEN, "You have no role here. Ask whoever runs this server.")
            }
            OidcError::NoName => (StatusCode::FORBIDDEN, "The identity provider tells no name of yours."),
        };
        Self::new(status, message)
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::new(actix_web::ResponseError::status_code(&error), error.to_string())
    }
}

/// Signs in whom the provider sends back, and leads to the dashboard.
pub async fn callback(
    request: HttpRequest,
    query: web::Query<CallbackQuery>,
    app: web::Data<App>,
    _: Anybody,
) -> HttpResponse {
    // Relative to `/oidc/callback`, whatever stands before it.
    match finish(&request, &query, &app).await {
        Ok((line, session)) => HttpResponse::SeeOther()
            .insert_header((LOCATION, "../"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .append_header((SET_COOKIE, session))
            .append_header((SET_COOKIE, line.cookie(cookie_name(line), "", "Lax", 0)))
            .finish(),
        Err(failed) => failed.page("../"),
    }
}

async fn finish(
    request: &HttpRequest,
    query: &CallbackQuery,
    app: &web::Data<App>,
) -> Result<(Line, String), Failed> {
    let (config, identity) = (&app.state.config, &app.state.identity);
    if !config.oidc.is_on() {
        return Err(ApiError::NotFound("an identity provider (oidc.issuer)").into());
    }
    let line = line(request, app)?;
    let lost = || {
        Failed::new(
            StatusCode::UNAUTHORIZED,
            "This sign-in was begun elsewhere, or took too long. Begin again.",
        )
    };
    let state = query.state.as_deref().ok_or_else(lost)?;
    let kept = session_cookie::value(request.head(), cookie_name(line)).ok_or_else(lost)?;
    if !is_same(kept, state) {
        return Err(lost());
    }
    let attempt = identity.oidc.take(state).ok_or_else(lost)?;
    let code = match (&query.code, &query.error) {
        (Some(code), None) => code,
        _ => return Err(Failed::new(StatusCode::UNAUTHORIZED, "The identity provider did not sign you in.")),
    };
    let person = identity.oidc.finish(&config.oidc, &config.auth, &attempt, code).await?;
    let issuer = config.oidc.issuer.clone();
    let stored = move |connection: &mut Connection| {
        people::of_provider(connection, &issuer, &person.subject, &person.name, person.role)
    };
    let refused = || {
        let message =
            "Your account is disabled, or somebody else has your name here. Ask whoever runs this server.";
        Failed::new(StatusCode::FORBIDDEN, message)
    };
    let begun = begin(request, app, line, StatusCode::SEE_OTHER, stored).await?;
    let (cookie, _) = begun.ok_or_else(refused)?;
    Ok((line, cookie))
}
