//! Keys that tokens are verified with. A key verifies one algorithm, whatever a token's header names (RFC 8725 §3.1), and signs
//! for one issuer where it came from that issuer.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use tidings_core::config::{Auth, JwksSetting, KeySetting};

/// Most keys of one JWK set.
const MAX_JWKS_KEYS: usize = 64;
/// Shortest modulus of RSA, bytes: 2,048 bits (RFC 7518 §3.3).
const MIN_MODULUS_BYTES: usize = 256;
/// Longest modulus that is worked with, bytes: 4,096 bits.
const MAX_MODULUS_BYTES: usize = 512;
/// Shortest secret of HS256, bytes (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;
/// DER of `SEQUENCE { OID rsaEncryption, NULL }`.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// DER of `SEQUENCE { OID ecPublicKey, OID prime256v1 }`.
const P256_ALGORITHM: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];
/// DER of `SEQUENCE { OID Ed25519 }`.
const ED25519_ALGORITHM: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

/// Reason why a key or a JWK set can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a JWK set.
    #[error("not a JWK set ({{\"keys\":[…]}}): {0}")]
    NotJwks(String),
    /// None of the keys verifies signatures with a known algorithm.
    #[error("the JWK set has no key for RS256, ES256 or EdDSA")]
    NoKey,
    /// More keys than are read.
    #[error("the JWK set has more than {MAX_JWKS_KEYS} keys")]
    TooMany,
    /// Not a public key in PEM.
    #[error("kid \"{0}\": not a public key in PEM (-----BEGIN PUBLIC KEY-----) for {1}")]
    NotPem(String, String),
    /// A file can't be read.
    #[error("kid \"{0}\": {1}")]
    File(String, String),
}

/// A key and what it may be used for.
#[derive(Debug)]
pub struct Key {
    /// Name in the header of tokens.
    pub(super) kid: Option<String>,
    /// The only algorithm that it verifies.
    pub(super) algorithm: Algorithm,
    /// The key.
    pub(super) decoding: DecodingKey,
    /// The only issuer that it signs for; `None` = those of `auth.issuers`.
    pub(super) issuer: Option<Arc<str>>,
    /// Audiences of which its tokens must name one; `None` = as `auth.audiences` says.
    pub(super) audiences: Option<Arc<[String]>>,
}

/// The keys of one moment.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    own: Vec<Arc<Key>>,
    /// Those of each entry of `auth.jwks`, in its order; `None` = not there yet.
    sets: Vec<Option<Vec<Arc<Key>>>>,
    issuers: Vec<String>,
}

impl KeyRing {
    /// Keys of the configuration; `read` reads a file. JWK sets come later.
    pub fn new(auth: &Auth, read: impl Fn(&str) -> Result<String, String>) -> Result<Self, KeyError> {
        let mut own = Vec::new();
        if !auth.secret.is_empty() {
            let decoding = DecodingKey::from_secret(auth.secret.as_bytes());
            own.push(Key { kid: None, algorithm: Algorithm::HS256, decoding, issuer: None, audiences: None });
        }
        for setting in &auth.keys {
            own.push(configured(setting, &read)?);
        }
        Ok(Self {
            own: own.into_iter().map(Arc::new).collect(),
            sets: vec![None; auth.jwks.len()],
            issuers: auth.jwks.iter().map(|source| source.issuer.clone()).collect(),
        })
    }

    /// The same with the keys of the n-th entry of `auth.jwks` replaced.
    #[must_use]
    pub fn with_set(&self, nth: usize, keys: &[Arc<Key>]) -> Self {
        let mut ring = self.clone();
        if let Some(set) = ring.sets.get_mut(nth) {
            *set = Some(keys.to_vec());
        }
        ring
    }

    /// Entry of `auth.jwks` of an issuer, and whether its keys are there.
    pub(super) fn source(&self, issuer: &str) -> Option<(usize, bool)> {
        let nth = self.issuers.iter().position(|known| known == issuer)?;
        Some((nth, self.sets.get(nth).is_some_and(Option::is_some)))
    }

    /// Keys that may have signed a token of this issuer: those of the name, else those without a name; all where the token names none.
    pub(super) fn candidates(&self, kid: Option<&str>, issuer: Option<&str>) -> Vec<&Key> {
        let all = self.own.iter().chain(self.sets.iter().flatten().flatten()).map(AsRef::as_ref);
        let of_issuer = |key: &&Key| key.issuer.as_deref().is_none_or(|own| Some(own) == issuer);
        let all: Vec<&Key> = all.filter(of_issuer).collect();
        let Some(kid) = kid else { return all };
        let named: Vec<&Key> = all.iter().copied().filter(|key| key.kid.as_deref() == Some(kid)).collect();
        if named.is_empty() { all.into_iter().filter(|key| key.kid.is_none()).collect() } else { named }
    }

