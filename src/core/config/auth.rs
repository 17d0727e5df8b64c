//! Settings of authentication: the keys that tokens are verified with, and the claims that are read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// Secrets from examples; a server that uses one is open to everybody who can read.
pub const PLACEHOLDER_SECRETS: [&str; 6] =
    ["changeme", "change-me", "secret", "example", "placeholder", "tidings"];

/// Names of roles, in the order in which they count.
pub const ROLES: [&str; 8] =
    ["user", "viewer", "marketer", "operator", "privacy_officer", "service", "developer", "admin"];

/// Shortest secret: as long as HS256's output (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;
/// Most keys, and most sources of keys.
const MAX_KEYS: usize = 32;
const MAX_SOURCES: usize = 8;
/// Most audiences or issuers, and longest name of one.
const MAX_NAMES: usize = 64;
const MAX_NAME_BYTES: usize = 256;
/// Longest prefix of ids.
const MAX_PREFIX_BYTES: usize = 64;

/// Authentication and authorisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// `off` (loopback only) or `token`: a JWT or an API key.
    pub mode: AuthMode,
    /// Secret that tokens are signed with (HS256), at least 32 bytes; empty = only tokens of `keys` and `jwks`.
    pub secret: String,
    /// Further keys, each with its `kid`.
    pub keys: Vec<KeySetting>,
    /// Issuers whose keys come as a JWK set (RFC 7517), from a URL or a file.
    pub jwks: Vec<JwksSetting>,
    /// Accepted values of `iss` in tokens signed with `secret` or a key of `keys`; empty = any, or none.
    pub issuers: Vec<String>,
    /// Names by which the server is meant in the `aud` of a token; a token with another `aud` is refused.
    pub audiences: Vec<String>,
    /// Names of the claims that are read.
    pub claims: ClaimNames,
    /// Role by a value of the role claim, besides the names of the roles themselves.
    pub roles: BTreeMap<String, String>,
    /// Difference between the clocks of issuer and server that `nbf` allows for, seconds.
    pub leeway_s: u64,
    /// The same for `exp`.
    pub expiry_leeway_s: u64,
    /// Longest wait for a JWK set, milliseconds.
    pub jwks_timeout_ms: u64,
    /// Time between two fetches of a JWK set, seconds.
    pub jwks_refresh_s: u64,
    /// Shortest time between two fetches of a JWK set because of unknown keys, seconds.
    pub jwks_min_interval_s: u64,
    /// JWK sets may come from private addresses and over plain HTTP.
    pub jwks_allow_private: bool,
    /// Begin of the ids of visitors without an account. Whoever logs in and knows one may merge it, so none may be guessable; other
    /// ids can't be merged at a login. Empty = visitors are told by their tokens.
    pub anonymous_prefix: String,
}

/// Identification of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// Everyone may do everything: for a machine of one's own.
    Off,
    /// Every request and login carries a token.
    Token,
}

/// One key. Its algorithm is the only one that it verifies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetting {
    /// Name in the header of tokens.
    pub kid: String,
    /// `HS256`, `RS256`, `ES256` or `EdDSA`.
    pub algorithm: String,
    /// The key of HS256, at least 32 bytes, secret.
    #[serde(default)]
    pub secret: String,
    /// Public key of the others, PEM (`-----BEGIN PUBLIC KEY-----`).
    #[serde(default)]
    pub public_key: String,
    /// File with the public key.
    #[serde(default)]
    pub public_key_file: String,
    /// The only `iss` that it signs for; empty = as `auth.issuers` says.
    #[serde(default)]
    pub issuer: String,
}

/// An issuer and where its keys are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwksSetting {
    /// The `iss` of its tokens, compared byte by byte.
    pub issuer: String,
    /// URL of the JWK set.
    #[serde(default)]
    pub url: String,
    /// File with the JWK set; read again when it changes.
    #[serde(default)]
    pub file: String,
    /// Its tokens must have one of these in `aud`; empty = as `auth.audiences` says.
    #[serde(default)]
    pub audiences: Vec<String>,
}

