use super::*;
use crate::privacy::Permission;
use crate::privacy::key::read_jwks;
use crate::privacy::revocation::Revoked;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tidings_core::config::{JwksSetting, KeySetting};

const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

fn auth() -> Auth {
    Auth { secret: SECRET.to_owned(), ..Auth::default() }
}

fn ring(auth: &Auth) -> KeyRing {
    KeyRing::new(auth, |file| Err(format!("{file}: no file is read here"))).unwrap()
}

fn verify_with(auth: &Auth, keys: &KeyRing, token: &str) -> Result<Access, TokenError> {
    Verifier { auth, keys, revoked: &Revocations::default() }.verify(token, NOW)
}

fn verify(auth: &Auth, token: &str, now: Timestamp) -> Result<Access, TokenError> {
    Verifier { auth, keys: &ring(auth), revoked: &Revocations::default() }.verify(token, now)
}

/// A token of another issuer, with the claims of `body`.
fn foreign(body: &Value) -> String {
    signed(&Header::new(Algorithm::HS256), body, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn signed(header: &Header, body: &Value, key: &EncodingKey) -> String {
    encode(header, body, key).unwrap()
}

#[test]
fn a_user_token_speaks_for_that_user_only() {
    let token = issue(SECRET, Role::User, "17", NOW.plus_days(1.0)).unwrap();
    let access = verify(&auth(), &token, NOW).unwrap();
    assert!(access.may_for(&ExternalId::Integer(17), Permission::ActForUsers));
    assert!(!access.may_for(&ExternalId::Integer(18), Permission::ActForUsers));
}

#[test]
fn an_admin_token_says_whose_it_is() {
    let subject = |name: &str| {
        let token = issue(SECRET, Role::Admin, name, NOW.plus_days(1.0)).unwrap();
        verify(&auth(), &token, NOW).unwrap().subject
    };
    assert_eq!(subject("anna").as_deref(), Some("anna"));
    assert_eq!(subject(NOBODY).as_deref(), Some(NOBODY));
    assert_eq!(subject(&"x".repeat(500)).unwrap().len(), MAX_SUBJECT_CHARS);
}

#[test]
fn a_token_that_was_issued_in_the_future_is_refused() {
    let exp = NOW.plus_days(1.0).as_seconds();
    let at = |seconds: i64| foreign(&json!({"sub": "17", "exp": exp, "iat": NOW.as_seconds() + seconds}));
    let leeway = i64::try_from(auth().leeway_s).unwrap();
    assert!(verify(&auth(), &at(leeway), NOW).is_ok(), "clocks differ a little");
    for ahead in [leeway + 1, 3_600, 70 * 365 * 86_400] {
        assert_eq!(verify(&auth(), &at(ahead), NOW), Err(TokenError::NotYet), "{ahead}");
    }
}

#[test]
fn forged_expired_and_unsigned_tokens_are_refused() {
    let token = issue(SECRET, Role::Admin, "ops", NOW.plus_days(1.0)).unwrap();
    let other = Auth { secret: "another secret, as long as the first".to_owned(), ..Auth::default() };
    assert_eq!(verify(&other, &token, NOW), Err(TokenError::Signature));
    assert_eq!(verify(&auth(), &token, NOW.plus_days(2.0)), Err(TokenError::Expired));
    assert_eq!(verify(&auth(), "nonsense", NOW), Err(TokenError::Bad));
    // {"alg":"none"}, the oldest trick.
    let body = token.split('.').nth(1).unwrap();
    assert_eq!(verify(&auth(), &format!("eyJhbGciOiJub25lIn0.{body}."), NOW), Err(TokenError::Algorithm));
}

#[test]
fn tokens_of_other_issuers_are_read_as_the_rfc_has_them() {
    let exp = 1_800_000_060;
    let access = |body: serde_json::Value| verify(&auth(), &foreign(&body), NOW);
    let user = |body| access(body).unwrap().user.unwrap();
    assert_eq!(user(json!({"sub": 17, "exp": exp})), ExternalId::Integer(17), "a number, no role");
    let read = access(json!({"sub": "17", "role": "user", "exp": 1_800_000_000.5, "iss": "shop"})).unwrap();
    assert_eq!(read.expires_at, Some(Timestamp(1_800_000_000_500_000)), "a fraction of a second");
    assert_eq!(read.role, Role::User);
    let past = access(json!({"sub": 17, "exp": 1_799_999_999.9}));
    assert_eq!(past, Err(TokenError::Expired));
    for (claim, bad) in [
        ("exp", json!({"sub": 17})),
        ("user", json!({"exp": exp})),
        ("user", json!({"sub": 1.5, "exp": exp})),
        ("user", json!({"sub": "", "exp": exp})),
        ("user", json!({"sub": "", "role": "admin", "exp": exp})),
        ("exp", json!({"sub": 17, "exp": "soon"})),
        ("exp", json!({"sub": 17, "exp": 1e300})),
        ("exp", json!({"sub": 17, "exp": null})),
        ("role", json!({"sub": 17, "exp": exp, "role": "root"})),
        ("role", json!({"sub": 17, "exp": exp, "role": 1})),
        ("nbf", json!({"sub": 17, "exp": exp, "nbf": "now"})),
        ("aud", json!({"sub": 17, "exp": exp, "aud": 1})),
        ("iss", json!({"sub": 17, "exp": exp, "iss": 1})),
        ("jti", json!({"sub": 17, "exp": exp, "jti": 1})),
    ] {
        assert_eq!(access(bad.clone()), Err(TokenError::Claim(claim)), "{bad}");
    }
}

#[test]
fn a_token_with_an_audience_needs_one_that_is_accepted() {
    let mut auth = auth();
    let mut read = |accepted: &[&str], aud: serde_json::Value| {
        auth.audiences = accepted.iter().map(ToString::to_string).collect();
        let body = json!({"sub": 17, "exp": 1_800_000_060, "aud": aud});
        verify(&auth, &foreign(&body), NOW).map(|access| access.role)
    };
    assert_eq!(read(&[], json!("shop")), Err(TokenError::Audience), "nobody here is called that");
    assert_eq!(read(&["push", "shop"], json!("shop")), Ok(Role::User));
    assert_eq!(read(&["push"], json!(["shop", "push"])), Ok(Role::User));
    assert_eq!(read(&["push"], json!(["shop", "Push"])), Err(TokenError::Audience), "case matters");
    assert_eq!(read(&["push"], json!([])), Err(TokenError::Audience));
    assert_eq!(read(&["push"], json!(null)), Ok(Role::User), "for everybody");
}

#[test]
fn a_token_is_not_valid_before_its_time() {
    let read = |nbf: f64| {
        verify(&auth(), &foreign(&json!({"sub": 17, "exp": 1_800_000_060, "nbf": nbf})), NOW).map(|_| ())
    };
    assert_eq!(read(1_800_000_030.0), Err(TokenError::NotYet));
    assert_eq!(read(1_800_000_010.0), Ok(()), "clocks differ by a moment");
    assert_eq!(read(1_799_999_000.25), Ok(()));
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let body = URL_SAFE_NO_PAD.encode(json!({"sub": 17, "exp": 1_800_000_060}).to_string());
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("x")] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "crit": crit}).to_string());
        let message = format!("{header}.{body}");
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        let token = format!("{message}.{signature}");
        assert_eq!(verify(&auth(), &token, NOW), Err(TokenError::Critical), "{crit}");
    }
}

