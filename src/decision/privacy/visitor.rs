//! Right of a login to merge an anonymous visitor into its user. Nobody may take over somebody else's account, so a login needs a
//! proof that the visitor is its own, and only visitors that are known to be anonymous can be merged.

use super::access::Access;
use super::permission::Permission;
use super::role::Role;
use super::scope::{Area, Scope};
use super::token::Verifier;
use super::token_error::TokenError;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::config::AuthMode;

/// Visitor that a login asks to merge.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Id of the visitor.
    pub id: Option<&'a ExternalId>,
    /// Token of the visitor, which has the claim `anonymous: true`.
    pub token: Option<&'a str>,
}

/// Reason why a visitor is not merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VisitorError {
    /// The token of the visitor was refused.
    #[error("anonymous_token: {0}")]
    Token(#[from] TokenError),
    /// The two fields disagree.
    #[error("anonymous_token is of another visitor than anonymous_id")]
    Mismatch,
    /// It may be an account.
    #[error("this id is not known to be anonymous: its token needs the claim anonymous: true")]
    NotAnonymous,
    /// Its id does not begin as those of visitors do, whatever its token claims.
    #[error("this id is no visitor's: ids of visitors begin with the text of auth.anonymous_prefix")]
    WithoutPrefix,
    /// A visitor takes nothing over.
    #[error("an anonymous visitor can't take over another one")]
    OfVisitor,
    /// It may be somebody else's.
    #[error(
        "nothing proves that this visitor is yours: send anonymous_token, or use a token with the claim anonymous_id"
    )]
    Unproven,
    /// Whoever logs in for others would change them.
    #[error(
        "to merge users that are not its own a token needs the permission write_users, and an API key the scope users:write"
    )]
    NotPermitted,
}

