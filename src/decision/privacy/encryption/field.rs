//! An encrypted field as text: `enc1:` and, in base64 (RFC 4648 §5, without padding), the id of its data key (16 bytes), the nonce (12),
//! ciphertext and tag (16). What does not begin so is stored as it is: rows from before encryption was switched on.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::cipher::{KEY_BYTES, NONCE_BYTES, Nonce, TAG_BYTES, decrypt, encrypt};
use super::master_key::Owner;

/// Begin of an encrypted field.
const MARK: &str = "enc1:";
/// Bytes of the id of a data key.
const ID_BYTES: usize = 16;
/// Fewest bytes of an encrypted field.
const MIN_BYTES: usize = ID_BYTES + NONCE_BYTES + TAG_BYTES;

/// A column with encrypted fields. The names are authenticated with what is encrypted: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Words of a search, `events.query`.
    Query,
    /// A message as it was sent, `notifications.frame`.
    Frame,
    /// An attribute of a user that is marked so, `user_attributes.attributes`.
    Attribute,
    /// A message of the shop that waits to be sent, `outbox.message`.
    Waiting,
    /// A message of the shop to many or with a time, `broadcasts.message`.
    Broadcast,
    /// Words with which the shop set a trigger off that waits for its user, `held_messages.event`.
    Held,
}

impl Field {
    /// Every encrypted column.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::Frame, Self::Attribute, Self::Waiting, Self::Broadcast, Self::Held];

    /// Table and column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "events.query",
            Self::Frame => "notifications.frame",
            Self::Attribute => "user_attributes.attributes",
            Self::Waiting => "outbox.message",
            Self::Broadcast => "broadcasts.message",
            Self::Held => "held_messages.event",
        }
    }
}

/// The key of a user's fields.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Its id.
    pub id: Uuid,
    /// Its owner.
    pub owner: Owner,
    bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DataKey({} of {})", self.id, self.owner.0)
    }
}

impl DataKey {
    /// A key of random bytes.
    pub fn new(id: Uuid, owner: Owner, bytes: [u8; KEY_BYTES]) -> Self {
        Self { id, owner, bytes }
    }

    /// Its bytes, to be wrapped.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}

/// Reason why an encrypted field can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Encryption is off here.
    Off,
    /// Its data key is gone: erased with its user, or lost.
    NoKey,
    /// It is damaged, or was moved here from elsewhere.
    Damaged,
}

impl Unavailable {
    /// For those who read.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Off => "encrypted, and this server has no master key",
            Self::NoKey => "its key is gone, or is not this user's",
            Self::Damaged => "damaged, or moved here from elsewhere",
        }
    }
}

/// Encrypts a field under its user's key.
pub fn seal(key: &DataKey, field: Field, nonce: &Nonce, text: &str) -> String {
    let mut bytes = Vec::with_capacity(MIN_BYTES + text.len());
    bytes.extend(key.id.as_bytes());
    bytes.extend(nonce);
    bytes.extend(encrypt(&key.bytes, nonce, &context(key, field), text.as_bytes()));
    let mut sealed = String::with_capacity(MARK.len() + bytes.len().div_ceil(3) * 4);
    sealed.push_str(MARK);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut sealed);
    sealed
}

/// The id of the data key of an encrypted field; `None` for a field that is not encrypted.
pub fn key_of(text: &str) -> Option<Uuid> {
    let encoded = text.strip_prefix(MARK)?;
    // 22 letters have the id and more; that the rest is in order is seen when it is opened.
    let head = URL_SAFE_NO_PAD.decode(encoded.get(..24)?).ok()?;
    Uuid::from_slice(head.get(..ID_BYTES)?).ok()
}

/// Decrypts a field with the key that it names.
pub fn open(key: &DataKey, field: Field, text: &str) -> Result<String, Unavailable> {
    let bytes = text.strip_prefix(MARK).and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok());
    let bytes = bytes.ok_or(Unavailable::Damaged)?;
    let (id, rest) = bytes.split_first_chunk::<ID_BYTES>().ok_or(Unavailable::Damaged)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Unavailable::Damaged)?;
    if id != key.id.as_bytes() {
        return Err(Unavailable::NoKey);
    }
    let plain = decrypt(&key.bytes, nonce, &context(key, field), ciphertext).ok_or(Unavailable::Damaged)?;
    String::from_utf8(plain).map_err(|_| Unavailable::Damaged)
}

/// Data that is authenticated with an encrypted field.
fn context(key: &DataKey, field: Field) -> Vec<u8> {
    let mut context = format!("tidings field\0{}\0", field.name()).into_bytes();
    context.extend(key.id.as_bytes());
    context.extend(key.owner.0.to_be_bytes());
    context
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(id: u128, owner: i32) -> DataKey {
        DataKey::new(Uuid::from_u128(id), Owner(owner), std::array::from_fn(|place| place as u8))
    }

    const NONCE: Nonce = [5; NONCE_BYTES];

    #[test]
    fn a_field_is_opened_by_its_key_in_its_column_and_nowhere_else() {
        let own = key(1, 17);
        let sealed = seal(&own, Field::Query, &NONCE, "running shoes");
        assert!(sealed.starts_with("enc1:") && !sealed.contains("running"));
        assert_eq!(key_of(&sealed), Some(own.id));
        assert_eq!(open(&own, Field::Query, &sealed), Ok("running shoes".to_owned()));
        assert_eq!(open(&own, Field::Frame, &sealed), Err(Unavailable::Damaged));
        assert_eq!(open(&key(1, 18), Field::Query, &sealed), Err(Unavailable::Damaged));
        assert_eq!(open(&key(2, 17), Field::Query, &sealed), Err(Unavailable::NoKey));
    }

    /// The vector of another implementation: `AESGCM(bytes(range(32))).encrypt(bytes([5] * 12), b"shoes", aad)` of Python's
    /// cryptography, with the context as this module documents it.
    #[test]
    fn the_form_is_the_documented_one() {
        let sealed = seal(&key(1, 17), Field::Query, &NONCE, "shoes");
        let bytes = URL_SAFE_NO_PAD.decode(sealed.strip_prefix("enc1:").unwrap()).unwrap();
        assert_eq!(bytes[..16], 1u128.to_be_bytes());
        assert_eq!(bytes[16..28], NONCE);
        let hex: String = bytes[28..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "3f5eb714d39da9d4ac3af6cea214cf381ef89c697c");
    }

    #[test]
    fn every_change_of_a_byte_is_noticed() {
        let own = key(1, 17);
        let sealed = seal(&own, Field::Frame, &NONCE, "{\"title\":\"hello\"}");
        let bytes = URL_SAFE_NO_PAD.decode(sealed.strip_prefix(MARK).unwrap()).unwrap();
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            let text = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(damaged));
            assert!(open(&own, Field::Frame, &text).is_err(), "{place}");
        }
    }

    #[test]
    fn what_is_not_encrypted_names_no_key() {
        for text in ["", "shoes", "enc1:", "enc1:shoes", "enc1:äöü", "{\"type\":\"notification\"}"] {
            assert_eq!(key_of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,200}", nonce in any::<[u8; 12]>()) {
            let own = key(3, 1);
            for field in Field::ALL {
                prop_assert_eq!(open(&own, field, &seal(&own, field, &nonce, &text)), Ok(text.clone()));
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "(enc1:)?[A-Za-z0-9_-]{0,120}") {
            let _ = key_of(&text);
            prop_assert!(open(&key(3, 1), Field::Query, &text).is_err());
        }
    }
}
