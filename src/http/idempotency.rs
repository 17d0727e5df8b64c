//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a request that is repeated with its key gets the
//! stored answer again, another request under the same key is refused with 422, and the same one while the first is under way with
//! 409. Refused requests leave no key behind, so that one that was put right may use it. Keys are kept for 7 days.

use std::fmt::Write;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use uuid::Uuid;

use super::error::ApiError;
use tidings_core::base::json_shape::elements;
use tidings_core::base::{EventKey, JsonShape};
use tidings_decision::notify::message::MAX_RECIPIENTS;
use tidings_state::{AppState, Processing};
use tidings_store::Connection;
use tidings_store::idempotency::{self, Request, Stored};

/// Description of the header.
pub const ABOUT: &str = "1…128 bytes, kept for 7 days: the same request gets the stored answer again, with Idempotent-Replayed: true.";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// On an answer that was given before.
const REPLAYED: &str = "Idempotent-Replayed";
const MAX_KEY_BYTES: usize = 128;
/// Largest tree that is made for a fingerprint and takes more than twice its text, bytes.
const MAX_TREE_BYTES: usize = 1 << 20;
/// The same request is waited for as long as this, so often.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
const MAX_TRIES: usize = 30;

/// The header, if there is one: a string of RFC 9651 §3.3.3 (`"…"`), as the draft has it, or the same without its quotes.
pub fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut all = headers.get_all(IDEMPOTENCY_KEY);
    let Some(key) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        let message = "a request has one Idempotency-Key header";
        return Err(ApiError::invalid("bad_idempotency_key", None, message));
    }
    let key = key.as_bytes();
    let key = key.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(key);
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let message = format!("the Idempotency-Key header has 1…{MAX_KEY_BYTES} bytes");
        return Err(ApiError::invalid("bad_idempotency_key", None, message));
    }
    Ok(Some(key))
}

/// Key and path of a request whose body is not read yet.
pub struct Named {
    key: Uuid,
    path: String,
}

/// Key and path of a request, if it has a key. `scope` names the routes that share keys.
pub fn named(request: &HttpRequest, scope: &str) -> Result<Option<Named>, ApiError> {
    let Some(key) = key(request.headers())? else { return Ok(None) };
    let key = EventKey::from_parts(&[b"idempotency", scope.as_bytes(), key]).0;
    Ok(Some(Named { key, path: request.path().to_owned() }))
}

impl Named {
    /// With the fingerprint of the path and of what the body says, in whatever order and spacing.
    pub fn with(self, body: &[u8]) -> Request {
        let said = canonical(body);
        let said = said.as_deref().map_or(body, str::as_bytes);
        Request { key: self.key, fingerprint: EventKey::from_parts(&[self.path.as_bytes(), said]).0 }
    }
}

/// Key and fingerprint of a request, if it has a key.
pub fn request(request: &HttpRequest, scope: &str, body: &[u8]) -> Result<Option<Request>, ApiError> {
    Ok(named(request, scope)?.map(|named| named.with(body)))
}

/// JSON without its spacing, names in order; `None` for what is no JSON, or too much of a tree. Elements of an array one by one, so that
/// no more than one is a tree in memory.
fn canonical(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim_ascii();
    let one = |text: &str| -> Option<Value> {
        let fits = JsonShape::of(text.as_bytes()).fits(text.as_bytes(), MAX_TREE_BYTES);
        if fits { serde_json::from_str(text).ok() } else { None }
    };
    if !text.starts_with('[') {
        return one(text).map(|value| value.to_string());
    }
    let mut said = String::with_capacity(text.len());
    for text in elements(text, MAX_RECIPIENTS).ok()? {
        said.push(if said.is_empty() { '[' } else { ',' });
        write!(said, "{}", one(text)?).ok()?;
    }
    said.push_str(if said.is_empty() { "[]" } else { "]" });
    Some(said)
}

/// A request that may go on or has its answer already.
pub enum Begun {
    /// New, or without a key: held until its answer is made.
    New(Option<Processing>),
    /// The answer that it got before.
    Before(HttpResponse),
}

/// Begins a request: under its key no other begins before this one has its answer.
pub async fn begin(state: &AppState, request: Option<Request>) -> Result<Begun, ApiError> {
    let Some(request) = request else { return Ok(Begun::New(None)) };
    let held = hold(state, request).await?;
    let find = move |connection: &mut Connection| idempotency::find(connection, &[request.key]);
    Ok(match state.store.run(find).await?.remove(&request.key) {
        Some(stored) => Begun::Before(replay(&request, stored)?),
        None => Begun::New(Some(held)),
    })
}

/// Waits a moment for the same request: it may only be asking for its stored answer again.
async fn hold(state: &AppState, request: Request) -> Result<Processing, ApiError> {
    let mut tries = 0;
    loop {
        match state.under_way.begin(request.key, request.fingerprint) {
            Ok(held) => return Ok(held),
            Err(first) if first != request.fingerprint => return Err(ApiError::KeyReused),
            Err(_) if tries == MAX_TRIES => return Err(ApiError::UnderWay),
            Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
        }
        tries += 1;
    }
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
        assert_eq!(of("/a", "\"k\"", r#"{"a":1,"b":[2]}"#), first, "with the quotes of the draft");
        assert_eq!(
            of("/a", "k", r#"[{"b":1,"a":"x, y"},[1]]"#),
            of("/a", "k", r#" [ {"a":"x, y","b":1}, [ 1 ] ]"#)
        );
        assert_ne!(of("/a", "k", "[1,2]"), of("/a", "k", "[12]"));
        assert_eq!(canonical(b" [ ] ").as_deref(), Some("[]"));
        let twice = TestRequest::default()
            .append_header((IDEMPOTENCY_KEY, "a"))
            .append_header((IDEMPOTENCY_KEY, "b"))
            .to_http_request();
        assert!(request(&twice, "s", b"{}").is_err());
        let long = TestRequest::default().insert_header((IDEMPOTENCY_KEY, "x".repeat(129))).to_http_request();
        assert!(request(&long, "s", b"{}").is_err());
        assert_eq!(request(&TestRequest::default().to_http_request(), "s", b"{}").unwrap(), None);
    }
}