/// Contents of a PEM file.
fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

/// An algorithm, a private key and its public one.
fn pairs() -> [(Algorithm, &'static str, EncodingKey, &'static str); 3] {
    let rsa = EncodingKey::from_rsa_der(&der(include_str!("test_keys/rsa.pem")));
    let ec = EncodingKey::from_ec_der(&der(include_str!("test_keys/ec.pem")));
    let ed = EncodingKey::from_ed_der(&der(include_str!("test_keys/ed.pem")));
    [
        (Algorithm::RS256, "RS256", rsa, include_str!("test_keys/rsa.pub.pem")),
        (Algorithm::ES256, "ES256", ec, include_str!("test_keys/ec.pub.pem")),
        (Algorithm::EdDSA, "EdDSA", ed, include_str!("test_keys/ed.pub.pem")),
    ]
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}

fn body() -> Value {
    json!({"sub": 17, "exp": 1_800_000_060})
}

fn public(kid: &str, algorithm: &str, public_key: &str) -> KeySetting {
    let (kid, algorithm, public_key) = (kid.to_owned(), algorithm.to_owned(), public_key.to_owned());
    KeySetting { kid, algorithm, public_key, ..KeySetting::default() }
}

fn secret(kid: &str, secret: &str) -> KeySetting {
    let (kid, secret) = (kid.to_owned(), secret.to_owned());
    KeySetting { kid, algorithm: "HS256".to_owned(), secret, ..KeySetting::default() }
}