    /// Returns whether some key has this name, whoever it signs for.
    pub(super) fn knows(&self, kid: &str) -> bool {
        let all = self.own.iter().chain(self.sets.iter().flatten().flatten());
        all.into_iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

fn configured(setting: &KeySetting, read: impl Fn(&str) -> Result<String, String>) -> Result<Key, KeyError> {
    let pem = match setting.public_key_file.as_str() {
        "" => setting.public_key.clone(),
        file => read(file).map_err(|error| KeyError::File(setting.kid.clone(), error))?,
    };
    let bad = || KeyError::NotPem(setting.kid.clone(), setting.algorithm.clone());
    let (algorithm, decoding) = match setting.algorithm.as_str() {
        "HS256" => (Algorithm::HS256, DecodingKey::from_secret(setting.secret.as_bytes())),
        "RS256" => (Algorithm::RS256, rsa(&pem).ok_or_else(bad)?),
        "ES256" => (Algorithm::ES256, p256(&pem).ok_or_else(bad)?),
        "EdDSA" => (Algorithm::EdDSA, ed25519(&pem).ok_or_else(bad)?),
        _ => return Err(bad()),
    };
    let issuer = Some(setting.issuer.as_str()).filter(|issuer| !issuer.is_empty()).map(Arc::from);
    Ok(Key { kid: Some(setting.kid.clone()), algorithm, decoding, issuer, audiences: None })
}

/// A key of a JWK set, as far as it is read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

/// Keys of a JWK set that verify signatures. Keys of other kinds are left out (RFC 7517 §5), symmetric ones too unless the set is a file
/// of this machine: what anybody can fetch is no secret.
pub fn read_jwks(text: &[u8], source: &JwksSetting) -> Result<Vec<Arc<Key>>, KeyError> {
    let set: Jwks = serde_json::from_slice(text).map_err(|error| KeyError::NotJwks(error.to_string()))?;
    if set.keys.len() > MAX_JWKS_KEYS {
        return Err(KeyError::TooMany);
    }
    let issuer: Arc<str> = source.issuer.as_str().into();
    let audiences: Option<Arc<[String]>> =
        (!source.audiences.is_empty()).then(|| source.audiences.as_slice().into());
    let is_file = !source.file.is_empty();
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    for jwk in set.keys {
        let Ok(jwk) = serde_json::from_value::<Jwk>(jwk) else { continue };
        let Some((algorithm, decoding)) = usable(&jwk, is_file) else { continue };
        // The first of a name counts.
        if jwk.kid.as_ref().is_some_and(|kid| !seen.insert(kid.clone())) {
            continue;
        }
        let (issuer, audiences) = (Some(Arc::clone(&issuer)), audiences.clone());
        keys.push(Arc::new(Key { kid: jwk.kid, algorithm, decoding, issuer, audiences }));
    }
    if keys.is_empty() { Err(KeyError::NoKey) } else { Ok(keys) }
}

/// Algorithm and key, if it is for signatures of a known algorithm.
fn usable(jwk: &Jwk, is_file: bool) -> Option<(Algorithm, DecodingKey)> {
    let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !for_signatures {
        return None;
    }
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok();
    let (name, algorithm, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (bytes(&jwk.n)?, bytes(&jwk.e)?);
            ("RS256", Algorithm::RS256, rsa_components(&n, &e)?)
        }
        ("EC", Some("P-256")) => {
            let point = [&[4][..], &bytes(&jwk.x)?, &bytes(&jwk.y)?].concat();
            ("ES256", Algorithm::ES256, p256_point(&point)?)
        }
        ("OKP", Some("Ed25519")) => {
            let point = bytes(&jwk.x).filter(|point| point.len() == 32)?;
            ("EdDSA", Algorithm::EdDSA, DecodingKey::from_ed_der(&point))
        }
        ("oct", _) if is_file => {
            let secret = bytes(&jwk.k).filter(|secret| secret.len() >= MIN_SECRET_BYTES)?;
            ("HS256", Algorithm::HS256, DecodingKey::from_secret(&secret))
        }
        _ => return None,
    };
    // RFC 9864 names the curve.
    let is_named = |alg: &str| alg == name || (name == "EdDSA" && alg == "Ed25519");
    jwk.alg.as_deref().is_none_or(is_named).then_some((algorithm, key))
}

fn rsa_components(n: &[u8], e: &[u8]) -> Option<DecodingKey> {
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    let n = n.get(zeros..)?;
    let is_sound = (MIN_MODULUS_BYTES..=MAX_MODULUS_BYTES).contains(&n.len()) && (1..=8).contains(&e.len());
    is_sound.then(|| DecodingKey::from_rsa_raw_components(n, e))
}

fn p256_point(point: &[u8]) -> Option<DecodingKey> {
    (point.len() == 65 && point.first() == Some(&4)).then(|| DecodingKey::from_ec_der(point))
}

/// Contents of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

/// Bits of the public key in a `SubjectPublicKeyInfo` (RFC 5280 §4.1) of this algorithm.
fn public_key(pem: &str, algorithm: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    let (info, _) = element(&der, 0x30)?;
    let bits = info.strip_prefix(algorithm)?;
    // The first byte says that no bit of the last one is unused.
    let (bits, _) = element(bits, 0x03)?;
    bits.strip_prefix(&[0]).map(<[u8]>::to_vec)
}

fn rsa(pem: &str) -> Option<DecodingKey> {
    let key = public_key(pem, &RSA_ALGORITHM)?;
    // RSAPublicKey (RFC 8017 §A.1.1).
    let (numbers, _) = element(&key, 0x30)?;
    let (n, rest) = element(numbers, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    rsa_components(n, e)
}

fn p256(pem: &str) -> Option<DecodingKey> {
    p256_point(&public_key(pem, &P256_ALGORITHM)?)
}

fn ed25519(pem: &str) -> Option<DecodingKey> {
    let point = public_key(pem, &ED25519_ALGORITHM)?;
    (point.len() == 32).then(|| DecodingKey::from_ed_der(&point))
}
