//! A client of one user over either transport: what a WebSocket does in frames, a stream of events does with requests.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::event_stream::EventStream;
use super::http::Http;
use super::server::Server;

/// Way of frames to and from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    /// Server-Sent Events and `POST`.
    Sse,
}

pub const TRANSPORTS: [Transport; 2] = [Transport::WebSocket, Transport::Sse];

/// Everything a client may say at first.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub user: Option<Value>,
    pub token: Option<String>,
    /// Epoch and offset.
    pub resume: Option<(String, i64)>,
    /// A receive buffer so small that not reading is soon noticed.
    pub is_small: bool,
}

enum Way {
    WebSocket(Client),
    Sse { stream: EventStream, http: Http, path: Option<String>, replies: VecDeque<Value> },
}

/// A connection that has logged in.
pub struct Line {
    way: Way,
}

impl Transport {
    /// Logs a user in and waits for the welcome.
    pub fn open(self, server: &Server, user: impl Into<Value>) -> Line {
        self.welcomed(server, &Login { user: Some(user.into()), ..Login::default() }).0
    }

    /// Logs in and waits for the welcome, which comes too.
    pub fn welcomed(self, server: &Server, login: &Login) -> (Line, Value) {
        let mut line = self.login(server, login);
        let welcome = line.expect("welcome");
        (line, welcome)
    }

    /// Logs in.
    pub fn login(self, server: &Server, login: &Login) -> Line {
        let Login { user, token, resume, is_small } = login;
        match self {
            Self::WebSocket => {
                let connect = if *is_small { Client::connect_small } else { Client::connect };
                let mut client = connect(server.address);
                let mut frame = json!({"type": "login", "device": "test"});
                let resume = resume.as_ref();
                let fields = [
                    ("user_id", user.clone()),
                    ("token", token.as_ref().map(|token| json!(token))),
                    ("resume", resume.map(|(epoch, offset)| json!({"epoch": epoch, "offset": offset}))),
                ];
                for (name, value) in fields {
                    if let Some(value) = value {
                        frame[name] = value;
                    }
                }
                client.send(&frame);
                Line { way: Way::WebSocket(client) }
            }
            Self::Sse => {
                let mut query = "device=test".to_owned();
                if let Some(user) = user {
                    query += &format!("&user_id={}", user.as_str().map_or(user.to_string(), str::to_owned));
                }
                if let Some((epoch, offset)) = resume {
                    query += &format!("&last_event_id={epoch}:{offset}");
                }
                let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
                let headers = bearer.as_ref().map_or(String::new(), |it| format!("Authorization: {it}\r\n"));
                let open = if *is_small { EventStream::open_small } else { EventStream::open };
                let stream = open(server.address, &query, &headers);
                assert_eq!(stream.status(), 200, "{}", stream.head);
                let mut http = server.http();
                http.headers.extend(bearer.map(|bearer| ("Authorization".to_owned(), bearer)));
                Line { way: Way::Sse { stream, http, path: None, replies: VecDeque::new() } }
            }
        }
    }
}

impl Line {
    /// Sends a frame; what is answered to it is [expected](Self::expect) like any other frame.
    pub fn send(&mut self, frame: &Value) {
        match &mut self.way {
            Way::WebSocket(client) => client.send(frame),
            Way::Sse { http, path, replies, .. } => {
                let path = path.as_ref().expect("a stream takes frames after its welcome");
                let answer = http.post(path, frame);
                // Otherwise the stream says why it has ended.
                if answer.status == 200 {
                    replies.extend(answer.json()["replies"].as_array().unwrap().iter().cloned());
                }
            }
        }
    }

    /// Reads until a frame of this type comes.
    pub fn expect(&mut self, kind: &str) -> Value {
        match &mut self.way {
            Way::WebSocket(client) => client.expect(kind),
            Way::Sse { stream, path, replies, .. } => {
                if let Some(place) = replies.iter().position(|frame| frame["type"] == kind) {
                    return replies.remove(place).unwrap();
                }
                let frame = stream.expect(kind).data;
                if let Some(id) = frame["connection_id"].as_str() {
                    *path = Some(format!("/v1/connections/{id}/frames"));
                }
                frame
            }
        }
    }

    /// Reads until a notification with this title comes.
    pub fn expect_title(&mut self, title: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let frame = self.expect("notification");
            if frame["title"] == title {
                return frame;
            }
        }
        panic!("no {title} in time");
    }

    /// Titles of the next notifications.
    pub fn titles(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.expect("notification")["title"].as_str().unwrap().to_owned()).collect()
    }

    /// Reads until the counts are these.
    pub fn expect_counts(&mut self, unread: i64, unseen: i64) {
        loop {
            let frame = self.expect("inbox");
            if frame["unread"] == unread && frame["unseen"] == unseen {
                return;
            }
        }
    }

    /// After this the server has taken what was sent before.
    pub fn settle(&mut self) {
        self.send(&json!({"type": "ping"}));
        self.expect("pong");
    }

    /// Acknowledges a message and everything before it.
    pub fn acknowledge(&mut self, message: &Value) {
        self.send(&json!({"type": "ack", "offset": message["offset"]}));
        self.settle();
    }

    /// After this the server knows whether somebody looks.
    pub fn look(&mut self, visible: bool) {
        self.send(&json!({"type": "presence", "visible": visible}));
        self.settle();
    }

    /// Reads until the server closes; its code, and the delay before a reconnect where the server names one.
    pub fn close(&mut self) -> (u16, Option<u64>) {
        match &mut self.way {
            Way::WebSocket(client) => {
                let (code, reason) = client.close();
                (code, reason.split_once("retry_ms=").map(|(_, hint)| hint.parse().unwrap()))
            }
            Way::Sse { stream, .. } => {
                let close = stream.expect("close").data;
                (close["code"].as_u64().unwrap() as u16, close["retry_ms"].as_u64())
            }
        }
    }
}
