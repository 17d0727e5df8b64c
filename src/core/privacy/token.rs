//! Access tokens: JWT with HS256 (RFC 7519), claims `sub`, `role`, `exp`, `anonymous`, `anonymous_id`; `aud` and `nbf` are checked where a token carries them.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::base::{ExternalId, Timestamp};
use crate::config::Auth;
use crate::event::Speaker;

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
/// Difference between the clocks of issuer and server that `nbf` allows for, seconds (RFC 7519 §4.1.5).
const NOT_BEFORE_LEEWAY_S: f64 = 10.0;
/// Seconds from 1970 beyond which a date is none: the year 9999.
const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// Claims of the tokens that are issued here.
#[derive(Debug, Serialize)]
struct Issued<'a> {
    sub: &'a str,
    role: Role,
    exp: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    anonymous: bool,
}

/// Claims of a token, whoever issued it. Others are ignored, as RFC 7519 §4 has it.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: Subject,
    /// The least role where the token names none.
    #[serde(default = "Role::least")]
    role: Role,
    /// NumericDate, with or without a fraction (RFC 7519 §2).
    exp: f64,
    nbf: Option<f64>,
    aud: Option<Audience>,
    #[serde(default)]
    anonymous: bool,
    anonymous_id: Option<Subject>,
}

/// Subject as text, or as the number that many shops have for their users.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Subject {
    Number(i64),
    Text(String),
}

impl Subject {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn has_one_of(&self, accepted: &[String]) -> bool {
        match self {
            Self::One(name) => accepted.contains(name),
            Self::Many(names) => names.iter().any(|name| accepted.contains(name)),
        }
    }
}

impl Role {
    /// Role of a token that names none.
    fn least() -> Self {
        Self::User
    }
}

/// Access rights of a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Role of the caller.
    pub role: Role,
    /// The user of a `user` token.
    pub user: Option<ExternalId>,
    /// The user is a visitor without an account: may be merged into one, and merges nobody.
    pub anonymous: bool,
    /// The visitor that the user was before, as the issuer says.
    pub anonymous_id: Option<ExternalId>,
    /// Subject of a `service` or `admin` token, at most [`MAX_SUBJECT_CHARS`] characters; `None` for one that names nobody.
    pub subject: Option<String>,
    /// Until when; `None` = for good.
    pub expires_at: Option<Timestamp>,
}

impl Access {
    /// Authentication is off: everyone may do everything.
    pub fn open() -> Self {
        Self {
            role: Role::Admin,
            user: None,
            anonymous: false,
            anonymous_id: None,
            subject: None,
            expires_at: None,
        }
    }