/// Names of claims: a claim of this very name, or a path with dots into claims that are objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimNames {
    /// Id of the user, or the name of a service or administrator.
    pub user: String,
    /// Role, a name or a list of names.
    pub role: String,
    /// Claim that is true of a visitor without an account.
    pub anonymous: String,
    /// Visitor that the user was before.
    pub anonymous_id: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            user: "sub".into(),
            role: "role".into(),
            anonymous: "anonymous".into(),
            anonymous_id: "anonymous_id".into(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: AuthMode::Off,
            secret: String::new(),
            keys: Vec::new(),
            jwks: Vec::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            claims: ClaimNames::default(),
            roles: BTreeMap::new(),
            leeway_s: 10,
            expiry_leeway_s: 0,
            jwks_timeout_ms: 5_000,
            jwks_refresh_s: 600,
            jwks_min_interval_s: 10,
            jwks_allow_private: false,
            anonymous_prefix: String::new(),
        }
    }
}

/// Words for a secret that must not be used; `None` = it may.
fn weakness(secret: &str) -> Option<String> {
    let secret = secret.to_lowercase();
    if secret.len() < MIN_SECRET_BYTES {
        return Some(format!(
            "must have at least {MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
        ));
    }
    let varied = secret.bytes().collect::<BTreeSet<_>>().len() >= 8;
    let is_example = !varied || PLACEHOLDER_SECRETS.iter().any(|word| secret.contains(word));
    is_example.then(|| "is a placeholder; make one with: openssl rand -hex 32".to_owned())
}

fn names(key: &'static str, names: &[String]) -> Result<(), ConfigError> {
    within(key, names.len(), 0, MAX_NAMES)?;
    match names.iter().find(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
        Some(name) => invalid(key, format!("names have 1…{MAX_NAME_BYTES} bytes, one has {}", name.len())),
        None => Ok(()),
    }
}

impl Auth {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        names("auth.audiences", &self.audiences)?;
        names("auth.issuers", &self.issuers)?;
        within("auth.leeway_s", self.leeway_s, 0, 300)?;
        within("auth.expiry_leeway_s", self.expiry_leeway_s, 0, 300)?;
        within("auth.jwks_timeout_ms", self.jwks_timeout_ms, 100, 60_000)?;
        within("auth.jwks_refresh_s", self.jwks_refresh_s, 1, 86_400)?;
        within("auth.jwks_min_interval_s", self.jwks_min_interval_s, 1, 3_600)?;
        let prefix = self.anonymous_prefix.as_str();
        if prefix.len() > MAX_PREFIX_BYTES || prefix.chars().any(char::is_control) {
            return invalid(
                "auth.anonymous_prefix",
                "has at most 64 bytes and no control characters, such as anon-",
            );
        }
        self.validate_claims()?;
        within("auth.keys", self.keys.len(), 0, MAX_KEYS)?;
        self.keys.iter().try_for_each(|key| key.validate())?;
        let kids: BTreeSet<_> = self.keys.iter().map(|key| (&key.kid, &key.issuer)).collect();
        if kids.len() < self.keys.len() {
            return invalid("auth.keys", "two keys have the same kid");
        }
        within("auth.jwks", self.jwks.len(), 0, MAX_SOURCES)?;
        self.jwks.iter().try_for_each(|source| source.validate(self.jwks_allow_private))?;
        match self.mode {
            AuthMode::Off => Ok(()),
            AuthMode::Token => self.validate_secret(),
        }
    }

    fn validate_secret(&self) -> Result<(), ConfigError> {
        let has_others = !self.keys.is_empty() || !self.jwks.is_empty();
        match weakness(&self.secret) {
            Some(_) if self.secret.is_empty() && has_others => Ok(()),
            Some(message) => invalid("auth.secret", message),
            None => Ok(()),
        }
    }

    fn validate_claims(&self) -> Result<(), ConfigError> {
        let ClaimNames { user, role, anonymous, anonymous_id } = &self.claims;
        if [user, role, anonymous, anonymous_id].iter().any(|name| name.is_empty() || name.len() > 256) {
            return invalid("auth.claims", "names of claims have 1…256 bytes");
        }
        within("auth.roles", self.roles.len(), 0, MAX_NAMES)?;
        match self.roles.iter().find(|(_, role)| !ROLES.contains(&role.as_str())) {
            Some((name, role)) => {
                let message = format!("{name} must stand for one of {}, is \"{role}\"", ROLES.join(", "));
                invalid("auth.roles", message)
            }
            None => Ok(()),
        }
    }
}

