//! Origins of the pages that may talk to the server. A browser sends `Origin`; other programs need not.

use actix_web::dev::RequestHead;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

use super::error::{ApiError, Refused};
use super::forwarded::{Original, Scheme};
use tidings_core::config::{AuthMode, Config};

/// Relation of the page that asks to the server, which browsers tell and pages can't set.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a page of another origin than the server's own and the configured ones. No browser at all passes.
pub fn check(head: &RequestHead, config: &Config) -> Result<(), ApiError> {
    let server = &config.server;
    let Some(origin) = head.headers.get(ORIGIN) else { return Ok(()) };
    let original = asked(head, config);
    let Ok(origin) = origin.to_str() else { return Err(ApiError::Origin(Refused::Page)) };
    if is_configured(origin, &server.allowed_origins) || is_own(origin, &original) {
        return Ok(());
    }
    log::debug!("origin refused origin={origin:?} host={:?} client={:?}", original.host, original.client);
    Err(ApiError::Origin(if original.ignored { Refused::Proxy } else { Refused::Page }))
}

/// Returns whether a request is of a page of the server itself, as far as its `Origin` says: those of configured sites are not, and
/// requests without one, such as links and pictures, are told apart by [`check_site`].
pub fn is_own_page(head: &RequestHead, config: &Config) -> bool {
    let Some(origin) = head.headers.get(ORIGIN) else { return true };
    origin.to_str().is_ok_and(|origin| is_own(origin, &asked(head, config)))
}

/// The request as the client made it, TLS of the server's own included.
fn asked(head: &RequestHead, config: &Config) -> Original {
    let mut original = Original::of(head, &config.server.trusted_proxies);
    original.scheme = original.scheme_over(&config.tls);
    original
}

/// Returns whether a path is none of the files of the dashboard: what it answers is somebody's, or it changes something.
pub fn is_api(path: &str) -> bool {
    ["/v1/", "/admin/"].iter().any(|prefix| path.starts_with(prefix))
        || ["/v1", "/admin", "/ws", "/metrics"].contains(&path)
}

/// Refuses what a page of another site makes a browser ask: by its `Origin`, and, for pictures, frames and links, which carry none, by
/// `Sec-Fetch-Site` (Fetch Metadata). With authentication off such a request would act as anybody.
pub fn check_site(head: &RequestHead, config: &Config) -> Result<(), ApiError> {
    if head.headers.contains_key(ORIGIN) {
        return check(head, config);
    }
    match head.headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(ApiError::Origin(Refused::Page)),
    }
}

/// With authentication off, refuses host names that do not name this machine (DNS rebinding), also those a trusted proxy was asked
/// for.
pub fn check_host(head: &RequestHead, config: &Config) -> Result<(), ApiError> {
    if config.auth.mode != AuthMode::Off {
        return Ok(());
    }
    match Original::of(head, &config.server.trusted_proxies).host {
        Some(host) if !is_loopback(&host) => Err(ApiError::Origin(Refused::Name)),
        _ => Ok(()),
    }
}

fn is_configured(origin: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| allowed.trim_end_matches('/') == origin)
}

/// Returns whether the page came from the host that the request went to. The scheme counts where it is known: from a trusted proxy,
/// or because the server itself speaks TLS.
fn is_own(origin: &str, original: &Original) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let Some(scheme) = Scheme::parse(scheme) else { return false };
    let without_port = |authority: &str| {
        let named = authority.strip_suffix(scheme.default_port()).and_then(|rest| rest.strip_suffix(':'));
        named.unwrap_or(authority).to_ascii_lowercase()
    };
    let host = original.host.as_deref().unwrap_or("");
    original.scheme.is_none_or(|own| own == scheme) && without_port(authority) == without_port(host)
}

/// The `Origin` of a page of another, configured site.
pub fn foreign(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    is_configured(origin.to_str().ok()?, allowed).then(|| origin.clone())
}

/// Lets that page read the answer (Fetch, CORS protocol). Tokens travel in a header, so no credentials are allowed.
pub fn open_to(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("ETag, RateLimit, RateLimit-Policy, Retry-After"),
    );
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

