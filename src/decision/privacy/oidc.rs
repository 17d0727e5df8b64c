//! Sign-in with an identity provider: OpenID Connect Core 1.0, the authorization code flow with PKCE (RFC 7636). Everything but the
//! requests themselves.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::key::{Key, KeyRing};
use super::revocation::Revocations;
use super::role::Role;
use super::sign_in;
use super::token::Verifier;
use super::token_error::TokenError;
use tidings_core::base::Timestamp;
use tidings_core::config::{Auth, AuthMode, ClaimNames, JwksSetting, Oidc};

/// Path of the discovery document below the issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Reason why somebody is not signed in by a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// Its documents are not what they should be.
    #[error("the identity provider answered something else than expected: {0}")]
    Provider(String),
    /// The id token is not good.
    #[error("the id token is not good: {0}")]
    Token(#[from] TokenError),
    /// The id token is of another sign-in.
    #[error("the id token is of another sign-in (nonce)")]
    Nonce,
    /// The id token is for another client.
    #[error("the id token is for another client (azp)")]
    AuthorizedParty,
    /// No role of people.
    #[error("the identity provider names no role that people have here; auth.roles maps its names")]
    NoRole,
    /// No name that can be shown.
    #[error("the identity provider names nobody")]
    NoName,
}

/// Discovery document, as far as it is read (OpenID Connect Discovery 1.0 §3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Provider {
    issuer: String,
    /// Page at which people sign in.
    pub authorization_endpoint: String,
    /// Endpoint that turns a code into tokens.
    pub token_endpoint: String,
    /// Keys of the id tokens.
    pub jwks_uri: String,
}

/// Answer of the token endpoint, as far as it is read.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Ties the id token to the sign-in.
    pub nonce: String,
    /// PKCE: proves to the token endpoint that the code was asked for here.
    pub verifier: String,
    /// Address that the provider sends the browser back to.
    pub redirect_uri: String,
}

/// A person as the provider knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// `sub`.
    pub subject: String,
    /// Name.
    pub name: String,
    /// Role here.
    pub role: Role,
}

/// Address of the discovery document of an issuer.
pub fn discovery_url(issuer: &str) -> String {
    format!("{}{DISCOVERY}", issuer.trim_end_matches('/'))
}

impl Provider {
    /// Reads the discovery document of an issuer. Endpoints without TLS are refused unless private addresses are allowed.
    pub fn parse(document: &[u8], issuer: &str, allow_private: bool) -> Result<Self, OidcError> {
        let provider: Self =
            serde_json::from_slice(document).map_err(|error| OidcError::Provider(error.to_string()))?;
        if provider.issuer != issuer {
            return Err(OidcError::Provider("its document names another issuer than oidc.issuer".to_owned()));
        }
        let Self { authorization_endpoint, token_endpoint, jwks_uri, .. } = &provider;
        let is_safe =
            |url: &str| url.starts_with("https://") || (allow_private && url.starts_with("http://"));
        let are_safe = [authorization_endpoint, token_endpoint, jwks_uri].iter().all(|url| is_safe(url));
        match are_safe {
            true => Ok(provider),
            false => Err(OidcError::Provider("one of its endpoints has no TLS".to_owned())),
        }
    }

    /// Address of the page at which a person signs in.
    pub fn sign_in_url(&self, settings: &Oidc, attempt: &Attempt, state: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.as_bytes()));
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &attempt.redirect_uri),
            ("scope", &settings.scopes.join(" ")),
            ("state", state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let separator = if self.authorization_endpoint.contains('?') { '&' } else { '?' };
        format!("{}{separator}{query}", self.authorization_endpoint)
    }
}

/// Body of the request that turns a code into tokens.
pub fn token_request(settings: &Oidc, attempt: &Attempt, code: &str) -> String {
    form(&[
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &attempt.redirect_uri),
        ("client_id", &settings.client_id),
        ("code_verifier", &attempt.verifier),
    ])
}

/// Value of `Authorization` of that request (RFC 6749 §2.3.1); `None` for a client without a secret.
pub fn authorization(client_id: &str, secret: &str) -> Option<String> {
    let pair = format!("{}:{}", encode(client_id), encode(secret));
    (!secret.is_empty()).then(|| format!("Basic {}", STANDARD.encode(pair)))
}

/// Id token of the answer of the token endpoint.
pub fn id_token(answer: &[u8]) -> Result<String, OidcError> {
    let tokens: Tokens =
        serde_json::from_slice(answer).map_err(|error| OidcError::Provider(error.to_string()))?;
    Ok(tokens.id_token)
}

/// Source of a provider's keys, and the audience of its tokens.
pub fn source(settings: &Oidc, provider: &Provider) -> JwksSetting {
    JwksSetting {
        issuer: settings.issuer.clone(),
        url: provider.jwks_uri.clone(),
        file: String::new(),
        audiences: vec![settings.client_id.clone()],
    }
}

/// Person of an id token: signed by one of the keys, of the issuer, for this client, of this sign-in, and not expired.
pub fn identify(
    settings: &Oidc,
    auth: &Auth,
    (source, keys): (&JwksSetting, &[Arc<Key>]),
    attempt: &Attempt,
    id_token: &str,
    now: Timestamp,
) -> Result<Identified, OidcError> {
    let claims =
        ClaimNames { user: "sub".into(), role: settings.role_claim.clone(), ..ClaimNames::default() };
    // Nothing but the provider's own keys counts, neither a secret nor the issuers of tokens.
    let auth = Auth {
        mode: AuthMode::Token,
        jwks: vec![source.clone()],
        claims,
        roles: auth.roles.clone(),
        leeway_s: auth.leeway_s,
        expiry_leeway_s: auth.expiry_leeway_s,
        ..Auth::default()
    };
    let none = |_: &str| Err("there are no files".to_owned());
    let ring =
        KeyRing::new(&auth, none).map_err(|error| OidcError::Provider(error.to_string()))?.with_set(0, keys);
    let verifier = Verifier { auth: &auth, keys: &ring, revoked: &Revocations::default() };
    let (access, claims) = verifier.verify_with_claims(id_token, now)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !text("nonce").is_some_and(|nonce| sign_in::is_same(nonce, &attempt.nonce)) {
        return Err(OidcError::Nonce);
    }
    let has_several =
        claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
    let party = text("azp");
    if party.is_some_and(|party| party != settings.client_id) || (has_several && party.is_none()) {
        return Err(OidcError::AuthorizedParty);
    }
    let role = Some(access.role).filter(|role| role.is_of_people()).ok_or(OidcError::NoRole)?;
    let name = name(settings, &claims).ok_or(OidcError::NoName)?;
    Ok(Identified { subject: access.name, name, role })
}

/// Name of a person: the first of the claims that is one.
fn name(settings: &Oidc, claims: &Map<String, Value>) -> Option<String> {
    let candidates = [settings.name_claim.as_str(), "email", "sub"];
    let texts = candidates.into_iter().filter_map(|claim| claims.get(claim)?.as_str());
    texts.filter_map(|text| sign_in::name(text).ok()).next()
}

/// `application/x-www-form-urlencoded`.
fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
