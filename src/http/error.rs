//! Errors as clients see them: `{"error":{"code","message","field","expected"}}`. Nothing of the database or a secret shows.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::headers;
use super::room::NoRoom;
use tidings_actors::ingest::messages::IngestError;
use tidings_actors::loader::messages::LoadError;
use tidings_actors::notifier::messages::SubmitError;
use tidings_actors::notifier::recall::RecallError;
use tidings_core::base::ExternalIdError;
use tidings_decision::notify::policy::TOO_MANY_MUTES;
use tidings_decision::privacy::api_key::Wider;
use tidings_decision::privacy::{Permission, Scope, TokenError};
use tidings_state::limiter::Limited;
use tidings_store::StoreError;
use tidings_transport::posts::PostError;

/// Seconds after which a client may try again.
const RETRY_AFTER_S: &str = "1";

/// Reason an origin or a host name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A page of another site.
    #[error("this origin is not allowed; add it to server.allowed_origins")]
    Page,
    /// Perhaps the server's own page, behind a proxy that is not trusted.
    #[error(
        "this origin is not allowed: the forwarding headers of this request are not believed. If they come from your \
         proxy, add its address to server.trusted_proxies; otherwise add the origin to server.allowed_origins"
    )]
    Proxy,
    /// A name of another machine while authentication is off.
    #[error(
        "with auth.mode = \"off\" only the names of this machine (localhost, 127.0.0.1) are answered; set auth.mode = \"token\""
    )]
    Name,
}

/// Everything that can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body or a parameter is not what it should be.
    #[error("{message}")]
    Invalid {
        /// Stable, snake_case.
        code: &'static str,
        /// For a person.
        message: String,
        /// The field at fault.
        field: Option<Cow<'static, str>>,
    },
    /// No token, or a bad one.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token does not allow it.
    #[error("the token does not allow this")]
    NotPermitted,
    /// The role lacks a permission.
    #[error("this needs the permission {}, which the role does not have", .0.name())]
    Lacks(Permission),
    /// A request by cookie without the token of its session.
    #[error(
        "a request that changes something with a session needs its X-CSRF-Token, as GET /v1/people/me tells it"
    )]
    Csrf,
    /// The name or the password is wrong, or the account is disabled.
    #[error("the name or the password is wrong")]
    SignIn,
    /// A page that was loaded without TLS from another machine.
    #[error(
        "people sign in over https, or on the machine of the server itself; behind a proxy that ends TLS, add its address to \
         server.trusted_proxies"
    )]
    Insecure,
    /// The API key is not for this.
    #[error("the API key lacks the scope {0}")]
    OutOfScope(Scope),
    /// An API key or an account would be wider than its maker.
    #[error(transparent)]
    Wider(#[from] Wider),
    /// The token is of an id that was merged into another user.
    #[error("this id was merged into another user: log in again with a token of that user")]
    Merged,
    /// The user was erased.
    #[error(
        "the user of this id was erased: it is refused until its tombstone passes (privacy.tombstone_days) or an \
         administrator releases it (POST /v1/erasures/{{id}}/release)"
    )]
    Erased,
    /// No such thing.
    #[error("{0} was not found")]
    NotFound(&'static str),
    /// No open stream has that name.
    #[error("{0}")]
    UnknownConnection(PostError),
    /// The path exists, the method does not.
    #[error("this path does not know that method")]
    MethodNotAllowed,
    /// The body is larger than allowed.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// A page of another site asked, or one whose site can't be told.
    #[error(transparent)]
    Origin(Refused),
    /// The body did not come in time.
    #[error("the body did not come within {0} ms (server.body_timeout_ms)")]
    Slow(u64),
    /// Too little of the body came for too long.
    #[error("the body comes too slowly: fewer than {least} bytes in {seconds} s")]
    Stalled {
        /// Bytes that would have been enough.
        least: usize,
        /// Seconds in which they did not come.
        seconds: u64,
    },
    /// The body is packed in a way that is not understood.
    #[error("the Content-Encoding of a body is gzip or deflate, or there is none")]
    Encoding,
    /// The body would take more memory than its bytes justify.
    #[error("{0}")]
    TooComplex(String),
    /// More requests than the rate of whoever asks.
    #[error(
        "too many requests: {} in {} s are allowed ({}), try again in {} s",
        .0.rate.quota, .0.rate.window_s, .0.setting, .0.verdict.reset_s().max(1)
    )]
    Limited(Limited),
    /// Too much waits.
    #[error("{0}")]
    Overloaded(String),
    /// The same is under way already.
    #[error("{0}")]
    Busy(&'static str),
    /// The database or an actor did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Not what it should be inside.
    #[error("{0}")]
    Conflict(String),
    /// There is no room for another mute.
    #[error("{TOO_MANY_MUTES}")]
    TooManyMutes,
    /// `If-Match` names another version than the one that is stored.
    #[error("it was changed meanwhile: read it again, and send the ETag of that answer as If-Match")]
    PreconditionFailed,
    /// An idempotency key came before with another request.
    #[error("this Idempotency-Key was used for another request; each request needs a key of its own")]
    KeyReused,
    /// The first request under an idempotency key has no answer yet.
    #[error("the first request with this Idempotency-Key is under way; repeat it in a moment for its answer")]
    UnderWay,
}

