//! Access tokens: JWT with HS256 (RFC 7519), claims `sub`, `role`, `exp`.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::base::{ExternalId, Timestamp};

/// Role that a token grants; each includes what stands before it only where a route says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One user: a browser. May log in, act and read as that user only.
    User,
    /// A shop's backend: may send events and catalogue, and read any user.
    Service,
    /// Everything, `/admin` too.
    Admin,
}

/// Subject of tokens that are made for nobody in particular.
pub const NOBODY: &str = "tidings";
/// Longest subject that is kept.
const MAX_SUBJECT_CHARS: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    role: Role,
    exp: i64,
}

/// Access rights of a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Role of the caller.
    pub role: Role,
    /// The user of a `user` token.
    pub user: Option<ExternalId>,
    /// Subject of a `service` or `admin` token, at most [`MAX_SUBJECT_CHARS`] characters; `None` for one that names nobody.
    pub subject: Option<String>,
    /// Until when; `None` = for good.
    pub expires_at: Option<Timestamp>,
}

impl Access {
    /// Authentication is off: everyone may do everything.
    pub fn open() -> Self {
        Self { role: Role::Admin, user: None, subject: None, expires_at: None }
    }

    /// Whether the caller may act for and read that user.
    pub fn may_act_for(&self, user: &ExternalId) -> bool {
        match self.role {
            Role::User => self.user.as_ref() == Some(user),
            Role::Service | Role::Admin => true,
        }
    }
}

/// Reason a token was refused. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token where one is needed.
    #[error("a token is needed: Authorization: Bearer …")]
    Missing,
    /// Wrong signature, algorithm or shape.
    #[error("the token is not valid")]
    Bad,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
}

/// Makes a token that is valid until `expires_at`.
pub fn issue(secret: &str, role: Role, subject: &str, expires_at: Timestamp) -> Result<String, TokenError> {
    let claims = Claims { sub: subject.to_owned(), role, exp: expires_at.as_seconds() };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|_| TokenError::Bad)
}

/// Checks a token against the secret and the given moment.
pub fn verify(secret: &str, token: &str, now: Timestamp) -> Result<Access, TokenError> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false; // Checked below against `now`, so that the domain reads no clock.
    let claims = decode::<Claims>(token, &DecodingKey::from_secret(secret.as_bytes()), &validation)
        .map_err(|_| TokenError::Bad)?
        .claims;
    if claims.exp <= now.as_seconds() {
        return Err(TokenError::Expired);
    }
    let user = match claims.role {
        Role::User => Some(ExternalId::parse(&claims.sub).map_err(|_| TokenError::Bad)?),
        Role::Service | Role::Admin => None,
    };
    let shown = claims.sub.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_CHARS).collect::<String>();
    let subject = Some(shown).filter(|name| user.is_none() && !name.is_empty() && name != NOBODY);
    Ok(Access { role: claims.role, user, subject, expires_at: Some(Timestamp::from_seconds(claims.exp)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    #[test]
    fn a_user_token_speaks_for_that_user_only() {
        let token = issue(SECRET, Role::User, "17", NOW.plus_days(1.0)).unwrap();
        let access = verify(SECRET, &token, NOW).unwrap();
        assert!(access.may_act_for(&ExternalId::Integer(17)));
        assert!(!access.may_act_for(&ExternalId::Integer(18)));
    }

    #[test]
    fn an_admin_token_says_whose_it_is_unless_it_is_nobody_s() {
        let subject = |name: &str| {
            let token = issue(SECRET, Role::Admin, name, NOW.plus_days(1.0)).unwrap();
            verify(SECRET, &token, NOW).unwrap().subject
        };
        assert_eq!(subject("anna").as_deref(), Some("anna"));
        assert_eq!(subject(NOBODY), None);
        assert_eq!(subject(&"x".repeat(500)).unwrap().len(), MAX_SUBJECT_CHARS);
    }

    #[test]
    fn forged_expired_and_unsigned_tokens_are_refused() {
        let token = issue(SECRET, Role::Admin, "ops", NOW.plus_days(1.0)).unwrap();
        assert_eq!(verify("another secret, as long as the first", &token, NOW), Err(TokenError::Bad));
        assert_eq!(verify(SECRET, &token, NOW.plus_days(2.0)), Err(TokenError::Expired));
        assert_eq!(verify(SECRET, "nonsense", NOW), Err(TokenError::Bad));
        // {"alg":"none"}, the oldest trick.
        let body = token.split('.').nth(1).unwrap();
        assert_eq!(verify(SECRET, &format!("eyJhbGciOiJub25lIn0.{body}."), NOW), Err(TokenError::Bad));
    }
}
