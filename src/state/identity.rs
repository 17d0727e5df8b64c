//! Identity of callers: keys that tokens are verified with, kept up to date from files and URLs. A verification never waits for
//! anybody; only a token of a configured issuer whose key is not known yet waits for one fetch.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use super::oidc::OidcAttempts;
use super::sessions::Sessions;
use super::sign_ins::SignIns;
use tidings_core::base::Timestamp;
use tidings_core::config::{Auth, JwksSetting, People};
use tidings_decision::privacy::api_key::{self, ApiKey, ApiKeys, Client};
use tidings_decision::privacy::key::{Key, KeyError, read_jwks};
use tidings_decision::privacy::{Access, KeyRing, Revocations, TokenError, Verifier, token};
use tidings_store::{Connection, Store, StoreError, api_keys, revocations};
use tidings_transport::jwks::JwksClient;

/// Largest file of keys, bytes.
const MAX_FILE_BYTES: u64 = 256 << 10;
/// Files are looked at this often.
const FILE_CHECK: Duration = Duration::from_secs(1);
/// Changes of revocations, API keys and sessions of people are looked for this often.
const CHANGE_CHECK: Duration = Duration::from_millis(500);
/// Uses of API keys and sessions are stored this often, in checks for changes.
const NOTE_USED_EVERY: u32 = 4;
/// Requests that wait for keys at the same time; further ones are refused at once.
const MAX_WAITING: usize = 256;

