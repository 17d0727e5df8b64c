//! Message encryption for Web Push: one record of the content coding `aes128gcm` (RFC 8188) under keys from an ECDH
//! agreement with the browser and its authentication secret (RFC 8291 §3). Plaintext in, request body out.

use aes_gcm::aead::Aead;
use aes_gcm::{Aes128Gcm, KeyInit};
use hkdf::Hkdf;
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{PublicKey, SecretKey};
use rand::RngExt;
use sha2_10::Sha256;

use tidings_decision::deliver::push_payload::MAX_PAYLOAD_BYTES;

/// Record size in the header: everything is one record, and no service takes more (RFC 8291 §4).
const RECORD_SIZE: u32 = 4_096;
/// Ends the last record; padding would follow (RFC 8188 §2).
const LAST_RECORD: u8 = 2;
/// An uncompressed point of P-256.
const POINT_BYTES: usize = 65;
const SALT_BYTES: usize = 16;

/// The browser's half: `p256dh` and `auth` of a subscription.
#[derive(Clone)]
pub struct UserAgentKeys {
    public: PublicKey,
    auth: [u8; 16],
}

/// Reason why keys or a message were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// Not an uncompressed point on the curve.
    #[error("p256dh must be an uncompressed point of P-256 (65 bytes, base64url)")]
    PublicKey,
    /// Not 16 bytes.
    #[error("auth must be 16 bytes, base64url")]
    Auth,
    /// More than fits one record.
    #[error("a push message holds at most {MAX_PAYLOAD_BYTES} bytes")]
    TooLong,
    /// The cipher refused, or the random numbers were no key: never seen, said all the same.
    #[error("the message could not be encrypted")]
    Cipher,
}

impl UserAgentKeys {
    /// From 65 and 16 bytes; the point must be on the curve.
    pub fn new(p256dh: &[u8], auth: &[u8]) -> Result<Self, EncryptError> {
        if p256dh.len() != POINT_BYTES {
            return Err(EncryptError::PublicKey);
        }
        let public = PublicKey::from_sec1_bytes(p256dh).map_err(|_| EncryptError::PublicKey)?;
        let auth = auth.try_into().map_err(|_| EncryptError::Auth)?;
        Ok(Self { public, auth })
    }
}

/// The body of a push request. A fresh key pair and salt each time; two scalar multiplications, about 0.2 ms.
pub fn encrypt(keys: &UserAgentKeys, plaintext: &[u8]) -> Result<Vec<u8>, EncryptError> {
    let mut random = rand::rng();
    // One number in 2³² is no scalar of the curve.
    let secret = (0..4).find_map(|_| SecretKey::from_slice(&random.random::<[u8; 32]>()).ok());
    encrypt_with(keys, &secret.ok_or(EncryptError::Cipher)?, random.random(), plaintext)
}

/// The same with the sender's key and the salt given.
fn encrypt_with(
    keys: &UserAgentKeys,
    sender: &SecretKey,
    salt: [u8; SALT_BYTES],
    plaintext: &[u8],
) -> Result<Vec<u8>, EncryptError> {
    if plaintext.len() > MAX_PAYLOAD_BYTES {
        return Err(EncryptError::TooLong);
    }
    let sender_public = sender.public_key().to_encoded_point(false);
    let shared = diffie_hellman(sender.to_nonzero_scalar(), keys.public.as_affine());
    let user_agent = keys.public.to_encoded_point(false);
    let (key, nonce) = derive(
        shared.raw_secret_bytes(),
        &keys.auth,
        user_agent.as_bytes(),
        sender_public.as_bytes(),
        &salt,
    )?;
    let mut record = plaintext.to_vec();
    record.push(LAST_RECORD);
    let cipher = Aes128Gcm::new(&key.into());
    let sealed = cipher.encrypt(&nonce.into(), record.as_slice()).map_err(|_| EncryptError::Cipher)?;
    let mut body = Vec::with_capacity(SALT_BYTES + 5 + POINT_BYTES + sealed.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_SIZE.to_be_bytes());
    body.push(u8::try_from(POINT_BYTES).map_err(|_| EncryptError::Cipher)?);
    body.extend_from_slice(sender_public.as_bytes());
    body.extend_from_slice(&sealed);
    Ok(body)
}

