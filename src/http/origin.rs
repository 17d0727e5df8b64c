//! Which pages may talk to the server. A browser sends `Origin`; other programs need not.

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};

/// Same origin, a configured one, or no browser at all.
pub fn is_allowed(request: &HttpRequest, allowed: &[String]) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|allowed| allowed.trim_end_matches('/') == origin) {
        return true;
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let Some((_, authority)) = origin.split_once("://") else { return false };
    authority.eq_ignore_ascii_case(host)
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
        is_allowed(&request.to_http_request(), &["https://shop.example".to_owned()])
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
}
