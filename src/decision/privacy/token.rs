//! Access tokens: JWT (RFC 7519), signed with HS256, RS256, ES256 or EdDSA.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::access::Access;
use super::claims::Claims;
use super::key::{Key, KeyRing};
use super::revocation::Revocations;
use super::role::Role;
use super::token_error::TokenError;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::config::Auth;

/// Subject of tokens that are made for nobody in particular.
pub const NOBODY: &str = "tidings";
/// Longest subject that is kept.
const MAX_SUBJECT_CHARS: usize = 64;
/// Longest token that is read, bytes.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// A token to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// Role that it grants.
    pub role: Role,
    /// User, or name of a service or administrator.
    pub subject: &'a str,
    /// Visitor without an account, who may be merged into a user.
    pub anonymous: bool,
    /// `iss`; `None` = none.
    pub issuer: Option<&'a str>,
    /// `jti`, by which it can be revoked; `None` = none.
    pub id: Option<&'a str>,
    /// `iat`; `None` = none.
    pub issued_at: Option<Timestamp>,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// Claims of the tokens that are issued here.
#[derive(Serialize)]
struct Issued<'a> {
    sub: &'a str,
    role: Role,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    anonymous: bool,
}

impl NewToken<'_> {
    /// Signs it with HS256.
    pub fn sign(&self, secret: &str) -> Result<String, TokenError> {
        let claims = Issued {
            sub: self.subject,
            role: self.role,
            exp: self.expires_at.as_seconds(),
            iat: self.issued_at.map(|at| at.0 as f64 / 1e6),
            jti: self.id,
            iss: self.issuer,
            anonymous: self.anonymous,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes()))
            .map_err(|_| TokenError::Bad)
    }
}

/// Makes a token that is valid until `expires_at`.
pub fn issue(secret: &str, role: Role, subject: &str, expires_at: Timestamp) -> Result<String, TokenError> {
    let (anonymous, issuer, id, issued_at) = (false, None, None, None);
    NewToken { role, subject, anonymous, issuer, id, issued_at, expires_at }.sign(secret)
}

/// Everything that a token is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// Settings.
    pub auth: &'a Auth,
    /// Keys.
    pub keys: &'a KeyRing,
    /// Revoked tokens.
    pub revoked: &'a Revocations,
}

/// Header of a token, as far as it is read.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

/// Returns whether the field is there, whatever it is.
fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A token taken apart; nothing of it is believed yet.
struct Parts<'a> {
    header: TokenHeader,
    claims: Map<String, Value>,
    signed: &'a [u8],
    signature: &'a str,
}

fn parts(token: &str) -> Option<Parts<'_>> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(Parts { header, claims, signed: signed.as_bytes(), signature })
}

fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// Entry of `auth.jwks` that a token with [`TokenError::UnknownKey`] or [`TokenError::NoKeys`] is of: its keys may be fetched.
/// The token is not verified.
pub fn source_of(keys: &KeyRing, token: &str) -> Option<usize> {
    let parts = parts(token)?;
    keys.source(parts.claims.get("iss")?.as_str()?).map(|(nth, _)| nth)
}

impl Verifier<'_> {
    /// Checks a token at the given moment. One with `aud` is accepted if it names the server, one without is for everybody
    /// (RFC 7519 §4.1.3); one with `crit` is refused, since no extension is understood (RFC 7515 §4.1.11).
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Access, TokenError> {
        let parts = parts(token).ok_or(TokenError::Bad)?;
        let algorithm = algorithm(&parts.header.alg).ok_or(TokenError::Algorithm)?;
        if parts.header.crit {
            return Err(TokenError::Critical);
        }
        let key = self.key(&parts, algorithm)?;
        let claims = Claims::new(&parts.claims, self.auth);
        self.check_dates(&claims, now)?;
        let issuers = &self.auth.issuers;
        let issuer = claims.text("iss")?;
        let is_accepted = |issuer: &str| issuers.iter().any(|accepted| accepted == issuer);
        if key.issuer.is_none() && !issuers.is_empty() && !issuer.is_some_and(is_accepted) {
            return Err(TokenError::Issuer);
        }
        claims.check_audience(key.audiences.as_deref())?;
        let access = access(&claims)?;
        let (id, issued_at) = (claims.text("jti")?, claims.date("iat")?);
        if self.revoked.cover(id, &access.name, issued_at) {
            return Err(TokenError::Revoked);
        }
        Ok(Access { id: id.map(str::to_owned), issued_at, ..access })
    }

    /// The same, with all claims of the token.
    pub fn verify_with_claims(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(Access, Map<String, Value>), TokenError> {
        let access = self.verify(token, now)?;
        Ok((access, parts(token).ok_or(TokenError::Bad)?.claims))
    }

    /// The key that made the signature.
    fn key(&self, parts: &Parts<'_>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let (kid, issuer) = (parts.header.kid.as_deref(), parts.claims.get("iss").and_then(Value::as_str));
        let candidates = self.keys.candidates(kid, issuer);
        let is_named = kid.is_some_and(|kid| candidates.iter().any(|key| key.kid.as_deref() == Some(kid)));
        let source = issuer.and_then(|issuer| self.keys.source(issuer));
        let of_algorithm: Vec<&Key> =
            candidates.into_iter().filter(|key| key.algorithm == algorithm).collect();
        let signed = |key: &&Key| {
            crypto::verify(parts.signature, parts.signed, &key.decoding, algorithm).unwrap_or(false)
        };
        if let Some(key) = of_algorithm.iter().copied().find(signed) {
            return Ok(key);
        }
        Err(match (source, kid) {
            _ if is_named && of_algorithm.is_empty() => TokenError::Algorithm,
            _ if is_named => TokenError::Signature,
            (Some((_, false)), _) => TokenError::NoKeys,
            (Some(_), _) => TokenError::UnknownKey,
            (None, Some(kid)) if self.keys.knows(kid) => TokenError::Issuer,
            (None, _) if !of_algorithm.is_empty() => TokenError::Signature,
            (None, Some(_)) => TokenError::UnknownKey,
            (None, None) => TokenError::Algorithm,
        })
    }

    fn check_dates(&self, claims: &Claims<'_>, now: Timestamp) -> Result<(), TokenError> {
        let leeway = |seconds: u64| i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000);
        let expires_at = claims.date("exp")?.ok_or(TokenError::Claim("exp"))?;
        if expires_at.0.saturating_add(leeway(self.auth.expiry_leeway_s)) <= now.0 {
            return Err(TokenError::Expired);
        }
        // A token of a moment to come would be newer than any revocation of those that were issued before it.
        let is_ahead = |at: Timestamp| at.0 - leeway(self.auth.leeway_s) > now.0;
        match claims.date("nbf")?.is_some_and(is_ahead) || claims.date("iat")?.is_some_and(is_ahead) {
            true => Err(TokenError::NotYet),
            false => Ok(()),
        }
    }
}

fn access(claims: &Claims<'_>) -> Result<Access, TokenError> {
    let (role, name) = (claims.role()?, claims.user()?);
    let user = match role {
        Role::User => Some(ExternalId::parse(&name).map_err(|_| TokenError::Claim("user"))?),
        _ => None,
    };
    let shown = name.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_CHARS).collect::<String>();
    let subject = Some(shown).filter(|name| user.is_none() && !name.is_empty());
    Ok(Access {
        role,
        user,
        subject,
        name,
        anonymous: claims.anonymous()?,
        anonymous_id: claims.anonymous_id()?,
        expires_at: claims.date("exp")?,
        ..Access::open()
    })
}

#[cfg(test)]
mod tests;
