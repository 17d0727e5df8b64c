//! Cookie of a person's session. Over TLS it is `__Host-tidings` (RFC 6265bis §4.1.3.2: of this host only, for every path, never without
//! TLS); a browser on the machine of the server may do without TLS and gets one of another name. Pages of other sites make no use of it:
//! it is `SameSite=Strict`, and not read from a request of a page that is not the server's own.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::header::{COOKIE, HeaderName};

use super::forwarded::{Original, Scheme};
use super::origin;
use tidings_core::base::Timestamp;
use tidings_core::config::Config;

/// Header with the token of the session (`X-CSRF-Token`).
pub const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// Way from a browser to the server that a session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// TLS, here or at a trusted proxy.
    Tls,
    /// Within one machine.
    Loopback,
}

impl Line {
    /// The way of a request; `None` where others could read along.
    pub fn of(head: &RequestHead, config: &Config) -> Option<Self> {
        let original = Original::of(head, &config.server.trusted_proxies);
        if original.scheme_over(&config.tls) == Some(Scheme::Https) {
            return Some(Self::Tls);
        }
        let is_here = original.client.is_some_and(|address: IpAddr| address.is_loopback());
        let names_here = original.host.as_deref().is_some_and(origin::is_loopback);
        (is_here && names_here && !original.ignored).then_some(Self::Loopback)
    }

    /// Name of the cookie of sessions.
    pub fn session(self) -> &'static str {
        match self {
            Self::Tls => "__Host-tidings",
            Self::Loopback => "tidings-session",
        }
    }

    /// Value of `Set-Cookie`. `same_site` is `Strict` for a session.
    pub fn cookie(self, name: &str, value: &str, same_site: &str, max_age_s: i64) -> String {
        let secure = if self == Self::Tls { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={max_age_s}{secure}")
    }

    /// `Set-Cookie` of a session that ends at that moment.
    pub fn begins(self, secret: &str, now: Timestamp, expires_at: Timestamp) -> String {
        let left = expires_at.as_seconds().saturating_sub(now.as_seconds()).max(0);
        self.cookie(self.session(), secret, "Strict", left)
    }

    /// `Set-Cookie` of a session that has ended.
    pub fn ends(self) -> String {
        self.cookie(self.session(), "", "Strict", 0)
    }
}

/// Value of a cookie by its name: the first one.
pub fn value<'h>(head: &'h RequestHead, name: &str) -> Option<&'h str> {
    let lines = head.headers.get_all(COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Secret id of the session of a request, as far as a page of the server itself sent it.
pub fn secret(head: &RequestHead, config: &Config) -> Option<String> {
    let name = Line::of(head, config)?.session();
    let secret = value(head, name).filter(|secret| !secret.is_empty())?;
    origin::is_own_page(head, config).then(|| secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HOST, ORIGIN};
    use actix_web::test::TestRequest;
    use tidings_core::config::{Network, Server};

    fn found(host: &str, peer: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request =
            TestRequest::default().insert_header((HOST, host.to_owned())).peer_addr(peer.parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let server = Server {
            trusted_proxies: vec![Network::try_from("10.0.0.0/8".to_owned()).unwrap()],
            allowed_origins: vec!["https://shop.example".to_owned()],
            ..Server::default()
        };
        secret(request.to_http_request().head(), &Config { server, ..Config::default() })
    }

    #[test]
    fn each_way_has_its_own_cookie_and_plain_http_from_elsewhere_has_none() {
        let both = ("cookie", "a=1; tidings-session=plain; __Host-tidings=secure");
        let (here, away, proxy) = ("127.0.0.1:5000", "203.0.113.1:5000", "10.0.0.2:5000");
        let tls = [both, ("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.1")];
        assert_eq!(found("127.0.0.1:8080", here, &[both]).as_deref(), Some("plain"));
        assert_eq!(found("push.example", proxy, &tls).as_deref(), Some("secure"));
        assert_eq!(found("push.example", away, &[both]), None);
        assert_eq!(found("push.example", here, &[both]), None, "a proxy that is not trusted");
        assert_eq!(found("127.0.0.1", here, &[both, tls[2]]), None, "a proxy that hides somebody");
        assert_eq!(found("push.example", away, &tls), None, "forged");
    }

    #[test]
    fn pages_of_other_sites_have_no_session_even_where_they_may_talk_to_the_server() {
        let cookie = ("cookie", "tidings-session=plain");
        let with = |origin: &'static str| {
            found("127.0.0.1:8080", "127.0.0.1:5000", &[cookie, (ORIGIN.as_str(), origin)])
        };
        assert_eq!(with("http://127.0.0.1:8080").as_deref(), Some("plain"));
        assert_eq!(with("https://shop.example"), None);
        assert_eq!(with("null"), None);
    }

    #[test]
    fn a_cookie_is_kept_from_scripts_and_other_sites() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let begins = Line::Tls.begins("secret", now, now.plus_days(0.5));
        assert_eq!(begins, "__Host-tidings=secret; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure");
        assert_eq!(Line::Loopback.ends(), "tidings-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