/// Returns whether a `Host` names this machine.
pub(super) fn is_loopback(host: &str) -> bool {
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
    use actix_web::http::header::HOST;
    use actix_web::test::TestRequest;
    use tidings_core::config::{Network, Server};

    fn refusal(origin: Option<&str>, host: &str, peer: &str, headers: &[(&str, &str)]) -> Option<Refused> {
        let mut request =
            TestRequest::default().insert_header((HOST, host.to_owned())).peer_addr(peer.parse().unwrap());
        if let Some(origin) = origin {
            request = request.insert_header((ORIGIN, origin.to_owned()));
        }
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let server = Server {
            allowed_origins: vec!["https://shop.example".to_owned()],
            trusted_proxies: vec![Network::try_from("10.0.0.0/8".to_owned()).unwrap()],
            ..Server::default()
        };
        let config = Config { server, ..Config::default() };
        match check(request.to_http_request().head(), &config) {
            Ok(()) => None,
            Err(ApiError::Origin(refused)) => Some(refused),
            Err(error) => panic!("{error}"),
        }
    }

    fn allowed(origin: Option<&str>, host: &str) -> bool {
        refusal(origin, host, "203.0.113.1:5000", &[]).is_none()
    }

    #[test]
    fn only_pages_of_the_server_and_of_configured_sites_may_talk_to_it() {
        assert!(allowed(None, "127.0.0.1:8080"));
        assert!(allowed(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(allowed(Some("https://shop.example"), "push.example"));
        assert!(!allowed(Some("https://evil.example"), "127.0.0.1:8080"));
        assert!(!allowed(Some("null"), "127.0.0.1:8080"));
        assert!(!allowed(Some("https://shop.example.evil.example"), "push.example"));
        // TLS ended elsewhere: browsers leave the default port out, some proxies do not.
        assert!(allowed(Some("https://push.example"), "push.example:443"));
        assert!(!allowed(Some("https://push.example"), "push.example:80"));
        assert!(!allowed(Some("https://push.example:8443"), "push.example"));
    }

    #[test]
    fn with_tls_a_page_that_came_without_it_is_none_of_the_server_s_own() {
        let mut config = Config::default();
        config.tls.certificate_file = "certificate.pem".to_owned();
        for (origin, passes) in [("https://push.example", true), ("http://push.example", false)] {
            let request = TestRequest::default()
                .insert_header((HOST, "push.example"))
                .insert_header((ORIGIN, origin))
                .to_http_request();
            assert_eq!(check(request.head(), &config).is_ok(), passes, "{origin}");
        }
    }

    #[test]
    fn what_a_page_of_another_site_makes_a_browser_ask_is_refused_with_and_without_an_origin() {
        let mut config = Config::default();
        config.server.allowed_origins = vec!["https://shop.example".to_owned()];
        let passes = |origin: Option<&str>, site: Option<&str>| {
            let mut request = TestRequest::default().insert_header((HOST, "127.0.0.1:8080"));
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    request = request.insert_header((name, value));
                }
            }
            check_site(request.to_http_request().head(), &config).is_ok()
        };
        for (origin, site) in [
            (None, None),
            (None, Some("same-origin")),
            (None, Some("none")),
            (Some("https://shop.example"), Some("cross-site")),
            (Some("http://127.0.0.1:8080"), Some("same-origin")),
        ] {
            assert!(passes(origin, site), "{origin:?} {site:?}");
        }
        for (origin, site) in [
            (None, Some("cross-site")),
            (None, Some("same-site")),
            (None, Some("anything")),
            (Some("https://evil.example"), Some("cross-site")),
            (Some("https://evil.example"), None),
            (Some("http://127.0.0.1:3000"), Some("same-site")),
            (Some("null"), Some("cross-site")),
        ] {
            assert!(!passes(origin, site), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn behind_a_trusted_proxy_the_page_s_own_origin_is_the_one_that_it_was_asked_for() {
        let page = Some("https://push.example");
        let told = [("X-Forwarded-Host", "push.example"), ("X-Forwarded-Proto", "https")];
        assert_eq!(refusal(page, "127.0.0.1:8080", "10.0.0.2:5000", &told), None);
        assert_eq!(refusal(page, "127.0.0.1:8080", "203.0.113.1:5000", &told), Some(Refused::Proxy));
        assert_eq!(refusal(page, "127.0.0.1:8080", "10.0.0.2:5000", &[]), Some(Refused::Page));
        let plain = [("X-Forwarded-Host", "push.example"), ("X-Forwarded-Proto", "http")];
        assert_eq!(refusal(page, "127.0.0.1:8080", "10.0.0.2:5000", &plain), Some(Refused::Page));
        assert_eq!(
            refusal(Some("https://evil.example"), "127.0.0.1:8080", "10.0.0.2:5000", &told),
            Some(Refused::Page)
        );
    }

    #[test]
    fn with_authentication_off_only_loopback_names_are_answered() {
        let mut config = Config::default();
        config.server.trusted_proxies = vec![Network::try_from("10.0.0.0/8".to_owned()).unwrap()];
        let passes = |host: &str, public: Option<&str>| {
            let mut request = TestRequest::default()
                .insert_header((HOST, host.to_owned()))
                .peer_addr("10.0.0.2:5000".parse().unwrap());
            if let Some(public) = public {
                request = request.insert_header(("X-Forwarded-Host", public.to_owned()));
            }
            check_host(request.to_http_request().head(), &config).is_ok()
        };
        for host in ["localhost:8080", "127.0.0.1:8080", "127.0.0.7", "[::1]:8080", "LOCALHOST"] {
            assert!(passes(host, None), "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example"] {
            assert!(!passes(host, None), "{host}");
        }
        assert!(!passes("127.0.0.1:8080", Some("push.example")), "a proxy opens it to the world");
    }
}
