//! Gateway of logins: authenticates them, finds or starts the user's actor, hands the connection over. A login that brings an
//! anonymous visitor along waits until that one is merged into its user.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::app::App;
use super::send::Offer;
use super::user::messages::UserMessage;
use crate::base::{ExternalId, Millis, Timestamp};
use crate::config::AuthMode;
use crate::deliver::{CloseCode, Frame, Login, Resume, frames};
use crate::privacy::visitor::{Wish, visitor};
use crate::privacy::{Access, TokenError, token};
use crate::telemetry::Count;
use crate::transport::{Gateway, Opened, Outbound};

/// Longest timer for a token: no connection lives that long.
const MAX_TIMER: Millis = Millis::hours(24 * 365);

/// The gateway of one server.
pub struct UserGateway {
    app: Arc<App>,
}

impl UserGateway {
    /// Creates the gateway to the actors of `app`.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Access rights of a login.
    fn access(&self, login: &Login) -> Result<Access, CloseCode> {
        let auth = &self.app.state.config.auth;
        match auth.mode {
            AuthMode::Off => Ok(Access::open()),
            AuthMode::Token => {
                let token = login.token.as_deref().ok_or(CloseCode::BadToken)?;
                token::verify(auth, token, Timestamp::now()).map_err(|error| match error {
                    TokenError::Expired => CloseCode::TokenExpired,
                    TokenError::Bad | TokenError::Missing | TokenError::NotYet | TokenError::Audience => {
                        CloseCode::BadToken
                    }
                })
            }
        }
    }

    /// User of a login. One that was merged is the user it was merged into; its own token does not speak for that user, and its
    /// client is asked for another.
    fn who(&self, login: &mut Login, access: &Access) -> Result<ExternalId, CloseCode> {
        // A user's token names the user; a service or an administrator says whose eyes it borrows.
        let named = login.user_id.clone().or(access.user.clone()).ok_or(CloseCode::BadFrame)?;
        let Some(user) = self.app.registry.aliases.merged(&named) else {
            return if access.may_act_for(&named) { Ok(named) } else { Err(CloseCode::NotPermitted) };
        };
        if access.may_act_for(&user) {
            // Its place was one in the stream of the visitor.
            let lost = || Resume { epoch: String::new(), offset: 0 };
            login.resume = login.resume.take().map(|_| lost());
            Ok(user)
        } else if access.may_act_for(&named) {
            Err(CloseCode::TokenExpired)
        } else {
            Err(CloseCode::NotPermitted)
        }
    }

    /// The visitor to merge into the user of a login, or the answer that it will not be; `None` for a login without one.
    fn visitor(
        &self,
        login: &Login,
        access: &Access,
        user: &ExternalId,
    ) -> Option<Result<ExternalId, Frame>> {
        let wish = Wish { id: login.anonymous_id.as_ref(), token: login.anonymous_token.as_deref() };
        (wish.id.is_some() || wish.token.is_some()).then(|| {
            visitor(&self.app.state.config.auth, access, user, wish, Timestamp::now())
                .map_err(|error| not_merged(&error.to_string(), false))
        })
    }
}

/// Answer to a login whose visitor was not merged; the login itself goes on.
fn not_merged(reason: &str, temporary: bool) -> Frame {
    frames::error("not_merged", reason, temporary, None)
}

impl Gateway for UserGateway {
    fn login(&self, mut opened: Opened) {
        let state = &self.app.state;
        if state.draining.load(Ordering::Acquire) {
            let _ = opened.pipe.offer(Outbound::Close(CloseCode::ShuttingDown));
            return;
        }
        let who = self.access(&opened.login).and_then(|access| {
            let user = self.who(&mut opened.login, &access)?;
            Ok((user, access))
        });
        let (user, access) = match who {
            Ok(who) => who,
            Err(code) => {
                let _ = opened.pipe.offer(Outbound::Close(code));
                return;
            }
        };
        opened.login.speaker = access.speaker();
        if let Some(until) = access.expires_at {
            let left = until.millis_since(Timestamp::now()).min(MAX_TIMER).to_std();
            let _ = opened.pipe.offer(Outbound::ValidFor(left));
        }
        state.metrics.add(Count::Connects, 1);
        match self.visitor(&opened.login, &access, &user) {
            None => connect(&self.app, &user, opened),
            Some(Err(answer)) => {
                let _ = opened.pipe.send(answer);
                connect(&self.app, &user, opened);
            }
            Some(Ok(visitor)) => {
                let app = Arc::clone(&self.app);
                actix::spawn(async move {
                    if let Err(error) = app.merges.merge(&user, &visitor).await {
                        let _ = opened.pipe.send(not_merged(&error.to_string(), error.is_temporary()));
                    }
                    connect(&app, &user, opened);
                });
            }
        }
    }
}

/// Hands a connection to the actor of its user.
fn connect(app: &App, user: &ExternalId, opened: Opened) {
    let entry = app.launcher.get_or_start(user);
    if let Offer::Full(message) | Offer::Closed(message) = entry.offer(UserMessage::Connect(opened)) {
        app.state.metrics.add(Count::MailboxFull, 1);
        if let UserMessage::Connect(opened) = message {
            let _ = opened.pipe.offer(Outbound::Close(CloseCode::StreamLost));
        }
    }
}
