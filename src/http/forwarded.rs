//! Requests as their clients made them, before proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`, `-Proto`, `-Host`, believed
//! from trusted proxies only.

use std::net::{IpAddr, SocketAddr};

use actix_web::dev::RequestHead;
use actix_web::http::header::{FORWARDED, HOST, HeaderMap, HeaderName};

use tidings_core::config::{Network, Tls};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Longest value of one of these headers, all its lines together, bytes; a longer one is not read.
const MAX_BYTES: usize = 4_096;
/// Most proxies on the way; a longer chain is not read.
const MAX_HOPS: usize = 32;
/// Longest name of a host (RFC 1035 §2.3.4) with a port, bytes.
const MAX_HOST_BYTES: usize = 261;

/// Scheme of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Reads a scheme; that of a WebSocket is the one it was opened with.
    pub fn parse(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match () {
            () if is("https") || is("wss") => Some(Self::Https),
            () if is("http") || is("ws") => Some(Self::Http),
            () => None,
        }
    }

    /// Port where none is written.
    pub fn default_port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

/// A request as its client made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// Address of the client: the right-most one that is no trusted proxy; `None` if a proxy hides it.
    pub client: Option<IpAddr>,
    /// Host, with its port where one is written, as the client named it.
    pub host: Option<String>,
    /// Scheme, if a trusted proxy told.
    pub scheme: Option<Scheme>,
    /// True if forwarding headers were there and not believed.
    pub ignored: bool,
}

impl Original {
    /// Reads the head of a request that came from one of the `trusted` proxies, or from elsewhere.
    pub fn of(head: &RequestHead, trusted: &[Network]) -> Self {
        let headers = &head.headers;
        let peer = head.peer_addr.map(|peer| peer.ip().to_canonical());
        let direct = |ignored| Self {
            client: peer,
            host: headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned),
            scheme: None,
            ignored,
        };
        let names = [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];
        if !names.iter().any(|name| headers.contains_key(name)) {
            return direct(false);
        }
        let Some(peer) = peer.filter(|peer| is_trusted(*peer, trusted)) else { return direct(true) };
        let Some(told) = told(headers, peer, trusted) else { return direct(true) };
        let host = told.host.map(str::to_owned).or_else(|| direct(false).host);
        Self { client: told.client, host, scheme: told.scheme, ignored: false }
    }
}

impl Original {
    /// Scheme of the client's connection: as a trusted proxy told, else that of the server's own address; `None` where TLS may have ended
    /// before the server without a word.
    pub fn scheme_over(&self, tls: &Tls) -> Option<Scheme> {
        self.scheme.or_else(|| tls.is_on().then_some(Scheme::Https))
    }
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The client's request as the headers of one kind describe it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told<'a> {
    client: Option<IpAddr>,
    host: Option<&'a str>,
    scheme: Option<Scheme>,
}

/// Both kinds of headers. A proxy that writes one kind may pass the other on as its client sent it, so where they contradict each other
/// neither is believed.
fn told<'a>(headers: &'a HeaderMap, peer: IpAddr, trusted: &[Network]) -> Option<Told<'a>> {
    let standard = headers.contains_key(FORWARDED).then(|| forwarded(headers, peer, trusted));
    let names = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];
    let customary =
        names.iter().any(|name| headers.contains_key(name)).then(|| x_forwarded(headers, peer, trusted));
    match (standard, customary) {
        (Some(one), None) | (None, Some(one)) => one,
        (Some(one), Some(other)) => {
            let (one, other) = (one?, other?);
            Some(Told {
                client: agreed(one.client, other.client)?,
                host: agreed(one.host, other.host)?,
                scheme: agreed(one.scheme, other.scheme)?,
            })
        }
        (None, None) => None,
    }
}

/// The value that one or both tell; outer `None` if they differ.
fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<Option<T>> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => Some(one.or(other)),
    }
}

/// One proxy's entry: where its request came from, and how that was made.
#[derive(Clone, Copy, Debug, Default)]
struct Hop<'a> {
    from: Option<&'a str>,
    host: Option<&'a str>,
    proto: Option<&'a str>,
}

