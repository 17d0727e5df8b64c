//! Settings of the identity provider that people sign in with.

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// Most scopes, and longest name of one.
const MAX_SCOPES: usize = 32;
const MAX_BYTES: usize = 512;

/// Sign-in of people with an identity provider (OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oidc {
    /// Issuer, byte by byte as its discovery document has it; empty = off.
    pub issuer: String,
    /// Name on the sign-in page.
    pub name: String,
    /// Id of the server at the provider.
    pub client_id: String,
    /// Its secret; empty = none, for public clients.
    pub client_secret: String,
    /// File with the secret.
    pub client_secret_file: String,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// Claim with the name of the person; the `email`, then the `sub` where it is absent.
    pub name_claim: String,
    /// Claim with the role, a name or a list of names, which `auth.roles` maps.
    pub role_claim: String,
    /// Address of the dashboard as browsers see it, `https://push.example`; empty = as each browser asked for it.
    pub public_url: String,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            name: "your organisation".to_owned(),
            client_id: String::new(),
            client_secret: String::new(),
            client_secret_file: String::new(),
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            name_claim: "preferred_username".to_owned(),
            role_claim: "role".to_owned(),
            public_url: String::new(),
        }
    }
}

impl Oidc {
    /// Returns whether people sign in with a provider.
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    pub(super) fn validate(&self, allow_private: bool) -> Result<(), ConfigError> {
        within("oidc.scopes", self.scopes.len(), 0, MAX_SCOPES)?;
        let is_name =
            |text: &&String| (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if !self.scopes.iter().all(|scope| is_name(&scope) && !scope.contains(' ')) {
            return invalid("oidc.scopes", "names of scopes have 1…512 bytes and no blanks");
        }
        for (key, text) in [
            ("oidc.name", &self.name),
            ("oidc.name_claim", &self.name_claim),
            ("oidc.role_claim", &self.role_claim),
        ] {
            if !is_name(&text) {
                return invalid(key, "has 1…512 bytes and no control characters");
            }
        }
        if !self.is_on() {
            return Ok(());
        }
        let is_url = |url: &str| url.starts_with("https://") || (allow_private && url.starts_with("http://"));
        if !is_url(&self.issuer) {
            return invalid(
                "oidc.issuer",
                "must begin with https://; auth.jwks_allow_private lets http:// pass",
            );
        }
        if !is_name(&&self.client_id) {
            return invalid("oidc.client_id", "is the id of this server at the provider, 1…512 bytes");
        }
        if !self.client_secret.is_empty() && !self.client_secret_file.is_empty() {
            return invalid("oidc.client_secret", "is given twice: keep either this or client_secret_file");
        }
        let public = self.public_url.as_str();
        if !(public.is_empty() || public.starts_with("https://") || public.starts_with("http://")) {
            return invalid("oidc.public_url", "is an address such as https://push.example");
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return invalid("oidc.scopes", "must contain openid");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_an_issuer_with_tls_and_a_client_id() {
        let good =
            Oidc { issuer: "https://login.example".into(), client_id: "tidings".into(), ..Oidc::default() };
        assert_eq!(Oidc::default().validate(false), Ok(()));
        assert_eq!(good.validate(false), Ok(()));
        let plain = Oidc { issuer: "http://127.0.0.1:3000".into(), ..good.clone() };
        assert!(plain.validate(false).is_err() && plain.validate(true).is_ok());
        for bad in [
            Oidc { client_id: String::new(), ..good.clone() },
            Oidc { scopes: vec!["profile".into()], ..good.clone() },
            Oidc { public_url: "push.example".into(), ..good.clone() },
            Oidc { client_secret: "a".into(), client_secret_file: "b".into(), ..good.clone() },
            Oidc { role_claim: String::new(), ..good },
        ] {
            assert!(bad.validate(false).is_err(), "{bad:?}");
        }
    }
}
