//! Origins of requests: the places that an API key may be used from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use tidings_core::config::Network;

/// Place that a key may be used from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Addresses of clients.
    Network(Network),
    /// A page's origin, `scheme://host[:port]`.
    Web(String),
}

impl Origin {
    /// Returns whether a client of that address, on that page, is there.
    pub fn is_of(&self, address: Option<IpAddr>, page: Option<&str>) -> bool {
        match self {
            Self::Network(network) => address.is_some_and(|address| network.contains(address)),
            Self::Web(own) => page.is_some_and(|page| page.eq_ignore_ascii_case(own)),
        }
    }

    /// Returns whether whoever is at that place is at this one too.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(own), Self::Network(other)) => own.includes(*other),
            (Self::Web(own), Self::Web(other)) => own == other,
            _ => false,
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("http" | "https", host)) if !host.is_empty() && !host.contains(['/', '@', ' ']) => {
                Ok(Self::Web(text.to_lowercase()))
            }
            Some(_) => Err(format!("\"{text}\" is no origin, such as https://shop.example")),
            None => Network::try_from(text.to_owned()).map(Self::Network),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Web(origin) => origin.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_network_or_that_of_a_page() {
        for good in ["10.0.0.7", "10.0.0.0/8", "fd00::/8", "https://shop.example", "http://shop.example:8080"]
        {
            assert_eq!(good.parse::<Origin>().unwrap().to_string(), good);
        }
        for bad in ["https://", "ftp://shop.example", "https://shop.example/path", "300.0.0.1"] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_includes_itself_and_what_lies_in_it() {
        let includes = |one: &str, other: &str| {
            one.parse::<Origin>().unwrap().includes(&other.parse::<Origin>().unwrap())
        };
        for (one, other) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/8", "10.9.0.0/16"),
            ("10.0.0.0/8", "10.255.255.255"),
            ("0.0.0.0/0", "8.8.8.8"),
            ("fd00::/8", "fd12::/16"),
            ("https://SHOP.example", "https://shop.example"),
        ] {
            assert!(includes(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("10.9.0.0/16", "10.0.0.0/8"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.7", "10.0.0.6/31"),
            ("0.0.0.0/0", "::1"),
            ("::/0", "10.0.0.1"),
            ("https://shop.example", "http://shop.example"),
            ("https://shop.example", "https://shop.example:8443"),
            ("0.0.0.0/0", "https://shop.example"),
        ] {
            assert!(!includes(one, other), "{one} {other}");
        }
    }
}
