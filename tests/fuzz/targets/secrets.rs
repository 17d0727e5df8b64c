//! Input that opens something or is believed for its checksum: tokens, keys, endpoints, models.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};
use tidings::base::{ItemId, Millis, Timestamp, UserId};
use tidings::catalogue::{Catalogue, Item};
use tidings::config::{Auth, JwksSetting};
use tidings::event::{Event, EventKind};
use tidings::privacy::api_key::{self, ApiKeys, Client};
use tidings::privacy::key::{KeyRing, read_jwks};
use tidings::privacy::token::{Verifier, issue, source_of};
use tidings::privacy::webhook_secret::WebhookSecret;
use tidings::privacy::{Revocations, Role, TokenError, origin, report_token};
use tidings::recommend::ModelSet;
use tidings::recommend::train::data::TrainingData;
use tidings::recommend::train::parameters::TrainingParameters;
use tidings::recommend::train::pipeline::train;
use tidings::transport::webhooks::check_url;
use tidings::transport::webpush::{Endpoint, UserAgentKeys};

use crate::done;
use crate::wire::{NOW, choice, text};

const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";

fn auth() -> Auth {
    let names = |name: &str| vec![name.to_owned()];
    Auth { secret: SECRET.to_owned(), audiences: names("tidings"), issuers: names("shop"), ..Auth::default() }
}

fn ring(auth: &Auth) -> KeyRing {
    KeyRing::new(auth, |path| Err(path.to_owned())).expect("the secret is a key")
}

/// Tokens of every kind as texts; none of them is signed.
pub fn tokens(data: &[u8]) {
    let (text, auth) = (text(data), auth());
    let keys = ring(&auth);
    let verifier = Verifier { auth: &auth, keys: &keys, revoked: &Revocations::default() };
    assert!(verifier.verify(&text, NOW).is_err(), "nobody signed {text:?}");
    done(source_of(&keys, &text));
    assert!(report_token::verify(&[7; 32], &text, NOW).is_err(), "nobody signed {text:?}");
    done(api_key::hint(&text));
    assert!(ApiKeys::default().verify(&text, &Client::default(), NOW).is_err());
    done(text.parse::<origin::Origin>());
    if let Some(secret) = WebhookSecret::parse(&text) {
        assert!(!secret.verifies("id", NOW.as_seconds(), &text, b"body", NOW.as_seconds()));
    }
}

/// A token with a good signature: header and claims as JSON, around a line's end.
pub fn signed(data: &[u8]) {
    let auth = auth();
    let keys = ring(&auth);
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let head = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let token = format!("{head}.{}", BASE64.encode(hmac(SECRET.as_bytes(), head.as_bytes())));
    let verifier = Verifier { auth: &auth, keys: &keys, revoked: &Revocations::default() };
    done(source_of(&keys, &token));
    match verifier.verify(&token, NOW) {
        Ok(access) => {
            let text = text(claims);
            assert!(text.contains("exp") && text.contains("shop"), "{access:?} for {text:?}");
        }
        Err(error) => assert_ne!(error, TokenError::Signature, "{:?}", text(data)),
    }
}

/// HMAC with SHA-256 (RFC 2104), for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ byte).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// A JWK set.
pub fn keys(data: &[u8]) {
    let (first, set) = choice(data);
    let file = if first & 1 == 1 { "keys.json".to_owned() } else { String::new() };
    let source = JwksSetting { issuer: "shop".to_owned(), url: String::new(), file, audiences: Vec::new() };
    let Ok(found) = read_jwks(set, &source) else { return };
    let auth = auth();
    let token = issue(SECRET, Role::User, "7", NOW + Millis::hours(1)).expect("it is signed");
    let keys = ring(&auth).with_set(0, &found);
    done(Verifier { auth: &auth, keys: &keys, revoked: &Revocations::default() }.verify(&token, NOW));
}

/// Addresses of push services and webhooks, and the keys of a browser.
pub fn endpoints(data: &[u8]) {
    let text = text(data);
    for allow_loopback in [false, true] {
        if let Ok(endpoint) = Endpoint::parse(&text, allow_loopback) {
            let again = Endpoint::parse(endpoint.origin(), allow_loopback);
            assert_eq!(
                again.map(|again| again.origin().to_owned()).as_deref(),
                Ok(endpoint.origin()),
                "{text:?}"
            );
        }
    }
    for allow_private in [false, true] {
        done(check_url(&text, allow_private));
    }
    let (first, rest) = choice(data);
    let cut = rest.len().min(usize::from(first));
    done(UserAgentKeys::new(&rest[..cut], &rest[cut..]));
}

/// A model of a small shop.
static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let items = (0..6).map(|id| Item {
        title: Some(format!("Watch number {id}")),
        category: vec!["Watches".to_owned()],
        ..Item::named(ItemId(id), tidings::base::ExternalId::Integer(id.into()), NOW)
    });
    let catalogue = Catalogue::from_items(items);
    let event = |n: u32| Event {
        occurred_at: Timestamp(NOW.0 - i64::from(1_000 - n) * 3_600_000_000),
        user: Some(UserId(n % 12)),
        item: Some(ItemId(n * 7 % 6)),
        kind: if n.is_multiple_of(3) { EventKind::Purchase } else { EventKind::View },
        dwell_ms: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
    };
    let data = TrainingData { events: (0..120).map(event).collect(), n_users: 12, stated: Vec::new() };
    let parameters = TrainingParameters { n_threads: 1, ..TrainingParameters::default() };
    let trained = train(&data, &catalogue, NOW, &parameters, &mut |_, _| ControlFlow::Continue(()));
    trained.expect("there is enough to learn from").model.encode().expect("a model can be written")
});

/// Bytes before the body: name, format and checksum.
const HEADER_BYTES: usize = 8 + 2 + 32;

/// The body of a model.
pub fn artefacts() -> Vec<Vec<u8>> {
    vec![MODEL[HEADER_BYTES..].to_vec()]
}

/// The body of a model, with a checksum that fits.
pub fn artefact(data: &[u8]) {
    let mut bytes = MODEL[..HEADER_BYTES - 32].to_vec();
    bytes.extend_from_slice(&Sha256::digest(data));
    bytes.extend_from_slice(data);
    if let Ok(model) = ModelSet::decode(&bytes) {
        done(model.encode().expect("what was read can be written"));
    }
}