/// Fetches of one entry of `auth.jwks`.
#[derive(Default)]
struct Fetches {
    progress: Mutex<Progress>,
    wanted: Notify,
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct Progress {
    under_way: bool,
    ended_at: Option<Instant>,
}

/// Keys and what is needed to bring them up to date.
pub struct Identity {
    auth: Auth,
    keys: ArcSwap<KeyRing>,
    revoked: ArcSwap<Revocations>,
    api_keys: ArcSwap<ApiKeys>,
    /// API keys that were used since that was stored last.
    used: Mutex<HashSet<Uuid>>,
    /// Changes of revocations, API keys and sessions of people that are known here.
    changes: AtomicI64,
    /// Open connections.
    pub sessions: Sessions,
    /// People who are signed in.
    pub people: SignIns,
    /// Sign-ins with the identity provider that are under way.
    pub oidc: OidcAttempts,
    fetches: Vec<Fetches>,
    waiting: Semaphore,
}

impl Identity {
    /// Knows no keys yet.
    pub fn new(auth: &Auth, people: &People) -> Self {
        Self {
            auth: auth.clone(),
            keys: ArcSwap::default(),
            revoked: ArcSwap::default(),
            api_keys: ArcSwap::default(),
            used: Mutex::default(),
            changes: AtomicI64::new(-1),
            sessions: Sessions::default(),
            people: SignIns::new(people),
            oidc: OidcAttempts::default(),
            fetches: auth.jwks.iter().map(|_| Fetches::default()).collect(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Reads the keys of the configuration and of files. Blocks.
    pub fn load_keys(&self) -> Result<(), KeyError> {
        let mut ring = KeyRing::new(&self.auth, |file| read(Path::new(file)))?;
        for (nth, source) in self.auth.jwks.iter().enumerate().filter(|(_, source)| !source.file.is_empty()) {
            ring = ring.with_set(nth, &read_file(source)?);
        }
        self.keys.store(ring.into());
        Ok(())
    }

    /// Checks a token, or an API key, with the keys that are there.
    pub fn verify_now(&self, token: &str, client: &Client) -> Result<Access, TokenError> {
        if token.trim().starts_with(api_key::PREFIX) {
            let access = self.api_keys.load().verify(token.trim(), client, Timestamp::now())?;
            self.used.lock().extend(access.api_key);
            return Ok(access);
        }
        self.with_verifier(|verifier| verifier.verify(token.trim(), Timestamp::now()))
    }

    /// Checks a token; waits for one fetch of keys where its issuer is known and its key is not.
    pub async fn verify(&self, token: &str, client: &Client) -> Result<Access, TokenError> {
        match self.verify_now(token, client) {
            Err(TokenError::UnknownKey | TokenError::NoKeys) => {
                self.fetched(token.trim()).await;
                // Even where nothing was fetched for it: keys may have come since the first look.
                self.verify_now(token, client)
            }
            checked => checked,
        }
    }

    /// Checks the secret id of a person's session, which a revocation of everything ends as well. One of a subject does not: users of the
    /// shop, who sign themselves out, may have the name of a person.
    pub fn verify_session(&self, secret: &str) -> Result<Access, TokenError> {
        let access = self.people.verify(secret, Timestamp::now())?;
        match self.revoked.load().cover(None, "", access.issued_at) {
            true => Err(TokenError::SessionEnded),
            false => Ok(access),
        }
    }

    /// Reads revocations, API keys and sessions of people if they have changed, and ends the connections that are over by them; how many. Blocks.
    pub fn read_changes(&self, connection: &mut Connection) -> Result<usize, StoreError> {
        // First the number: what changes meanwhile is read once more.
        let changes = revocations::changes(connection)?;
        if self.changes.load(Ordering::Acquire) == changes {
            return Ok(0);
        }
        let revoked: Revocations =
            revocations::list(connection, i64::MAX, i64::MAX)?.into_iter().map(|row| row.revoked).collect();
        let keys: Vec<ApiKey> = api_keys::list(connection, false)?.into_iter().map(|row| row.key).collect();
        let key_ids: HashSet<Uuid> = keys.iter().map(|key| key.id).collect();
        self.revoked.store(Arc::new(revoked.clone()));
        self.api_keys.store(Arc::new(keys.into_iter().collect()));
        self.people.read(connection)?;
        self.changes.store(changes, Ordering::Release);
        Ok(self.sessions.close(|session| {
            let by_itself = match session.api_key {
                Some(key) => !key_ids.contains(&key),
                // Whose role has changed logs in anew, with what is permitted now.
                None if session.sign_in.is_some() => {
                    session.sign_in.and_then(|id| self.people.role_of(id)) != Some(session.role)
                }
                None if session.subject.is_empty() => false,
                None => revoked.cover(session.token_id.as_deref(), &session.subject, session.issued_at),
            };
            by_itself || revoked.cover(None, &session.user, Some(session.opened_at))
        }))
    }

    /// Ends the connections of people's sessions that are idle for too long, or at their end; how many. Nothing that is stored changes then.
    pub fn close_idle(&self, now: Timestamp) -> usize {
        let over: HashSet<Uuid> = self.people.over(now).into_iter().collect();
        match over.is_empty() {
            true => 0,
            false => self.sessions.close(|session| session.sign_in.is_some_and(|id| over.contains(&id))),
        }
    }

    /// Reads what was stored just now, as [`Self::read_changes`] does; the connections that it ended. It is stored: what can't be read at
    /// this moment, [`watch_changes`] reads, and `None` is returned. Blocks.
    pub fn read_stored(&self, connection: &mut Connection) -> Option<usize> {
        let told = |error: &StoreError| log::warn!("stored keys not read, tried again error={error}");
        self.read_changes(connection).inspect_err(told).ok()
    }

    /// Runs `work` with the keys and revocations of this moment.
    pub fn with_verifier<T>(&self, work: impl FnOnce(Verifier<'_>) -> T) -> T {
        let (keys, revoked) = (self.keys.load(), self.revoked.load());
        work(Verifier { auth: &self.auth, keys: &keys, revoked: &revoked })
    }

    /// Has the keys of the token's issuer fetched, unless that was done a moment ago, and waits for that.
    async fn fetched(&self, token: &str) {
        let nth = token::source_of(&self.keys.load(), token);
        let Some((source, fetches)) = nth.and_then(|nth| self.auth.jwks.get(nth).zip(self.fetches.get(nth)))
        else {
            return;
        };
        let Ok(_place) = self.waiting.try_acquire() else { return };
        if source.url.is_empty() || !fetches.want(Duration::from_secs(self.auth.jwks_min_interval_s)) {
            return;
        }
        let mut ended = fetches.ended.subscribe();
        // It may have ended since.
        if fetches.progress.lock().under_way {
            let longest = Duration::from_millis(self.auth.jwks_timeout_ms) * 2;
            let _ = tokio::time::timeout(longest, ended.changed()).await;
        }
    }

    fn put_set(&self, nth: usize, keys: &[Arc<Key>]) {
        self.keys.rcu(|ring| ring.with_set(nth, keys));
    }
}

impl Fetches {
    /// Asks for a fetch; false if the last one ended less than `min_interval` ago.
    fn want(&self, min_interval: Duration) -> bool {
        let mut progress = self.progress.lock();
        if progress.under_way {
            return true;
        }
        if progress.ended_at.is_some_and(|at| at.elapsed() < min_interval) {
            return false;
        }
        progress.under_way = true;
        self.wanted.notify_one();
        true
    }
}

fn read(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    if std::fs::metadata(path).map_err(told)?.len() > MAX_FILE_BYTES {
        return Err(format!("{}: larger than {MAX_FILE_BYTES} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(told)
}

fn read_file(source: &JwksSetting) -> Result<Vec<Arc<Key>>, KeyError> {
    let told = |error| KeyError::File(source.issuer.clone(), error);
    let text = read(Path::new(&source.file)).map_err(told)?;
    read_jwks(text.as_bytes(), source)
}

/// Length and time of change of a file; `None` if it is not there.
fn stamp(file: &str) -> Option<(u64, SystemTime)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// Reads files of keys again when they change. What can't be read changes nothing. Runs as long as its thread.
pub async fn watch_files(identity: Arc<Identity>) {
    let files = |identity: &Identity| -> Vec<_> {
        let files = identity.auth.jwks.iter().enumerate().filter(|(_, source)| !source.file.is_empty());
        files.map(|(nth, source)| (nth, source.clone())).collect()
    };
    let files = files(&identity);
    if files.is_empty() {
        return;
    }
    let mut seen: Vec<_> = files.iter().map(|(_, source)| stamp(&source.file)).collect();
    loop {
        tokio::time::sleep(FILE_CHECK).await;
        for ((nth, source), seen) in files.iter().zip(&mut seen) {
            let now = stamp(&source.file);
            if now == *seen || now.is_none() {
                continue;
            }
            *seen = now;
            match read_file(source) {
                Ok(keys) => {
                    log::info!("keys read again issuer={} keys={}", source.issuer, keys.len());
                    identity.put_set(*nth, &keys);
                }
                Err(error) => {
                    log::error!("keys not read, those before are kept issuer={} error={error}", source.issuer)
                }
            }
        }
    }
}

/// Fetches the keys of each entry of `auth.jwks` with a URL: at the start, then every so often, and when a token names one that is
/// not known. Runs as long as its thread.
pub async fn fetch_keys(identity: Arc<Identity>) {
    let auth = &identity.auth;
    let timeout = Duration::from_millis(auth.jwks_timeout_ms);
    if auth.jwks.iter().all(|source| source.url.is_empty()) {
        return;
    }
    let client = match JwksClient::new(timeout, auth.jwks_allow_private) {
        Ok(client) => client,
        Err(error) => return log::error!("no keys are fetched error={error}"),
    };
    let each = (0..auth.jwks.len()).map(|nth| fetch_again_and_again(&identity, &client, nth));
    futures_util::future::join_all(each).await;
}

async fn fetch_again_and_again(identity: &Identity, client: &JwksClient, nth: usize) {
    let (Some(source), Some(fetches)) = (identity.auth.jwks.get(nth), identity.fetches.get(nth)) else {
        return;
    };
    if source.url.is_empty() {
        return;
    }
    loop {
        fetches.progress.lock().under_way = true;
        // Whoever asked before this one waits for it.
        let _ = fetches.wanted.notified().now_or_never();
        let fetched = client.fetch(&source.url).await.map_err(|error| error.to_string());
        let keys = fetched.and_then(|text| read_jwks(&text, source).map_err(|error| error.to_string()));
        let pause = match keys {
            Ok(keys) => {
                log::debug!("keys fetched issuer={} keys={}", source.issuer, keys.len());
                identity.put_set(nth, &keys);
                identity.auth.jwks_refresh_s
            }
            Err(error) => {
                log::warn!("keys not fetched, those before are kept issuer={} error={error}", source.issuer);
                identity.auth.jwks_min_interval_s.min(identity.auth.jwks_refresh_s)
            }
        };
        *fetches.progress.lock() = Progress { under_way: false, ended_at: Some(Instant::now()) };
        fetches.ended.send_modify(|n| *n += 1);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(pause)) => {}
            () = fetches.wanted.notified() => {}
        }
    }
}

/// Reads revocations and API keys when they have changed, by this server or by others, and stores when keys were used. Runs until the server
/// goes down.
pub async fn watch_changes(identity: Arc<Identity>, store: Store, is_draining: impl Fn() -> bool) {
    let mut failed = false;
    for check in 1_u32.. {
        tokio::time::sleep(CHANGE_CHECK).await;
        if is_draining() {
            return;
        }
        let used: Vec<Uuid> = match check % NOTE_USED_EVERY {
            0 => identity.used.lock().drain().collect(),
            _ => Vec::new(),
        };
        let changed = Arc::clone(&identity);
        let read = store.run_patiently(move |connection| {
            if !used.is_empty() {
                api_keys::note_used(connection, &used, Timestamp::now())?;
            }
            let mut idle = 0;
            if check % NOTE_USED_EVERY == 0 {
                changed.people.store_seen(connection)?;
                idle = changed.close_idle(Timestamp::now());
            }
            Ok(idle + changed.read_changes(connection)?)
        });
        match read.await {
            Ok(0) => failed = false,
            Ok(closed) => log::info!("connections signed out connections={closed}"),
            Err(error) if !std::mem::replace(&mut failed, true) => {
                log::warn!("revocations not read, those before hold error={error}");
            }
            Err(_) => {}
        }
    }
}
