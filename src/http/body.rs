//! A request body within the limits of size and time, with our error when it is not.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde_json::Value;

use super::bodies::Bodies;
use super::error::ApiError;
use super::rates;
use tidings_actors::App;
use tidings_core::base::json_shape::MAX_DEPTH;
use tidings_core::base::{JsonShape, has_escaped_nul};

/// Largest body of a request that is not a batch, bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Largest tree of a body that takes more than twice the body, bytes.
const MAX_TREE_BYTES: usize = 1 << 20;
/// A body of so many bytes is parsed whatever it is.
const SIMPLE_BYTES: usize = 4 << 10;

/// The whole body, of at most [`MAX_BODY_BYTES`]. Text with NUL in it, which PostgreSQL can't hold, is refused by its name, whatever the body is.
pub struct Body(pub web::Bytes);

/// The whole body of a request whose parts are checked, and refused, one by one.
pub struct Batch(pub web::Bytes);

type Read<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Batch {
    type Error = ApiError;
    type Future = Read<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = read(request, payload, usize::MAX);
        Box::pin(async move { bytes.await.map(Batch) })
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Read<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = read(request, payload, MAX_BODY_BYTES);
        Box::pin(async move {
            let bytes = bytes.await?;
            if bytes.len() > SIMPLE_BYTES && !JsonShape::of(&bytes).fits(&bytes, MAX_TREE_BYTES) {
                return Err(too_complex());
            }
            match has_escaped_nul(&bytes).then(|| serde_json::from_slice(&bytes)) {
                Some(Ok(value)) => Err(refused(&value)),
                // What is no JSON is the handler's to refuse.
                Some(Err(_)) | None => Ok(Self(bytes)),
            }
        })
    }
}

fn read(request: &HttpRequest, payload: &mut Payload, max_bytes: usize) -> Read<web::Bytes> {
    let bodies = request.app_data::<web::Data<Bodies>>().cloned();
    let app = request.app_data::<web::Data<App>>();
    let client = app.and_then(|app| rates::address(request.head(), app));
    let (request, payload) = (request.clone(), payload.take());
    Box::pin(async move {
        let bodies = bodies.ok_or_else(|| ApiError::Unavailable("the server is starting".to_owned()))?;
        bodies.read(client, request.headers(), payload, max_bytes).await
    })
}

/// Message of an error about what a text says, without its place, which is one in a part of the body.
pub fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned()
}

/// Refusal of JSON that is small as a text and large as a tree, or deep.
pub fn too_complex() -> ApiError {
    let message = format!(
        "the body has too many values for its size or nests deeper than {MAX_DEPTH}: send less of it at once"
    );
    ApiError::TooComplex(message)
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
