//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a request that is repeated with its key gets the
//! stored answer again, another request under the same key is refused with 422. Refused requests leave no key behind, so that one
//! that was put right may use it. Keys are kept for 7 days.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::error::ApiError;
use crate::base::EventKey;
use crate::store::idempotency::{self, Request, Stored};
use crate::store::{Connection, Store};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// On an answer that was given before.
const REPLAYED: &str = "Idempotent-Replayed";
const MAX_KEY_BYTES: usize = 128;

/// The header, if there is one.
pub fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.as_bytes();
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let message = format!("the Idempotency-Key header has 1…{MAX_KEY_BYTES} bytes");
        return Err(ApiError::invalid("bad_idempotency_key", None, message));
    }
    Ok(Some(key))
}

/// Key and fingerprint of a request. `scope` names the routes that share keys. The fingerprint is of the path and of what the body
/// says, in whatever order and spacing.
pub fn request(request: &HttpRequest, scope: &str, body: &[u8]) -> Result<Option<Request>, ApiError> {
    let Some(key) = key(request.headers())? else { return Ok(None) };
    let said = serde_json::from_slice::<Value>(body).map(|value| value.to_string());
    let said = said.as_deref().map_or(body, str::as_bytes);
    Ok(Some(Request {
        key: EventKey::from_parts(&[b"idempotency", scope.as_bytes(), key]).0,
        fingerprint: EventKey::from_parts(&[request.path().as_bytes(), said]).0,
    }))
}

/// The answer that the request got before; `None` if it is new.
pub async fn before(store: &Store, request: Option<Request>) -> Result<Option<HttpResponse>, ApiError> {
    let Some(request) = request else { return Ok(None) };
    let find = move |connection: &mut Connection| idempotency::find(connection, &[request.key]);
    let stored = store.run(find).await?.remove(&request.key);
    stored.map(|stored| replay(&request, stored)).transpose()
}

/// The stored answer, or 422 for another request under the same key.
pub fn replay(request: &Request, stored: Stored) -> Result<HttpResponse, ApiError> {
    if stored.fingerprint != request.fingerprint {
        return Err(ApiError::KeyReused);
    }
    Ok(HttpResponse::Accepted()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((REPLAYED, "true"))
        .body(stored.answer))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_fingerprint_is_of_what_is_said_and_not_of_how_it_is_written() {
        let of = |path: &str, key: &str, body: &str| {
            let http = TestRequest::with_uri(path).insert_header((IDEMPOTENCY_KEY, key)).to_http_request();
            request(&http, "s", body.as_bytes()).unwrap().unwrap()
        };
        let first = of("/a", "k", r#"{"a":1,"b":[2]}"#);
        assert_eq!(of("/a", "k", " { \"b\": [2],\n\"a\":1 }"), first);
        for other in [of("/a", "k", r#"{"a":1,"b":[3]}"#), of("/b", "k", r#"{"a":1,"b":[2]}"#)] {
            assert_eq!(other.key, first.key);
            assert_ne!(other.fingerprint, first.fingerprint);
        }
        assert_ne!(of("/a", "l", "{}").key, first.key);
        let long = TestRequest::default().insert_header((IDEMPOTENCY_KEY, "x".repeat(129))).to_http_request();
        assert!(request(&long, "s", b"{}").is_err());
        assert_eq!(request(&TestRequest::default().to_http_request(), "s", b"{}").unwrap(), None);
    }
}
