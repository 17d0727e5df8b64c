//! Entries of the audit log and the chain of their hashes: that of an entry covers the hash of the one before it. Fields that may
//! name a person are covered by a salted digest, so that an erasure can replace them and the chain stays whole.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use tidings_core::base::Timestamp;

/// Hash of an entry.
pub type Hash = [u8; 32];
/// Hash before the first entry.
pub const FIRST: Hash = [0; 32];
/// Salt of a digest.
pub type Salt = [u8; 16];
/// Longest value that is kept, bytes of JSON; of a longer one its length and hash are.
const MAX_VALUE_BYTES: usize = 8 << 10;
/// Longest name, path or address that is kept, bytes.
const MAX_TEXT_BYTES: usize = 512;
/// Values deeper than this are left out.
const MAX_DEPTH: usize = 16;
/// Fields whose values are never kept.
const SECRETS: [&str; 9] =
    ["secret", "token", "password", "private_key", "signature", "endpoint", "p256dh", "auth", "key"];
/// Stands for a value that is not kept.
const MASKED: &str = "***";
/// Fields of a message that hold its words, of which only the length is kept: the log outlives the user whom they are for.
const WORDS: [&str; 8] = ["title", "body", "data", "url", "image_url", "text", "variables", "event"];

/// Act of somebody, or a refused attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Moment of the action.
    pub occurred_at: Timestamp,
    /// Subject of the token, or name of the account that ran a command; `None` = not known.
    pub actor: Option<String>,
    /// Role: the name of a role, `command_line`, `open` or `none`.
    pub role: String,
    /// Address of the client.
    pub address: Option<String>,
    /// Method and route, or the command.
    pub action: String,
    /// Path of the request.
    pub object: String,
    /// HTTP status; 0 = a command.
    pub status: u16,
    /// Value before it, masked JSON.
    pub before: Option<String>,
    /// Value since, masked JSON.
    pub after: Option<String>,
}

/// Digest of the fields of an entry that may name a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Salt of the digest; `None` once the fields were made pseudonymous.
    pub salt: Option<Salt>,
    /// SHA-256 over salt and fields, as they were written.
    pub digest: Hash,
}

/// An entry and its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Chained {
    /// Place, from 1, without gaps.
    pub seq: i64,
    /// The entry.
    pub entry: AuditEntry,
    /// Hash over the one before and this entry.
    pub hash: Hash,
    /// Digest in the chain; `None` for entries of older versions, whose hash covers all fields.
    pub seal: Option<Seal>,
    /// True if an erasure has replaced the id of a user in it.
    pub is_pseudonymous: bool,
}

impl Chained {
    /// The entry behind one with the hash `before`.
    pub fn after(before: &Hash, seq: i64, entry: AuditEntry, salt: Salt) -> Self {
        let digest = entry.digest(&salt);
        let hash = entry.sealed_hash(before, seq, &digest);
        let seal = Some(Seal { salt: Some(salt), digest });
        Self { seq, entry, hash, seal, is_pseudonymous: false }
    }

    /// Returns whether the entry is the one that was written behind `before`. Of a pseudonymous one that holds for the fields that
    /// name nobody; of one from an older version only its hash is left.
    fn is_behind(&self, before: &Hash) -> bool {
        match self.seal {
            None => self.is_pseudonymous || self.entry.hash(before, self.seq) == self.hash,
            Some(Seal { salt, digest }) => {
                let is_own = match salt {
                    Some(salt) => self.entry.digest(&salt) == digest,
                    None => self.is_pseudonymous,
                };
                is_own && self.entry.sealed_hash(before, self.seq, &digest) == self.hash
            }
        }
    }
}

impl AuditEntry {
    /// The entry with texts that the log takes: bounded, and without NUL.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let bounded = |text: &str| {
            let text = text.replace(|c: char| c.is_control(), " ");
            let longest = text.len().min(MAX_TEXT_BYTES);
            let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.get(..end).unwrap_or_default().to_owned()
        };
        for text in [&mut self.role, &mut self.action, &mut self.object] {
            *text = bounded(text);
        }
        for text in [&mut self.actor, &mut self.address].into_iter().flatten() {
            *text = bounded(text);
        }
        self
    }

    /// The same act at another stage of what is done in many steps.
    #[must_use]
    pub fn at_stage(&self, now: Timestamp, stage: &Value) -> Self {
        Self { occurred_at: now, after: Some(masked(stage)), ..self.clone() }
    }

    /// Digest of the fields that may name a person.
    fn digest(&self, salt: &Salt) -> Hash {
        let fields = json!([self.actor, self.address, self.object, self.before, self.after]);
        let mut hasher = Sha256::new();
        hasher.update(salt);
        hasher.update(fields.to_string().as_bytes());
        hasher.finalize().into()
    }

    /// Hash of the entry at this place, behind an entry with the hash `before`.
    fn sealed_hash(&self, before: &Hash, seq: i64, digest: &Hash) -> Hash {
        let fields = json!([seq, self.occurred_at.0, self.role, self.action, self.status, hex(digest)]);
        let mut hasher = Sha256::new();
        hasher.update(before);
        hasher.update(fields.to_string().as_bytes());
        hasher.finalize().into()
    }

    /// The same as older versions wrote it, over all fields. Fields are written with their names and lengths told by JSON,
    /// so that no two entries are written alike.
    fn hash(&self, before: &Hash, seq: i64) -> Hash {
        let fields = json!([
            seq,
            self.occurred_at.0,
            self.actor,
            self.role,
            self.address,
            self.action,
            self.object,
            self.status,
            self.before,
            self.after,
        ]);
        let mut hasher = Sha256::new();
        hasher.update(before);
        hasher.update(fields.to_string().as_bytes());
        hasher.finalize().into()
    }
}

