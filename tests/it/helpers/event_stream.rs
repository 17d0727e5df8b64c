//! A stream of Server-Sent Events as a stranger would read one.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::described;

/// One event of a stream.
#[derive(Debug, Default)]
pub struct Event {
    pub kind: String,
    pub id: Option<String>,
    pub data: Value,
}

pub struct EventStream {
    reader: BufReader<TcpStream>,
    pub head: String,
}

impl EventStream {
    pub fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), address, query, headers)
    }

    /// With a receive buffer so small that not reading is soon noticed.
    pub fn open_small(address: SocketAddr, query: &str, headers: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into(), address, query, headers)
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

    pub fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// The next event; comments, chunk sizes and `retry:` are passed over.
    pub fn next(&mut self) -> Option<Event> {
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
                described::check(&event.data);
                return Some(event);
            }
        }
    }

    pub fn expect(&mut self, kind: &str) -> Event {
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
