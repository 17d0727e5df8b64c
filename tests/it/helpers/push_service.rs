//! A push service and a browser's side of Web Push: a real socket that takes requests and answers as told, and a reader
//! of RFC 8291 messages built on other primitives (ring) than the server's.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::{aead, hkdf, signature};
use serde_json::{Value, json};
use tidings::base::Timestamp;

use super::server::wait_for;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Pushed {
    pub at: Timestamp,
    pub path: String,
    head: String,
    pub body: Vec<u8>,
}

impl Pushed {
    pub fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.trim())
    }

    /// The claims of the identification; panics unless the signature is that of the key beside it.
    pub fn claims(&self) -> (Value, String) {
        let header = self.header("authorization").strip_prefix("vapid t=").unwrap();
        let (token, key) = header.split_once(", k=").unwrap();
        let (signed, signed_by) = token.rsplit_once('.').unwrap();
        let public = BASE64.decode(key).unwrap();
        signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, public)
            .verify(signed.as_bytes(), &BASE64.decode(signed_by).unwrap())
            .expect("a valid signature");
        let (head, claims) = signed.split_once('.').unwrap();
        let parse = |part: &str| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
        assert_eq!(parse(head)["alg"], "ES256");
        (parse(claims), key.to_owned())
    }
}

#[derive(Default)]
struct State {
    pushed: Vec<Pushed>,
    /// What to answer, in order; then `otherwise`. `None` = never.
    answers: VecDeque<Option<String>>,
    otherwise: Otherwise,
    connections: usize,
}

struct Otherwise(Option<String>);

impl Default for Otherwise {
    fn default() -> Self {
        Self(answer_of(Some((201, ""))))
    }
}

fn answer_of(answer: Option<(u16, &str)>) -> Option<String> {
    answer.map(|(status, headers)| {
        let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
        format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: 0\r\n\r\n")
    })
}

/// Listens until the process ends.
pub struct PushService {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl PushService {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                state.lock().unwrap().connections += 1;
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn endpoint(&self, name: &str) -> String {
        format!("http://{}/push/{name}", self.address)
    }

    /// The next request is answered with this status and these header lines; `None` leaves it without an answer.
    pub fn answer_next(&self, answer: Option<(u16, &str)>) {
        self.state.lock().unwrap().answers.push_back(answer_of(answer));
    }

    /// The next request is answered with this status and this text.
    pub fn answer_next_with(&self, status: u16, text: &str) {
        let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        self.state.lock().unwrap().answers.push_back(Some(answer));
    }

    /// Every request without an answer of its own is answered like this from now on.
    pub fn answer_all(&self, answer: Option<(u16, &str)>) {
        self.state.lock().unwrap().otherwise = Otherwise(answer_of(answer));
    }

    /// Origin of its endpoints.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn pushed(&self) -> Vec<Pushed> {
        self.state.lock().unwrap().pushed.clone()
    }

    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Waits until this many requests have come.
    pub fn wait_for(&self, n: usize) -> Vec<Pushed> {
        wait_for(&format!("{n} pushes"), || self.pushed().len() >= n);
        self.pushed()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match stream.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let mut pushed = Pushed { at: Timestamp::now(), path, head, body: Vec::new() };
        pushed.body = vec![0; pushed.header("content-length").parse().unwrap()];
        stream.read_exact(&mut pushed.body).unwrap();
        let answer = {
            let mut state = state.lock().unwrap();
            state.pushed.push(pushed);
            let otherwise = state.otherwise.0.clone();
            state.answers.pop_front().unwrap_or(otherwise)
        };
        match answer {
            Some(answer) => stream.get_mut().write_all(answer.as_bytes()).unwrap(),
            None => {
                let _ = stream.read_line(&mut String::new()); // Until the other side gives up.
                return;
            }
        }
    }
}

/// A browser's keys; one message can be read with them, since ring keeps no private key for a second use.
pub struct BrowserKeys {
    private: EphemeralPrivateKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

impl BrowserKeys {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &random).unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        let mut auth = [0; 16];
        ring::rand::SecureRandom::fill(&random, &mut auth).unwrap();
        Self { private, public, auth }
    }

    /// `PushSubscription.toJSON()`.
    pub fn subscription(&self, endpoint: &str) -> Value {
        let keys = json!({"p256dh": BASE64.encode(&self.public), "auth": BASE64.encode(self.auth)});
        json!({"endpoint": endpoint, "expirationTime": null, "keys": keys})
    }

    /// RFC 8291 §3.4 and RFC 8188 §2, read from the message's end.
    pub fn read(self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (length, rest) = (rest[4] as usize, &rest[5..]);
        let (sender, sealed) = rest.split_at(length);
        let shared =
            agree_ephemeral(self.private, &UnparsedPublicKey::new(&ECDH_P256, sender), <[u8]>::to_vec)
                .expect("a point on the curve");
        let info = [&b"WebPush: info\0"[..], &self.public, sender].concat();
        let input: [u8; 32] = expand(&self.auth, &shared, &info);
        let key: [u8; 16] = expand(salt, &input, b"Content-Encoding: aes128gcm\0");
        let nonce: [u8; 12] = expand(salt, &input, b"Content-Encoding: nonce\0");
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).unwrap());
        let mut record = sealed.to_vec();
        let plain = key
            .open_in_place(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut record)
            .expect("a message for this browser");
        let end = plain.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(plain[end], 2, "the last record's delimiter");
        serde_json::from_slice(&plain[..end]).unwrap()
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(salt: &[u8], input: &[u8], info: &[u8]) -> [u8; N] {
    let mut output = [0; N];
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(input);
    key.expand(&[info], Length(N)).unwrap().fill(&mut output).unwrap();
    output
}
