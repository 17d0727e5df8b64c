//! Gateway of logins: authenticates them, finds or starts the user's actor, hands the connection over. A login that brings an
//! anonymous visitor along waits until that one is merged into its user.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::app::App;
use super::merges::Merged;
use super::send::Offer;
use super::user::messages::UserMessage;
use serde::Serialize;
use tidings_core::base::{ExternalId, Millis, Timestamp};
use tidings_core::config::AuthMode;
use tidings_decision::deliver::{CloseCode, Frame, Login, Resume, frames};
use tidings_decision::privacy::api_key::Client;
use tidings_decision::privacy::audit::{AuditEntry, masked};
use tidings_decision::privacy::scope::{Area, Scope};
use tidings_decision::privacy::visitor::{Wish, visitor};
use tidings_decision::privacy::{Access, Permission, Role, TokenError};
use tidings_state::sessions::Session;
use tidings_store::{Along, Connection, audit};
use tidings_telemetry::Count;
use tidings_transport::{Gateway, Opened, Outbound};

/// Longest timer for a token: no connection lives that long.
const MAX_TIMER: Millis = Millis::hours(24 * 365);

/// The gateway of one server.
#[derive(Clone)]
pub struct UserGateway {
    app: Arc<App>,
    /// Address of the clients, by which refused tokens are counted and API keys may be confined; `None` = not known.
    address: Option<IpAddr>,
    /// Secret id of the session of a person whose browser opened the connection.
    session: Option<String>,
}

/// A merge that a login made, for the audit log.
#[derive(Serialize)]
struct MergeNoted<'a> {
    user_id: &'a ExternalId,
    anonymous_id: &'a ExternalId,
    /// False if it had been made before.
    merged: bool,
}

/// Close code of a refused token.
fn refusal(error: TokenError) -> CloseCode {
    match error {
        TokenError::Expired => CloseCode::TokenExpired,
        TokenError::Revoked | TokenError::SessionEnded => CloseCode::SignedOut,
        // The client comes again.
        TokenError::NoKeys => CloseCode::StreamLost,
        TokenError::Missing
        | TokenError::Bad
        | TokenError::Signature
        | TokenError::Algorithm
        | TokenError::UnknownKey
        | TokenError::Issuer
        | TokenError::Critical
        | TokenError::Claim(_)
        | TokenError::UnknownApiKey
        | TokenError::Elsewhere
        | TokenError::NotYet
        | TokenError::Audience => CloseCode::BadToken,
    }
}

impl UserGateway {
    /// Creates the gateway to the actors of `app`.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, address: None, session: None }
    }

    /// The same for a client of that address, and with that session, which stands for a token where the login has none.
    pub fn of_client(&self, address: Option<IpAddr>, session: Option<String>) -> Self {
        Self { app: Arc::clone(&self.app), address, session }
    }

    /// Address of the clients. Frames name no origin: the page was checked when the connection was opened.
    fn client(&self) -> Client {
        Client { address: self.address, origin: None }
    }

    /// Access rights of a login, by the keys that are there.
    fn access(&self, login: &Login) -> Result<Access, TokenError> {
        match self.app.state.config.auth.mode {
            AuthMode::Off => Ok(Access::open()),
            AuthMode::Token => {
                let identity = &self.app.state.identity;
                match (login.token.as_deref(), self.session.as_deref()) {
                    (Some(token), _) => identity.verify_now(token, &self.client()),
                    (None, Some(session)) => identity.verify_session(session),
                    (None, None) => Err(TokenError::Missing),
                }
            }
        }
    }

    /// User of a login. One that was merged is the user it was merged into; its own token does not speak for that user, and its
    /// client is asked for another.
    fn who(&self, login: &mut Login, access: &Access) -> Result<ExternalId, CloseCode> {
        // A user's token names the user; a service or an administrator says whose eyes it borrows.
        let named = login.user_id.clone().or(access.user.clone()).ok_or(CloseCode::BadFrame)?;
        let Some(user) = self.app.registry.aliases.merged(&named) else {
            return if access.may_for(&named, Permission::ActForUsers) {
                Ok(named)
            } else {
                Err(CloseCode::NotPermitted)
            };
        };
        if access.may_for(&user, Permission::ActForUsers) {
            // Its place was one in the stream of the visitor.
            let lost = || Resume { epoch: String::new(), offset: 0 };
            login.resume = login.resume.take().map(|_| lost());
            Ok(user)
        } else if access.may_for(&named, Permission::ActForUsers) {
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
            let identity = &self.app.state.identity;
            identity
                .with_verifier(|verifier| visitor(verifier, access, user, wish, Timestamp::now()))
                .map_err(|error| not_merged(&error.to_string(), false))
        })
    }
}

/// Answer to a login whose visitor was not merged; the login itself goes on.
fn not_merged(reason: &str, temporary: bool) -> Frame {
    frames::error("not_merged", reason, temporary, None)
}

