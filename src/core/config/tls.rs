//! Settings of TLS on the server's own address.

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// TLS 1.2 and 1.3 on `server.listen`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// File with the certificate and those of its authorities in the order of the chain, PEM; empty = no TLS.
    pub certificate_file: String,
    /// File with the private key of the certificate, PEM, unencrypted.
    pub key_file: String,
    /// The files are looked at for a change this often, seconds; 0 = only on SIGHUP.
    pub reload_s: u64,
    /// Longest wait for a handshake, milliseconds.
    pub handshake_timeout_ms: u64,
    /// Most handshakes at the same time; one address may have a quarter of them.
    pub max_handshakes: usize,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate_file: String::new(),
            key_file: String::new(),
            reload_s: 60,
            handshake_timeout_ms: 5_000,
            max_handshakes: 1_024,
        }
    }
}

impl Tls {
    /// Scheme of the addresses of this server.
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }

    /// Returns whether clients speak TLS to this server itself.
    pub fn is_on(&self) -> bool {
        !self.certificate_file.is_empty()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let fix = |one: &str| format!("must be set where {one} is; without TLS both are empty");
        match (self.certificate_file.is_empty(), self.key_file.is_empty()) {
            (true, false) => return invalid("tls.certificate_file", fix("tls.key_file")),
            (false, true) => return invalid("tls.key_file", fix("tls.certificate_file")),
            (true, true) | (false, false) => {}
        }
        within("tls.reload_s", self.reload_s, 0, 86_400)?;
        within("tls.handshake_timeout_ms", self.handshake_timeout_ms, 100, 60_000)?;
        within("tls.max_handshakes", self.max_handshakes, 4, 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key_and_a_key_its_certificate() {
        let pair = |certificate: &str, key: &str| {
            let tls = Tls { certificate_file: certificate.into(), key_file: key.into(), ..Tls::default() };
            (tls.validate().err().map(|error| error.to_string()), tls.is_on())
        };
        assert_eq!(pair("", ""), (None, false));
        assert_eq!(pair("c.pem", "k.pem"), (None, true));
        assert!(pair("c.pem", "").0.unwrap().starts_with("tls.key_file: must be set"));
        assert!(pair("", "k.pem").0.unwrap().starts_with("tls.certificate_file: must be set"));
    }
}
