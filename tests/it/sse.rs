//! Server-Sent Events over a raw socket, as a proxy would see them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

/// One event of a stream.
#[derive(Debug, Default)]
struct Event {
    kind: String,
    id: Option<String>,
    data: Value,
}

struct Stream {
    reader: BufReader<TcpStream>,
    head: String,
}

impl Stream {
    fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), address, query, headers)
    }

    /// With a receive buffer so small that not reading is soon noticed.
    fn open_small(address: SocketAddr, query: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into(), address, query, "")
    }

    fn over(mut stream: TcpStream, address: SocketAddr, query: &str, headers: &str) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(
            stream,
            "GET /v1/sse?{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{headers}\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Self { reader, head: head.to_ascii_lowercase() }
    }

    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// The next event; comments, chunk sizes and `retry:` are passed over.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(kind) = line.strip_prefix("event: ") {
                event.kind = kind.to_owned();
            } else if let Some(id) = line.strip_prefix("id: ") {
                event.id = Some(id.to_owned());
            } else if let Some(data) = line.strip_prefix("data: ") {
                event.data = serde_json::from_str(data).unwrap();
            } else if line.is_empty() && !event.kind.is_empty() {
                return Some(event);
            }
        }
    }

    fn expect(&mut self, kind: &str) -> Event {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let event = self.next().unwrap_or_else(|| panic!("ended while waiting for {kind}"));
            if event.kind == kind {
                return event;
            }
        }
        panic!("no {kind} in time");
    }
}

fn start(arguments: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, arguments);
    (database, server)
}

fn send(server: &Server, user: i64, title: &str) {
    let answer = server.http().post("/v1/notifications", &json!({"user_id": user, "title": title}));
    assert_eq!(answer.status, 202, "{}", answer.body);
}

#[test]
fn a_stream_begins_with_a_welcome_and_carries_messages_with_their_place() {
    let (_database, server) = start(&[]);
    let mut stream = Stream::open(server.address, "user_id=1", "");
    assert_eq!(stream.status(), 200);
    for header in
        ["content-type: text/event-stream", "cache-control: no-cache, no-transform", "x-accel-buffering: no"]
    {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    let welcome = stream.next().unwrap();
    assert_eq!((welcome.kind.as_str(), &welcome.id), ("welcome", &None));
    send(&server, 1, "hello");
    let message = stream.expect("notification");
    assert_eq!(message.data["title"], "hello");
    let place = format!("{}:{}", message.data["epoch"].as_str().unwrap(), message.data["offset"]);
    assert_eq!(message.id.as_deref(), Some(place.as_str()));
}

#[test]
fn a_stream_resumes_by_its_last_event_id_after_a_crash() {
    let (database, mut server) = start(&[]);
    let mut stream = Stream::open(server.address, "user_id=1", "");
    stream.expect("welcome");
    send(&server, 1, "seen");
    let id = stream.expect("notification").id.unwrap();
    drop(stream);
    send(&server, 1, "missed 1");
    send(&server, 1, "missed 2");
    server.kill();
    let server = Server::start(&database.url, &[]);
    for (query, headers) in [
        ("user_id=1".to_owned(), format!("Last-Event-ID: {id}\r\n")),
        (format!("user_id=1&last_event_id={id}"), String::new()),
    ] {
        let mut stream = Stream::open(server.address, &query, &headers);
        assert_eq!(stream.expect("welcome").data["recovered"], true);
        let titles: Vec<Value> =
            (0..2).map(|_| stream.expect("notification").data["title"].clone()).collect();
        assert_eq!(titles, ["missed 1", "missed 2"]);
    }
    let mut stream = Stream::open(server.address, "user_id=1", "Last-Event-ID: elsewhere:1\r\n");
    assert_eq!(stream.expect("welcome").data["recovered"], false);
}

#[test]
fn a_stream_that_nobody_reads_is_let_go_and_costs_nobody_anything() {
    let (_database, server) = start(&["--set", "socket.max_outbound_bytes=65536"]);
    let lazy = Stream::open_small(server.address, "user_id=1");
    let mut reader = Stream::open(server.address, "user_id=1", "");
    reader.expect("welcome");
    let mut http = server.http();
    let mut heard = 0;
    let mut sent = 0;
    wait_for("the lazy one to be let go", || {
        let messages: Vec<Value> =
            (0..10).map(|_| json!({"user_id": 1, "title": "t", "body": "x".repeat(2_000)})).collect();
        assert_eq!(http.post("/v1/notifications", &json!(messages)).status, 202);
        sent += 10;
        while heard < sent {
            reader.expect("notification");
            heard += 1;
        }
        let metrics = http.get("/metrics").body;
        metrics.lines().any(|line| line.starts_with("tidings_slow_clients_total ") && !line.ends_with(" 0"))
    });
    drop(lazy);
}

#[test]
fn a_stream_of_another_site_needs_to_be_allowed() {
    let (_database, server) = start(&["--set", "server.allowed_origins=[\"https://shop.example\"]"]);
    let evil = Stream::open(server.address, "user_id=1", "Origin: https://evil.example\r\n");
    assert_eq!(evil.status(), 403);
    let shop = Stream::open(server.address, "user_id=1", "Origin: https://shop.example\r\n");
    assert_eq!(shop.status(), 200);
    assert!(shop.head.contains("access-control-allow-origin: https://shop.example"), "{}", shop.head);
    assert_eq!(Stream::open(server.address, "", "").status(), 400, "nobody named");
}

#[test]
fn a_token_opens_its_own_stream_only_and_not_for_longer_than_it_is_valid() {
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let (_database, server) = start(&["--set", "auth.mode=token", "--set", &format!("auth.secret={secret}")]);
    let token = |user: &str, days: f64| {
        let until = tidings::base::Timestamp::now().plus_days(days);
        tidings::privacy::token::issue(secret, tidings::privacy::Role::User, user, until).unwrap()
    };
    assert_eq!(Stream::open(server.address, "user_id=1", "").status(), 401);
    assert_eq!(Stream::open(server.address, &format!("token={}", token("1", -1.0)), "").status(), 401);
    assert_eq!(
        Stream::open(server.address, &format!("user_id=2&token={}", token("1", 1.0)), "").status(),
        403
    );
    let bearer = format!("Authorization: Bearer {}\r\n", token("1", 3.0 / 86_400.0));
    let mut stream = Stream::open(server.address, "", &bearer);
    assert_eq!(stream.expect("welcome").data["user_id"], 1);
    assert_eq!(stream.expect("close").data["code"], 3005);
}
