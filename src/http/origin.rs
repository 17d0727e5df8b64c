//! Origins of the pages that may talk to the server. A browser sends `Origin`; other programs need not.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    VARY,
};

/// Same origin, a configured one, or no browser at all.
pub fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|allowed| allowed.trim_end_matches('/') == origin) {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let Some((_, authority)) = origin.split_once("://") else { return false };
    authority.eq_ignore_ascii_case(host)
}

/// The `Origin` of a page of another, configured site.
pub fn foreign(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    allowed.iter().any(|allowed| allowed.trim_end_matches('/') == text).then(|| origin.clone())
}

/// Lets that page read the answer (Fetch, CORS protocol). Tokens travel in a header, so no credentials are allowed.
pub fn open_to(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("cross-origin"));
}

/// Adds the remaining headers of the answer to a preflight.
pub fn permit(headers: &mut HeaderMap) {
    let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names =
        HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
}

/// Whether the `Host` header names this machine or is absent.
pub fn host_is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn allowed(origin: Option<&str>, host: &str) -> bool {
        let mut request = TestRequest::default().insert_header((HOST, host.to_owned()));
        if let Some(origin) = origin {
            request = request.insert_header((ORIGIN, origin.to_owned()));
        }
        is_allowed(request.to_http_request().headers(), &["https://shop.example".to_owned()])
    }

    #[test]
    fn only_pages_of_the_server_and_of_configured_sites_may_talk_to_it() {
        assert!(allowed(None, "127.0.0.1:8080"));
        assert!(allowed(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(allowed(Some("https://shop.example"), "push.example"));
        assert!(!allowed(Some("https://evil.example"), "127.0.0.1:8080"));
        assert!(!allowed(Some("null"), "127.0.0.1:8080"));
        assert!(!allowed(Some("https://shop.example.evil.example"), "push.example"));
    }

    #[test]
    fn with_authentication_off_only_loopback_names_are_answered() {
        let is_loopback = |host: &str| {
            let request = TestRequest::default().insert_header((HOST, host.to_owned()));
            host_is_loopback(request.to_http_request().headers())
        };
        for host in ["localhost:8080", "127.0.0.1:8080", "127.0.0.7", "[::1]:8080", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
