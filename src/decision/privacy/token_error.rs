//! Reasons why tokens and API keys are refused.

/// Reason a token was refused. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token where one is needed.
    #[error("a token is needed: Authorization: Bearer …")]
    Missing,
    /// Not a token.
    #[error("the token is not a JWT: header.claims.signature, each base64url, the first two JSON objects")]
    Bad,
    /// No key made the signature.
    #[error("the signature of the token does not match")]
    Signature,
    /// An algorithm that is not accepted, or not that of the key.
    #[error(
        "the algorithm of the token (alg) is not the one of its key; accepted are HS256, RS256, ES256 and EdDSA"
    )]
    Algorithm,
    /// Its `kid` names no key.
    #[error("the token names a key (kid) that is not known")]
    UnknownKey,
    /// Keys of its issuer have not come yet.
    #[error("the keys of the token's issuer can't be had at the moment, try again in a moment")]
    NoKeys,
    /// Its `iss` is not accepted.
    #[error("the token is of another issuer (iss); auth.issuers and auth.jwks list the accepted ones")]
    Issuer,
    /// An extension that must be understood and is not (RFC 7515 §4.1.11).
    #[error("the token has an extension that must be understood (crit) and is not")]
    Critical,
    /// A claim is missing, or not what it should be.
    #[error("the claim \"{0}\" of the token is missing, or not what it should be")]
    Claim(&'static str),
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before its `nbf`.
    #[error("the token is not valid yet (nbf)")]
    NotYet,
    /// Its `aud` names nobody here.
    #[error("the token is for another audience (aud); auth.audiences lists the accepted ones")]
    Audience,
    /// It was revoked.
    #[error("the token was revoked: sign in again")]
    Revoked,
    /// No session, or one that has ended.
    #[error("the session has ended: sign in again")]
    SessionEnded,
    /// No API key, or one that was revoked.
    #[error("the API key is not known, or was revoked")]
    UnknownApiKey,
    /// An API key from another place than it is for.
    #[error("the API key is not for use from here (its origins)")]
    Elsewhere,
}
