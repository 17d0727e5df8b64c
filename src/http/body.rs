//! A request body within the limits of size and time, with our error when it is not.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};

use super::error::ApiError;
use crate::actors::App;

/// The whole body.
pub struct Body(pub web::Bytes);

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let server = request.app_data::<web::Data<App>>().map(|app| &app.state.config.server);
        let (limit, timeout_ms) =
            server.map_or((0, 0), |server| (server.max_body_bytes, server.body_timeout_ms));
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let read = tokio::time::timeout(Duration::from_millis(timeout_ms), bytes).await;
            let read = read.map_err(|_| ApiError::Slow(timeout_ms))?;
            read.map(Body).map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => ApiError::TooLarge(limit),
                _ => ApiError::invalid("bad_body", None, "the body could not be read to its end"),
            })
        })
    }
}