#[test]
fn each_algorithm_is_verified_by_its_own_key_and_no_other() {
    let keys = pairs().map(|(_, name, _, pem)| public(name, name, pem)).to_vec();
    let auth = Auth { keys, ..auth() };
    for (algorithm, name, key, pem) in pairs() {
        let token = signed(&header(algorithm, Some(name)), &body(), &key);
        assert_eq!(verify(&auth, &token, NOW).unwrap().user, Some(ExternalId::Integer(17)), "{name}");
        let unnamed = signed(&header(algorithm, None), &body(), &key);
        assert!(verify(&auth, &unnamed, NOW).is_ok(), "{name} without kid");
        // The public key as a secret of HS256, the second oldest trick.
        for secret in [pem.as_bytes().to_vec(), pem.trim().as_bytes().to_vec(), der(pem)] {
            let forged = EncodingKey::from_secret(&secret);
            let named = signed(&header(Algorithm::HS256, Some(name)), &body(), &forged);
            assert_eq!(verify(&auth, &named, NOW), Err(TokenError::Algorithm), "{name}");
            let unnamed = signed(&header(Algorithm::HS256, None), &body(), &forged);
            assert_eq!(verify(&auth, &unnamed, NOW), Err(TokenError::Signature), "{name}");
        }
        let (start, _) = token.rsplit_once('.').unwrap();
        assert_eq!(verify(&auth, &format!("{start}.AAAA"), NOW), Err(TokenError::Signature), "{name}");
    }
    let (_, _, _, ec) = &pairs()[1];
    let wrong = Auth { keys: vec![public("a", "RS256", ec)], ..Auth::default() };
    assert!(KeyRing::new(&wrong, |_| Err(String::new())).unwrap_err().to_string().contains("RS256"));
    let short = public("a", "RS256", include_str!("test_keys/rsa_short.pub.pem"));
    let short = Auth { keys: vec![short], ..Auth::default() };
    assert!(KeyRing::new(&short, |_| Err(String::new())).is_err(), "1,024 bits");
}

#[test]
fn an_old_key_verifies_beside_a_new_one_until_it_is_taken_out() {
    let (old, new) = ("an old key that nobody can guess 1", "a new key that nobody can guess 22");
    let token = |kid: Option<&str>, secret: &str| {
        signed(&header(Algorithm::HS256, kid), &body(), &EncodingKey::from_secret(secret.as_bytes()))
    };
    let both = Auth { keys: vec![secret("1", old), secret("2", new)], ..Auth::default() };
    assert!(verify(&both, &token(Some("1"), old), NOW).is_ok());
    assert!(verify(&both, &token(Some("2"), new), NOW).is_ok());
    assert!(verify(&both, &token(None, old), NOW).is_ok(), "no kid: each of them is tried");
    assert_eq!(verify(&both, &token(Some("1"), new), NOW), Err(TokenError::Signature), "the named one only");
    let one = Auth { keys: vec![secret("2", new)], ..Auth::default() };
    assert!(verify(&one, &token(Some("1"), old), NOW).is_err());
    assert_eq!(verify(&one, &token(None, old), NOW), Err(TokenError::Signature));
    // A name that means nothing here: the key without one.
    assert!(verify(&auth(), &token(Some("whatever"), SECRET), NOW).is_ok());
}

fn jwks(keys: Value) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

/// The public key of ec.pem as a JWK.
fn ec_jwk(kid: &str) -> Value {
    let der = der(include_str!("test_keys/ec.pub.pem"));
    let point = &der[der.len() - 64..];
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": part(&point[..32]), "y": part(&point[32..])})
}

#[test]
fn keys_of_a_set_sign_for_their_issuer_only() {
    let source = JwksSetting {
        issuer: "https://id.example".into(),
        url: "https://id.example/jwks".into(),
        ..JwksSetting::default()
    };
    let auth = Auth { jwks: vec![source.clone()], issuers: vec!["shop".into()], ..auth() };
    let [_, (_, _, key, _), _] = pairs();
    let token = |kid: &str, issuer: Option<&str>| {
        let mut body = body();
        body["iss"] = issuer.into();
        signed(&header(Algorithm::ES256, Some(kid)), &body, &key)
    };
    let empty = ring(&auth);
    let good = token("k1", Some("https://id.example"));
    assert_eq!(verify_with(&auth, &empty, &good), Err(TokenError::NoKeys), "not fetched yet");
    assert_eq!(source_of(&empty, &good), Some(0));
    let full = empty.with_set(0, &read_jwks(&jwks(json!([ec_jwk("k1")])), &source).unwrap());
    assert!(verify_with(&auth, &full, &good).is_ok());
    assert_eq!(
        verify_with(&auth, &full, &token("k2", Some("https://id.example"))),
        Err(TokenError::UnknownKey)
    );
    // What is not of this issuer leads to no fetch.
    for foreign in [token("k1", None), token("k1", Some("https://id.example/")), token("k1", Some("evil"))] {
        assert_eq!(verify_with(&auth, &full, &foreign), Err(TokenError::Issuer));
        assert_eq!(source_of(&full, &foreign), None);
    }
    // The secret does not sign for it, and no other key.
    let mut of_secret = body();
    of_secret["iss"] = json!("https://id.example");
    assert_eq!(verify_with(&auth, &full, &foreign(&of_secret)), Err(TokenError::Issuer));
    let audiences = vec!["push".to_owned()];
    let strict = JwksSetting { audiences, ..source };
    let strict = empty.with_set(0, &read_jwks(&jwks(json!([ec_jwk("k1")])), &strict).unwrap());
    assert_eq!(verify_with(&auth, &strict, &good), Err(TokenError::Audience), "its tokens need one");
}