    /// Whether what the caller reports is the shop's word. With authentication off nobody can be told apart: it is.
    pub fn speaker(&self) -> Speaker {
        match self.role {
            Role::User => Speaker::Client,
            Role::Service | Role::Admin => Speaker::Shop,
        }
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
    /// Before its `nbf`.
    #[error("the token is not valid yet (nbf)")]
    NotYet,
    /// Its `aud` names nobody here.
    #[error("the token is for another audience (aud); auth.audiences lists the accepted ones")]
    Audience,
}

/// Makes a token that is valid until `expires_at`.
pub fn issue(secret: &str, role: Role, subject: &str, expires_at: Timestamp) -> Result<String, TokenError> {
    sign(secret, &Issued { sub: subject, role, exp: expires_at.as_seconds(), anonymous: false })
}

/// Makes a token of a visitor without an account, who may be merged into a user.
pub fn issue_anonymous(secret: &str, visitor: &str, expires_at: Timestamp) -> Result<String, TokenError> {
    let role = Role::User;
    sign(secret, &Issued { sub: visitor, role, exp: expires_at.as_seconds(), anonymous: true })
}

fn sign(secret: &str, claims: &Issued<'_>) -> Result<String, TokenError> {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|_| TokenError::Bad)
}

/// Checks a token against the secret, the accepted audiences and the given moment. A token with `aud` is accepted if one of
/// `auth.audiences` is in it, one without is for everybody (RFC 7519 §4.1.3); one with `crit` is refused, since no extension
/// is understood (RFC 7515 §4.1.11).
pub fn verify(auth: &Auth, token: &str, now: Timestamp) -> Result<Access, TokenError> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false; // Dates are checked below against `now`, so that the domain reads no clock,
    validation.validate_nbf = false;
    validation.validate_aud = false; // and audiences with an error of their own.
    validation.required_spec_claims.clear(); // `Claims` requires them, in more forms.
    let token = decode::<Claims>(token, &DecodingKey::from_secret(auth.secret.as_bytes()), &validation)
        .map_err(|_| TokenError::Bad)?;
    if token.header.crit.is_some() {
        return Err(TokenError::Bad);
    }
    let claims = token.claims;
    let expires_at = date(claims.exp)?;
    if expires_at <= now {
        return Err(TokenError::Expired);
    }
    if let Some(begin) = claims.nbf
        && date(begin - NOT_BEFORE_LEEWAY_S)? > now
    {
        return Err(TokenError::NotYet);
    }
    if claims.aud.is_some_and(|audience| !audience.has_one_of(&auth.audiences)) {
        return Err(TokenError::Audience);
    }
    let access = access(claims.role, claims.sub, expires_at)?;
    let anonymous_id = claims.anonymous_id.map(|id| ExternalId::parse(&id.text())).transpose();
    Ok(Access {
        anonymous: claims.anonymous,
        anonymous_id: anonymous_id.map_err(|_| TokenError::Bad)?,
        ..access
    })
}

fn access(role: Role, subject: Subject, expires_at: Timestamp) -> Result<Access, TokenError> {
    let text = subject.text();
    let user = match role {
        Role::User => Some(ExternalId::parse(&text).map_err(|_| TokenError::Bad)?),
        Role::Service | Role::Admin => None,
    };
    let shown = text.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_CHARS).collect::<String>();
    let subject = Some(shown).filter(|name| user.is_none() && !name.is_empty() && name != NOBODY);
    Ok(Access { role, user, anonymous: false, anonymous_id: None, subject, expires_at: Some(expires_at) })
}

