//! Requests whose length could be read in two ways (RFC 9112 §6.3): a proxy in front may have read it in the other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

/// Statuses of all answers until the server closes the connection, and whether it did.
fn answers(server: &Server, request: &[u8]) -> (Vec<u16>, bool) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
    stream.write_all(request).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    let is_closed = loop {
        match stream.read(&mut piece) {
            Ok(0) => break true,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let statuses = text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5)?.parse().ok());
    (statuses.collect(), is_closed)
}

/// A request that a server would find behind the other if it read the length of that in another way.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

#[test]
fn no_ambiguous_length_of_a_request_is_accepted() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "server.body_timeout_ms=700"]);
    let with = |headers: &str, body: &str| {
        format!("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n\r\n{body}{HIDDEN}")
    };
    let event = r#"{"kind":"view","user_id":1,"item_id":1}"#;
    let length = event.len();
    let chunked = format!("{length:x}\r\n{event}\r\n0\r\n\r\n");
    // What is plain is answered, and what follows it as well.
    for plain in [
        with(&format!("Content-Length: {length}"), event),
        with("Transfer-Encoding: chunked", &chunked),
        with("Transfer-Encoding: chunked", &format!("{length:x};name=value\r\n{event}\r\n0\r\n\r\n")),
    ] {
        assert_eq!(answers(&server, plain.as_bytes()).0, [202, 200], "{plain}");
    }
    let mut ambiguous = Vec::new();
    for headers in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: 0\r\nContent-Length: {length}"),
        format!("Content-Length: {length}, 0"),
        format!("Content-Length: +{length}"),
        format!("Content-Length: -{length}"),
        format!("Content-Length: {length}a"),
        format!("Content-Length: 0x{length:x}"),
        "Content-Length: 18446744073709551616".to_owned(),
        "Content-Length:".to_owned(),
        format!("Content-Length : {length}"),
        format!("Content-Length: 0\r\n {length}"),
        "Transfer-Encoding : chunked".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: \x0bchunked".to_owned(),
        "X: 1\rTransfer-Encoding: chunked".to_owned(),
    ] {
        ambiguous.push(with(&headers, &chunked));
    }
    for size in ["+5", "-5", "0x5", " 5", "5 5", "g", "fffffffffffffffff", ""] {
        ambiguous.push(with("Transfer-Encoding: chunked", &format!("{size}\r\n{event}\r\n0\r\n\r\n")));
    }
    ambiguous.push(with("Transfer-Encoding: chunked", &format!("{length:x}\r\n{event}XX0\r\n\r\n")));
    ambiguous.push(
        with("Transfer-Encoding: chunked", &chunked)
            .replace("HTTP/1.1\r\nHost: 127.0.0.1\r\nT", "HTTP/1.0\r\nHost: 127.0.0.1\r\nT"),
    );
    let mut wrong = Vec::new();
    for request in &ambiguous {
        let (statuses, is_closed) = answers(&server, request.as_bytes());
        // Refused, or read as the length says that counts and never trusted again; what is hidden is answered in no case.
        let is_refused = statuses.len() <= 1 && statuses.iter().all(|status| (400..500).contains(status));
        if !is_refused || !is_closed {
            wrong.push(format!("{statuses:?}, closed {is_closed}: {request:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
