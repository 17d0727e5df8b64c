//! Middleware of every request, in two layers: [`enter`] checks it before its route and adds what every answer carries, refusals
//! included; [`run`] runs the route, and masks and records what it answered.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::http::uri::{PathAndQuery, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};

use tidings_actors::App;
use tidings_http::error::ApiError;
use tidings_http::forwarded::{Original, Scheme};
use tidings_http::{audited, headers as http_headers, masked, origin, rates};
use tidings_state::limiter::Limited;

/// Devices that no page of ours asks for.
const PERMISSIONS_POLICY: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), midi=(), display-capture=()";
/// Time in which an answer from memory is there, while PostgreSQL hangs.
const FROM_MEMORY_WITHIN: Duration = Duration::from_millis(200);

/// Headers of every answer that does not say otherwise.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, http_headers::CONTENT_SECURITY_POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Facts about a request that its answer depends on, whoever answers.
struct Entered {
    is_api: bool,
    /// By TLS, as far as is known.
    is_secure: bool,
    /// Origin of a configured site, which may read the answer.
    foreign: Option<HeaderValue>,
}

/// Takes the base path off a request, checks it before its route, and adds what every answer carries.
pub async fn enter(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(app) = request.app_data::<web::Data<App>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let config = &app.state.config;
    let page_below = take_base_path(&mut request, &app);
    let original = Original::of(request.head(), &config.server.trusted_proxies);
    let mut entered = Entered {
        is_api: origin::is_api(request.path()),
        is_secure: original.scheme_over(&config.tls) == Some(Scheme::Https),
        foreign: None,
    };
    let answered = match page_below {
        Some(page) => Some(HttpResponse::PermanentRedirect().insert_header((LOCATION, page)).finish()),
        None => check(&request, &app, &mut entered).unwrap_or_else(|error| Some(error.error_response())),
    };
    let mut response = match answered {
        Some(response) => request.into_response(response),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    if let Err(error) = rates::unread(response.request()) {
        response = response.into_response(error.error_response());
    }
    let limited = response.request().extensions().get::<Limited>().copied();
    let headers = response.headers_mut();
    if let Some(limited) = limited {
        http_headers::rate(&limited, headers);
    }
    entered.add_to(headers);
    Ok(response)
}

impl Entered {
    fn add_to(self, headers: &mut HeaderMap) {
        if let Some(page) = self.foreign {
            origin::open_to(page, headers);
        }
        if self.is_api && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        // RFC 6797 §7.2: never without TLS.
        if self.is_secure {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        for (name, value) in HEADERS {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
    }
}

/// Takes the base path off a request below it, so that a proxy may take it off or leave it; the routes know nothing of it. The base
/// itself leads to the page below it, whose links are relative: its address.
fn take_base_path(request: &mut ServiceRequest, app: &App) -> Option<String> {
    let (path, query) = (request.path(), request.query_string());
    let rest = match (app.state.config.server.base_path.strip(path)?, query) {
        (rest, "") => rest.to_owned(),
        (rest, query) => format!("{rest}?{query}"),
    };
    if rest.is_empty() || rest.starts_with('?') {
        return Some(format!("{path}/{rest}"));
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    None
}

/// Refuses NUL in a path or a parameter, pages of other sites, with authentication off names that were pointed at loopback (DNS
/// rebinding), and whoever asks too often. Pages of configured sites may read what they ask for, and ask before they do.
fn check(
    request: &ServiceRequest,
    app: &App,
    entered: &mut Entered,
) -> Result<Option<HttpResponse>, ApiError> {
    // PostgreSQL's text can't hold it, and no name of ours has it.
    let has_nul = |text: &str| text.contains("%00");
    if has_nul(request.uri().path()) || request.uri().query().is_some_and(has_nul) {
        let message = "neither the path nor a parameter may contain NUL (%00)";
        return Err(ApiError::invalid("bad_text", None, message));
    }
    let config = &app.state.config;
    origin::check_host(request.head(), config)?;
    // A preflight changes nothing and is told no more than a refusal says.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if *request.method() != Method::OPTIONS && (entered.is_api || !reads) {
        origin::check_site(request.head(), config)?;
    }
    entered.foreign = origin::foreign(request.headers(), &config.server.allowed_origins);
    if entered.foreign.is_some() && *request.method() == Method::OPTIONS {
        let mut response = HttpResponse::NoContent().finish();
        origin::permit(response.headers_mut());
        return Ok(Some(response));
    }
    rates::arrived(request.request(), app)?;
    Ok(None)
}

/// Runs the route of a request: 503 while PostgreSQL hangs, to those who wait for it and to new requests. Reading is tried for a moment:
/// what memory holds is answered. What would change something is refused at once, so that nothing piles up behind a database that never
/// answers.
pub async fn run(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(app) = request.app_data::<web::Data<App>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let store = &app.state.store;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let patience = match (store.hangs(), reads) {
        (true, false) => return Ok(request.into_response(ApiError::database_hangs().error_response())),
        (true, true) => FROM_MEMORY_WITHIN,
        (false, _) => Duration::ZERO,
    };
    let gives_up = async {
        store.until_it_hangs().await;
        tokio::time::sleep(patience).await;
    };
    let answer = answer(request, next, app.clone());
    let answered = async { if reads { answer.await } else { finish(answer).await } };
    tokio::select! {
        biased;
        answered = answered => answered,
        () = gives_up => Err(ApiError::database_hangs().into()),
    }
}

/// Answer of a route, masked for those who may not see personal data, and its entry in the audit log.
async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    app: web::Data<App>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = masked::mask(next.call(request).await?).await;
    audited::record(&response, &app).await;
    Ok(response)
}

/// Finishes a request that may change something, also when its client went away meanwhile: what was stored is then also told to the
/// actors.
async fn finish(
    answer: impl Future<Output = Result<ServiceResponse<BoxBody>, Error>> + 'static,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // A panic ends this request only, as it did without a task of its own.
    actix_web::rt::spawn(answer).await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(ApiError::Unavailable("the server is going down".to_owned()).into()),
    })
}