/// Place of the client in a chain, the last entry the one of the peer, and its address. The entries from that place on were written by
/// trusted proxies.
fn client_of<'a>(
    chain: impl ExactSizeIterator<Item = Option<&'a str>> + DoubleEndedIterator,
    peer: IpAddr,
    trusted: &[Network],
) -> (usize, Option<IpAddr>) {
    let mut found = (chain.len(), Some(peer));
    for (place, from) in chain.enumerate().rev() {
        let address = from.and_then(address);
        found = (place, address);
        if address.is_none_or(|address| !is_trusted(address, trusted)) {
            break;
        }
    }
    found
}

/// `Forwarded`. Each proxy appends an entry; the host and scheme of the client's request are in the one that names the client.
fn forwarded<'a>(headers: &'a HeaderMap, peer: IpAddr, trusted: &[Network]) -> Option<Told<'a>> {
    let mut chain = Vec::new();
    for line in lines(headers, &FORWARDED)? {
        let mut rest = line;
        while !rest.is_empty() {
            let (hop, behind) = hop(rest)?;
            chain.push(hop);
            rest = behind;
        }
        if chain.len() > MAX_HOPS {
            return None;
        }
    }
    let (place, client) = client_of(chain.iter().map(|hop| hop.from), peer, trusted);
    let written = chain.get(place..)?;
    Some(Told {
        client,
        host: written.iter().find_map(|hop| hop.host).and_then(host),
        scheme: written.iter().find_map(|hop| hop.proto).and_then(Scheme::parse),
    })
}

/// `X-Forwarded-*`. Some proxies append to host and scheme as they do to the addresses, others replace them: an entry for each
/// address is matched by place, of any other list the last one counts, which the nearest proxy wrote.
fn x_forwarded<'a>(headers: &'a HeaderMap, peer: IpAddr, trusted: &[Network]) -> Option<Told<'a>> {
    let chain = list(headers, &X_FORWARDED_FOR)?;
    let (place, client) = client_of(chain.iter().map(|one| Some(*one)), peer, trusted);
    let at = |name: &HeaderName| {
        let list = list(headers, name)?;
        let place = if list.len() == chain.len() { place } else { list.len().saturating_sub(1) };
        Some(list.get(place).copied())
    };
    Some(Told {
        client,
        host: at(&X_FORWARDED_HOST)?.and_then(host),
        scheme: at(&X_FORWARDED_PROTO)?.and_then(Scheme::parse),
    })
}

/// Lines of a header in their order; `None` for more than is read, or other characters than visible ASCII.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let mut bytes = 0;
    let mut lines = Vec::new();
    for line in headers.get_all(name) {
        bytes += line.len();
        if bytes > MAX_BYTES || lines.len() >= MAX_HOPS {
            return None;
        }
        lines.push(line.to_str().ok()?);
    }
    Some(lines)
}

/// Entries of a header that is a plain list.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let lines = lines(headers, name)?;
    let entries = lines.into_iter().flat_map(|line| line.split(',')).map(str::trim);
    let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).take(MAX_HOPS + 1).collect();
    (entries.len() <= MAX_HOPS).then_some(entries)
}

/// The first entry of a `Forwarded` header and what stands behind it; `None` if it is not written as RFC 7239 §4 has it. A value
/// with an escaped character is none that is used here, and is passed over.
fn hop(text: &str) -> Option<(Hop<'_>, &str)> {
    let mut hop = Hop::default();
    let mut rest = text.trim_start();
    loop {
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim_start();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return None;
        }
        let (value, behind) = value(behind)?;
        let slot = match () {
            () if name.eq_ignore_ascii_case("for") => Some(&mut hop.from),
            () if name.eq_ignore_ascii_case("host") => Some(&mut hop.host),
            () if name.eq_ignore_ascii_case("proto") => Some(&mut hop.proto),
            () => None,
        };
        // Each parameter is there once at most.
        if slot.is_some_and(|slot| slot.replace(value).is_some()) {
            return None;
        }
        let behind = behind.trim_start();
        match behind.as_bytes().first() {
            None => return Some((hop, "")),
            Some(b';') => rest = behind.get(1..)?,
            Some(b',') => return Some((hop, behind.get(1..)?.trim_start())),
            Some(_) => return None,
        }
    }
}