/// The visitor that the caller may merge into `user`.
pub fn visitor(
    verifier: Verifier<'_>,
    access: &Access,
    user: &ExternalId,
    wish: Wish<'_>,
    now: Timestamp,
) -> Result<ExternalId, VisitorError> {
    let auth = verifier.auth;
    let has_prefix = |id: &ExternalId| id.to_string().starts_with(&auth.anonymous_prefix);
    let by_prefix = !auth.anonymous_prefix.is_empty();
    if access.anonymous || (by_prefix && has_prefix(user)) {
        return Err(VisitorError::OfVisitor);
    }
    // The same as over HTTP (`POST /v1/users/{id}/merge`): to speak for users is not to change them.
    let writes_users =
        || access.may(Permission::WriteUsers) && access.has_scope(Scope { area: Area::Users, write: true });
    if access.role != Role::User && !writes_users() {
        return Err(VisitorError::NotPermitted);
    }
    let visitor = match wish.token.filter(|_| auth.mode == AuthMode::Token) {
        Some(token) => {
            let proof = verifier.verify(token, now)?;
            let named = proof.user.filter(|_| proof.anonymous).ok_or(VisitorError::NotAnonymous)?;
            if wish.id.is_some_and(|id| *id != named) {
                return Err(VisitorError::Mismatch);
            }
            named
        }
        None => {
            let id = wish.id.ok_or(VisitorError::Unproven)?;
            if by_prefix && !has_prefix(id) {
                return Err(VisitorError::WithoutPrefix);
            }
            let is_claimed = access.anonymous_id.as_ref() == Some(id);
            if access.role == Role::User && !is_claimed && !by_prefix {
                return Err(VisitorError::Unproven);
            }
            id.clone()
        }
    };
    if by_prefix && !has_prefix(&visitor) { Err(VisitorError::WithoutPrefix) } else { Ok(visitor) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::{KeyRing, Revocations};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};
    use tidings_core::config::Auth;

    const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn token(mut claims: Value) -> String {
        claims["exp"] = json!(1_800_000_060);
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    }

    fn auth(prefix: &str) -> Auth {
        let (mode, secret) = (AuthMode::Token, SECRET.to_owned());
        Auth { mode, secret, anonymous_prefix: prefix.to_owned(), ..Auth::default() }
    }

    /// Visitor who is merged into the user of `own`, who is 17 unless the token says otherwise.
    fn asked(
        prefix: &str,
        own: Value,
        id: Option<&str>,
        proof: Option<Value>,
    ) -> Result<String, VisitorError> {
        let auth = auth(prefix);
        let keys = KeyRing::new(&auth, |_| Err(String::new())).unwrap();
        let verifier = Verifier { auth: &auth, keys: &keys, revoked: &Revocations::default() };
        let access = verifier.verify(&token(own), NOW).unwrap();
        let user = access.user.clone().unwrap_or(ExternalId::Integer(17));
        let (id, proof) = (id.map(|id| ExternalId::parse(id).unwrap()), proof.map(token));
        let wish = Wish { id: id.as_ref(), token: proof.as_deref() };
        visitor(verifier, &access, &user, wish, NOW).map(|visitor| visitor.to_string())
    }

    #[test]
    fn a_user_proves_that_a_visitor_was_theirs() {
        let own = || json!({"sub": 17});
        let anonymous = || json!({"sub": "v1", "anonymous": true});
        let is_v1 = Ok("v1".to_owned());
        assert_eq!(asked("", own(), None, Some(anonymous())), is_v1, "its token");
        assert_eq!(asked("", own(), Some("v1"), Some(anonymous())), is_v1);
        assert_eq!(asked("", json!({"sub": 17, "anonymous_id": "v1"}), Some("v1"), None), is_v1, "a claim");
        assert_eq!(asked("v", own(), Some("v1"), None), is_v1, "ids that nobody can guess");
        assert_eq!(asked("", json!({"sub": "shop", "role": "service"}), Some("v1"), None), is_v1);
    }

    #[test]
    fn whoever_acts_for_users_merges_them_only_with_the_right_to_change_them() {
        let auth = auth("");
        let keys = KeyRing::new(&auth, |_| Err(String::new())).unwrap();
        let verifier = Verifier { auth: &auth, keys: &keys, revoked: &Revocations::default() };
        let (user, other) = (ExternalId::Integer(17), ExternalId::Integer(21));
        let proof = token(json!({"sub": "v1", "anonymous": true}));
        let outcome = |permissions: &[Permission], scopes: Option<&[&str]>, wish: Wish<'_>| {
            let access = Access {
                role: Role::Service,
                permissions: Some(permissions.into()),
                scopes: scopes.map(|scopes| scopes.iter().map(|scope| scope.parse().unwrap()).collect()),
                ..Access::open()
            };
            visitor(verifier, &access, &user, wish, NOW).map(|visitor| visitor.to_string())
        };
        let (act, write) = (Permission::ActForUsers, Permission::WriteUsers);
        let by_id = Wish { id: Some(&other), token: None };
        let by_token = Wish { id: None, token: Some(&proof) };
        assert_eq!(outcome(&[act], None, by_id), Err(VisitorError::NotPermitted));
        assert_eq!(outcome(&[act], None, by_token), Err(VisitorError::NotPermitted));
        assert_eq!(outcome(&[act, write], Some(&["events:write"]), by_id), Err(VisitorError::NotPermitted));
        assert_eq!(
            outcome(&[act, write], Some(&["events:write", "users:write"]), by_id),
            Ok("21".to_owned())
        );
        assert_eq!(outcome(&[act, write], None, by_token), Ok("v1".to_owned()));
    }

    #[test]
    fn nobody_takes_over_what_is_not_theirs() {
        let own = || json!({"sub": 17});
        assert_eq!(asked("", own(), Some("v1"), None), Err(VisitorError::Unproven));
        assert_eq!(
            asked("", json!({"sub": 17, "anonymous_id": "v2"}), Some("v1"), None),
            Err(VisitorError::Unproven)
        );
        // The token of an account, stolen or not, is no token of a visitor.
        assert_eq!(asked("", own(), None, Some(json!({"sub": 18}))), Err(VisitorError::NotAnonymous));
        let service = json!({"sub": "v1", "role": "service", "anonymous": true});
        assert_eq!(asked("", own(), Some("v1"), Some(service)), Err(VisitorError::NotAnonymous));
        let other = json!({"sub": "v2", "anonymous": true});
        assert_eq!(asked("", own(), Some("v1"), Some(other)), Err(VisitorError::Mismatch));
        let expired =
            asked("", own(), None, Some(json!({"sub": "v1", "anonymous": true, "nbf": 1_900_000_000})));
        assert_eq!(expired, Err(VisitorError::Token(TokenError::NotYet)));
        // With a prefix nothing else is anonymous, whoever asks.
        assert_eq!(asked("anon-", own(), Some("18"), None), Err(VisitorError::WithoutPrefix));
        let service = json!({"sub": "shop", "role": "service"});
        assert_eq!(asked("anon-", service, Some("18"), None), Err(VisitorError::WithoutPrefix));
        // It has the claim already: what it lacks is the prefix.
        let claimed = json!({"sub": "v1", "anonymous": true});
        let refused = asked("anon-", own(), None, Some(claimed)).unwrap_err();
        assert_eq!(refused, VisitorError::WithoutPrefix);
        assert!(refused.to_string().contains("auth.anonymous_prefix"), "{refused}");
        assert!(!VisitorError::NotAnonymous.to_string().contains("prefix"));
        // A visitor collects no other visitors.
        let visitor = || json!({"sub": "v2", "anonymous": true});
        let v1 = json!({"sub": "v1", "anonymous": true});
        assert_eq!(asked("", visitor(), None, Some(v1)), Err(VisitorError::OfVisitor));
        assert_eq!(asked("v", json!({"sub": "v2"}), Some("v1"), None), Err(VisitorError::OfVisitor));
    }
}
