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
/// Seconds that a request may be old, or ahead.
const TOLERANCE_S: i64 = 300;

/// A key that signs.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// From its bytes.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// From `whsec_…`, as it was shown.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(PREFIX)?).ok()?;
        (!bytes.is_empty()).then_some(Self(bytes))
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
        Some(format!("v1,{}", BASE64.encode(self.mac(id, timestamp, body)?.finalize().into_bytes())))
    }

    /// Returns whether one of the signatures, separated by blanks, was made with this key, `timestamp` being at most five minutes before or
    /// after `now`, both Unix seconds. Compares in constant time.
    pub fn verifies(&self, id: &str, timestamp: i64, signatures: &str, body: &[u8], now: i64) -> bool {
        let is_recent = now.saturating_sub(timestamp).saturating_abs() <= TOLERANCE_S;
        let is_ours = |signature: &str| {
            let tag = signature.strip_prefix("v1,").and_then(|tag| BASE64.decode(tag).ok());
            let mac = self.mac(id, timestamp, body);
            tag.zip(mac).is_some_and(|(tag, mac)| mac.verify_slice(&tag).is_ok())
        };
        !id.is_empty() && is_recent && signatures.split(' ').any(is_ours)
    }

    fn mac(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?; // Any length of key will do.
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(mac)
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
    fn a_request_is_taken_only_with_its_own_signature_and_in_time() {
        // The example of the specification.
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(secret.verifies(id, at, signature, body, at));
        assert!(secret.verifies(id, at, &format!("v1,bm9uZQ== {signature}"), body, at + 300));
        assert!(!secret.verifies(id, at, signature, body, at + 301));
        assert!(!secret.verifies(id, at, signature, b"{}", at));
        assert!(!secret.verifies("msg_other", at, signature, body, at));
        assert!(!secret.verifies(id, at, "", body, at));
        assert!(!secret.verifies(id, i64::MIN, signature, body, i64::MAX));
        assert!(WebhookSecret::parse("whsec_").is_none() && WebhookSecret::parse("hunter2").is_none());
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
