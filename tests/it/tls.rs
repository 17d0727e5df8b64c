//! TLS in the server: HTTP, streams and WebSockets inside it, a certificate that is replaced, and clients that do not keep to it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tls::{Pair, TlsStream, certificate, connect, connect_as, request, tcp};

const BACKENDS: [&str; 2] = ["direct", "actix-web-actors"];

fn start(pair: &Pair, settings: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let of_pair = pair.settings();
    let settings = of_pair.iter().map(String::as_str).chain(settings.iter().copied());
    let arguments: Vec<&str> = settings.flat_map(|setting| ["--set", setting]).collect();
    let server = Server::start(&database.url, &arguments);
    (database, server)
}

/// A WebSocket inside TLS that has logged in.
fn login(address: SocketAddr, pair: &Pair, user: u64) -> WebSocket<TlsStream> {
    let stream = connect(address, &certificate(&pair.certificate())).unwrap();
    let (mut socket, _) = tungstenite::client(format!("wss://{address}/ws"), stream).unwrap();
    send(&mut socket, &json!({"type": "login", "user_id": user}));
    expect(&mut socket, "welcome");
    socket
}

fn send(socket: &mut WebSocket<TlsStream>, frame: &Value) {
    socket.send(Message::text(frame.to_string())).unwrap();
}