impl KeySetting {
    fn validate(&self) -> Result<(), ConfigError> {
        let refused = |message: &str| invalid("auth.keys", format!("kid \"{}\": {message}", self.kid));
        if self.kid.is_empty() || self.kid.len() > MAX_NAME_BYTES {
            return invalid("auth.keys", "each key needs a kid of 1…256 bytes");
        }
        let has_file = !self.public_key_file.is_empty();
        match self.algorithm.as_str() {
            "HS256" if has_file || !self.public_key.is_empty() => {
                refused("HS256 has a secret and no public key")
            }
            "HS256" => weakness(&self.secret).map_or(Ok(()), |message| refused(&format!("secret {message}"))),
            "RS256" | "ES256" | "EdDSA" if !self.secret.is_empty() => {
                refused("this algorithm has a public_key and no secret")
            }
            "RS256" | "ES256" | "EdDSA" if self.public_key.is_empty() != has_file => {
                refused("needs either public_key (PEM) or public_key_file")
            }
            "RS256" | "ES256" | "EdDSA" => Ok(()),
            other => refused(&format!("algorithm must be HS256, RS256, ES256 or EdDSA, is \"{other}\"")),
        }
    }
}

impl JwksSetting {
    fn validate(&self, allow_private: bool) -> Result<(), ConfigError> {
        let refused = |message: &str| invalid("auth.jwks", format!("issuer \"{}\": {message}", self.issuer));
        if self.issuer.is_empty() || self.issuer.len() > MAX_NAME_BYTES {
            return invalid("auth.jwks", "each entry needs an issuer of 1…256 bytes, the iss of its tokens");
        }
        names("auth.jwks", &self.audiences)?;
        if self.url.is_empty() == self.file.is_empty() {
            return refused("needs either url or file");
        }
        let is_https = self.url.starts_with("https://");
        let is_private = allow_private && self.url.starts_with("http://");
        if !(self.url.is_empty() || is_https || is_private) {
            return refused("url must begin with https://; auth.jwks_allow_private lets http:// pass");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";

    fn with_key(key: KeySetting) -> Result<(), ConfigError> {
        Auth { mode: AuthMode::Token, keys: vec![key], ..Auth::default() }.validate()
    }

    #[test]
    fn a_key_has_a_name_one_algorithm_and_what_that_needs() {
        let key = |algorithm: &str, secret: &str, public_key: &str| KeySetting {
            kid: "2026".into(),
            algorithm: algorithm.into(),
            secret: secret.into(),
            public_key: public_key.into(),
            ..KeySetting::default()
        };
        assert_eq!(with_key(key("HS256", SECRET, "")), Ok(()), "no auth.secret is needed beside it");
        assert_eq!(with_key(key("RS256", "", "-----BEGIN PUBLIC KEY-----")), Ok(()));
        for (bad, why) in [
            (key("HS256", "short", ""), "at least 32 bytes"),
            (key("HS256", SECRET, "pem"), "no public key"),
            (key("RS256", SECRET, "pem"), "no secret"),
            (key("ES256", "", ""), "public_key_file"),
            (key("none", SECRET, ""), "HS256, RS256, ES256 or EdDSA"),
            (KeySetting { kid: String::new(), ..key("HS256", SECRET, "") }, "kid"),
        ] {
            let error = with_key(bad).unwrap_err().to_string();
            assert!(error.starts_with("auth.keys") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_source_of_keys_has_an_issuer_and_one_place() {
        let source = |issuer: &str, url: &str, file: &str| {
            let source =
                JwksSetting { issuer: issuer.into(), url: url.into(), file: file.into(), audiences: vec![] };
            Auth { mode: AuthMode::Token, jwks: vec![source], ..Auth::default() }.validate()
        };
        assert_eq!(source("https://id.example", "https://id.example/jwks.json", ""), Ok(()));
        assert_eq!(source("https://id.example", "", "/etc/jwks.json"), Ok(()));
        for (issuer, url, file) in [
            ("", "https://id.example/jwks.json", ""),
            ("i", "", ""),
            ("i", "https://id.example/jwks.json", "/etc/jwks.json"),
            ("i", "http://id.example/jwks.json", ""),
            ("i", "file:///etc/passwd", ""),
        ] {
            assert!(source(issuer, url, file).is_err(), "{issuer} {url} {file}");
        }
    }
}
