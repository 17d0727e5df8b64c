//! Master keys. Several are accepted, so that one can be replaced while servers run; the first wraps.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cipher::{KEY_BYTES, NONCE_BYTES, Nonce, decrypt, encrypt};

/// Most master keys at a time.
const MAX_KEYS: usize = 8;

/// Name of a master key: the first 64 bits of a hash of it, in hexadecimal. It tells keys apart and nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MasterKeyName(String);

impl MasterKeyName {
    /// The name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MasterKeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Owner of a data key: the inner id of a user, from 0 on; -1 = the server's own, for what belongs to nobody or to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub i32);

impl Owner {
    /// The server itself.
    pub const SERVER: Self = Self(-1);
}

/// Reason why a text holds no master keys. It repeats nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Nothing is there.
    #[error("there is no key; `tidings encryption new-key` makes one")]
    Empty,
    /// One of them is no key.
    #[error("key {place} is not 32 bytes in base64; `tidings encryption new-key` makes one")]
    Malformed {
        /// Place among the keys, from 1.
        place: usize,
    },
    /// One that stands in an example, or that nobody drew at random.
    #[error(
        "key {place} repeats one byte: it is a placeholder, not a key; `tidings encryption new-key` makes one"
    )]
    Placeholder {
        /// Place among the keys, from 1.
        place: usize,
    },
    /// Too many.
    #[error(
        "there are more than {MAX_KEYS} keys; those that wrap nothing any more can go (`tidings encryption status`)"
    )]
    TooMany,
}

/// A master key.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    name: MasterKeyName,
    bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MasterKey({})", self.name)
    }
}

impl MasterKey {
    /// A key of random bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tidings master key name\0");
        hash.update(bytes);
        let name = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: MasterKeyName(name), bytes }
    }

    /// The text form that [`MasterKeys::parse`] reads.
    pub fn to_text(&self) -> String {
        STANDARD.encode(self.bytes)
    }

    /// Its name.
    pub fn name(&self) -> &MasterKeyName {
        &self.name
    }

    /// Wraps a data key for its owner: nonce, ciphertext, tag.
    pub fn wrap(&self, data_key: &[u8; KEY_BYTES], id: Uuid, owner: Owner, nonce: &Nonce) -> Vec<u8> {
        let mut wrapped = nonce.to_vec();
        wrapped.extend(encrypt(&self.bytes, nonce, &context(id, owner), data_key));
        wrapped
    }

    /// The data key; `None` if it was wrapped by another master key, for another owner, or is damaged.
    pub fn unwrap(&self, wrapped: &[u8], id: Uuid, owner: Owner) -> Option<[u8; KEY_BYTES]> {
        let (nonce, ciphertext) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
        decrypt(&self.bytes, nonce, &context(id, owner), ciphertext)?.try_into().ok()
    }
}

/// Data that is authenticated with a wrapped key.
fn context(id: Uuid, owner: Owner) -> Vec<u8> {
    let mut context = b"tidings data key\0".to_vec();
    context.extend(id.as_bytes());
    context.extend(owner.0.to_be_bytes());
    context
}

/// The master keys of a server: at least one; the first wraps, all unwrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// Reads keys in base64 that stand apart by white space or commas; what follows `#` in a line is a comment.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let words = lines.flat_map(|line| line.split([' ', '\t', ',', '\r'])).filter(|word| !word.is_empty());
        let mut keys: Vec<MasterKey> = Vec::new();
        for (place, word) in words.enumerate().map(|(place, word)| (place + 1, word)) {
            let bytes = STANDARD.decode(word).map_err(|_| MasterKeyError::Malformed { place })?;
            let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| MasterKeyError::Malformed { place })?;
            if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
                return Err(MasterKeyError::Placeholder { place });
            }
            let key = MasterKey::new(bytes);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        match keys.len() {
            0 => Err(MasterKeyError::Empty),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(MasterKeyError::TooMany),
        }
    }

    /// The one that wraps.
    pub fn current(&self) -> Option<&MasterKey> {
        self.0.first()
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.name.as_str() == name)
    }

    /// Names of all, that of the current one first.
    pub fn names(&self) -> impl Iterator<Item = &MasterKeyName> {
        self.0.iter().map(MasterKey::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::encryption::cipher::TAG_BYTES;

    const ID: Uuid = Uuid::from_u128(7);

    fn key(seed: u8) -> MasterKey {
        MasterKey::new(std::array::from_fn(|place| seed.wrapping_add(place as u8)))
    }

    #[test]
    fn keys_come_back_from_their_text_in_their_order_and_once() {
        let (new, old) = (key(1), key(2));
        let text = format!("# new\n{} # since May\n\n{}, {}\n", new.to_text(), old.to_text(), new.to_text());
        let keys = MasterKeys::parse(&text).unwrap();
        assert_eq!(keys.names().collect::<Vec<_>>(), [new.name(), old.name()]);
        assert_eq!(keys.current(), Some(&new));
        assert_eq!(keys.named(old.name().as_str()), Some(&old));
        assert_eq!(keys.named("0000000000000000"), None);
        assert!(!format!("{keys:?}").contains(&new.to_text()));
    }

    #[test]
    fn what_is_no_key_is_told_by_its_place_and_not_repeated() {
        assert_eq!(MasterKeys::parse(" \n# none\n"), Err(MasterKeyError::Empty));
        let text = format!("{} hunter2", key(1).to_text());
        let error = MasterKeys::parse(&text).unwrap_err();
        assert_eq!(error, MasterKeyError::Malformed { place: 2 });
        assert!(!error.to_string().contains("hunter2"));
        let short = STANDARD.encode([7; 16]);
        assert_eq!(MasterKeys::parse(&short), Err(MasterKeyError::Malformed { place: 1 }));
        let zeros = STANDARD.encode([0; KEY_BYTES]);
        assert_eq!(MasterKeys::parse(&zeros), Err(MasterKeyError::Placeholder { place: 1 }));
        let many: String = (0..9).map(|seed| key(seed).to_text() + "\n").collect();
        assert_eq!(MasterKeys::parse(&many), Err(MasterKeyError::TooMany));
    }

    #[test]
    fn a_data_key_is_unwrapped_by_its_master_key_for_its_owner_and_by_no_other() {
        let (master, data, owner) = (key(1), [9; KEY_BYTES], Owner(17));
        let wrapped = master.wrap(&data, ID, owner, &[3; NONCE_BYTES]);
        assert_eq!(wrapped.len(), NONCE_BYTES + KEY_BYTES + TAG_BYTES);
        assert_eq!(master.unwrap(&wrapped, ID, owner), Some(data));
        assert_eq!(key(2).unwrap(&wrapped, ID, owner), None);
        assert_eq!(master.unwrap(&wrapped, ID, Owner(18)), None);
        assert_eq!(master.unwrap(&wrapped, Uuid::from_u128(8), owner), None);
        for place in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[place] ^= 1;
            assert_eq!(master.unwrap(&damaged, ID, owner), None, "{place}");
        }
        assert_eq!(master.unwrap(&wrapped[..20], ID, owner), None);
        assert_eq!(master.unwrap(&[], ID, owner), None);
    }
}
