//! Networks of addresses, in CIDR notation (RFC 4632, RFC 4291 §2.3).

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// An address, or all that share its first bits. IPv4 addresses inside IPv6 (`::ffff:…`) count as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    /// Number of leading bits that count, at most 32 or 128.
    prefix: u8,
}

impl Network {
    /// Returns whether the address is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                high_bits(own.to_bits().into(), self.prefix, 32)
                    == high_bits(other.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                high_bits(own.to_bits(), self.prefix, 128) == high_bits(other.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }

    /// Returns whether all addresses of that network are in this one.
    pub fn includes(&self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

/// The first `prefix` of `width` bits.
fn high_bits(address: u128, prefix: u8, width: u32) -> u128 {
    address.checked_shr(width - u32::from(prefix)).unwrap_or(0)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| {
            let shown: String = text.chars().take(64).collect();
            format!(
                "\"{shown}\" {why}; expected an address or a network such as 10.0.0.7, 10.0.0.0/8 or fd00::/8"
            )
        };
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad("is no address"))?;
        let prefix = match prefix {
            None => width(address),
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|bits| *bits <= width(address))
                .ok_or_else(|| bad(&format!("has a prefix outside 0…{}", width(address))))?,
        };
        let network = Self { address, prefix };
        if high_bits(bits(address), prefix, width(address).into())
            .checked_shl(u32::from(width(address) - prefix))
            .unwrap_or(0)
            != bits(address)
        {
            return Err(bad("has bits set behind its prefix"));
        }
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                Err(bad("is an IPv4 address inside IPv6, write it as IPv4"))
            }
            _ => Ok(network),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        Network::try_from(text.to_owned())
    }

    #[test]
    fn a_network_has_the_addresses_that_share_its_prefix() {
        let holds = |text: &str, address: &str| network(text).unwrap().contains(address.parse().unwrap());
        for (text, address) in [
            ("10.0.0.7", "10.0.0.7"),
            ("10.0.0.7", "::ffff:10.0.0.7"),
            ("10.0.0.0/8", "10.255.0.1"),
            ("172.16.0.0/12", "172.31.255.255"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("fd00::/8", "fd12:3456::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(holds(text, address), "{text} {address}");
        }
        for (text, address) in [
            ("10.0.0.7", "10.0.0.8"),
            ("172.16.0.0/12", "172.32.0.0"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "10.0.0.1"),
            ("fd00::/8", "fe80::1"),
        ] {
            assert!(!holds(text, address), "{text} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_an_example() {
        for bad in [
            "",
            "nginx",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.1:80",
            "::ffff:10.0.0.1",
        ] {
            assert!(network(bad).unwrap_err().contains("10.0.0.0/8"), "{bad}");
        }
    }

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in ["10.0.0.7", "10.0.0.0/8", "fd00::/8", "0.0.0.0/0"] {
            assert_eq!(network(text).unwrap().to_string(), text);
        }
    }
}
