//! An issuer of tokens, with its keys behind a URL.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidings::base::Timestamp;

pub const ISSUER: &str = "https://id.example";
const EC: [&str; 2] = [
    include_str!("../../../src/decision/privacy/token/test_keys/ec.pem"),
    include_str!("../../../src/decision/privacy/token/test_keys/ec.pub.pem"),
];
const ED: [&str; 2] = [
    include_str!("../../../src/decision/privacy/token/test_keys/ed.pem"),
    include_str!("../../../src/decision/privacy/token/test_keys/ed.pub.pem"),
];

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

/// One of the two keys of the issuer, named `ec` and `ed`, as a JWK.
pub fn jwk(kid: &str) -> Value {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match kid {
        "ec" => {
            let der = der(EC[1]);
            let point = &der[der.len() - 64..];
            json!({"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "use": "sig",
                "x": part(&point[..32]), "y": part(&point[32..])})
        }
        _ => {
            let der = der(ED[1]);
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": part(&der[der.len() - 32..])})
        }
    }
}

/// A set of these keys.
pub fn set(kids: &[&str]) -> String {
    json!({"keys": kids.iter().map(|kid| jwk(kid)).collect::<Vec<_>>()}).to_string()
}

/// A token of this issuer, signed with `key` and naming `kid`.
pub fn token(key: &str, kid: &str, claims: Value) -> String {
    let (algorithm, key) = match key {
        "ec" => (Algorithm::ES256, EncodingKey::from_ec_der(&der(EC[0]))),
        _ => (Algorithm::EdDSA, EncodingKey::from_ed_der(&der(ED[0]))),
    };
    let mut all = json!({"iss": ISSUER, "exp": Timestamp::now().as_seconds() + 3_600});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    encode(&header, &all, &key).unwrap()
}

/// A server of a JWK set. `None` as its answer: it takes requests and says nothing.
pub struct KeyServer {
    pub address: SocketAddr,
    answer: Arc<Mutex<Option<String>>>,
    requests: Arc<AtomicUsize>,
}

impl KeyServer {
    pub fn start(kids: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Some(set(kids))));
        let requests = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            let mut silent: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                let Some(answer) = served.lock().unwrap().clone() else {
                    silent.push(stream);
                    continue;
                };
                if stream.read(&mut [0; 4_096]).unwrap_or(0) == 0 {
                    continue;
                }
                let length = answer.len();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{answer}");
            }
        });
        Self { address, answer, requests }
    }

    pub fn serve(&self, kids: Option<&[&str]>) {
        *self.answer.lock().unwrap() = kids.map(set);
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
