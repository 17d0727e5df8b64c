//! Sign-ins of people: their sessions of this moment, and passwords, which are checked off the threads of connections, a few at a time.

use std::collections::HashMap;
use std::net::IpAddr;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::sync::Semaphore;
use uuid::Uuid;

use tidings_core::base::{Millis, Timestamp};
use tidings_core::config::People;
use tidings_decision::privacy::password::{self, SALT_BYTES};
use tidings_decision::privacy::sign_in::{self, BYTES, Person, Sessions};
use tidings_decision::privacy::{Access, Role, TokenError};
use tidings_store::person_sessions::{self, NewSession};
use tidings_store::{Connection, Store, StoreError, people};

/// Checks of passwords that wait for their turn; further ones are refused.
const MAX_WAITING: usize = 64;
/// Longest name of a browser that is kept, bytes.
const MAX_BROWSER_BYTES: usize = 256;

/// Reason why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The name or the password is wrong, or the account is disabled.
    #[error("the name or the password is wrong")]
    Refused,
    /// Too many passwords wait to be checked.
    #[error("too many people are signing in, try again in a moment")]
    Overloaded,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Address and browser of somebody who signs in.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// Browser, as it names itself.
    pub browser: Option<String>,
}

/// A session that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its secret id, for the cookie.
    pub secret: String,
    /// Its name.
    pub id: Uuid,
    /// Its owner.
    pub person: Person,
    /// Its end.
    pub expires_at: Timestamp,
}

/// The sessions of this moment, and the room for checks of passwords.
pub struct SignIns {
    settings: People,
    sessions: ArcSwap<Sessions>,
    /// Last uses since the start, each with whether it is stored: sessions are read again only when one begins or ends.
    seen: Mutex<HashMap<Uuid, (Timestamp, bool)>>,
    checks: Semaphore,
    waiting: Semaphore,
}

impl SignIns {
    /// Knows no sessions yet.
    pub fn new(settings: &People) -> Self {
        Self {
            settings: settings.clone(),
            sessions: ArcSwap::default(),
            seen: Mutex::default(),
            checks: Semaphore::new(settings.max_concurrent_checks),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Access rights of the session with this secret id, which is used now.
    pub fn verify(&self, secret: &str, now: Timestamp) -> Result<Access, TokenError> {
        let idle = Millis(self.settings.idle_min * 60_000);
        let mut seen = self.seen.lock();
        let access = self.sessions.load().verify(secret, |id| seen.get(&id).map(|(at, _)| *at), idle, now)?;
        seen.extend(access.session.map(|id| (id, (now, false))));
        Ok(access)
    }

    /// Names of the sessions that are over by now, though they are stored still.
    pub fn over(&self, now: Timestamp) -> Vec<Uuid> {
        let idle = Millis(self.settings.idle_min * 60_000);
        let seen = self.seen.lock();
        self.sessions.load().over(|id| seen.get(&id).map(|(at, _)| *at), idle, now)
    }

    /// Takes over the sessions that are stored. Blocks.
    pub(super) fn read(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let stored: Sessions = person_sessions::all(connection, Timestamp::now())?.into_iter().collect();
        self.seen.lock().retain(|id, _| stored.has(*id));
        self.sessions.store(stored.into());
        Ok(())
    }

    /// Role of the person of a session that goes on.
    pub fn role_of(&self, session: Uuid) -> Option<Role> {
        self.sessions.load().role_of(session)
    }

    /// Stores when sessions were used last. Blocks.
    pub(super) fn store_seen(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let is_new = |(id, (at, is_stored)): (&Uuid, &(Timestamp, bool))| (!is_stored).then_some((*id, *at));
        let seen: Vec<(Uuid, Timestamp)> = self.seen.lock().iter().filter_map(is_new).collect();
        if seen.is_empty() {
            return Ok(());
        }
        person_sessions::note_seen(connection, &seen)?;
        // One that was used since is newer than what was stored.
        let mut known = self.seen.lock();
        for (id, stored_at) in seen {
            if let Some((at, is_stored)) = known.get_mut(&id) {
                *is_stored = *at == stored_at;
            }
        }
        Ok(())
    }

    /// Runs a computation of Argon2, as many at the same time as the settings allow.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SignInError> {
        let _place = self.waiting.try_acquire().map_err(|_| SignInError::Overloaded)?;
        let _turn = self.checks.acquire().await.map_err(|_| SignInError::Overloaded)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| SignInError::Overloaded)
    }

    /// The person with that name and password. It takes the same time whether or not there is such an account.
    pub async fn check(&self, store: &Store, name: &str, password: String) -> Result<Person, SignInError> {
        let named = name.to_owned();
        let account = store.run(move |connection| people::by_name(connection, &named)).await?;
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let is_right = self.compute(move || password::verify(&password, hash.as_deref())).await?;
        let account = account.filter(|account| is_right && account.disabled_at.is_none());
        account.map(|account| account.person).ok_or(SignInError::Refused)
    }

    /// Hash of a new password.
    pub async fn hash(&self, password: String) -> Result<String, SignInError> {
        let salt = rand::rng().random::<[u8; SALT_BYTES]>();
        self.compute(move || password::hash(&password, &salt)).await?.ok_or(SignInError::Overloaded)
    }

    /// A new session of a person, to be stored with [`person_sessions::begin`].
    pub fn begin(&self, person: Person, from: Client, now: Timestamp) -> (NewSession, Begun) {
        let secret = sign_in::text(&rand::rng().random::<[u8; BYTES]>());
        let browser = from.browser.map(|name| {
            let shown: String = name.chars().filter(|c| !c.is_control()).collect();
            let end = (0..=shown.len().min(MAX_BROWSER_BYTES)).rev().find(|end| shown.is_char_boundary(*end));
            shown.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
        });
        let new = NewSession {
            id: Uuid::now_v7(),
            hash: sign_in::hash(&secret),
            person: person.id,
            now,
            expires_at: now + Millis::hours(self.settings.session_h),
            address: from.address.map(|address| address.to_string()),
            browser,
        };
        let begun = Begun { secret, id: new.id, person, expires_at: new.expires_at };
        (new, begun)
    }

    /// A link that is good once: its secret, the hash that is stored, and its end.
    pub fn link(&self, now: Timestamp) -> (String, sign_in::SecretHash, Timestamp) {
        new_link(self.settings.link_h, now)
    }
}

/// A link that is good once, for so many hours: its secret, the hash that is stored, and its end.
pub fn new_link(hours: u64, now: Timestamp) -> (String, sign_in::SecretHash, Timestamp) {
    let secret = sign_in::text(&rand::rng().random::<[u8; BYTES]>());
    let hash = sign_in::hash(&secret);
    (secret, hash, now + Millis::hours(hours))
}

/// Page of the dashboard that a link opens. The secret is behind `#`, which browsers keep to themselves.
pub fn page_of_link(secret: &str) -> String {
    format!("#/join/{secret}")
}
