//! The smallest HTTP/1.1 client that can be trusted: keep-alive, `Content-Length` or chunks, nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
    /// The body of one that is no text.
    pub bytes: Vec<u8>,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
    /// The value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

fn open(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::new(stream))
}

/// One kept connection.
pub struct Http {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    pub headers: Vec<(String, String)>,
}

impl Http {
    pub fn connect(address: SocketAddr) -> Self {
        Self { address, stream: open(address).unwrap(), headers: Vec::new() }
    }

    /// The answer to a request; on another connection where the server has closed this one, as it does behind the refusal of a request unread
    /// and to one on which nothing was asked for long: what it says then (408) answers nothing.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> std::io::Result<Response> {
        if self.has_unasked()? {
            self.stream = open(self.address)?;
        }
        self.exchange(method, path, content_type, body).or_else(|error| {
            if error.kind() != std::io::ErrorKind::NotConnected {
                return Err(error);
            }
            self.stream = open(self.address)?;
            self.exchange(method, path, content_type, body)
        })
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> std::io::Result<Response> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !content_type.is_empty() {
            request += &format!("Content-Type: {content_type}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.get_mut().write_all(&bytes)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                let kind = if head.is_empty() {
                    std::io::ErrorKind::NotConnected
                } else {
                    std::io::ErrorKind::UnexpectedEof
                };
                return Err(kind.into());
            }
        }
        let mut response =
            Response { status: head[9..12].parse().unwrap(), head, body: String::new(), bytes: Vec::new() };
        let body = match response.header("transfer-encoding") {
            // The length is that of what would have come (RFC 9110 §9.3.2).
            _ if method == "HEAD" => Vec::new(),
            Some("chunked") => self.chunks()?,
            _ => {
                let length = response.header("content-length").and_then(|length| length.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                self.stream.read_exact(&mut body)?;
                body
            }
        };
        match String::from_utf8(body) {
            Ok(text) => response.body = text,
            Err(error) => response.bytes = error.into_bytes(),
        }
        Ok(response)
    }

    /// A body that comes in pieces, to its end.
    fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let size =
                usize::from_str_radix(line.trim(), 16).map_err(|_| std::io::ErrorKind::UnexpectedEof)?;
            // With the end of the line behind it.
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Whether the server has said something, or closed, before it was asked.
    fn has_unasked(&mut self) -> std::io::Result<bool> {
        let stream = self.stream.get_mut();
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        Ok(!peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock))
    }

    /// Whether the server has closed the connection.
    pub fn at_end(&mut self) -> bool {
        let stream = self.stream.get_mut();
        stream.set_nonblocking(true).unwrap();
        let read = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        match read {
            Ok(length) => length == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, "", b"").unwrap()
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Response {
        self.send("POST", path, "application/json", body.to_string().as_bytes()).unwrap()
    }

    pub fn put(&mut self, path: &str, body: &Value) -> Response {
        self.send("PUT", path, "application/json", body.to_string().as_bytes()).unwrap()
    }

    pub fn patch(&mut self, path: &str, body: &Value) -> Response {
        self.send("PATCH", path, "application/merge-patch+json", body.to_string().as_bytes()).unwrap()
    }

    pub fn delete_with(&mut self, path: &str, body: &Value) -> Response {
        self.send("DELETE", path, "application/json", body.to_string().as_bytes()).unwrap()
    }

    pub fn delete(&mut self, path: &str) -> Response {
        self.send("DELETE", path, "", b"").unwrap()
    }
}
