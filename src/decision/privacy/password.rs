//! Passwords of people: which are taken (NIST SP 800-63B-4 §3.1.1: length, and no common ones), and Argon2id (RFC 9106) with the
//! parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane. A check takes some ten milliseconds.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, Salt, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// Fewest characters.
const MIN_CHARS: usize = 12;
/// Most characters.
pub const MAX_CHARS: usize = 256;
/// Memory of a check, KiB, and passes over it.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
/// Random bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Fewest characters of a name that must not be the whole of a password.
const MIN_DIFFERENT: usize = 5;

/// The most common passwords of at least [`MIN_CHARS`] characters, and the words that longer ones are made of by repetition and numbers.
const COMMON: &str = include_str!("common_passwords.txt");

/// Reason why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Too few characters.
    #[error("a password has at least {MIN_CHARS} characters; a sentence is easy to remember")]
    Short,
    /// Too many characters.
    #[error("a password has at most {MAX_CHARS} characters")]
    Long,
    /// The person's name, with or without numbers.
    #[error("a password must not be the name")]
    Name,
    /// One that many people have.
    #[error("this password is among the most common ones; choose one that nobody else has")]
    Common,
}

/// Returns whether a password may be set for a person of that name.
pub fn check(password: &str, name: &str) -> Result<(), PasswordFault> {
    let chars = password.chars().count();
    if chars < MIN_CHARS {
        return Err(PasswordFault::Short);
    }
    if chars > MAX_CHARS {
        return Err(PasswordFault::Long);
    }
    let password = password.to_lowercase();
    let words = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let (letters, name) = (words(&password), words(&name.to_lowercase()));
    if !name.is_empty() && is_repeated(&letters, &name) {
        return Err(PasswordFault::Name);
    }
    let is_common = COMMON.lines().any(|common| {
        let common_letters = words(common);
        password == common || (!common_letters.is_empty() && is_repeated(&letters, &common_letters))
    });
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    if is_common || different.len() < MIN_DIFFERENT || is_sequence(&password) {
        return Err(PasswordFault::Common);
    }
    Ok(())
}

/// Returns whether a text is a word once or several times and nothing else.
fn is_repeated(text: &str, word: &str) -> bool {
    !text.is_empty() && text.len().is_multiple_of(word.len()) && text.replace(word, "").is_empty()
}

/// Returns whether each character follows the one before it, up or down, as in `123456789012` and `abcdefghijkl`; 9 is followed by 0.
fn is_sequence(text: &str) -> bool {
    let steps: Vec<i64> = text
        .chars()
        .zip(text.chars().skip(1))
        .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
        .collect();
    let all = |step: i64, wrap: i64| steps.iter().all(|found| *found == step || *found == wrap);
    all(1, -9) || all(-1, 9)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hash of a password as a PHC string, with a random salt. `None` for a salt that can't be written, which 16 bytes always can.
pub fn hash(password: &str, salt: &[u8; SALT_BYTES]) -> Option<String> {
    let salt = SaltString::encode_b64(salt).ok()?;
    let hashed = argon2().hash_password(password.as_bytes(), Salt::from(&salt)).ok()?;
    Some(hashed.to_string())
}

/// Returns whether the password is the one of a hash. Without a hash it takes the same time and is not.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
    match parsed {
        // The parameters are those of the hash.
        Some(parsed) => argon2().verify_password(password.as_bytes(), &parsed).is_ok(),
        None => {
            let _ = self::hash(password, &[0; SALT_BYTES]);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_a_length_and_is_neither_the_name_nor_common() {
        for (password, fault) in [
            ("elevenchars", PasswordFault::Short),
            ("ÄÖÜäöüÄÖÜäö", PasswordFault::Short),
            ("anna.schmidt", PasswordFault::Name),
            ("Anna.Schmidt1999", PasswordFault::Name),
            ("annaschmidtannaschmidt", PasswordFault::Name),
            ("password1234", PasswordFault::Common),
            ("PasswordPassword!", PasswordFault::Common),
            ("qwertyuiop12", PasswordFault::Common),
            ("aaaaaaaaaaaaaaa", PasswordFault::Common),
            ("1212121212121212", PasswordFault::Common),
            ("123456789012", PasswordFault::Common),
            ("abcdefghijklmn", PasswordFault::Common),
            ("987654321098", PasswordFault::Common),
        ] {
            assert_eq!(check(password, "anna.schmidt"), Err(fault), "{password}");
        }
        assert_eq!(check(&"x1y2z".repeat(60), "anna"), Err(PasswordFault::Long));
        for good in
            ["correct horse battery", "süße Äpfel im Öl", "annas password is long", &"x1y2z".repeat(51)]
        {
            assert_eq!(check(good, "anna"), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_hash_is_argon2id_with_its_salt_and_verifies_its_password_only() {
        let hash = hash("correct horse battery", &[7; SALT_BYTES]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{hash}");
        assert!(verify("correct horse battery", Some(&hash)));
        assert!(!verify("correct horse batterY", Some(&hash)));
        assert!(!verify("correct horse battery", None) && !verify("x", Some("no hash")));
    }
}
