//! Voluntary application server identification (RFC 8292): the server's key pair, and the signed header that tells a
//! push service who is sending. ES256 over a JSON Web Token; the signature is deterministic (RFC 6979).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hkdf::Hkdf;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use rand::RngExt;
use serde_json::json;
use sha2_10::Sha256;

use tidings_core::base::Timestamp;

/// The server's key pair. Its secret half is in no log line and no `Debug` output.
#[derive(Clone)]
pub struct VapidKeys {
    signing: SigningKey,
    public: String,
}

impl std::fmt::Debug for VapidKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("VapidKeys").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Not 32 bytes that are a private key of P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a VAPID private key is 32 bytes, base64url without padding, such as `npx web-push generate-vapid-keys` prints"
)]
pub struct BadVapidKey;

impl VapidKeys {
    /// 32 random bytes that are a private key.
    pub fn generate() -> [u8; 32] {
        loop {
            let bytes = rand::rng().random::<[u8; 32]>();
            // All but one in 2³² are.
            if SigningKey::from_slice(&bytes).is_ok() {
                return bytes;
            }
        }
    }

    /// From 32 bytes.
    pub fn from_bytes(private: &[u8]) -> Result<Self, BadVapidKey> {
        let signing = SigningKey::from_slice(private).map_err(|_| BadVapidKey)?;
        let public = BASE64.encode(signing.verifying_key().to_encoded_point(false).as_bytes());
        Ok(Self { signing, public })
    }

    /// From base64url.
    pub fn from_base64(private: &str) -> Result<Self, BadVapidKey> {
        Self::from_bytes(&BASE64.decode(private.trim().trim_end_matches('=')).map_err(|_| BadVapidKey)?)
    }

    /// The application server key a page subscribes with: 65 bytes, base64url.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// A secret of another use, derived so that nothing about this key follows from it.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut derived = [0; 32];
        let key = Hkdf::<Sha256>::new(None, &self.signing.to_bytes());
        // 32 bytes are far below what HKDF can give: this can't fail.
        let _ = key.expand(purpose.as_bytes(), &mut derived);
        derived
    }

    /// `Authorization` for one push service. `audience` is its origin, `contact` a `mailto:` or `https:` address or
    /// empty, `expires_at` at most 24 hours away.
    pub fn authorization(&self, audience: &str, contact: &str, expires_at: Timestamp) -> String {
        let mut claims = json!({"aud": audience, "exp": expires_at.as_seconds()});
        if let (false, Some(claims)) = (contact.is_empty(), claims.as_object_mut()) {
            claims.insert("sub".to_owned(), contact.into());
        }
        let header = BASE64.encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{header}.{}", BASE64.encode(claims.to_string()));
        let signature: Signature = self.signing.sign(signed.as_bytes());
        format!("vapid t={signed}.{}, k={}", BASE64.encode(signature.to_bytes()), self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    #[test]
    fn another_implementation_accepts_the_signature() {
        let keys = VapidKeys::from_bytes(&VapidKeys::generate()).unwrap();
        let exp = Timestamp::from_seconds(4_000_000_000);
        let header = keys.authorization("https://push.example", "mailto:ops@shop.example", exp);
        let token = header.strip_prefix("vapid t=").unwrap().split(", k=").next().unwrap();
        assert!(header.ends_with(keys.public()));
        let point = keys.signing.verifying_key().to_encoded_point(false);
        let (x, y) = (BASE64.encode(point.x().unwrap()), BASE64.encode(point.y().unwrap()));
        let key = DecodingKey::from_ec_components(&x, &y).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["https://push.example"]);
        let claims: serde_json::Value = decode(token, &key, &validation).unwrap().claims;
        assert_eq!(claims["sub"], "mailto:ops@shop.example");
        assert_eq!(claims["exp"], 4_000_000_000_i64);
    }

    #[test]
    fn a_key_survives_its_text_and_bad_ones_are_refused() {
        let private = VapidKeys::generate();
        let keys = VapidKeys::from_bytes(&private).unwrap();
        let again = VapidKeys::from_base64(&BASE64.encode(private)).unwrap();
        assert_eq!(keys.public(), again.public());
        assert_eq!(keys.derive("a"), again.derive("a"));
        assert_ne!(keys.derive("a"), keys.derive("b"));
        for bad in ["", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(VapidKeys::from_base64(bad).err(), Some(BadVapidKey));
        }
        assert!(!format!("{keys:?}").contains(&BASE64.encode(private)));
    }
}