/// An error as it is answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// Code, words and place of an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable name of the error, snake_case.
    pub code: Cow<'static, str>,
    /// The error in words, with the fix.
    pub message: String,
    /// The field or parameter at fault, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Expectation in its place, where the words say so in short: a type, a name, or names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

impl ErrorBody {
    /// An error of a field, if one is at fault.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>, field: Option<&str>) -> Self {
        let (code, message, field) = (code.into(), message.into(), field.map(str::to_owned));
        let expected = expected(&message);
        Self { error: ErrorDetail { code, message, field, expected } }
    }
}

/// Expectation that a message tells: `expected a string`, or `did you mean name?`.
fn expected(message: &str) -> Option<String> {
    let named = message.rsplit_once("did you mean ").and_then(|(_, rest)| rest.split('?').next());
    let listed = || {
        let (_, rest) = message.rsplit_once(", expected ")?;
        Some(rest.split(" at line ").next().unwrap_or(rest))
    };
    named.or_else(listed).map(|text| text.replace(['`', '"'], ""))
}

impl ApiError {
    /// A body or parameter that is not what it should be.
    pub fn invalid(code: &'static str, field: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into(), field: field.map(Cow::Borrowed) }
    }

    /// The same of a field that the client has named.
    pub fn invalid_field(
        code: &'static str,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self::Invalid { code, message: message.into(), field: Some(field.into()) }
    }

