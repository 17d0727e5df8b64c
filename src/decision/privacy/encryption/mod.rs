//! Encryption of fields at rest by envelopes: a field is encrypted under a data key of its user, which is itself encrypted ("wrapped")
//! under a master key that the database never sees. AES-256-GCM (NIST SP 800-38D) for both, with random nonces of 96 bits, which
//! come from the caller. What a ciphertext belongs to is authenticated with it, so that it can't be moved to another column or user.
//!
//! - `cipher.rs` the cipher;
//! - `master_key.rs` master keys, and the wrapping of data keys;
//! - `field.rs` data keys, and the text form of an encrypted field.

mod cipher;
mod field;
mod master_key;

pub use cipher::{KEY_BYTES, NONCE_BYTES, Nonce};
pub use field::{DataKey, Field, Unavailable, key_of, open, seal};
pub use master_key::{MasterKey, MasterKeyError, MasterKeyName, MasterKeys, Owner};
