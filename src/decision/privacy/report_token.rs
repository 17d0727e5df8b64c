//! Token by which a service worker may report the outcome of one message without a login: the message, its user and an end,
//! signed with the server's secret (HMAC-SHA-256, RFC 2104, cut to 128 bits). It opens nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use sha2_10::Sha256;
use uuid::Uuid;

use super::TokenError;
use tidings_core::base::{NotificationId, Timestamp, UserId};

const SIGNATURE_BYTES: usize = 16;
/// Message 16, user 4, end 8.
const BODY_BYTES: usize = 28;

/// Claims of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The message.
    pub notification: NotificationId,
    /// User the message belongs to.
    pub user: UserId,
}

fn sign(secret: &[u8; 32], body: &[u8]) -> Result<Hmac<Sha256>, TokenError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| TokenError::Bad)?;
    mac.update(b"tidings report token 1");
    mac.update(body);
    Ok(mac)
}

/// A token that is valid until `expires_at` (whole seconds): 59 characters of base64url.
pub fn issue(secret: &[u8; 32], report: Report, expires_at: Timestamp) -> Result<String, TokenError> {
    let mut bytes = Vec::with_capacity(BODY_BYTES + SIGNATURE_BYTES);
    bytes.extend_from_slice(report.notification.0.as_bytes());
    bytes.extend_from_slice(&report.user.to_sql().to_be_bytes());
    bytes.extend_from_slice(&expires_at.as_seconds().to_be_bytes());
    let signature = sign(secret, &bytes)?.finalize().into_bytes();
    bytes.extend(signature.iter().take(SIGNATURE_BYTES));
    Ok(BASE64.encode(bytes))
}

/// Checks a token; in constant time as to the signature.
pub fn verify(secret: &[u8; 32], token: &str, now: Timestamp) -> Result<Report, TokenError> {
    let bytes = BASE64.decode(token).map_err(|_| TokenError::Bad)?;
    if bytes.len() != BODY_BYTES + SIGNATURE_BYTES {
        return Err(TokenError::Bad);
    }
    let (body, signature) = bytes.split_at(BODY_BYTES);
    sign(secret, body)?.verify_truncated_left(signature).map_err(|_| TokenError::Bad)?;
    let (id, rest) = body.split_at(16);
    let (user, end) = rest.split_at(4);
    let id = Uuid::from_slice(id).map_err(|_| TokenError::Bad)?;
    let user = i32::from_be_bytes(user.try_into().map_err(|_| TokenError::Bad)?);
    let end = i64::from_be_bytes(end.try_into().map_err(|_| TokenError::Bad)?);
    if end <= now.as_seconds() {
        return Err(TokenError::Expired);
    }
    Ok(Report { notification: NotificationId(id), user: UserId::from_sql(user) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    #[test]
    fn a_token_speaks_for_its_message_until_its_end() {
        let report = Report { notification: NotificationId(Uuid::from_u128(5)), user: UserId::from_sql(17) };
        let token = issue(&SECRET, report, NOW.plus_days(1.0)).unwrap();
        assert_eq!(token.len(), 59);
        assert_eq!(verify(&SECRET, &token, NOW), Ok(report));
        assert_eq!(verify(&SECRET, &token, NOW.plus_days(1.0)), Err(TokenError::Expired));
        assert_eq!(verify(&[8; 32], &token, NOW), Err(TokenError::Bad));
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let report = Report { notification: NotificationId(Uuid::from_u128(5)), user: UserId::from_sql(17) };
        let token = BASE64.decode(issue(&SECRET, report, NOW.plus_days(1.0)).unwrap()).unwrap();
        for index in 0..token.len() {
            let mut forged = token.clone();
            forged[index] ^= 1;
            assert_eq!(verify(&SECRET, &BASE64.encode(forged), NOW), Err(TokenError::Bad));
        }
        for bad in ["", "AAAA", "not base64!", &"A".repeat(5_000)] {
            assert_eq!(verify(&SECRET, bad, NOW), Err(TokenError::Bad));
        }
    }
}
