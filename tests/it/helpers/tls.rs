//! TLS as a stranger would speak it: a pair of files made by `tidings tls`, and a client that trusts nothing else.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use socket2::{Domain, Socket, Type};

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for 127.0.0.1 with its key.
pub struct Pair {
    directory: tempfile::TempDir,
}

impl Pair {
    pub fn new() -> Self {
        let pair = Self { directory: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    /// Runs `tidings tls self-signed` for the directory.
    pub fn make(&self, further: &[&str]) -> Output {
        let directory = self.directory.path().to_str().unwrap();
        let arguments =
            ["tls", "self-signed", "--host", "127.0.0.1", "--host", "localhost", "--directory", directory];
        Command::new(env!("CARGO_BIN_EXE_tidings")).args(arguments).args(further).output().unwrap()
    }

    /// Replaces the pair by another one.
    pub fn renew(&self) {
        let output = self.make(&["--force"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// The settings that name it.
    pub fn settings(&self) -> [String; 2] {
        [
            format!("tls.certificate_file={}", self.certificate().display()),
            format!("tls.key_file={}", self.key().display()),
        ]
    }
}

/// The certificate of a file.
pub fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

/// Connects and shakes hands, as 127.0.0.1.
pub fn connect(address: SocketAddr, trusted: &CertificateDer<'static>) -> io::Result<TlsStream> {
    connect_as(address, Ipv4Addr::LOCALHOST, trusted, rustls::ALL_VERSIONS)
}

/// The same from another address of this machine, in some versions of TLS.
pub fn connect_as(
    address: SocketAddr,
    own: Ipv4Addr,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(session, tcp(address, own));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// A connection from an address of this machine.
pub fn tcp(address: SocketAddr, own: Ipv4Addr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((own, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends one request over a stream; head and body of the answer.
pub fn request(stream: &mut (impl Read + Write), request: &str, body: &str) -> (String, String) {
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream.flush().unwrap();
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "ended in the head: {head}");
    }
    let head = head.to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}
