//! The address a browser's push service gave out for one subscription: checked once, when it is handed in.

use std::fmt;
use std::net::IpAddr;

use awc::http::Uri;

use super::address::PublicOnly;

/// Longest address; those of the known services have 150 to 500 bytes.
pub const MAX_ENDPOINT_BYTES: usize = 2_048;

/// Longest host and port: a name has at most 253 bytes (RFC 1035 §2.3.4).
const MAX_AUTHORITY_BYTES: usize = 260;

/// An `https` address with a host name.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    uri: Uri,
    origin: String,
}

/// Reason why an address is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL, or one of more than [`MAX_ENDPOINT_BYTES`].
    #[error("endpoint must be the URL from PushSubscription.toJSON(), at most {MAX_ENDPOINT_BYTES} bytes")]
    NotUrl,
    /// Not `https`.
    #[error("endpoint must be an https URL")]
    NotHttps,
    /// An address by number, or what is no name.
    #[error("endpoint must name a public host")]
    Host,
}

impl Endpoint {
    /// `allow_loopback` lets `http` and loopback addresses pass, for tests and development. What a name resolves to is
    /// checked when connecting.
    pub fn parse(text: &str, allow_loopback: bool) -> Result<Self, EndpointError> {
        if text.len() > MAX_ENDPOINT_BYTES {
            return Err(EndpointError::NotUrl);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotUrl)?;
        let scheme = uri.scheme_str().ok_or(EndpointError::NotUrl)?;
        if !(scheme == "https" || (allow_loopback && scheme == "http")) {
            return Err(EndpointError::NotHttps);
        }
        let authority = uri.authority().ok_or(EndpointError::NotUrl)?;
        let host = authority.host();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let is_long = authority.as_str().len() > MAX_AUTHORITY_BYTES;
        if is_long || authority.as_str().contains('@') || host.is_empty() || !host.chars().all(plain) {
            return Err(EndpointError::Host);
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            // A real push service has a certificate for a name.
            if !(allow_loopback && (PublicOnly { allow_loopback }).permits(address) && address.is_loopback())
            {
                return Err(EndpointError::Host);
            }
        }
        let origin = format!("{scheme}://{}", authority.as_str().to_ascii_lowercase());
        Ok(Self { uri, origin })
    }

    /// Scheme, host and port: the audience of the identification (RFC 8292 §2).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn uri(&self) -> Uri {
        self.uri.clone()
    }
}

/// The origin only: the rest is a capability, whoever knows it can send (RFC 8030 §8.3).
impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_to_a_named_host_passes() {
        let good = Endpoint::parse("https://Push.example:8443/send/abc?x=1", false).unwrap();
        assert_eq!(good.origin(), "https://push.example:8443");
        assert_eq!(good.to_string(), "https://push.example:8443");
        for (bad, error) in [
            ("http://push.example/a", EndpointError::NotHttps),
            ("ftp://push.example/a", EndpointError::NotHttps),
            ("/relative", EndpointError::NotUrl),
            ("", EndpointError::NotUrl),
            ("https://", EndpointError::NotUrl),
            ("https://127.0.0.1/a", EndpointError::Host),
            ("https://8.8.8.8/a", EndpointError::Host),
            ("https://[::1]/a", EndpointError::Host),
            ("https://user:secret@push.example/a", EndpointError::Host),
            ("https://push_service.example/a", EndpointError::Host),
        ] {
            assert_eq!(Endpoint::parse(bad, false), Err(error), "{bad}");
        }
        let host = format!("https://{}.example/a", "a".repeat(300));
        assert_eq!(Endpoint::parse(&host, false), Err(EndpointError::Host));
        let long = format!("https://push.example/{}", "a".repeat(MAX_ENDPOINT_BYTES));
        assert_eq!(Endpoint::parse(&long, false), Err(EndpointError::NotUrl));
    }

    #[test]
    fn tests_may_use_loopback_and_no_other_address() {
        assert!(Endpoint::parse("http://127.0.0.1:9/a", true).is_ok());
        assert!(Endpoint::parse("http://localhost:9/a", true).is_ok());
        assert_eq!(Endpoint::parse("http://10.0.0.1/a", true), Err(EndpointError::Host));
    }
}
