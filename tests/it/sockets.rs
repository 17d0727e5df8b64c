//! WebSockets by both ways of reading and writing them: the same answers, the same close codes, the same refusals.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

const BACKENDS: [&str; 2] = ["direct", "actix-web-actors"];

/// A server for each way.
fn each(arguments: &[&str], check: impl Fn(&Server)) {
    let database = TestDatabase::new();
    for backend in BACKENDS {
        let backend = format!("socket.backend={backend}");
        let arguments: Vec<&str> =
            ["--set", &backend].into_iter().chain(arguments.iter().flat_map(|set| ["--set", set])).collect();
        check(&Server::start(&database.url, &arguments));
    }
}

/// The answer to a request for a WebSocket, up to what is there when it ends or falls silent.
fn shake(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut some = [0; 4_096];
    while let Ok(n @ 1..) = stream.read(&mut some) {
        answer.extend(&some[..n]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

#[test]
fn a_socket_is_upgraded_only_where_there_is_one_and_for_whom_it_is() {
    each(&[], |server| {
        let answer = shake(server.address, "/ws", VERSION);
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        // RFC 6455 §1.3.
        assert!(
            answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            "{answer}"
        );
        for (path, headers, status, code) in [
            ("/nothing", VERSION.to_owned(), 404, "not_found"),
            ("/echo", VERSION.to_owned(), 404, "not_found"),
            ("/ws", format!("{VERSION}Origin: https://evil.example\r\n"), 403, "origin_not_allowed"),
            ("/ws", "Sec-WebSocket-Version: 6\r\n".to_owned(), 426, "sec-websocket-version: 13"),
        ] {
            let answer = shake(server.address, path, &headers);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code),
                "{path}: {answer}"
            );
        }
        // A name that was pointed at this machine.
        let mut stream = TcpStream::connect(server.address).unwrap();
        let request = "GET /ws HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut some = [0; 64];
        let n = stream.read(&mut some).unwrap();
        assert!(some[..n].starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&some));
    });
}

#[test]
fn what_a_client_may_not_do_ends_with_its_code() {
    each(&["socket.login_deadline_ms=700", "socket.max_frames_per_s=5"], |server| {
        let closes = |act: &dyn Fn(&mut Client)| {
            let mut client = Client::connect(server.address);
            act(&mut client);
            client.close_code()
        };
        assert_eq!(closes(&|_| {}), 3502);
        assert_eq!(closes(&|client| client.send_text("nonsense")), 3501);
        assert_eq!(closes(&|client| client.send_bytes(b"\x00\x01")), 3501);
        assert_eq!(closes(&|client| client.send_text(&"x".repeat(70_000))), 3501);
        let floods = |client: &mut Client| {
            client.send(&json!({"type": "login", "user_id": 1, "device": "test"}));
            client.expect("welcome");
            for _ in 0..60 {
                client.send(&json!({"type": "ping"}));
            }
        };
        assert_eq!(closes(&floods), 3013);
        // Frames that ask for no answer are frames too.
        let pongs =
            |client: &mut Client| client.tcp().write_all(&[0x8a, 0x80, 0, 0, 0, 0].repeat(60)).unwrap();
        assert_eq!(closes(&pongs), 3013);
    });
}

