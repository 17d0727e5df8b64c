//! Tokens of other issuers: keys from files and URLs, rotation, and servers of keys that do not answer.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Response;
use crate::helpers::issuer::{ISSUER, KeyServer, set, token};
use crate::helpers::server::{Server, wait_for};

fn start(settings: &[String]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let mut arguments = vec!["--set", "auth.mode=token", "--set", "limits.failures_per_min=0"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
    let server = Server::start(&database.url, &arguments);
    (database, server)
}

fn by_url(keys: &KeyServer, more: &[&str]) -> (TestDatabase, Server) {
    let source = format!("auth.jwks=[{{issuer = '{ISSUER}', url = 'http://{}/jwks'}}]", keys.address);
    let mut settings = vec![source, "auth.jwks_allow_private=true".to_owned()];
    settings.extend(more.iter().map(ToString::to_string));
    start(&settings)
}

/// Answer to a user who asks for their own preferences.
fn ask(server: &Server, token: &str) -> Response {
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    http.get("/v1/users/17/preferences")
}

fn code(response: &Response) -> (u16, String) {
    (response.status, response.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn user() -> Value {
    json!({"sub": 17})
}

#[test]
fn keys_are_fetched_and_a_new_one_is_taken_beside_the_old() {
    let keys = KeyServer::start(&["ec"]);
    let (_database, server) = by_url(&keys, &["auth.jwks_min_interval_s=1"]);
    let (old, new) = (token("ec", "ec", user()), token("ed", "ed", user()));
    assert_eq!(ask(&server, &old).status, 200, "waits for the first fetch");
    assert_eq!(code(&ask(&server, &new)), (401, "token_key_unknown".to_owned()));
    keys.serve(Some(&["ec", "ed"]));
    wait_for("the new key", || ask(&server, &new).status == 200);
    assert_eq!(ask(&server, &old).status, 200);
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": new, "device": "test"}));
    client.expect("welcome");
    // Whoever signs with the one and names the other.
    assert_eq!(code(&ask(&server, &token("ed", "ec", user()))), (401, "token_bad".to_owned()));
}

#[test]
fn a_token_of_nobody_known_has_nothing_fetched() {
    let keys = KeyServer::start(&["ec"]);
    let (_database, server) = by_url(&keys, &["auth.jwks_min_interval_s=3600"]);
    assert_eq!(ask(&server, &token("ec", "ec", user())).status, 200);
    let before = keys.requests();
    let foreign = token("ec", "unknown", json!({"sub": 17, "iss": "https://evil.example"}));
    assert_eq!(code(&ask(&server, &foreign)), (401, "token_key_unknown".to_owned()));
    for n in 0..20 {
        let unknown = token("ec", &format!("unknown-{n}"), user());
        assert_eq!(code(&ask(&server, &unknown)), (401, "token_key_unknown".to_owned()));
    }
    assert_eq!(keys.requests(), before, "the last fetch was a moment ago");
}

#[test]
fn a_server_of_keys_that_hangs_stops_no_key_that_is_known() {
    let keys = KeyServer::start(&["ec"]);
    let (_database, server) = by_url(&keys, &["auth.jwks_min_interval_s=1", "auth.jwks_timeout_ms=60000"]);
    let known = token("ec", "ec", user());
    assert_eq!(ask(&server, &known).status, 200);
    keys.serve(None);
    let before = keys.requests();
    let unknown = token("ed", "ed", user());
    // The first ones are refused at once, until the interval is over; then one waits.
    let mut http = server.http();
    let address = server.address;
    let waits = std::thread::spawn(move || {
        let mut http = crate::helpers::http::Http::connect(address);
        http.headers.push(("Authorization".to_owned(), format!("Bearer {unknown}")));
        while http.send("GET", "/v1/users/17/preferences", "", b"").is_ok_and(|answer| answer.status == 401) {
        }
    });
    wait_for("the fetch that hangs", || keys.requests() > before);
    http.headers.push(("Authorization".to_owned(), format!("Bearer {known}")));
    for _ in 0..20 {
        assert_eq!(http.get("/v1/users/17/preferences").status, 200);
    }
    drop(server);
    let _ = waits.join();
}

#[test]
fn keys_are_not_fetched_from_this_machine_unless_that_is_allowed() {
    let keys = KeyServer::start(&["ec"]);
    let url = format!("https://localhost:{}/jwks", keys.address.port());
    let (_database, server) = start(&[format!("auth.jwks=[{{issuer = '{ISSUER}', url = '{url}'}}]")]);
    let answer = ask(&server, &token("ec", "ec", user()));
    assert_eq!(code(&answer), (503, "unavailable".to_owned()));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(keys.requests(), 0);
}

#[test]
fn a_file_of_keys_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    std::fs::write(&file, set(&["ec"])).unwrap();
    let source =
        format!("auth.jwks=[{{issuer = '{ISSUER}', file = '{}', audiences = ['push']}}]", file.display());
    let (_database, server) = start(&[source]);
    let claims = || json!({"sub": 17, "aud": "push"});
    let (old, new) = (token("ec", "ec", claims()), token("ed", "ed", claims()));
    assert_eq!(ask(&server, &old).status, 200);
    assert_eq!(code(&ask(&server, &token("ec", "ec", user()))), (401, "token_audience".to_owned()));
    assert_eq!(code(&ask(&server, &new)), (401, "token_key_unknown".to_owned()));
    // What can't be read changes nothing.
    std::fs::write(&file, "{").unwrap();
    std::fs::write(&file, set(&["ed"])).unwrap();
    wait_for("the new key", || ask(&server, &new).status == 200);
    assert_eq!(code(&ask(&server, &old)), (401, "token_key_unknown".to_owned()), "it was taken out");
}

#[test]
fn a_refusal_names_what_is_wrong_and_nothing_of_the_token() {
    let secret = "auth.secret=9f2c4e7a1b3d5f6081a2c3e4d5f60718".to_owned();
    let (_database, server) = start(&[secret, "auth.issuers=shop".to_owned()]);
    let sign = |header: Value, claims: Value| {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let key = jsonwebtoken::EncodingKey::from_secret(b"9f2c4e7a1b3d5f6081a2c3e4d5f60718");
        let algorithm = jsonwebtoken::Algorithm::HS256;
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    };
    let header = || json!({"alg": "HS256", "typ": "JWT"});
    let good = json!({"sub": 17, "iss": "shop", "exp": 4_000_000_000_u64});
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        claims
    };
    assert_eq!(ask(&server, &sign(header(), good.clone())).status, 200);
    for (token, code_of, word) in [
        (sign(json!({"alg": "none"}), good.clone()), "token_bad", "alg"),
        (sign(json!({"alg": "HS256", "crit": ["b64"]}), good.clone()), "token_bad", "crit"),
        (sign(json!({"alg": "RS256"}), good.clone()), "token_bad", "alg"),
        (sign(header(), with("iss", json!("evil-issuer"))), "token_issuer", "iss"),
        (sign(header(), with("nbf", json!(3_999_999_999_u64))), "token_not_yet_valid", "nbf"),
        (sign(header(), with("exp", json!(1))), "token_expired", "expired"),
        (sign(header(), with("aud", json!("elsewhere"))), "token_audience", "aud"),
        (sign(header(), with("role", json!("root"))), "token_bad", "role"),
        ("x.y.z".to_owned(), "token_bad", "JWT"),
    ] {
        let answer = ask(&server, &token);
        assert_eq!(code(&answer), (401, code_of.to_owned()), "{}", answer.body);
        assert!(answer.body.contains(word), "{word}: {}", answer.body);
        assert!(
            !answer.body.contains("evil-issuer") && !answer.body.contains("elsewhere"),
            "{}",
            answer.body
        );
    }
}
