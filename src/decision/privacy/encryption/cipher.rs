//! AES-256-GCM with data that is authenticated beside the ciphertext.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes that authenticate a ciphertext.
pub(super) const TAG_BYTES: usize = 16;

/// Random bytes, used once for one key.
pub type Nonce = [u8; NONCE_BYTES];

/// Ciphertext and tag; empty only where the input is beyond the cipher's bound of 64 GiB.
pub(super) fn encrypt(key: &[u8; KEY_BYTES], nonce: &Nonce, context: &[u8], plain: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad: context };
    Aes256Gcm::new(key.into()).encrypt(nonce.into(), payload).unwrap_or_default()
}

/// The plaintext; `None` if key, nonce, context or ciphertext are others than those of [`encrypt`].
pub(super) fn decrypt(
    key: &[u8; KEY_BYTES],
    nonce: &Nonce,
    context: &[u8],
    ciphertext: &[u8],
) -> Option<Vec<u8>> {
    let payload = Payload { msg: ciphertext, aad: context };
    Aes256Gcm::new(key.into()).decrypt(nonce.into(), payload).ok()
}