/// JSON of a value for the log: without secrets, the contents of attributes and the words of messages, and of a bounded length.
pub fn masked(value: &Value) -> String {
    let text = mask(value, 0).to_string();
    if text.len() <= MAX_VALUE_BYTES {
        return text;
    }
    let hash = hex(&Sha256::digest(text.as_bytes()).into());
    json!({"bytes": text.len(), "sha256": hash}).to_string()
}

fn mask(value: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return MASKED.into();
    }
    match value {
        Value::Object(fields) => {
            let has_audience = fields.contains_key("audience");
            let field = |(name, value): (&String, &Value)| {
                let shown = match name.as_str() {
                    "message" if has_audience => without_words(value, depth + 1),
                    name if SECRETS.contains(&name) && !value.is_null() => MASKED.into(),
                    "attributes" => names_only(value),
                    _ => mask(value, depth + 1),
                };
                (name.clone(), shown)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| mask(value, depth + 1)).collect()),
        // PostgreSQL's text holds no NUL.
        Value::String(text) => text.replace('\0', " ").into(),
        value => value.clone(),
    }
}

/// A message with the lengths of its words in their place.
fn without_words(message: &Value, depth: usize) -> Value {
    let mut shown = mask(message, depth);
    let words = shown.as_object_mut().into_iter().flatten();
    for (name, value) in words.filter(|(name, value)| WORDS.contains(&name.as_str()) && !value.is_null()) {
        let said = message.get(name.as_str()).unwrap_or(value);
        let characters =
            said.as_str().map_or_else(|| said.to_string().chars().count(), |text| text.chars().count());
        *value = format!("{MASKED} ({characters} characters)").into();
    }
    shown
}

/// Names of attributes of a person without their values.
fn names_only(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let shown = |(name, value): (&String, &Value)| {
                (name.clone(), if value.is_null() { Value::Null } else { MASKED.into() })
            };
            Value::Object(fields.iter().map(shown).collect())
        }
        Value::Null => Value::Null,
        _ => MASKED.into(),
    }
}

/// Hash as text.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A walk along the chain.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Place of the last entry.
    pub entries: i64,
    /// Hash of the last of them.
    pub hash: Hash,
    /// Entries in which an erasure has replaced the id of a user.
    pub pseudonymous: i64,
}

impl Default for Walk {
    fn default() -> Self {
        Self { entries: 0, hash: FIRST, pseudonymous: 0 }
    }
}

/// Place at which the chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is missing, or there twice.
    #[error("entry {expected} is missing: {found} follows")]
    Gap {
        /// Place that should follow.
        expected: i64,
        /// Place that does.
        found: i64,
    },
    /// An entry is not the one that was written.
    #[error("entry {0} was changed after it was written")]
    Changed(i64),
}

impl Walk {
    /// A walk that begins behind an entry which was removed because of its age.
    pub fn behind(seq: i64, hash: Hash) -> Self {
        Self { entries: seq, hash, pseudonymous: 0 }
    }