/// Moment of a `NumericDate`; one that is no date makes the token a bad one.
fn date(seconds: f64) -> Result<Timestamp, TokenError> {
    // NaN is in no range.
    if !(-MAX_NUMERIC_DATE..=MAX_NUMERIC_DATE).contains(&seconds) {
        return Err(TokenError::Bad);
    }
    Ok(Timestamp((seconds * 1e6).round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn auth() -> Auth {
        Auth { secret: SECRET.to_owned(), ..Auth::default() }
    }

    /// A token of another issuer, with the claims of `body`.
    fn foreign(body: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        encode(&Header::new(Algorithm::HS256), body, &key).unwrap()
    }

    #[test]
    fn a_user_token_speaks_for_that_user_only() {
        let token = issue(SECRET, Role::User, "17", NOW.plus_days(1.0)).unwrap();
        let access = verify(&auth(), &token, NOW).unwrap();
        assert!(access.may_act_for(&ExternalId::Integer(17)));
        assert!(!access.may_act_for(&ExternalId::Integer(18)));
    }

    #[test]
    fn an_admin_token_says_whose_it_is_unless_it_is_nobody_s() {
        let subject = |name: &str| {
            let token = issue(SECRET, Role::Admin, name, NOW.plus_days(1.0)).unwrap();
            verify(&auth(), &token, NOW).unwrap().subject
        };
        assert_eq!(subject("anna").as_deref(), Some("anna"));
        assert_eq!(subject(NOBODY), None);
        assert_eq!(subject(&"x".repeat(500)).unwrap().len(), MAX_SUBJECT_CHARS);
    }

    #[test]
    fn forged_expired_and_unsigned_tokens_are_refused() {
        let token = issue(SECRET, Role::Admin, "ops", NOW.plus_days(1.0)).unwrap();
        let other = Auth { secret: "another secret, as long as the first".to_owned(), ..Auth::default() };
        assert_eq!(verify(&other, &token, NOW), Err(TokenError::Bad));
        assert_eq!(verify(&auth(), &token, NOW.plus_days(2.0)), Err(TokenError::Expired));
        assert_eq!(verify(&auth(), "nonsense", NOW), Err(TokenError::Bad));
        // {"alg":"none"}, the oldest trick.
        let body = token.split('.').nth(1).unwrap();
        assert_eq!(verify(&auth(), &format!("eyJhbGciOiJub25lIn0.{body}."), NOW), Err(TokenError::Bad));
    }

    #[test]
    fn tokens_of_other_issuers_are_read_as_the_rfc_has_them() {
        let exp = 1_800_000_060;
        let access = |body: serde_json::Value| verify(&auth(), &foreign(&body), NOW);
        let user = |body| access(body).unwrap().user.unwrap();
        assert_eq!(user(json!({"sub": 17, "exp": exp})), ExternalId::Integer(17), "a number, no role");
        let read =
            access(json!({"sub": "17", "role": "user", "exp": 1_800_000_000.5, "iss": "shop"})).unwrap();
        assert_eq!(read.expires_at, Some(Timestamp(1_800_000_000_500_000)), "a fraction of a second");
        assert_eq!(read.role, Role::User);
        let past = access(json!({"sub": 17, "exp": 1_799_999_999.9}));
        assert_eq!(past, Err(TokenError::Expired));
        for bad in [
            json!({"sub": 17}),
            json!({"exp": exp}),
            json!({"sub": 1.5, "exp": exp}),
            json!({"sub": "", "exp": exp}),
            json!({"sub": 17, "exp": "soon"}),
            json!({"sub": 17, "exp": 1e300}),
            json!({"sub": 17, "exp": null}),
            json!({"sub": 17, "exp": exp, "role": "root"}),
            json!({"sub": 17, "exp": exp, "nbf": "now"}),
            json!({"sub": 17, "exp": exp, "aud": 1}),
        ] {
            assert_eq!(access(bad.clone()), Err(TokenError::Bad), "{bad}");
        }
    }

    #[test]
    fn a_token_with_an_audience_needs_one_that_is_accepted() {
        let mut auth = auth();
        let mut read = |accepted: &[&str], aud: serde_json::Value| {
            auth.audiences = accepted.iter().map(ToString::to_string).collect();
            let body = json!({"sub": 17, "exp": 1_800_000_060, "aud": aud});
            verify(&auth, &foreign(&body), NOW).map(|access| access.role)
        };
        assert_eq!(read(&[], json!("shop")), Err(TokenError::Audience), "nobody here is called that");
        assert_eq!(read(&["push", "shop"], json!("shop")), Ok(Role::User));
        assert_eq!(read(&["push"], json!(["shop", "push"])), Ok(Role::User));
        assert_eq!(read(&["push"], json!(["shop", "Push"])), Err(TokenError::Audience), "case matters");
        assert_eq!(read(&["push"], json!([])), Err(TokenError::Audience));
        assert_eq!(read(&["push"], json!(null)), Ok(Role::User), "for everybody");
    }

    #[test]
    fn a_token_is_not_valid_before_its_time() {
        let read = |nbf: f64| {
            verify(&auth(), &foreign(&json!({"sub": 17, "exp": 1_800_000_060, "nbf": nbf})), NOW).map(|_| ())
        };
        assert_eq!(read(1_800_000_030.0), Err(TokenError::NotYet));
        assert_eq!(read(1_800_000_010.0), Ok(()), "clocks differ by a moment");
        assert_eq!(read(1_799_999_000.25), Ok(()));
    }

    #[test]
    fn extensions_that_must_be_understood_are_refused() {
        let mut header = Header::new(Algorithm::HS256);
        header.crit = Some(vec!["b64".to_owned()]);
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&header, &json!({"sub": 17, "exp": 1_800_000_060}), &key).unwrap();
        assert_eq!(verify(&auth(), &token, NOW), Err(TokenError::Bad));
    }
}