#[test]
fn tokens_of_own_keys_come_from_an_accepted_issuer() {
    let accept = |issuers: &[&str], issuer: Value| {
        let issuers = issuers.iter().map(ToString::to_string).collect();
        let mut body = body();
        body["iss"] = issuer;
        verify(&Auth { issuers, ..auth() }, &foreign(&body), NOW).map(|_| ())
    };
    assert_eq!(accept(&[], json!("anybody")), Ok(()), "nothing is configured");
    assert_eq!(accept(&["shop"], json!("shop")), Ok(()));
    assert_eq!(accept(&["shop"], json!("Shop")), Err(TokenError::Issuer));
    assert_eq!(accept(&["shop"], json!(null)), Err(TokenError::Issuer));
}

#[test]
fn a_set_holds_public_keys_for_signatures() {
    let by_url =
        JwksSetting { issuer: "i".into(), url: "https://id.example".into(), ..JwksSetting::default() };
    let by_file = JwksSetting { issuer: "i".into(), file: "jwks.json".into(), ..JwksSetting::default() };
    let oct = json!({"kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    let mut encrypts = ec_jwk("e");
    encrypts["use"] = json!("enc");
    let mut other = ec_jwk("o");
    other["alg"] = json!("ES384");
    let n = |keys: Value, source: &JwksSetting| read_jwks(&jwks(keys), source).map(|keys| keys.len());
    assert_eq!(
        n(json!([ec_jwk("a"), ec_jwk("a"), ec_jwk("b"), encrypts, other, {"kty": "new"}, 1]), &by_url),
        Ok(2)
    );
    assert!(n(json!([oct]), &by_url).is_err(), "what anybody can fetch is no secret");
    assert_eq!(n(json!([oct]), &by_file), Ok(1));
    assert!(n(json!(vec![ec_jwk("a"); 65]), &by_url).is_err());
    assert!(read_jwks(b"<html>", &by_url).is_err() && read_jwks(b"{}", &by_url).is_err());
}

#[test]
fn claims_have_the_names_that_the_configuration_gives_them() {
    let mut auth = auth();
    auth.claims.user = "https://shop.example/user".into();
    auth.claims.role = "realm_access.roles".into();
    auth.roles.insert("tidings-admins".into(), "admin".into());
    let read = |roles: Value| {
        let body = json!({"sub": "x", "https://shop.example/user": "anna", "exp": 1_800_000_060,
            "realm_access": {"roles": roles}});
        verify(&auth, &foreign(&body), NOW).map(|access| (access.role, access.name))
    };
    assert_eq!(read(json!(["offline_access", "tidings-admins"])), Ok((Role::Admin, "anna".to_owned())));
    assert_eq!(read(json!(["offline_access"])).unwrap().0, Role::User);
    assert_eq!(read(json!("service")).unwrap().0, Role::Service);
    assert_eq!(read(json!("root")), Err(TokenError::Claim("role")));
    assert_eq!(verify(&auth, &foreign(&body()), NOW), Err(TokenError::Claim("user")));
}

#[test]
fn clocks_may_differ_at_the_end_where_that_is_configured() {
    let token = foreign(&json!({"sub": 17, "exp": 1_799_999_995}));
    assert_eq!(verify(&auth(), &token, NOW), Err(TokenError::Expired));
    assert!(verify(&Auth { expiry_leeway_s: 6, ..auth() }, &token, NOW).is_ok());
}

#[test]
fn revoked_tokens_are_refused() {
    let check = |revoked: Revoked| {
        let body = json!({"sub": 17, "exp": 1_800_000_060, "iat": 1_799_999_000, "jti": "a"});
        let (auth, revoked) = (auth(), [revoked].into_iter().collect());
        Verifier { auth: &auth, keys: &ring(&auth), revoked: &revoked }
            .verify(&foreign(&body), NOW)
            .map(|_| ())
    };
    assert_eq!(check(Revoked::Token("a".into())), Err(TokenError::Revoked));
    assert_eq!(check(Revoked::Token("b".into())), Ok(()));
    assert_eq!(check(Revoked::Subject("17".into(), NOW)), Err(TokenError::Revoked));
    assert_eq!(check(Revoked::All(NOW)), Err(TokenError::Revoked));
}