    /// Takes the next entry.
    pub fn step(&mut self, next: &Chained) -> Result<(), Broken> {
        let expected = self.entries + 1;
        if next.seq != expected {
            return Err(Broken::Gap { expected, found: next.seq });
        }
        if !next.is_behind(&self.hash) {
            return Err(Broken::Changed(next.seq));
        }
        let pseudonymous = self.pseudonymous + i64::from(next.is_pseudonymous);
        *self = Self { entries: expected, hash: next.hash, pseudonymous };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(object: &str) -> AuditEntry {
        let (action, role) = ("PUT /admin/{kind}/{name}".to_owned(), "admin".to_owned());
        AuditEntry { action, role, object: object.to_owned(), ..AuditEntry::default() }
    }

    fn chain(n: usize) -> Vec<Chained> {
        let mut hash = FIRST;
        let link = |n: usize| {
            let link = Chained::after(&hash, n as i64 + 1, entry(&n.to_string()), [7; 16]);
            hash = link.hash;
            link
        };
        (0..n).map(link).collect()
    }

    fn walk(chain: &[Chained]) -> Result<i64, Broken> {
        let mut walk = Walk::default();
        chain.iter().try_for_each(|next| walk.step(next))?;
        Ok(walk.entries)
    }

    #[test]
    fn a_changed_missing_or_added_entry_breaks_the_chain() {
        assert_eq!(walk(&chain(5)), Ok(5));
        let mut changed = chain(5);
        changed[2].entry.actor = Some("nobody".into());
        assert_eq!(walk(&changed), Err(Broken::Changed(3)));
        // With a hash of its own it breaks at the next.
        changed[2] = Chained::after(&changed[1].hash, 3, changed[2].entry.clone(), [7; 16]);
        assert_eq!(walk(&changed), Err(Broken::Changed(4)));
        let mut missing = chain(5);
        missing.remove(2);
        assert_eq!(walk(&missing), Err(Broken::Gap { expected: 3, found: 4 }));
    }

    #[test]
    fn a_pseudonymous_entry_keeps_its_place_and_all_that_names_nobody() {
        let mut chain = chain(3);
        let erase = |link: &mut Chained| {
            link.entry.object = "/v1/users/erased-1/profile".into();
            link.is_pseudonymous = true;
            link.seal = link.seal.map(|seal| Seal { salt: None, ..seal });
        };
        erase(&mut chain[1]);
        assert_eq!(walk(&chain), Ok(3));
        chain[1].entry.role = "user".into();
        assert_eq!(walk(&chain), Err(Broken::Changed(2)), "the role names nobody");
        // Without its salt, but not said to be pseudonymous.
        let mut hidden = self::chain(3);
        hidden[1].entry.object = "/v1/users/18/profile".into();
        hidden[1].seal = hidden[1].seal.map(|seal| Seal { salt: None, ..seal });
        assert_eq!(walk(&hidden), Err(Broken::Changed(2)));
    }

    #[test]
    fn entries_of_older_versions_are_in_the_chain() {
        let old = entry("0");
        let first =
            Chained { seq: 1, hash: old.hash(&FIRST, 1), entry: old, seal: None, is_pseudonymous: false };
        let second = Chained::after(&first.hash, 2, entry("1"), [7; 16]);
        assert_eq!(walk(&[first.clone(), second.clone()]), Ok(2));
        let changed = Chained { entry: entry("2"), ..first };
        assert_eq!(walk(&[changed.clone(), second.clone()]), Err(Broken::Changed(1)));
        assert_eq!(walk(&[Chained { is_pseudonymous: true, ..changed }, second]), Ok(2));
    }

    #[test]
    fn fields_can_not_be_moved_into_one_another() {
        let one = AuditEntry { before: Some("a".into()), ..entry("x") };
        let other = AuditEntry { after: Some("a".into()), ..entry("x") };
        let hash = |entry: &AuditEntry, seq| Chained::after(&FIRST, seq, entry.clone(), [7; 16]).hash;
        assert_ne!(hash(&one, 1), hash(&other, 1));
        assert_ne!(hash(&entry("x"), 1), hash(&entry("x"), 2));
    }

    #[test]
    fn secrets_and_attributes_are_masked_and_long_values_are_hashed() {
        let value = json!({"url": "https://shop.example", "secret": "whsec_1",
            "attributes": {"birthday": "1990-01-01", "city": null}, "list": [{"token": "x"}]});
        let shown: Value = serde_json::from_str(&masked(&value)).unwrap();
        let expected = json!({"url": "https://shop.example", "secret": "***",
            "attributes": {"birthday": "***", "city": null}, "list": [{"token": "***"}]});
        assert_eq!(shown, expected);
        let long = masked(&json!({"text": "x".repeat(100_000)}));
        assert!(long.len() < 200 && long.contains("sha256"), "{long}");
    }

    #[test]
    fn of_the_words_of_a_message_only_their_length_is_kept() {
        let value = json!({"audience": {"users": 1}, "message": {"title": "Dear Erika", "body": null, "category": "orders",
            "variables": {"n": 1}}, "users": 1});
        let shown: Value = serde_json::from_str(&masked(&value)).unwrap();
        let expected = json!({"audience": {"users": 1}, "message": {"title": "*** (10 characters)", "body": null,
            "category": "orders", "variables": "*** (7 characters)"}, "users": 1});
        assert_eq!(shown, expected);
        // Definitions are the shop's own.
        let template = json!({"texts": {"title": "Sale"}});
        assert_eq!(masked(&template), template.to_string());
    }

    #[test]
    fn texts_are_bounded() {
        let bounded = entry(&"ä\n".repeat(1_000)).bounded();
        assert!(bounded.object.len() <= MAX_TEXT_BYTES && !bounded.object.contains('\n'));
    }
}
