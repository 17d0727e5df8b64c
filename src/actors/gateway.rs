//! Gateway of logins: authenticates them, finds or starts the user's actor, hands the connection over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::send::Offer;
use super::user::launcher::UserLauncher;
use super::user::messages::UserMessage;
use crate::base::{ExternalId, Millis, Timestamp};
use crate::config::AuthMode;
use crate::deliver::{CloseCode, Login};
use crate::privacy::{Access, TokenError, token};
use crate::state::AppState;
use crate::telemetry::Count;
use crate::transport::{Gateway, Opened, Outbound};

/// Longest timer for a token: no connection lives that long.
const MAX_TIMER: Millis = Millis::hours(24 * 365);

/// The gateway of one server.
pub struct UserGateway {
    state: Arc<AppState>,
    launcher: Arc<UserLauncher>,
}

impl UserGateway {
    /// Creates the gateway that starts actors with `launcher`.
    pub fn new(state: Arc<AppState>, launcher: Arc<UserLauncher>) -> Self {
        Self { state, launcher }
    }

    /// User of a login and the rights of its client.
    fn who(&self, login: &Login) -> Result<(ExternalId, Access), CloseCode> {
        let auth = &self.state.config.auth;
        match auth.mode {
            AuthMode::Off => {
                login.user_id.clone().map(|user| (user, Access::open())).ok_or(CloseCode::BadFrame)
            }
            AuthMode::Token => {
                let token = login.token.as_deref().ok_or(CloseCode::BadToken)?;
                let access = token::verify(auth, token, Timestamp::now()).map_err(|error| match error {
                    TokenError::Expired => CloseCode::TokenExpired,
                    TokenError::Bad | TokenError::Missing | TokenError::NotYet | TokenError::Audience => {
                        CloseCode::BadToken
                    }
                })?;
                // A user's token names the user; a service or an administrator says whose eyes it borrows.
                let user = login.user_id.clone().or(access.user.clone()).ok_or(CloseCode::BadFrame)?;
                if access.may_act_for(&user) { Ok((user, access)) } else { Err(CloseCode::NotPermitted) }
            }
        }
    }
}

impl Gateway for UserGateway {
    fn login(&self, mut opened: Opened) {
        if self.state.draining.load(Ordering::Acquire) {
            let _ = opened.pipe.offer(Outbound::Close(CloseCode::ShuttingDown));
            return;
        }
        let (user, access) = match self.who(&opened.login) {
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
        self.state.metrics.add(Count::Connects, 1);
        let entry = self.launcher.get_or_start(&user);
        if let Offer::Full(message) | Offer::Closed(message) = entry.offer(UserMessage::Connect(opened)) {
            self.state.metrics.add(Count::MailboxFull, 1);
            if let UserMessage::Connect(opened) = message {
                let _ = opened.pipe.offer(Outbound::Close(CloseCode::StreamLost));
            }
        }
    }
}
