//! Addresses that a push may go to: a subscription names a host of a stranger's choosing, and must not become a way
//! to reach what only this machine can (server-side request forgery). Checked on the resolved address when connecting,
//! so that a name that changes its mind between a check and a connection gains nothing.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_tls::connect::Resolve;
use futures_util::future::LocalBoxFuture;

/// Resolves names by the system's resolver and keeps the addresses a push may go to.
#[derive(Clone, Copy, Debug)]
pub struct PublicOnly {
    /// Loopback is allowed: tests and development.
    pub allow_loopback: bool,
}

/// Every address of a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the push service's address is not a public one")]
pub struct NotPublic;

impl PublicOnly {
    /// Returns whether a connection may be made to `address`.
    pub fn permits(self, address: IpAddr) -> bool {
        is_public(address) || (self.allow_loopback && address.to_canonical().is_loopback())
    }
}

impl Resolve for PublicOnly {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|address| self.permits(address.ip())).collect();
            if permitted.is_empty() { Err(NotPublic.into()) } else { Ok(permitted) }
        })
    }
}

/// Reachable over the public internet, by IANA's special-purpose registries.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240 // reserved, broadcast
        || (a == 100 && (b & 0xc0) == 64) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && (b & 0xfe) == 18); // benchmarks
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = embedded(address) {
        return is_public_v4(inside);
    }
    let [a, b, ..] = address.segments();
    let global_unicast = (a & 0xe000) == 0x2000;
    // Protocol assignments with Teredo, and two blocks for documentation.
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || (a & 0xfff0) == 0x3ff0;
    global_unicast && !special
}

/// The IPv4 address an IPv6 address stands for: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => Some(from(g, h)),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => Some(from(g, h)),
        (0x2002, _) => Some(from(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        for public in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "fec0::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn loopback_is_allowed_only_when_asked_for_and_nothing_else_with_it() {
        let strict = PublicOnly { allow_loopback: false };
        let lax = PublicOnly { allow_loopback: true };
        for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!strict.permits(loopback.parse().unwrap()) && lax.permits(loopback.parse().unwrap()));
        }
        assert!(!lax.permits("10.0.0.1".parse().unwrap()));
    }

    #[actix::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused() {
        let error = PublicOnly { allow_loopback: false }.lookup("localhost", 443).await.unwrap_err();
        assert_eq!(error.to_string(), NotPublic.to_string());
        // Other spellings of 127.0.0.1 that resolvers understand.
        for odd in ["0x7f.1", "2130706433", "127.1"] {
            assert!(PublicOnly { allow_loopback: false }.lookup(odd, 443).await.is_err(), "{odd}");
        }
        assert!(PublicOnly { allow_loopback: true }.lookup("localhost", 443).await.is_ok());
    }
}
