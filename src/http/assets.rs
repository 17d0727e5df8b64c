//! The dashboard (`static/`) and the browser client (`clients/js/src/`), inside the binary (read from disk in debug builds),
//! with headers that keep a page to itself.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderName, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use rust_embed::{Embed, EmbeddedFile};

use super::error::ApiError;
use super::table::{allow, other_method};

#[derive(Embed)]
#[folder = "../../static/"]
struct Dashboard;

#[derive(Embed)]
#[folder = "../../clients/js/src/"]
struct Client;

/// Scripts that the service worker of another origin imports. Such an import names no origin that could be checked, and
/// reads nothing but the public text of the script.
const IMPORTED_ANYWHERE: [&str; 2] = ["sw.js", "shown.js"];

/// A file of the dashboard or of the client; `/` is `index.html`.
pub async fn file(request: HttpRequest) -> HttpResponse {
    if request.method() == Method::OPTIONS && request.path() == "*" {
        let all = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        return other_method(&Method::OPTIONS, &allow(&all)); // The server as a whole (RFC 9110 §9.3.7).
    }
    let path = request.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = find(path) else {
        return ApiError::NotFound("this path").error_response();
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return other_method(request.method(), &allow(&[Method::GET]));
    }
    let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    if known {
        return HttpResponse::NotModified().insert_header((ETAG, etag)).finish();
    }
    let mut response = HttpResponse::Ok();
    if IMPORTED_ANYWHERE.contains(&path) {
        response.insert_header((HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"));
    }
    response
        .content_type(mime_guess::from_path(path).first_or_octet_stream().to_string())
        .insert_header((ETAG, etag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(file.data.into_owned())
}

fn find(path: &str) -> Option<EmbeddedFile> {
    Dashboard::get(path).or_else(|| Client::get(path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