#[test]
fn json_in_binary_frames_is_read_like_text() {
    each(&[], |server| {
        let mut client = Client::connect(server.address);
        client.send_bytes(br#"{"type":"login","user_id":1,"device":"test"}"#);
        client.expect("welcome");
        client.send_bytes(br#"{"type":"ping"}"#);
        client.expect("pong");
        // Also in fragments.
        client.tcp().write_all(&[0x02, 0x84, 0, 0, 0, 0]).unwrap();
        client.tcp().write_all(br#"{"ty"#).unwrap();
        client.tcp().write_all(&[0x80, 0x8b, 0, 0, 0, 0]).unwrap();
        client.tcp().write_all(br#"pe":"ping"}"#).unwrap();
        client.expect("pong");
        client.send_bytes(b"\xff\xfe");
        let error = client.expect("error");
        assert_eq!(error["code"], "bad_frame", "{error}");
        client.send_bytes(br#"{"type":"ping"}"#);
        client.expect("pong");
    });
}

#[test]
fn a_subprotocol_is_chosen_where_it_is_known_and_every_client_is_let_in() {
    each(&[], |server| {
        let chosen = |offered: &str| {
            let answer = shake(server.address, "/ws", &format!("{VERSION}{offered}"));
            assert!(answer.starts_with("HTTP/1.1 101"), "{offered}: {answer}");
            let answer = answer.to_lowercase();
            let line = answer.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
            line.map(str::to_owned)
        };
        assert_eq!(chosen(""), None);
        assert_eq!(chosen("Sec-WebSocket-Protocol: tidings.v1\r\n").as_deref(), Some("tidings.v1"));
        let several = "Sec-WebSocket-Protocol: graphql-ws, tidings.v1, json\r\n";
        assert_eq!(chosen(several).as_deref(), Some("tidings.v1"));
        assert_eq!(chosen("Sec-WebSocket-Protocol: tidings.v9, json\r\n"), None);
        assert_eq!(chosen("Sec-WebSocket-Protocol: \r\n"), None);
    });
}

/// The header of a masked frame with a 64-bit length.
fn header(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()
}

#[test]
fn a_frame_that_announces_too_much_is_refused_at_its_header() {
    each(&["socket.max_frame_bytes=4096"], |server| {
        let fragment = [&[0x01, 0xfe, 0x0f, 0xff, 0, 0, 0, 0][..], &[b' '; 4_095]].concat();
        let behind_fragment = |header: Vec<u8>| [fragment.clone(), header].concat();
        let cases = [
            ("2^40 bytes of text", header(0x81, 1 << 40)),
            ("2^40 bytes", header(0x82, 1 << 40)),
            ("one byte too many", header(0x81, 4_097)),
            ("the most significant bit", header(0x81, 1 << 63)),
            ("a 16-bit length", vec![0x81, 0xfe, 0x10, 0x01]),
            ("a first fragment", header(0x01, 1 << 40)),
            ("a continuation", behind_fragment(header(0x00, 1 << 40))),
            ("a continuation of two bytes where one is left", behind_fragment(vec![0x80, 0x82])),
            ("a ping of 126 bytes", vec![0x89, 0xfe]),
            ("a close of 2^40 bytes", header(0x88, 1 << 40)),
        ];
        for (what, bytes) in cases {
            for logged_in in [false, true] {
                let mut client = Client::connect(server.address);
                if logged_in {
                    client.send(&json!({"type": "login", "user_id": 1, "device": "test"}));
                    client.expect("welcome");
                }
                // The header alone: nothing comes that could be buffered.
                if bytes.len() < 20 {
                    for byte in &bytes {
                        client.tcp().write_all(&[*byte]).unwrap();
                    }
                } else {
                    client.tcp().write_all(&bytes).unwrap();
                }
                assert_eq!(client.close_code(), 3501, "{what}, logged in: {logged_in}");
            }
        }
        // As much as is allowed is read, in one frame or several.
        let mut client = Client::connect(server.address);
        client.send(&json!({"type": "login", "user_id": 1, "device": "test"}));
        client.expect("welcome");
        let ping = format!("{:4096}", r#"{"type":"ping"}"#);
        client.send_text(&ping);
        client.expect("pong");
        let (start, end) = ping.as_bytes().split_at(4_095);
        client.tcp().write_all(&[&[0x01, 0xfe, 0x0f, 0xff, 0, 0, 0, 0], start].concat()).unwrap();
        client.tcp().write_all(&[0x80, 0x81, 0, 0, 0, 0, end[0]]).unwrap();
        client.expect("pong");
    });
}

#[test]
fn a_client_that_goes_on_sending_such_a_frame_fills_no_memory() {
    /// Many times what the kernel holds for both ends.
    const SENT_BYTES: usize = 128 << 20;
    /// An allocator takes its memory in pages of 2 MiB, some for each size of buffer and thread: a few connections cost
    /// that once, however much is sent.
    const ONCE_BYTES: u64 = 64 << 20;
    each(&[], |server| {
        for logged_in in [false, true] {
            let mut client = Client::connect(server.address);
            if logged_in {
                client.send(&json!({"type": "login", "user_id": 1, "device": "test"}));
                client.expect("welcome");
            }
            let before = server.resident_bytes();
            client.tcp().write_all(&header(0x82, 1 << 40)).unwrap();
            let piece = [0; 64 << 10];
            let mut sent = 0;
            while sent < SENT_BYTES && client.tcp().write_all(&piece).is_ok() {
                sent += piece.len();
            }
            let grown = server.resident_bytes().saturating_sub(before);
            println!("logged in: {logged_in}, {sent} bytes were sent, {grown} more are resident");
            assert!(sent < SENT_BYTES, "logged in: {logged_in}, {sent} bytes were taken");
            assert!(grown < ONCE_BYTES, "logged in: {logged_in}, {grown} more bytes are resident");
        }
    });
}

#[test]
fn more_than_a_pipe_holds_comes_whole_to_who_was_away_whether_or_not_they_ever_acknowledge() {
    each(&["socket.max_outbound_bytes=65536", "policy.caps=[]"], |server| {
        let name = format!("away-{}", server.address.port());
        let many: Value = (0..100)
            .map(|n| json!({"user_id": name, "title": n.to_string(), "body": "x".repeat(1_900), "priority": "transactional"}))
            .collect();
        let mut http = server.http();
        assert_eq!(http.post("/v1/notifications", &many).status, 202);
        wait_for("all to be stored", || http.get(&format!("/v1/users/{name}/inbox")).json()["unread"] == 100);
        let titles = |login: Value| {
            let mut client = Client::connect(server.address);
            client.send(&login);
            let titles: Vec<String> = (0..100)
                .map(|_| client.expect("notification")["title"].as_str().unwrap().to_owned())
                .collect();
            // What is live goes on behind it.
            client.send(&json!({"type": "ping"}));
            client.expect("pong");
            titles
        };
        let all: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        // A client that says nothing but its name, one that says more, and one that resumes at the start.
        for _ in 0..2 {
            assert_eq!(titles(json!({"type": "login", "user_id": name})), all);
            assert_eq!(titles(json!({"type": "login", "user_id": name, "device": "test"})), all);
        }
        let epoch = server.login(name.clone()).1["epoch"].clone();
        let resume = json!({"type": "login", "user_id": name, "resume": {"epoch": epoch, "offset": 0}});
        assert_eq!(titles(resume), all);
    });
}

#[test]
fn frames_that_come_in_one_piece_with_the_request_are_read() {
    each(&[], |server| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let login = br#"{"type":"login","user_id":1}"#;
        let mut request = format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{VERSION}\r\n",
            server.address
        )
        .into_bytes();
        request.extend([0x81, 0x80 | login.len() as u8, 0, 0, 0, 0]);
        request.extend(login);
        stream.write_all(&request).unwrap();
        let mut answer = Vec::new();
        let mut some = [0; 4_096];
        while !String::from_utf8_lossy(&answer).contains(r#""type":"recommendation""#) {
            let n = stream.read(&mut some).unwrap();
            assert!(n > 0, "ended after {}", String::from_utf8_lossy(&answer));
            answer.extend(&some[..n]);
        }
    });
}

#[test]
fn there_is_room_for_so_many_sockets() {
    let database = TestDatabase::new();
    let server =
        Server::start(&database.url, &["--set", "server.max_connections=2", "--set", "server.workers=1"]);
    let (first, second) = (server.login(1), server.login(2));
    let answer = shake(server.address, "/ws", VERSION);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.to_lowercase().contains("retry-after"), "{answer}");
    drop((first, second));
    wait_for("a free place", || shake(server.address, "/ws", VERSION).starts_with("HTTP/1.1 101"));
}
