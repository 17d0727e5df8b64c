//! Caller of a request: an extractor that reads the bearer token once per request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};

use super::error::ApiError;
use crate::actors::App;
use crate::base::{ExternalId, Timestamp};
use crate::config::AuthMode;
use crate::privacy::{Access, Role, TokenError, token};

/// A checked token, or nobody in particular when authentication is off.
#[derive(Clone, Debug)]
pub struct Caller(Access);

impl Caller {
    /// Backends and administrators.
    pub fn service(&self) -> Result<(), ApiError> {
        if self.0.role >= Role::Service { Ok(()) } else { Err(ApiError::NotPermitted) }
    }

    /// Administrators.
    pub fn admin(&self) -> Result<(), ApiError> {
        if self.0.role == Role::Admin { Ok(()) } else { Err(ApiError::NotPermitted) }
    }

    /// The user, a backend, or an administrator.
    pub fn may_act_for(&self, user: &ExternalId) -> Result<(), ApiError> {
        if self.0.may_act_for(user) { Ok(()) } else { Err(ApiError::NotPermitted) }
    }

    /// Name for records of who changed something: the token's subject, or `admin`.
    pub fn name(&self) -> String {
        let Access { user, subject, .. } = &self.0;
        let named = subject.clone().or_else(|| user.as_ref().map(ToString::to_string));
        named.unwrap_or_else(|| "admin".to_owned())
    }

    /// Whom a user's token speaks for.
    pub fn user(&self) -> Option<&ExternalId> {
        self.0.user.as_ref()
    }
}

/// Caller of a request that may carry its token in the query as well, as pages send them that can set no header.
pub fn caller(request: &HttpRequest, token_in_query: Option<&str>) -> Result<Caller, ApiError> {
    let app = request
        .app_data::<web::Data<App>>()
        .ok_or_else(|| ApiError::Unavailable("the server is starting".to_owned()))?;
    let auth = &app.state.config.auth;
    match auth.mode {
        AuthMode::Off => Ok(Caller(Access::open())),
        AuthMode::Token => {
            let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let bearer = header.and_then(|value| value.strip_prefix("Bearer "));
            let token = bearer.or(token_in_query).ok_or(TokenError::Missing)?;
            Ok(Caller(token::verify(&auth.secret, token.trim(), Timestamp::now())?))
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request, None))
    }
}