    /// PostgreSQL takes requests and answers none.
    pub fn database_hangs() -> Self {
        Self::Unavailable("the database does not answer, try again in a moment".to_owned())
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { code, .. } => code,
            Self::Token(TokenError::Missing) => "token_missing",
            Self::Token(
                TokenError::Bad
                | TokenError::Signature
                | TokenError::Algorithm
                | TokenError::Critical
                | TokenError::Claim(_),
            ) => "token_bad",
            Self::Token(TokenError::UnknownKey) => "token_key_unknown",
            Self::Token(TokenError::NoKeys) => "unavailable",
            Self::Token(TokenError::SessionEnded) => "session_ended",
            Self::Token(TokenError::UnknownApiKey) => "api_key_unknown",
            Self::Token(TokenError::Elsewhere) => "api_key_origin",
            Self::Token(TokenError::Issuer) => "token_issuer",
            Self::Token(TokenError::Revoked) => "token_revoked",
            Self::Token(TokenError::Expired) => "token_expired",
            Self::Token(TokenError::NotYet) => "token_not_yet_valid",
            Self::Token(TokenError::Audience) => "token_audience",
            Self::NotPermitted | Self::Lacks(_) | Self::OutOfScope(_) | Self::Wider(_) => "not_permitted",
            Self::Csrf => "csrf",
            Self::SignIn => "sign_in_refused",
            Self::Insecure => "insecure",
            Self::Merged => "merged",
            Self::Erased => "erased",
            Self::NotFound(_) => "not_found",
            Self::UnknownConnection(_) => "unknown_connection",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge(_) => "too_large",
            Self::Origin(_) => "origin_not_allowed",
            Self::Slow(_) | Self::Stalled { .. } => "too_slow",
            Self::Encoding => "unsupported_encoding",
            Self::TooComplex(_) => "too_complex",
            Self::Limited(_) => "rate_limited",
            Self::Overloaded(_) => "overloaded",
            Self::Busy(_) => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Conflict(_) => "conflict",
            Self::TooManyMutes => "too_many_mutes",
            Self::PreconditionFailed => "precondition_failed",
            Self::KeyReused => "idempotency_key_reused",
            Self::UnderWay => "request_under_way",
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::Token(TokenError::NoKeys) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token(_) | Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::NotPermitted
            | Self::Lacks(_)
            | Self::OutOfScope(_)
            | Self::Wider(_)
            | Self::Merged
            | Self::Csrf
            | Self::Insecure
            | Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Slow(_) | Self::Stalled { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound(_) | Self::UnknownConnection(_) => StatusCode::NOT_FOUND,
            Self::Erased => StatusCode::GONE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) | Self::TooComplex(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Overloaded(_) | Self::Busy(_) | Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Conflict(_) | Self::UnderWay | Self::TooManyMutes => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        // Errors of the outermost layers pass none that adds headers.
        response
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_SECURITY_POLICY, headers::CONTENT_SECURITY_POLICY))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if matches!(
            self,
            Self::Overloaded(_)
                | Self::Busy(_)
                | Self::Unavailable(_)
                | Self::UnderWay
                | Self::Token(TokenError::NoKeys)
        ) {
            response.insert_header((RETRY_AFTER, RETRY_AFTER_S));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        let field = match self {
            Self::Invalid { field, .. } => field.as_deref(),
            Self::Token(TokenError::Claim(claim)) => Some(*claim),
            Self::Wider(wider) => Some(wider.field()),
            _ => None,
        };
        let mut response = response.json(ErrorBody::new(self.code(), self.to_string(), field));
        if let Self::Limited(limited) = self {
            headers::rate(limited, response.headers_mut());
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_bad_text() {
            return Self::invalid("bad_text", None, "a text of the request contains NUL (U+0000)");
        }
        if error.is_bad_value() {
            log::warn!("request refused error={error}");
            let text = "a value of the request can't be stored: it is none of its type, or out of the range of the type";
            return Self::invalid("bad_value", None, text);
        }
        if matches!(error, StoreError::EmbeddingLengths { .. }) {
            return Self::invalid("bad_item", Some("embedding"), error.to_string());
        }
        if matches!(error, StoreError::Busy) {
            log::warn!("request refused error={error}");
            return Self::Unavailable(error.to_string());
        }
        log::error!("request failed error={error}");
        Self::Unavailable("the database is not available, try again in a moment".to_owned())
    }
}

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<NoRoom> for ApiError {
    fn from(error: NoRoom) -> Self {
        Self::Overloaded(error.to_string())
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Overloaded => Self::Overloaded(error.to_string()),
            IngestError::Unavailable => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Overloaded => Self::Overloaded(error.to_string()),
            SubmitError::Unavailable => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PostError> for ApiError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Unknown => Self::UnknownConnection(error),
            PostError::TooMany | PostError::Busy => Self::Overloaded(error.to_string()),
            PostError::Unanswered => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<RecallError> for ApiError {
    fn from(error: RecallError) -> Self {
        match error {
            RecallError::Store(error) => error.into(),
            RecallError::Unavailable => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ExternalIdError> for ApiError {
    fn from(error: ExternalIdError) -> Self {
        Self::invalid("bad_id", None, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_taken_from_the_words() {
        for (message, found) in [
            ("unknown parameter `limt`; did you mean `limit`?", Some("limit")),
            ("there is no state \"paus\"; did you mean paused?", Some("paused")),
            ("invalid type: string \"x\", expected u32 at line 1 column 9", Some("u32")),
            ("unknown field `x`, expected one of `a`, `b`", Some("one of a, b")),
            ("until must lie ahead", None),
        ] {
            assert_eq!(expected(message).as_deref(), found, "{message}");
        }
    }
}
