//! Signatures of webhooks, as Standard Webhooks 1.0 says: HMAC-SHA-256 of `id.timestamp.body` under a key that is written as `whsec_` and
//! base64. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2_10::Sha256;

/// Bytes of a new key; the standard allows 24 to 64.
pub const SECRET_BYTES: usize = 32;
const PREFIX: &str = "whsec_";

/// A key that signs.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// From its bytes.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes, for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is shown, once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// The signature of a request, `v1,` and base64. `timestamp` in Unix seconds.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?; // Any length of key will do.
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    }
}

/// Never the key.
impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// Value of `webhook-signature`: one signature for each key, the newest first.
pub fn signatures(secrets: &[WebhookSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let all: Vec<String> = secrets.iter().filter_map(|secret| secret.sign(id, timestamp, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the standard's own libraries (`test_sign_function`).
    #[test]
    fn the_vector_of_the_standard_is_signed_alike() {
        let key = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secret = WebhookSecret::from_bytes(key);
        assert_eq!(secret.reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn while_keys_change_both_sign_and_none_is_shown_in_logs() {
        let (new, old) = (WebhookSecret::from_bytes([1; 32]), WebhookSecret::from_bytes([2; 32]));
        let both = signatures(&[new.clone(), old.clone()], "msg_1", 5, b"{}");
        let each = [new.sign("msg_1", 5, b"{}").unwrap(), old.sign("msg_1", 5, b"{}").unwrap()];
        assert_eq!(both, each.join(" "));
        assert_ne!(each[0], each[1]);
        assert!(!format!("{new:?}").contains("AQEB"));
    }
}
