//! Clients that want the server's memory and time: bodies that are small as text and large in memory, packed ones, heads, bodies and
//! frames that are announced and never come, floods of control frames, templates that grow.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::http::Http;

/// Largest body that the server reads.
const BODY_BYTES: usize = 4 << 20;
/// Connections kept with something that never comes.
const HELD: usize = 400;

/// Routes that read JSON, of both sizes.
pub const ROUTES: [(&str, &str); 12] = [
    ("POST", "/v1/events"),
    ("PUT", "/v1/items"),
    ("POST", "/v1/notifications"),
    ("POST", "/v1/recommend"),
    ("PATCH", "/v1/users/1"),
    ("PUT", "/v1/users/1/preferences"),
    ("POST", "/v1/users/1/inbox/read"),
    ("PUT", "/v1/topics/t/subscribers"),
    ("POST", "/v1/triggers/order_status"),
    ("POST", "/v1/webhooks"),
    ("PUT", "/admin/templates/login"),
    ("POST", "/admin/templates/preview"),
];

/// A text repeated to nearly the largest body.
fn filled(begin: &str, one: &str, end: &str) -> String {
    let n = (BODY_BYTES - begin.len() - end.len() - 16) / one.len();
    format!("{begin}{}{end}", one.repeat(n))
}

/// Bodies of 4 MiB that would be hundreds as trees.
pub fn bombs() -> Vec<(&'static str, String)> {
    let fields: String = (0..300_000).map(|n| format!("\"{n}\":0,")).collect();
    vec![
        ("objects", filled("[", "{\"\":0},", "{}]")),
        ("empty objects", filled("[", "{},", "{}]")),
        ("arrays", filled("[", "[0],", "[]]")),
        ("numbers", filled("[", "0,", "0]")),
        ("texts", filled("[", "\"\",", "\"\"]")),
        ("an object in an object", filled("", "{\"a\":", "")),
        ("an array in an array", filled("", "[", "")),
        ("one element with many", filled("[{\"a\":[", "{\"\":0},", "0]}]")),
        ("attributes", filled("[{\"item_id\":1,\"attributes\":{", "\"\":\"\",", "\"a\":\"\"}}]")),
        ("data", filled("[{\"user_id\":1,\"title\":\"t\",\"data\":{\"a\":[", "{\"\":0},", "0]}}]")),
        ("variables", filled("[{\"user_id\":1,\"template\":\"t\",\"variables\":{\"a\":[", "[0],", "0]}}]")),
        ("users", filled("{\"title\":\"t\",\"user_ids\":[", "1,", "1]}")),
        ("names", format!("{{{fields}\"a\":0}}")),
        ("attributes of a user", format!("{{\"attributes\":{{{fields}\"a\":0}}}}")),
        ("lines", filled("", "{}\n", "{}")),
    ]
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A template that doubles a text 31 times.
pub fn growing_template() -> Value {
    let doubling = format!("{{%set a='x'%}}{}{{{{a}}}}", "{%set a=a~a%}".repeat(31));
    json!({"name": "login", "variants": [{"name": "a", "texts": {"en": {"title": doubling, "body": ""}}}]})
}

/// Status of an answer; 0 where the server closed the connection while the body was being sent.
pub fn status(address: SocketAddr, method: &str, path: &str, body: &[u8], headers: &[(&str, &str)]) -> u16 {
    let mut http = Http::connect(address);
    http.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    http.send(method, path, "application/json", body).map_or(0, |answer| answer.status)
}

/// A WebSocket, opened and not logged in.
fn websocket(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answered = Vec::new();
    while !answered.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answered.push(byte[0]);
    }
    Ok(stream)
}

/// Everything that is sent, made once.
pub struct Attack {
    address: SocketAddr,
    bombs: Vec<(&'static str, String)>,
    packed: Vec<u8>,
}

impl Attack {
    pub fn on(address: SocketAddr) -> Self {
        Self { address, bombs: bombs(), packed: gzip(&vec![b' '; 64 << 20]) }
    }

    /// Sends bodies until it is over; each of several clients begins elsewhere.
    pub fn bodies(&self, nth: usize, over: &AtomicBool) {
        let mut n = nth;
        while !over.load(Ordering::Relaxed) {
            n += 1;
            let (method, path) = ROUTES[n % ROUTES.len()];
            let bomb = self.bombs[n % self.bombs.len()].1.as_bytes();
            match n % 4 {
                0 => status(self.address, method, path, &self.packed, &[("Content-Encoding", "gzip")]),
                _ => status(self.address, method, path, bomb, &[]),
            };
        }
    }

    /// Heads that trickle, bodies and frames that are announced and never come, headers of frames of a terabyte, floods of pings.
    pub fn sockets(&self, over: &AtomicBool) {
        let mut held: Vec<TcpStream> = Vec::new();
        while !over.load(Ordering::Relaxed) {
            for text in [
                "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000000\r\n\r\n[",
                "POST /v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n[",
                "GET /v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
            ] {
                if let Ok(mut stream) = TcpStream::connect(self.address) {
                    let _ = stream.write_all(text.as_bytes());
                    held.push(stream);
                }
            }
            if let Ok(mut stream) = websocket(self.address) {
                let _ = stream.write_all(&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                let _ = stream.write_all(&vec![0; 1 << 20]);
            }
            if let Ok(mut stream) = websocket(self.address) {
                let _ = stream.write_all(&[0x89, 0x80, 0, 0, 0, 0].repeat(2_000));
            }
            if held.len() > HELD {
                held.clear();
            }
        }
    }

    /// Stores and previews templates that grow, until it is over.
    pub fn templates(&self, over: &AtomicBool) {
        let template = growing_template().to_string();
        let preview = json!({"template": growing_template(), "user_id": 1}).to_string();
        while !over.load(Ordering::Relaxed) {
            status(self.address, "PUT", "/admin/templates/login", template.as_bytes(), &[]);
            status(self.address, "POST", "/admin/templates/preview", preview.as_bytes(), &[]);
        }
    }
}
