//! Middleware of every request: checks host and origin before its route, and adds what every answer carries.

use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use actix_web::http::uri::{PathAndQuery, Uri};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};

use crate::actors::App;
use crate::http::error::ApiError;
use crate::http::forwarded::{Original, Scheme};
use crate::http::headers::CONTENT_SECURITY_POLICY;
use crate::http::{headers as http_headers, origin, rates};
use crate::state::limiter::Limited;

/// Devices that no page of ours asks for.
const PERMISSIONS_POLICY: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), midi=(), display-capture=()";
/// Time in which an answer from memory is there, while PostgreSQL hangs.
const FROM_MEMORY_WITHIN: Duration = Duration::from_millis(200);

/// Headers of every answer.
pub fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "same-origin"))
        .add(("Permissions-Policy", PERMISSIONS_POLICY))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
}

/// Marks answers of the API as nobody's to keep, and asks browsers that came by TLS to stay with it (RFC 6797 §7.2: never without TLS).
pub async fn private(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let is_api = origin::is_api(request.path());
    let is_secure = request.app_data::<web::Data<App>>().is_some_and(|app| {
        let config = &app.state.config;
        let original = Original::of(request.head(), &config.server.trusted_proxies);
        original.scheme_over(&config.tls) == Some(Scheme::Https)
    });
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if is_api && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    Ok(response)
}

/// Counts requests against the rates of whoever asks, and tells them what is left.
pub async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    if let Some(app) = request.app_data::<web::Data<App>>()
        && let Err(error) = rates::arrived(request.request(), app)
    {
        return Ok(request.into_response(error.error_response()).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    let limited = response.request().extensions().get::<Limited>().copied();
    if let Some(limited) = limited {
        http_headers::rate(&limited, response.headers_mut());
    }
    Ok(response.map_into_left_body())
}

/// Finishes every request that may change something, also when its client went away meanwhile: what was stored is then also told
/// to the actors.
pub async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.call(request).await;
    }
    // A panic ends this request only, as it did without a task of its own.
    actix_web::rt::spawn(next.call(request)).await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(ApiError::Unavailable("the server is going down".to_owned()).into()),
    })
}

/// Answers 503 while PostgreSQL hangs, to those who wait for it and to new requests. Reading is tried for a moment: what memory holds is
/// answered. What would change something is refused at once, so that nothing piles up behind a database that never answers.
pub async fn refuse_while_it_hangs(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(app) = request.app_data::<web::Data<App>>().cloned() else { return next.call(request).await };
    let store = &app.state.store;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let patience = match (store.hangs(), reads) {
        (true, false) => return Err(hangs()),
        (true, true) => FROM_MEMORY_WITHIN,
        (false, _) => Duration::ZERO,
    };
    let gives_up = async {
        store.until_it_hangs().await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        biased;
        answered = next.call(request) => answered,
        () = gives_up => Err(hangs()),
    }
}

fn hangs() -> Error {
    ApiError::Unavailable("the database does not answer, try again in a moment".to_owned()).into()
}

/// Takes the base path off requests below it, so that a proxy may take it off or leave it; the routes know nothing of it. The base
/// itself leads to the page below it, whose links are relative.
pub async fn base_path(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let base = request.app_data::<web::Data<App>>().map(|app| &app.state.config.server.base_path);
    let (path, query) = (request.path(), request.query_string());
    let rest = base.and_then(|base| base.strip(path)).map(|rest| match query {
        "" => rest.to_owned(),
        query => format!("{rest}?{query}"),
    });
    match rest {
        Some(rest) if rest.is_empty() || rest.starts_with('?') => {
            let page = format!("{path}/{rest}");
            let response = HttpResponse::PermanentRedirect().insert_header((LOCATION, page)).finish();
            return Ok(request.into_response(response).map_into_right_body());
        }
        Some(rest) => {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = PathAndQuery::try_from(rest).ok();
            if let Ok(uri) = Uri::from_parts(parts) {
                request.match_info_mut().get_mut().update(&uri);
                request.head_mut().uri = uri;
            }
        }
        None => {}
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// Refuses NUL in a path or a parameter, pages of other sites and, with authentication off, names that were pointed at loopback (DNS rebinding). Pages
/// of configured sites may read what they ask for.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    // PostgreSQL's text can't hold it, and no name of ours has it.
    let has_nul = |text: &str| text.contains("%00");
    if has_nul(request.uri().path()) || request.uri().query().is_some_and(has_nul) {
        let message = "neither the path nor a parameter may contain NUL (%00)";
        return Err(ApiError::invalid("bad_text", None, message).into());
    }
    let mut foreign = None;
    if let Some(app) = request.app_data::<web::Data<App>>() {
        let config = &app.state.config;
        origin::check_host(request.head(), config)?;
        // A preflight changes nothing and is told no more than a refusal says.
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if *request.method() != Method::OPTIONS && (origin::is_api(request.path()) || !reads) {
            origin::check_site(request.head(), config)?;
        }
        foreign = origin::foreign(request.headers(), &config.server.allowed_origins);
    }
    let Some(page) = foreign else { return Ok(next.call(request).await?.map_into_left_body()) };
    if *request.method() == Method::OPTIONS {
        let mut response = HttpResponse::NoContent().finish();
        origin::open_to(page, response.headers_mut());
        origin::permit(response.headers_mut());
        return Ok(request.into_response(response).map_into_boxed_body().map_into_right_body());
    }
    let mut response = next.call(request).await?;
    origin::open_to(page, response.headers_mut());
    Ok(response.map_into_left_body())
}
