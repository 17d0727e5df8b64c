//! Sessions of people who are signed in to the dashboard. An id is 256 random bits in a cookie, kept as its SHA-256; requests that
//! change something also carry a token that follows from the id, which a page of another site can't know.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::access::Access;
use super::role::Role;
use super::token_error::TokenError;
use tidings_core::base::{Millis, Timestamp};

/// Random bytes of an id of a session, and of a link.
pub const BYTES: usize = 32;
/// Characters of such an id.
const CHARS: usize = 43;
/// Longest name of a person, bytes.
const MAX_NAME_BYTES: usize = 64;

/// SHA-256 of an id.
pub type SecretHash = [u8; 32];

/// Id of a session, or secret of a link, of these random bytes.
pub fn text(random: &[u8; BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// Hash of an id, by which it is kept.
pub fn hash(id: &str) -> SecretHash {
    Sha256::digest(id.as_bytes()).into()
}

/// Token that belongs to the session with this id: the SHA-256 of the id under another prefix, from which the id can't be told.
pub fn csrf_token(id: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"tidings csrf\n");
    hasher.update(id.as_bytes());
    URL_SAFE_NO_PAD.encode(hasher.finalize())
}

/// Returns whether two texts are equal, in a time that tells nothing of where they differ.
pub fn is_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differences == 0
}

/// Name of a person: 1…64 bytes of lower-case letters, digits and `. _ - @ +`, so that no two look alike in a list.
pub fn name(text: &str) -> Result<String, &'static str> {
    let name = text.trim().to_lowercase();
    let fits = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    match (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(fits) {
        true => Ok(name),
        false => Err("a name has 1…64 bytes: letters, digits and . _ - @ +"),
    }
}

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// UUIDv7.
    pub id: Uuid,
    /// Name, as in records.
    pub name: String,
    /// Role.
    pub role: Role,
}

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Name of the session, not its secret id.
    pub id: Uuid,
    /// Hash of its id.
    pub hash: SecretHash,
    /// Its owner.
    pub person: Person,
    /// Moment of the sign-in.
    pub created_at: Timestamp,
    /// Last use that is stored.
    pub seen_at: Timestamp,
    /// End, however much it is used.
    pub expires_at: Timestamp,
}

impl Session {
    fn goes_on(&self, seen: impl Fn(Uuid) -> Option<Timestamp>, idle: Millis, now: Timestamp) -> bool {
        let seen_at = seen(self.id).map_or(self.seen_at, |at| at.max(self.seen_at));
        self.expires_at > now && now.millis_since(seen_at) < idle
    }
}

/// The sessions of one moment, by their hashes.
#[derive(Clone, Debug, Default)]
pub struct Sessions(HashMap<SecretHash, Session>);

impl FromIterator<Session> for Sessions {
    fn from_iter<I: IntoIterator<Item = Session>>(sessions: I) -> Self {
        Self(sessions.into_iter().map(|session| (session.hash, session)).collect())
    }
}

impl Sessions {
    /// Access rights of a session. `seen` is its last use as far as it is known beside the stored one; `idle` the time without a use
    /// after which it is over. The look-up is by hash, so its time tells nothing of the id.
    pub fn verify(
        &self,
        id: &str,
        seen: impl Fn(Uuid) -> Option<Timestamp>,
        idle: Millis,
        now: Timestamp,
    ) -> Result<Access, TokenError> {
        let known = (id.len() == CHARS).then(|| self.0.get(&hash(id))).flatten();
        let session =
            known.filter(|session| session.goes_on(&seen, idle, now)).ok_or(TokenError::SessionEnded)?;
        let Person { name, role, .. } = &session.person;
        Ok(Access {
            role: *role,
            subject: Some(name.clone()),
            name: name.clone(),
            session: Some(session.id),
            person: Some(session.person.id),
            issued_at: Some(session.created_at),
            expires_at: Some(session.expires_at),
            ..Access::open()
        })
    }

    /// Names of the sessions that are over by now, idle or at their end; `seen` and `idle` as for [`Self::verify`].
    pub fn over(&self, seen: impl Fn(Uuid) -> Option<Timestamp>, idle: Millis, now: Timestamp) -> Vec<Uuid> {
        let over = self.0.values().filter(|session| !session.goes_on(&seen, idle, now));
        over.map(|session| session.id).collect()
    }

    /// Returns whether the session goes on.
    pub fn has(&self, id: Uuid) -> bool {
        self.role_of(id).is_some()
    }

    /// Role of the person of a session that goes on.
    pub fn role_of(&self, id: Uuid) -> Option<Role> {
        self.0.values().find(|session| session.id == id).map(|session| session.person.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn sessions(id: &str) -> Sessions {
        let person = Person { id: Uuid::nil(), name: "anna".into(), role: Role::Viewer };
        let (id, hash, expires_at) = (Uuid::nil(), hash(id), NOW.plus_days(0.5));
        [Session { id, hash, person, created_at: NOW, seen_at: NOW, expires_at }].into_iter().collect()
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_after_its_time_however_much_it_is_used() {
        let id = text(&[7; BYTES]);
        let (sessions, idle) = (sessions(&id), Millis::hours(1));
        let at = |hours: f64| NOW.plus_days(hours / 24.0);
        let used = |seen: Option<f64>, hours: f64| {
            sessions.verify(&id, |_| seen.map(at), idle, at(hours)).map(|access| access.name)
        };
        assert_eq!(used(None, 0.9).as_deref(), Ok("anna"));
        assert_eq!(used(None, 1.0), Err(TokenError::SessionEnded));
        assert_eq!(used(Some(0.9), 1.8).as_deref(), Ok("anna"), "it was used meanwhile");
        assert_eq!(used(Some(11.9), 12.0), Err(TokenError::SessionEnded), "its time is over");
        let over = |seen: Option<f64>, hours: f64| sessions.over(|_| seen.map(at), idle, at(hours)).len();
        assert_eq!(
            (over(None, 0.9), over(None, 1.0), over(Some(0.9), 1.8), over(Some(11.9), 12.0)),
            (0, 1, 0, 1)
        );
        let other = text(&[8; BYTES]);
        assert_eq!(sessions.verify(&other, |_| None, idle, NOW), Err(TokenError::SessionEnded));
        assert_eq!(sessions.verify("", |_| None, idle, NOW), Err(TokenError::SessionEnded));
    }

    #[test]
    fn the_token_of_a_session_is_its_own_and_is_not_what_is_stored() {
        let (one, other) = (text(&[7; BYTES]), text(&[8; BYTES]));
        assert!(is_same(&csrf_token(&one), &csrf_token(&one)));
        assert!(!is_same(&csrf_token(&one), &csrf_token(&other)) && !is_same("a", "ab") && !is_same("", "a"));
        assert_ne!(csrf_token(&one), URL_SAFE_NO_PAD.encode(hash(&one)));
        assert_eq!(one.len(), CHARS);
    }

    #[test]
    fn names_are_told_apart() {
        assert_eq!(name(" Anna.Schmidt@shop.example "), Ok("anna.schmidt@shop.example".to_owned()));
        for bad in ["", " ", "anna schmidt", "a\nb", "a/b", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
