//! Signatures of [Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA-256 of `id.timestamp.body`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

/// Seconds that a request may be old, or ahead.
const TOLERANCE_S: i64 = 300;

/// Key of an endpoint.
pub struct Secret(hmac::Key);

impl Secret {
    /// From `whsec_…`; the error does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
        let bytes = bytes.filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or("is not the secret that POST /v1/webhooks answered: whsec_ and base64")?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// Whether one of the signatures is made with this key, about now (seconds since 1970).
    pub fn verifies(&self, id: &str, at: &str, signatures: &str, body: &[u8], now: i64) -> bool {
        let is_recent = at.parse::<i64>().is_ok_and(|at| (now.saturating_sub(at)).abs() <= TOLERANCE_S);
        let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
        let is_ours = |signature: &str| {
            let tag = signature.strip_prefix("v1,").and_then(|tag| BASE64_STANDARD.decode(tag).ok());
            tag.is_some_and(|tag| hmac::verify(&self.0, &signed, &tag).is_ok())
        };
        !id.is_empty() && is_recent && signatures.split(' ').any(is_ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_only_with_its_own_signature_and_in_time() {
        // The example of the specification.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let now = 1_614_265_330;
        assert!(secret.verifies(id, at, signature, body, now));
        assert!(secret.verifies(id, at, &format!("v1,bm9uZQ== {signature}"), body, now + 300));
        assert!(!secret.verifies(id, at, signature, body, now + 301));
        assert!(!secret.verifies(id, at, signature, b"{}", now));
        assert!(!secret.verifies("msg_other", at, signature, body, now));
        assert!(!secret.verifies(id, at, "", body, now));
        assert!(
            Secret::parse("whsec_").is_err() && !Secret::parse("hunter2").err().unwrap().contains("hunter2")
        );
    }
}
