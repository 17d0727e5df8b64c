//! Caller of a request: an extractor that reads the bearer token once per request.

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use tokio::sync::OwnedMutexGuard;

use super::audited::{IsStored, Seen};
use super::error::ApiError;
use super::forwarded::Original;
use super::rates::{self, Who};
use super::session_cookie::{self, CSRF_TOKEN};
use tidings_actors::App;
use tidings_actors::registry::Registry;
use tidings_core::base::ExternalId;
use tidings_core::config::AuthMode;
use tidings_core::event::Speaker;
use tidings_decision::privacy::api_key::Client;
use tidings_decision::privacy::mask;
use tidings_decision::privacy::sign_in::{csrf_token, is_same};
use tidings_decision::privacy::{Access, Permission, Role, Scope, TokenError};

/// A checked token, or nobody in particular when authentication is off.
#[derive(Clone, Debug)]
pub struct Caller {
    access: Access,
    /// Permission to act for any user on this route.
    for_users: Permission,
}

impl Caller {
    fn new(access: Access) -> Self {
        Self { access, for_users: Permission::ActForUsers }
    }

    /// The caller, if its role has the permission, which then is the one for other users as well.
    pub fn with(self, permission: Permission) -> Result<Self, ApiError> {
        match self.access.may(permission) {
            true => Ok(Self { for_users: permission, ..self }),
            false => Err(ApiError::Lacks(permission)),
        }
    }

    /// The user of a path: whom the id stands for, if the caller may act for that user. A token of an id that was merged opens nothing
    /// of the user it was merged into.
    pub fn user(&self, path: &str, app: &App) -> Result<ExternalId, ApiError> {
        self.known(&ExternalId::parse(path)?, app)
    }

    /// The same for an id that is no part of the path.
    pub fn known(&self, named: &ExternalId, app: &App) -> Result<ExternalId, ApiError> {
        let user = self.known_in(named, &app.registry)?;
        if app.state.tombstones.has(&user) { Err(ApiError::Erased) } else { Ok(user) }
    }

    /// The user of a path, erased or not, if the caller may erase that user.
    pub fn erasable(&self, path: &str, app: &App) -> Result<ExternalId, ApiError> {
        if self.access.role == Role::User && !app.state.config.privacy.erase_own {
            return Err(ApiError::NotPermitted);
        }
        self.known_in(&ExternalId::parse(path)?, &app.registry)
    }

    fn known_in(&self, named: &ExternalId, registry: &Registry) -> Result<ExternalId, ApiError> {
        let user = registry.aliases.user(named);
        match self.may_act_for(&user) {
            Err(_) if user != *named && self.may_act_for(named).is_ok() => Err(ApiError::Merged),
            refused_or_not => refused_or_not.map(|()| user),
        }
    }

    /// The order of changes of a user, and the user: asked for again, since the id may have been merged into another user while
    /// this waited, whom the caller may not act for.
    pub async fn in_order(
        &self,
        named: &ExternalId,
        registry: &Registry,
    ) -> Result<(ExternalId, OwnedMutexGuard<()>), ApiError> {
        let order = registry.in_order(named).await;
        Ok((self.known_in(named, registry)?, order))
    }

    /// The user, or a role with the permission that the route asks for.
    pub fn may_act_for(&self, user: &ExternalId) -> Result<(), ApiError> {
        if self.access.may_for(user, self.for_users) { Ok(()) } else { Err(ApiError::NotPermitted) }
    }

    /// Name for records of who changed something: the token's subject, or `admin`.
    pub fn name(&self) -> String {
        let Access { user, subject, .. } = &self.access;
        let named = subject.clone().or_else(|| user.as_ref().map(ToString::to_string));
        named.unwrap_or_else(|| "admin".to_owned())
    }

    /// Refuses a request that names a user to somebody whose answers are masked: the mask of a known id would be told.
    pub fn may_name_users(&self) -> Result<(), ApiError> {
        match mask::applies(&self.access) {
            true => Err(ApiError::Lacks(Permission::PersonalData)),
            false => Ok(()),
        }
    }

    /// Returns whether the shop speaks, or a client of a user.
    pub fn speaker(&self) -> Speaker {
        self.access.speaker()
    }

    /// Access rights.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// User of a user's token; `None` of any other.
    pub fn subject(&self) -> Option<&ExternalId> {
        self.access.user.as_ref()
    }
}