/// A token or the inside of a quoted string, and what stands behind it.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| matches!(c, ';' | ',' | '"') || c.is_ascii_whitespace())
            .unwrap_or(text.len());
        return text.split_at_checked(end).filter(|(value, _)| !value.is_empty());
    };
    let mut escaped = false;
    for (place, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((quoted.get(..place)?, quoted.get(place + 1..)?)),
            _ => {}
        }
    }
    None
}

/// Address of a node, with or without a port (RFC 7239 §6); `None` for `unknown`, an obfuscated one and junk.
fn address(node: &str) -> Option<IpAddr> {
    let plain = || node.parse::<IpAddr>().ok();
    let with_port = || node.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || {
        let (inside, port) = node.strip_prefix('[')?.split_once(']')?;
        (port.is_empty() || port.starts_with(":_")).then(|| inside.parse::<IpAddr>().ok()).flatten()
    };
    let obfuscated_port = || node.split_once(":_").and_then(|(address, _)| address.parse::<IpAddr>().ok());
    plain()
        .or_else(with_port)
        .or_else(bracketed)
        .or_else(obfuscated_port)
        .map(|address| address.to_canonical())
}

/// A host that may be compared and written into a link.
fn host(text: &str) -> Option<&str> {
    let may = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    (1..=MAX_HOST_BYTES).contains(&text.len()).then_some(text).filter(|text| text.bytes().all(may))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    const PEER: &str = "10.0.0.2:5000";

    fn read_from(peer: &str, headers: &[(&str, &str)]) -> Original {
        let mut request = TestRequest::default().insert_header((HOST, "internal:8080"));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let trusted: Vec<Network> =
            ["10.0.0.0/8", "fd00::/8"].map(|text| Network::try_from(text.to_owned()).unwrap()).into();
        let request = request.peer_addr(peer.parse().unwrap()).to_http_request();
        Original::of(request.head(), &trusted)
    }

    fn read(headers: &[(&str, &str)]) -> Original {
        read_from(PEER, headers)
    }

    fn client(name: &str, value: &str) -> Option<String> {
        read(&[(name, value)]).client.map(|address| address.to_string())
    }

    fn original(client: &str, host: &str, scheme: Scheme) -> Original {
        let client = Some(client.parse().unwrap());
        Original { client, host: Some(host.to_owned()), scheme: Some(scheme), ignored: false }
    }

    #[test]
    fn headers_are_believed_from_trusted_proxies_only() {
        let headers = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "push.example"),
        ];
        assert_eq!(read(&headers), original("203.0.113.9", "push.example", Scheme::Https));
        for stranger in ["203.0.113.1:5000", "[2001:db8::1]:5000"] {
            let read = read_from(stranger, &headers);
            assert_eq!(read.client, Some(stranger.parse::<SocketAddr>().unwrap().ip()));
            assert_eq!(
                (read.host.as_deref(), read.scheme, read.ignored),
                (Some("internal:8080"), None, true)
            );
        }
        let plain = read_from("[::ffff:10.0.0.2]:5000", &[]);
        assert_eq!((plain.client, plain.ignored), (Some("10.0.0.2".parse().unwrap()), false));
        assert_eq!(read_from("[fd00::1]:1", &headers).scheme, Some(Scheme::Https), "a proxy with IPv6");
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_trusted_proxy() {
        for (name, value, expected) in [
            ("X-Forwarded-For", "198.51.100.7, 203.0.113.9, 10.0.0.3", "203.0.113.9"),
            ("X-Forwarded-For", "203.0.113.9", "203.0.113.9"),
            ("X-Forwarded-For", "10.0.0.9, 10.0.0.3", "10.0.0.9"),
            ("X-Forwarded-For", "203.0.113.9:4711", "203.0.113.9"),
            ("X-Forwarded-For", "2001:db8::7", "2001:db8::7"),
            ("X-Forwarded-For", "[2001:db8::7]:4711 ,, fd00::3", "2001:db8::7"),
            ("X-Forwarded-For", "::ffff:203.0.113.9", "203.0.113.9"),
            ("Forwarded", "for=203.0.113.9", "203.0.113.9"),
            ("Forwarded", "For=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("Forwarded", "for=198.51.100.7, for=203.0.113.9;by=10.0.0.3, for=10.0.0.3", "203.0.113.9"),
            ("Forwarded", "for=\"203.0.113.9:_port\";secret=\"a,b;\\\"for=1.1.1.1\"", "203.0.113.9"),
            ("Forwarded", "for=\"[2001:db8::7]\" ; proto=https", "2001:db8::7"),
        ] {
            assert_eq!(client(name, value).as_deref(), Some(expected), "{name}: {value}");
        }
        for (name, value) in [
            ("X-Forwarded-For", "203.0.113.9, unknown"),
            ("X-Forwarded-For", "203.0.113.9, 10.0.0"),
            ("Forwarded", "for=203.0.113.9, for=_hidden"),
            ("Forwarded", "for=203.0.113.9, proto=https"),
        ] {
            assert_eq!(
                client(name, value),
                None,
                "hidden, and what stands before it proves nothing: {value}"
            );
        }
    }

    #[test]
    fn host_and_scheme_are_those_of_the_client_s_own_request() {
        let chain = "for=198.51.100.7;host=spoofed;proto=http, for=203.0.113.9;host=\"push.example:8443\";proto=https, \
                     for=10.0.0.3;host=inner;proto=http";
        let expected = original("203.0.113.9", "push.example:8443", Scheme::Https);
        assert_eq!(read(&[("Forwarded", chain)]), expected);
        let (spoofed, rest) = chain.split_once(", ").unwrap();
        assert_eq!(read(&[("Forwarded", spoofed), ("Forwarded", rest)]), expected, "on two lines");
        let matched = read(&[
            ("X-Forwarded-For", "198.51.100.7, 203.0.113.9, 10.0.0.3"),
            ("X-Forwarded-Host", "spoofed, push.example:8443, inner"),
            ("X-Forwarded-Proto", "http, wss, http"),
        ]);
        assert_eq!(matched, expected);
        let appended = read(&[
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Host", "spoofed, push.example:8443"),
            ("X-Forwarded-Proto", "HTTPS"),
        ]);
        assert_eq!(appended, expected, "the one that the proxy wrote");
    }

    #[test]
    fn two_kinds_of_headers_that_contradict_each_other_are_not_believed() {
        let both = |standard: &str| read(&[("Forwarded", standard), ("X-Forwarded-For", "203.0.113.9")]);
        let agreeing = both("for=203.0.113.9;host=push.example;proto=https");
        assert_eq!(agreeing, original("203.0.113.9", "push.example", Scheme::Https));
        let spoofed = both("for=198.51.100.7;host=evil.example");
        assert_eq!((spoofed.host.as_deref(), spoofed.ignored), (Some("internal:8080"), true));
    }

    #[test]
    fn junk_and_what_is_too_long_are_not_believed() {
        let hop = "for=203.0.113.9, ";
        for junk in [
            "for",
            "for=",
            "=1",
            "for=\"203.0.113.9",
            "for=1;for=2",
            "for=203.0.113.9 x",
            "fo r=1",
            ";",
            "\"",
            "for=a\"b\"",
            &hop.repeat(MAX_HOPS + 1),
            &format!("for=203.0.113.9;x={}", "y".repeat(MAX_BYTES)),
        ] {
            let read = read(&[("Forwarded", junk), ("X-Forwarded-Proto", "https")]);
            assert!(read.ignored && read.scheme.is_none(), "{junk}");
        }
        let long = "203.0.113.9,".repeat(MAX_HOPS + 1);
        assert!(read(&[("X-Forwarded-For", &long)]).ignored);
        for host in ["a b", "a/b", "a\"b", "", &"x".repeat(300)] {
            let read = read(&[("X-Forwarded-Host", host)]);
            assert_eq!(read.host.as_deref(), Some("internal:8080"), "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_an_untrusted_address_vanish(junk in "[ -~]{0,200}", name in 0..4usize) {
            let names = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"];
            let headers = [(names[name], junk.as_str()), ("X-Forwarded-For", "203.0.113.9")];
            let told = read(&headers).client.map(|address| address.to_string());
            // The proxy's own entry comes last: it, or nothing at all, is believed.
            prop_assert!(matches!(told.as_deref(), Some("203.0.113.9" | "10.0.0.2")), "{told:?}");
        }
    }
}