impl Gateway for UserGateway {
    fn login(&self, opened: Opened) {
        let state = &self.app.state;
        if state.draining.load(Ordering::Acquire) {
            let _ = opened.pipe.offer(Outbound::Close(CloseCode::ShuttingDown));
            return;
        }
        if state.store.hangs() {
            // The client comes again, and is not kept waiting for a user that can't be read.
            let _ = opened.pipe.offer(Outbound::Close(CloseCode::StreamLost));
            return;
        }
        match self.access(&opened.login) {
            Err(TokenError::UnknownKey | TokenError::NoKeys) => {
                let gateway = self.clone();
                actix::spawn(async move {
                    let token = opened.login.token.clone().unwrap_or_default();
                    let access = gateway.app.state.identity.verify(&token, &gateway.client()).await;
                    gateway.admit(opened, access);
                });
            }
            access => self.admit(opened, access),
        }
    }
}

impl UserGateway {
    /// A login in the audit log.
    fn entry(&self, access: Option<&Access>, action: &str, object: String, status: u16) -> AuditEntry {
        AuditEntry {
            occurred_at: Timestamp::now(),
            actor: access.and_then(Access::actor),
            role: access.map_or("none", Access::audited_role).to_owned(),
            action: action.to_owned(),
            object,
            status,
            address: self.address.map(|address| address.to_string()),
            ..AuditEntry::default()
        }
    }

    /// Adds a refused login to the audit log.
    fn refused(&self, access: Option<&Access>, code: CloseCode) {
        let status = if code == CloseCode::NotPermitted { 403 } else { 401 };
        let entry = self.entry(access, "login", format!("closed with {}", code.code()), status);
        self.app.state.audit.refused(entry, self.address);
    }

    /// Adds to the audit log that a person looks at the messages of a user.
    fn looked_at(&self, access: &Access, user: &ExternalId) {
        if access.role.is_of_people() && !access.is_open() {
            let entry = self.entry(Some(access), "login", user.to_string(), 200);
            let state = Arc::clone(&self.app.state);
            actix::spawn(async move { state.audit.read(entry).await });
        }
    }

    /// Stores the entry of a merge with it: somebody else has changed two users. What users merge themselves is not kept, as over HTTP.
    fn entry_of_merge(&self, access: &Access, visitor: &ExternalId) -> Along<Merged> {
        if access.role == Role::User {
            return Box::new(|_, _| Ok(()));
        }
        let entry = self.entry(Some(access), "login that merges a visitor", String::new(), 200);
        let (visitor, tombstones) = (visitor.clone(), Arc::clone(&self.app.state.tombstones));
        Box::new(move |connection: &mut Connection, merged: &Merged| {
            let after =
                MergeNoted { user_id: &merged.user, anonymous_id: &visitor, merged: merged.moved.is_some() };
            let after = serde_json::to_value(after).ok().map(|after| masked(&after));
            let object = merged.user.to_string();
            let entry = AuditEntry { occurred_at: Timestamp::now(), object, after, ..entry };
            audit::append(connection, &[tombstones.in_entry(&entry)])
        })
    }

    /// Goes on with a login whose token was checked.
    fn admit(&self, mut opened: Opened, access: Result<Access, TokenError>) {
        let state = &self.app.state;
        let access = access.map_err(refusal);
        let known = access.as_ref().ok().cloned();
        let who = access.and_then(|access| {
            if !access.has_scope(Scope { area: Area::Events, write: true }) {
                return Err(CloseCode::NotPermitted);
            }
            let user = self.who(&mut opened.login, &access)?;
            if state.tombstones.has(&user) { Err(CloseCode::Erased) } else { Ok((user, access)) }
        });
        let (user, access) = match who {
            Ok(who) => who,
            Err(code) => {
                if code == CloseCode::BadToken {
                    state.limiter.failure(self.address);
                }
                let _ = opened.pipe.offer(Outbound::Close(code));
                self.refused(known.as_ref(), code);
                return;
            }
        };
        opened.login.speaker = access.speaker();
        if let Some(until) = access.expires_at {
            let left = until.millis_since(Timestamp::now()).min(MAX_TIMER).to_std();
            let _ = opened.pipe.offer(Outbound::ValidFor(left));
        }
        state.identity.sessions.enter(Session {
            user: user.to_string(),
            subject: access.name.clone(),
            token_id: access.id.clone(),
            api_key: access.api_key,
            sign_in: access.session,
            role: access.role,
            issued_at: access.issued_at,
            opened_at: Timestamp::now(),
            pipe: opened.pipe.weak(),
        });
        state.metrics.add(Count::Connects, 1);
        self.looked_at(&access, &user);
        match self.visitor(&opened.login, &access, &user) {
            None => connect(&self.app, &user, opened),
            Some(Err(answer)) => {
                let _ = opened.pipe.send(answer);
                connect(&self.app, &user, opened);
            }
            Some(Ok(visitor)) => {
                let app = Arc::clone(&self.app);
                let entry = self.entry_of_merge(&access, &visitor);
                actix::spawn(async move {
                    if let Err(error) = app.merges.merge(&user, &visitor, entry).await {
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
