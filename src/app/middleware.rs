//! Middleware of every request: checks host and origin before its route, and adds what every answer carries.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{Error, HttpResponse, web};

use crate::actors::App;
use crate::config::AuthMode;
use crate::http::assets::CONTENT_SECURITY_POLICY;
use crate::http::error::ApiError;
use crate::http::origin;

/// Headers of every answer.
pub fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
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

/// Refuses pages of other sites and, with authentication off, names that were pointed at loopback (DNS rebinding). Pages
/// of configured sites may read what they ask for.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let mut foreign = None;
    if let Some(app) = request.app_data::<web::Data<App>>() {
        let config = &app.state.config;
        if config.auth.mode == AuthMode::Off && !origin::host_is_loopback(request.headers()) {
            return Err(ApiError::Origin.into());
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if changes && !origin::is_allowed(request.headers(), &config.server.allowed_origins) {
            return Err(ApiError::Origin.into());
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