/// Content encryption key and nonce (RFC 8291 §3.4).
fn derive(
    shared: &[u8],
    auth: &[u8; 16],
    user_agent: &[u8],
    sender: &[u8],
    salt: &[u8; SALT_BYTES],
) -> Result<([u8; 16], [u8; 12]), EncryptError> {
    let mut input_key = [0; 32];
    Hkdf::<Sha256>::new(Some(auth), shared)
        .expand_multi_info(&[b"WebPush: info\0", user_agent, sender], &mut input_key)
        .map_err(|_| EncryptError::Cipher)?;
    let message = Hkdf::<Sha256>::new(Some(salt), &input_key);
    let (mut key, mut nonce) = ([0; 16], [0; 12]);
    message.expand(b"Content-Encoding: aes128gcm\0", &mut key).map_err(|_| EncryptError::Cipher)?;
    message.expand(b"Content-Encoding: nonce\0", &mut nonce).map_err(|_| EncryptError::Cipher)?;
    Ok((key, nonce))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

    // RFC 8291 §5 and Appendix A.
    const PLAINTEXT: &[u8] = b"When I grow up, I want to be a watermelon";
    const SENDER: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const RECEIVER: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
    const RECEIVER_PUBLIC: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const SALT: &str = "DGv6ra1nlYgDCS1FRnbzlw";
    const BODY: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

    fn bytes(text: &str) -> Vec<u8> {
        BASE64.decode(text).unwrap()
    }

    fn receiver() -> UserAgentKeys {
        UserAgentKeys::new(&bytes(RECEIVER_PUBLIC), &bytes(AUTH)).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc_comes_out_byte_for_byte() {
        let sender = SecretKey::from_slice(&bytes(SENDER)).unwrap();
        let salt = bytes(SALT).try_into().unwrap();
        let body = encrypt_with(&receiver(), &sender, salt, PLAINTEXT).unwrap();
        assert_eq!(BASE64.encode(body), BODY);
    }

    /// The receiver's side, in its own order.
    fn decrypt(secret: &SecretKey, auth: &[u8; 16], body: &[u8]) -> Vec<u8> {
        let (salt, rest) = body.split_at(16);
        assert_eq!(rest[..5], [0, 0, 16, 0, 65]);
        let (sender, sealed) = rest[5..].split_at(65);
        let sender_key = PublicKey::from_sec1_bytes(sender).unwrap();
        let shared = diffie_hellman(secret.to_nonzero_scalar(), sender_key.as_affine());
        let own = secret.public_key().to_encoded_point(false);
        let (key, nonce) =
            derive(shared.raw_secret_bytes(), auth, own.as_bytes(), sender, salt.try_into().unwrap())
                .unwrap();
        let mut record = Aes128Gcm::new(&key.into()).decrypt(&nonce.into(), sealed).unwrap();
        assert_eq!(record.pop(), Some(LAST_RECORD));
        record
    }

    #[test]
    fn the_example_of_the_rfc_can_be_read_and_so_can_a_message_of_any_length() {
        let secret = SecretKey::from_slice(&bytes(RECEIVER)).unwrap();
        let auth = bytes(AUTH).try_into().unwrap();
        assert_eq!(decrypt(&secret, &auth, &bytes(BODY)), PLAINTEXT);
        for length in [0, 1, 1_000, MAX_PAYLOAD_BYTES] {
            let plaintext = vec![b'x'; length];
            let body = encrypt(&receiver(), &plaintext).unwrap();
            assert!(body.len() <= RECORD_SIZE as usize);
            assert_eq!(decrypt(&secret, &auth, &body), plaintext);
        }
        let too_long = vec![0; MAX_PAYLOAD_BYTES + 1];
        assert_eq!(encrypt(&receiver(), &too_long), Err(EncryptError::TooLong));
    }

    #[test]
    fn two_messages_never_share_a_key() {
        let first = encrypt(&receiver(), PLAINTEXT).unwrap();
        let second = encrypt(&receiver(), PLAINTEXT).unwrap();
        assert_ne!(first[..86], second[..86]);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let mut off_curve = bytes(RECEIVER_PUBLIC);
        off_curve[64] ^= 1;
        for bad in [&off_curve[..], &[4; 65], &[], &bytes(RECEIVER_PUBLIC)[..64]] {
            assert_eq!(UserAgentKeys::new(bad, &bytes(AUTH)).err(), Some(EncryptError::PublicKey));
        }
        assert_eq!(UserAgentKeys::new(&bytes(RECEIVER_PUBLIC), &[0; 15]).err(), Some(EncryptError::Auth));
    }
}