/// Token of a request; the name of the scheme may be in any case (RFC 9110 §11.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Origin of a request: address and page.
fn client(request: &HttpRequest, app: &App) -> Client {
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned);
    let trusted = &app.state.config.server.trusted_proxies;
    Client { address: Original::of(request.head(), trusted).client, origin }
}

/// Caller that the rates count for a token.
fn who(verified: &Result<Access, TokenError>) -> Who<'_> {
    match verified {
        Ok(Access { user: Some(user), .. }) => Who::User(user),
        Ok(access) => Who::Service(access.subject.as_deref().unwrap_or("")),
        Err(
            TokenError::Expired
            | TokenError::NotYet
            | TokenError::Revoked
            | TokenError::SessionEnded
            | TokenError::NoKeys,
        ) => Who::OutOfTime,
        Err(_) => Who::Refused,
    }
}

/// Caller of a request that may carry its token in the query as well, as pages send them that can set no header. The request is counted
/// against the rates of whoever it is.
pub async fn caller(request: &HttpRequest, token_in_query: Option<&str>) -> Result<Caller, ApiError> {
    let app = request
        .app_data::<web::Data<App>>()
        .ok_or_else(|| ApiError::Unavailable("the server is starting".to_owned()))?;
    let access = match app.state.config.auth.mode {
        AuthMode::Off => Access::open(),
        AuthMode::Token => {
            let verified = match bearer(request.headers()).or(token_in_query) {
                Some(token) => app.state.identity.verify(token, &client(request, app)).await,
                None => {
                    let secret = session_cookie::secret(request.head(), &app.state.config);
                    app.state.identity.verify_session(&secret.ok_or(TokenError::Missing)?)
                }
            };
            rates::identified(request, app, who(&verified))?;
            verified?
        }
    };
    request.extensions_mut().insert(Seen { access: access.clone(), is_stored: IsStored::default() });
    if access.session.is_some() {
        check_csrf(request, app)?;
    }
    if access.scopes.is_some() {
        let pattern = request.match_pattern().unwrap_or_default();
        let wanted = Scope::of_route(request.method().as_str(), &pattern);
        if let Some(wanted) = wanted.filter(|wanted| !access.has_scope(*wanted)) {
            return Err(ApiError::OutOfScope(wanted));
        }
    }
    Ok(Caller::new(access))
}

/// Refuses a request that changes something by a cookie alone: a page of another site could cause it.
fn check_csrf(request: &HttpRequest, app: &App) -> Result<(), ApiError> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let secret = session_cookie::secret(request.head(), &app.state.config).unwrap_or_default();
    let sent = request.headers().get(CSRF_TOKEN).and_then(|token| token.to_str().ok());
    let is_own = sent.is_some_and(|sent| is_same(sent, &csrf_token(&secret)));
    if is_own { Ok(()) } else { Err(ApiError::Csrf) }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { caller(&request, None).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use futures_util::FutureExt;

    #[test]
    fn whoever_waited_for_a_merge_may_not_change_the_user_it_ended_in() {
        let (visitor, user) = (ExternalId::parse("anon-1").unwrap(), ExternalId::parse("17").unwrap());
        let of = |user: &ExternalId| {
            let access = Access { role: Role::User, user: Some(user.clone()), ..Access::open() };
            Caller::new(access)
        };
        let registry = Registry::default();
        let merge = registry.in_order(&visitor).now_or_never().unwrap();
        let (by_visitor, by_user, service) = (of(&visitor), of(&user), Caller::new(Access::open()));
        let mut waiting: Vec<_> = [&by_visitor, &by_user, &service]
            .into_iter()
            .map(|caller| Box::pin(caller.in_order(&visitor, &registry)))
            .collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()), "the merge goes on");
        registry.aliases.load(vec![(visitor.clone(), user.clone())]);
        drop(merge);
        let mut ended = waiting.into_iter().map(|one| one.now_or_never().unwrap().map(|(user, _)| user));
        assert!(matches!(ended.next().unwrap(), Err(ApiError::Merged)));
        assert_eq!(ended.next().unwrap().unwrap(), user);
        assert_eq!(ended.next().unwrap().unwrap(), user);
    }

    #[test]
    fn the_scheme_of_a_token_is_read_in_any_case() {
        let token = |value: &'static str| {
            let request = TestRequest::default().insert_header((AUTHORIZATION, value)).to_http_request();
            bearer(request.headers()).map(str::to_owned)
        };
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(token(value).as_deref(), Some("a.b.c"), "{value}");
        }
        for value in ["a.b.c", "Bearera.b.c", "Basic a.b.c", ""] {
            assert_eq!(token(value), None, "{value}");
        }
    }
}
