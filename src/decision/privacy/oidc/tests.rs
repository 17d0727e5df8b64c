use super::*;
use crate::privacy::key::read_jwks;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode as sign};
use serde_json::json;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const ISSUER: &str = "https://login.example";

fn settings() -> Oidc {
    Oidc { issuer: ISSUER.into(), client_id: "tidings".into(), ..Oidc::default() }
}

fn attempt() -> Attempt {
    Attempt {
        nonce: "n-1".into(),
        verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(),
        redirect_uri: "https://push.example/oidc/callback".into(),
    }
}

fn provider() -> Provider {
    let document = json!({"issuer": ISSUER, "authorization_endpoint": "https://login.example/auth",
        "token_endpoint": "https://login.example/token", "jwks_uri": "https://login.example/jwks", "more": 1});
    Provider::parse(document.to_string().as_bytes(), ISSUER, false).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

/// The person of an id token with these claims beside the usual ones.
fn identified(claims: Value) -> Result<Identified, OidcError> {
    let point = der(include_str!("../token/test_keys/ec.pub.pem"));
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = point[point.len() - 64..].split_at(32);
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": part(x), "y": part(y)}]});
    let source = source(&settings(), &provider());
    let keys = read_jwks(set.to_string().as_bytes(), &source).unwrap();
    let mut all = json!({"iss": ISSUER, "aud": "tidings", "sub": "248", "exp": NOW.as_seconds() + 60, "nonce": "n-1",
        "preferred_username": "Anna", "role": ["staff", "tidings-admins"]});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let header = Header { kid: Some("ec".into()), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_der(&der(include_str!("../token/test_keys/ec.pem")));
    let token = sign(&header, &all, &key).unwrap();
    let roles = [("tidings-admins".to_owned(), "admin".to_owned())].into_iter().collect();
    let auth = Auth { roles, issuers: vec!["https://other.example".into()], ..Auth::default() };
    identify(&settings(), &auth, (&source, &keys), &attempt(), &token, NOW)
}

#[test]
fn an_id_token_names_a_person_with_a_role() {
    let anna = Identified { subject: "248".into(), name: "anna".into(), role: Role::Admin };
    assert_eq!(identified(json!({})), Ok(anna));
    let named = |claims: Value| identified(claims).map(|person| (person.name, person.role));
    let by_mail =
        json!({"preferred_username": "Anna Schmidt", "email": "anna@shop.example", "role": "viewer"});
    assert_eq!(named(by_mail), Ok(("anna@shop.example".into(), Role::Viewer)));
    assert_eq!(named(json!({"preferred_username": null})).unwrap().0, "248");
    assert!(named(json!({"aud": ["tidings", "other"], "azp": "tidings"})).is_ok());
}

#[test]
fn an_id_token_of_another_sign_in_client_issuer_or_time_is_refused() {
    for (claims, error) in [
        (json!({"nonce": "n-2"}), OidcError::Nonce),
        (json!({"nonce": null}), OidcError::Nonce),
        (json!({"aud": "other"}), OidcError::Token(TokenError::Audience)),
        (json!({"aud": null}), OidcError::Token(TokenError::Audience)),
        (json!({"aud": ["tidings", "other"]}), OidcError::AuthorizedParty),
        (json!({"azp": "other"}), OidcError::AuthorizedParty),
        (json!({"iss": "https://other.example"}), OidcError::Token(TokenError::Issuer)),
        (json!({"exp": NOW.as_seconds()}), OidcError::Token(TokenError::Expired)),
        (json!({"role": "staff"}), OidcError::Token(TokenError::Claim("role"))),
        (json!({"role": ["staff"]}), OidcError::NoRole),
        (json!({"role": "service"}), OidcError::NoRole),
        (json!({"role": null}), OidcError::NoRole),
        (json!({"sub": ""}), OidcError::Token(TokenError::Claim("user"))),
        (json!({"sub": "a b", "preferred_username": null}), OidcError::NoName),
    ] {
        assert_eq!(identified(claims.clone()), Err(error), "{claims}");
    }
}

#[test]
fn the_request_carries_state_nonce_and_the_challenge_of_the_verifier() {
    let url = provider().sign_in_url(&settings(), &attempt(), "s&1");
    // The challenge of RFC 7636, appendix B.
    assert_eq!(
        url,
        "https://login.example/auth?response_type=code&client_id=tidings\
         &redirect_uri=https%3A%2F%2Fpush.example%2Foidc%2Fcallback&scope=openid%20profile%20email&state=s%261&nonce=n-1\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
    let body = token_request(&settings(), &attempt(), "c/1");
    assert!(body.contains("code=c%2F1&") && body.ends_with(&attempt().verifier), "{body}");
    assert_eq!(authorization("a:b", "").as_deref(), None);
    assert_eq!(authorization("a:b", "c").as_deref(), Some("Basic YSUzQWI6Yw=="));
}

#[test]
fn a_discovery_document_is_of_its_issuer_and_names_endpoints_with_tls() {
    let document = |issuer: &str, token: &str| {
        json!({"issuer": issuer, "authorization_endpoint": "https://a.example/auth", "token_endpoint": token,
            "jwks_uri": "https://a.example/jwks"})
        .to_string()
    };
    let parsed = |text: &str, private| Provider::parse(text.as_bytes(), ISSUER, private).is_ok();
    assert!(parsed(&document(ISSUER, "https://a.example/token"), false));
    assert!(!parsed(&document("https://evil.example", "https://a.example/token"), false));
    assert!(!parsed(&document(ISSUER, "http://a.example/token"), false));
    assert!(parsed(&document(ISSUER, "http://a.example/token"), true));
    assert!(!parsed("{}", true));
    assert_eq!(discovery_url("https://a.example/x/"), "https://a.example/x/.well-known/openid-configuration");
    assert_eq!(id_token(br#"{"id_token":"a.b.c","access_token":"x"}"#), Ok("a.b.c".to_owned()));
    assert!(id_token(b"{}").is_err());
}