fn expect(socket: &mut WebSocket<TlsStream>, kind: &str) -> Value {
    loop {
        if let Message::Text(text) =
            socket.read().unwrap_or_else(|error| panic!("waiting for {kind}: {error}"))
        {
            let frame: Value = serde_json::from_str(text.as_str()).unwrap();
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}

fn notify(address: SocketAddr, pair: &Pair, user: u64, title: &str) {
    let mut stream = connect(address, &certificate(&pair.certificate())).unwrap();
    let body = json!({"user_id": user, "title": title}).to_string();
    let (head, body) = request(&mut stream, "POST /v1/notifications", &body);
    assert!(head.starts_with("http/1.1 202"), "{head}{body}");
}

/// The value of a metric.
fn metric(address: SocketAddr, pair: &Pair, name: &str) -> f64 {
    let mut stream = connect(address, &certificate(&pair.certificate())).unwrap();
    let (_, text) = request(&mut stream, "GET /metrics", "");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

#[test]
fn http_and_streams_and_websockets_go_inside_tls_with_both_backends() {
    let pair = Pair::new();
    for backend in BACKENDS {
        let (_database, server) = start(&pair, &[&format!("socket.backend={backend}")]);
        let trusted = certificate(&pair.certificate());
        for (versions, version) in
            [(&[&TLS13], ProtocolVersion::TLSv1_3), (&[&TLS12], ProtocolVersion::TLSv1_2)]
        {
            let mut stream = connect_as(server.address, Ipv4Addr::LOCALHOST, &trusted, versions).unwrap();
            assert_eq!(stream.conn.protocol_version(), Some(version));
            assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            // Kept: a second request goes over the same session.
            for _ in 0..2 {
                let (head, _) = request(&mut stream, "GET /healthz", "");
                assert!(head.starts_with("http/1.1 200"), "{head}");
                assert!(head.contains("strict-transport-security: max-age="), "{head}");
            }
        }
        let mut socket = login(server.address, &pair, 1);
        let mut events = BufReader::new(connect(server.address, &trusted).unwrap());
        write!(events.get_mut(), "GET /v1/sse?user_id=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        // Longer than a TLS record, and than what the session buffers.
        let title = "a long title ".repeat(12);
        for nth in 0..20 {
            notify(server.address, &pair, 1, &format!("{title}{nth}"));
            let message = expect(&mut socket, "notification");
            assert_eq!(message["title"], format!("{title}{nth}"), "{backend}");
        }
        let mut line = String::new();
        while !line.contains(&format!("{title}19")) {
            line.clear();
            assert!(events.read_line(&mut line).unwrap() > 0, "the stream has ended");
        }
        // The end is told inside TLS as well: nobody on the way can have cut it.
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        if backend == "direct" {
            let rest = socket.get_mut().read(&mut [0; 16]);
            assert_eq!(rest.unwrap(), 0, "no close_notify");
        }
    }
}

#[test]
fn a_certificate_is_replaced_while_connections_go_on_and_a_broken_one_is_not_taken() {
    let pair = Pair::new();
    let first = certificate(&pair.certificate());
    let (_database, server) = start(&pair, &["tls.reload_s=1"]);
    let mut socket = login(server.address, &pair, 1);
    let expiry = metric(server.address, &pair, "tidings_tls_certificate_expiry_timestamp_seconds");
    pair.renew();
    let second = certificate(&pair.certificate());
    wait_for("the new certificate", || connect(server.address, &second).is_ok());
    assert!(connect(server.address, &first).is_err());
    notify(server.address, &pair, 1, "still here");
    assert_eq!(expect(&mut socket, "notification")["title"], "still here");
    assert_eq!(metric(server.address, &pair, "tidings_tls_reloads_total{outcome=\"done\"}"), 1.0);
    assert_eq!(metric(server.address, &pair, "tidings_tls_certificate_expiry_timestamp_seconds"), expiry);
    // The key of another certificate: told, and nothing changes.
    let other = Pair::new();
    fs::copy(other.key(), pair.key()).unwrap();
    // SAFETY: kill(2) on a child that has not been waited for.
    unsafe { libc::kill(server.child.id() as i32, libc::SIGHUP) };
    let failed = || metric(server.address, &pair, "tidings_tls_reloads_total{outcome=\"failed\"}");
    wait_for("the refusal", || failed() >= 1.0);
    assert!(connect(server.address, &second).is_ok());
    notify(server.address, &pair, 1, "as before");
    assert_eq!(expect(&mut socket, "notification")["title"], "as before");
}

#[test]
fn plain_http_to_the_address_with_tls_is_told_so_and_ends() {
    let pair = Pair::new();
    let (_database, server) = start(&pair, &[]);
    for head in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
    ] {
        let mut plain = tcp(server.address, Ipv4Addr::LOCALHOST);
        plain.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("\"code\":\"tls_needed\"") && answer.contains("https://"), "{answer}");
    }
    let plain = || metric(server.address, &pair, "tidings_tls_handshakes_total{outcome=\"plain\"}");
    wait_for("both to be counted", || plain() == 2.0);
    // Neither TLS nor HTTP: no answer would mean anything.
    let mut noise = tcp(server.address, Ipv4Addr::LOCALHOST);
    noise.write_all(&[0; 64]).unwrap();
    assert!(noise.read(&mut [0; 16]).map_or(true, |read| read == 0));
}

/// Whether the server has said nothing yet and left the connection open.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn slow_handshakes_end_and_keep_nobody_else_out() {
    let pair = Pair::new();
    // One at a time from each address.
    let (_database, server) = start(&pair, &["tls.max_handshakes=4", "tls.handshake_timeout_ms=5000"]);
    let trusted = certificate(&pair.certificate());
    let begin = || {
        let mut slow = tcp(server.address, Ipv4Addr::new(127, 0, 0, 9));
        slow.write_all(&[22, 3, 1]).unwrap();
        slow
    };
    let mut slow = begin();
    let refused = || metric(server.address, &pair, "tidings_tls_handshakes_total{outcome=\"refused\"}");
    let from_there =
        || connect_as(server.address, Ipv4Addr::new(127, 0, 0, 9), &trusted, rustls::ALL_VERSIONS);
    wait_for("the slow one to be under way", || {
        if !is_open(&slow) {
            // Refused itself, beside a look from there.
            slow = begin();
        }
        from_there().is_err() && refused() >= 1.0 && is_open(&slow)
    });
    // Others have their own.
    assert!(connect(server.address, &trusted).is_ok());
    let began = Instant::now();
    assert!(slow.read(&mut [0; 16]).map_or(true, |read| read == 0));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(from_there().is_ok());
    let timeouts = || metric(server.address, &pair, "tidings_tls_handshakes_total{outcome=\"timeout\"}");
    wait_for("the end of the slow one to be counted", || timeouts() == 1.0);
}

#[test]
fn a_connection_that_sends_nothing_ends_in_time() {
    let pair = Pair::new();
    let (_database, server) = start(&pair, &["tls.handshake_timeout_ms=200"]);
    let mut silent = tcp(server.address, Ipv4Addr::LOCALHOST);
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn a_pair_that_can_not_serve_is_refused_with_the_fix() {
    let pair = Pair::new();
    let run = |command: &str, certificate_file: &Path, key_file: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args([command].iter().flat_map(|command| command.split(' ')))
            .args(["--set", &format!("tls.certificate_file={}", certificate_file.display())])
            .args(["--set", &format!("tls.key_file={}", key_file.display())])
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let (certificate_file, key_file) = (pair.certificate(), pair.key());
    let check = |certificate_file: &Path, key_file: &Path| run("tls check", certificate_file, key_file);
    let (good, text) = check(&certificate_file, &key_file);
    assert!(good && text.contains("127.0.0.1") && text.contains("the key matches"), "{text}");
    assert!(!text.contains("warning"), "{text}");
    let other = Pair::new();
    let (good, text) = check(&certificate_file, &other.key());
    assert!(!good && text.contains("is not the key of the first certificate"), "{text}");
    let (good, text) = check(&key_file, &key_file);
    assert!(!good && text.contains("tls.certificate_file") && text.contains("has no certificate"), "{text}");
    let (good, text) = check(&certificate_file, &certificate_file);
    assert!(!good && text.contains("tls.key_file") && text.contains("has no private key"), "{text}");
    let (good, text) = check(Path::new("/nowhere.pem"), &key_file);
    assert!(!good && text.contains("tls.certificate_file: /nowhere.pem"), "{text}");
    assert!(pair.make(&["--force", "--days", "3"]).status.success());
    let (good, text) = check(&certificate_file, &key_file);
    assert!(good && text.contains("the certificate expires soon"), "{text}");
    // What is there is not replaced by accident.
    let output = pair.make(&[]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--force"));
}

#[test]
fn the_client_speaks_to_a_server_with_tls() {
    if Command::new("node").arg("--version").output().is_err() {
        return println!("no Node: the client over TLS is not tested");
    }
    let pair = Pair::new();
    let (_database, server) = start(&pair, &[]);
    let script = "import { Tidings } from './clients/js/src/tidings.js';
        const tidings = new Tidings({ url: process.env.TIDINGS_URL, userId: 1, storage: null });
        tidings.on('welcome', () => { console.log(tidings.transport); process.exit(0); });
        setTimeout(() => process.exit(1), 20000);
        tidings.connect();";
    let output = Command::new("node")
        .args(["--experimental-websocket", "--input-type=module", "--eval", script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NODE_EXTRA_CA_CERTS", pair.certificate())
        .env("TIDINGS_URL", format!("https://{}/", server.address))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("websocket"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
