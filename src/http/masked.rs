//! Answers to people without the permission `personal_data`: every JSON answer is masked, whichever handler made it.

use std::sync::LazyLock;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpMessage, ResponseError};
use rand::RngExt;
use serde_json::Value;

use super::audited::Seen;
use super::error::ApiError;
use tidings_decision::privacy::mask::{self, MaskKey};

/// Key of the masks of this process.
static KEY: LazyLock<MaskKey> = LazyLock::new(|| rand::rng().random());

/// Masks personal data in an answer to those who may not see it. What is no JSON and names users is not for them at all, by its route.
pub async fn mask(response: ServiceResponse<impl MessageBody + 'static>) -> ServiceResponse<BoxBody> {
    let applies =
        response.request().extensions().get::<Seen>().is_some_and(|seen| mask::applies(&seen.access));
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !applies || !kind.starts_with("application/json") {
        return response.map_into_boxed_body();
    }
    let (request, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let unreadable = || ApiError::Unavailable("the answer can't be masked".to_owned());
    let masked = match to_bytes(body).await.ok().map(|bytes| serde_json::from_slice::<Value>(&bytes)) {
        Some(Ok(mut value)) => {
            mask::mask(&mut value, &KEY);
            value.to_string()
        }
        Some(Err(_)) | None => {
            let refused = unreadable().error_response();
            return ServiceResponse::new(request, refused);
        }
    };
    response.headers_mut().remove(CONTENT_LENGTH);
    ServiceResponse::new(request, response.set_body(BoxBody::new(masked)))
}
