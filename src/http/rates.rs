//! Rate limits of requests: who is counted, and by what.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpMessage, HttpRequest};

use super::error::ApiError;
use super::forwarded::Original;
use super::origin;
use tidings_actors::App;
use tidings_core::base::ExternalId;
use tidings_state::limiter::{Class, Limited};

/// Caller by its token.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// A user.
    User(&'a ExternalId),
    /// A service or an administrator, by the token's subject.
    Service(&'a str),
    /// A token that was good, or will be.
    OutOfTime,
    /// No token of ours.
    Refused,
}

/// Address of the client, as trusted proxies tell it.
pub fn address(head: &RequestHead, app: &App) -> Option<IpAddr> {
    Original::of(head, &app.state.config.server.trusted_proxies).client
}

/// A request with a token that nobody has read yet: counted by its address, and refused for that only once it is known not to be one that
/// has a rate of its own.
#[derive(Clone, Copy)]
struct Unread(Limited);

/// Counts a request by its address. One with a token is not refused before the token is read.
pub fn arrived(request: &HttpRequest, app: &App) -> Result<(), ApiError> {
    let head = request.head();
    let has_token = head.headers.contains_key(AUTHORIZATION)
        || request.query_string().split('&').any(|parameter| parameter.starts_with("token="));
    match app.state.limiter.address(address(head, app)) {
        Some(limited) if has_token && origin::is_api(request.path()) => {
            request.extensions_mut().insert(Unread(limited));
            Ok(())
        }
        limited => count(request, limited),
    }
}

/// The token of the request, if it has one, is not read, or was not: it counts as one without.
pub fn unread(request: &HttpRequest) -> Result<(), ApiError> {
    let unread = request.extensions_mut().remove::<Unread>();
    count(request, unread.map(|Unread(limited)| limited))
}

/// Counts a request by what its token turned out to be: a user's with user and address, a service's by its name, a refused one against
/// its address; what the latter two took of the rate of their address when they arrived is given back. A good token passes however many
/// were refused before it. An expired one is no attempt and is not counted as one.
pub fn identified(request: &HttpRequest, app: &App, who: Who<'_>) -> Result<(), ApiError> {
    let limiter = &app.state.limiter;
    let address = address(request.head(), app);
    let class = match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => Class::Read,
        _ => Class::Change,
    };
    match who {
        Who::User(_) | Who::OutOfTime => unread(request)?,
        Who::Service(_) | Who::Refused => {
            if let Some(Unread(counted)) = request.extensions_mut().remove::<Unread>() {
                limiter.give_back(address, &counted);
            }
        }
    }
    match who {
        Who::User(user) => count(request, limiter.user(user, class)),
        Who::Service(name) => count(request, limiter.service(name, class)),
        Who::OutOfTime => Ok(()),
        Who::Refused => count(request, limiter.failure(address)),
    }
}

/// Counts the events of a request with the token of a user. Those of others are not counted.
pub fn events(request: &HttpRequest, app: &App, user: &ExternalId, n: usize) -> Result<(), ApiError> {
    match app.state.limiter.events(user, n) {
        Some(limited) if limited.rate.quota as usize >= n => count(request, Some(limited)),
        Some(limited) => {
            let message = format!(
                "a user may tell of {} events at once ({}), these are {n}",
                limited.rate.quota, limited.setting
            );
            Err(ApiError::invalid("too_many_events", None, message))
        }
        None => Ok(()),
    }
}

/// Counts an attempt to sign in as somebody, by the name and by the address, before the password is checked.
pub fn signs_in(request: &HttpRequest, app: &App, name: &str) -> Result<(), ApiError> {
    count(request, app.state.limiter.sign_in(name, address(request.head(), app)))
}

/// Counts a request for a connection that stays open.
pub fn connects(head: &RequestHead, app: &App) -> Result<(), ApiError> {
    refuse(app.state.limiter.connection(address(head, app)))
}

/// Keeps the verdict for the answer: the tightest of those on one request.
fn count(request: &HttpRequest, limited: Option<Limited>) -> Result<(), ApiError> {
    if let Some(limited) = limited {
        let mut extensions = request.extensions_mut();
        let tightest = extensions.get::<Limited>().map(|other| other.verdict.remaining);
        if tightest.is_none_or(|remaining| limited.verdict.remaining <= remaining) {
            extensions.insert(limited);
        }
    }
    refuse(limited)
}

fn refuse(limited: Option<Limited>) -> Result<(), ApiError> {
    match limited {
        Some(limited) if !limited.verdict.allowed => Err(ApiError::Limited(limited)),
        _ => Ok(()),
    }
}
