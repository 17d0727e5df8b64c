//! A request body within the limits of size and time, with our error when it is not.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use serde_json::Value;

use super::error::ApiError;
use crate::actors::App;
use crate::base::has_escaped_nul;

/// The whole body. Text with NUL in it, which PostgreSQL can't hold, is refused by its name, whatever the body is.
pub struct Body(pub web::Bytes);

/// The whole body of a request whose parts are checked, and refused, one by one.
pub struct Batch(pub web::Bytes);

type Read<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Batch {
    type Error = ApiError;
    type Future = Read<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let server = request.app_data::<web::Data<App>>().map(|app| &app.state.config.server);
        let (limit, timeout_ms) =
            server.map_or((0, 0), |server| (server.max_body_bytes, server.body_timeout_ms));
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let read = tokio::time::timeout(Duration::from_millis(timeout_ms), bytes).await;
            let read = read.map_err(|_| ApiError::Slow(timeout_ms))?;
            read.map(Batch).map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => ApiError::TooLarge(limit),
                _ => ApiError::invalid("bad_body", None, "the body could not be read to its end"),
            })
        })
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Read<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let batch = Batch::from_request(request, payload);
        Box::pin(async move {
            let Batch(bytes) = batch.await?;
            match has_escaped_nul(&bytes).then(|| serde_json::from_slice(&bytes)) {
                Some(Ok(value)) => Err(refused(&value)),
                // What is no JSON is the handler's to refuse.
                Some(Err(_)) | None => Ok(Self(bytes)),
            }
        })
    }
}

fn refused(value: &Value) -> ApiError {
    let mut path = String::new();
    find_nul(value, &mut path);
    let message = format!("{path} must not contain NUL (U+0000)");
    ApiError::invalid_field("bad_text", path, message)
}

/// Path of the first text with a NUL in it, such as `arms[0].name`; false where there is none. O(size).
fn find_nul(value: &Value, path: &mut String) -> bool {
    let end = path.len();
    match value {
        Value::String(text) => return text.contains('\0'),
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                if find_nul(part, path) {
                    return true;
                }
                path.truncate(end);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if end > 0 {
                    path.push('.');
                }
                path.extend(name.chars().filter(|c| !c.is_control()).take(64));
                if name.contains('\0') || find_nul(field, path) {
                    return true;
                }
                path.truncate(end);
            }
        }
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_with_a_nul_is_named() {
        for (body, expected) in [
            (json!({"a": "x", "b": {"c": [1, "\0"]}}), "b.c[1]"),
            (json!([{"name": "x\0y"}]), "[0].name"),
            (json!({"ti\0tle": 1}), "title"),
        ] {
            assert!(has_escaped_nul(body.to_string().as_bytes()));
            let ApiError::Invalid { code, field, .. } = refused(&body) else { panic!() };
            assert_eq!((code, field.as_deref()), ("bad_text", Some(expected)));
        }
    }
}
