//! Handshakes of accepted connections. One that has sent nothing costs no more than its socket; those under way are bounded in time,
//! in number and, by address, in their share of that, so that no slow client keeps the others out.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ProducesTickets;
use rustls::version::{TLS12, TLS13};
use rustls::{ContentType, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::Serving;
use super::stream::Stream;
use tidings_core::config::Tls;

/// Share of the handshakes that one address may have under way: one in so many.
const SHARE: usize = 4;
/// Plaintext that a connection takes before its client reads, bytes.
const BUFFER_BYTES: usize = 16 << 10;
/// Longest time that the answer to plain HTTP takes.
const PLAIN_ANSWER: Duration = Duration::from_secs(1);
/// Bytes of a request in plain HTTP that are taken before its connection ends: unread ones would reset it and lose the answer.
const MAX_PLAIN_BYTES: usize = 16 << 10;
/// The answer to plain HTTP.
const PLAIN: &str = "{\"error\":{\"code\":\"tls_needed\",\"message\":\"this port speaks TLS: begin the URL with https:// or wss://\"}}";

/// End of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection goes on.
    Done,
    /// The client spoke no TLS that the server knows, or left.
    Failed,
    /// It took too long.
    TimedOut,
    /// Its address has too many under way.
    Refused,
    /// The client spoke HTTP.
    Plain,
}

/// Shakes hands with clients.
pub struct Handshakes {
    acceptor: TlsAcceptor,
    timeout: Duration,
    /// A permit for each that is under way.
    places: Semaphore,
    /// Number under way by network of the client.
    by_network: Mutex<HashMap<u64, usize>>,
    max_by_network: usize,
    note: Box<dyn Fn(Handshake) + Send + Sync>,
}

impl Handshakes {
    /// The implementation of cryptography that certificates are to be read for.
    pub fn provider() -> Arc<CryptoProvider> {
        Arc::new(ring::default_provider())
    }

    /// Handshakes that show the certificate of `serving`; each end is told to `note`.
    pub fn new(
        tls: &Tls,
        serving: Arc<Serving>,
        note: impl Fn(Handshake) + Send + Sync + 'static,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Self::provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(serving);
        // WebSockets need it, and one protocol has one set of limits.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that is resumed costs no signature: thousands may come back at once. Nothing of it is kept here.
        let ticketer: Arc<dyn ProducesTickets> = ring::Ticketer::new()?;
        config.ticketer = ticketer;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            timeout: Duration::from_millis(tls.handshake_timeout_ms),
            places: Semaphore::new(tls.max_handshakes),
            by_network: Mutex::default(),
            max_by_network: (tls.max_handshakes / SHARE).max(1),
            note: Box::new(note),
        })
    }

    /// Shakes hands on a connection from `peer`. An error is its end, of which the client was told as far as it could be.
    pub async fn accept(&self, mut stream: TcpStream, peer: Option<IpAddr>) -> io::Result<Stream> {
        let first = timeout(self.timeout, async {
            let mut first = [0];
            let read = stream.peek(&mut first).await?;
            io::Result::Ok(first.into_iter().take(read).next())
        });
        let end = match first.await {
            Ok(Ok(Some(byte))) if byte == u8::from(ContentType::Handshake) => {
                return self.shake(stream, peer).await;
            }
            Ok(Ok(Some(byte))) if byte.is_ascii_uppercase() => {
                let _ = timeout(PLAIN_ANSWER, answer_plain(&mut stream)).await;
                Handshake::Plain
            }
            Ok(_) => Handshake::Failed,
            Err(_) => Handshake::TimedOut,
        };
        (self.note)(end);
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    async fn shake(&self, stream: TcpStream, peer: Option<IpAddr>) -> io::Result<Stream> {
        let Some(share) = Share::take(self, peer) else {
            (self.note)(Handshake::Refused);
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let mut shaken = pin!(timeout(self.timeout, async {
            // Never closed.
            let _place = self.places.acquire().await;
            self.acceptor.accept_with(stream, |session| session.set_buffer_limit(Some(BUFFER_BYTES))).await
        }));
        let end = shaken.as_mut().await;
        // Before the socket is closed: whoever sees the end of it may come again.
        drop(share);
        match end {
            Ok(Ok(stream)) => {
                (self.note)(Handshake::Done);
                Ok(Stream::Tls(Box::new(stream)))
            }
            Ok(Err(error)) => {
                log::debug!("tls handshake failed error={error}");
                (self.note)(Handshake::Failed);
                Err(error)
            }
            Err(_) => {
                (self.note)(Handshake::TimedOut);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}

/// One of the handshakes that its network has under way.
struct Share<'a> {
    of: &'a Handshakes,
    network: u64,
}

impl<'a> Share<'a> {
    fn take(of: &'a Handshakes, peer: Option<IpAddr>) -> Option<Self> {
        let network = network(peer);
        let mut by_network = of.by_network.lock();
        let under_way = by_network.entry(network).or_default();
        if *under_way >= of.max_by_network {
            return None;
        }
        *under_way += 1;
        Some(Self { of, network })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut by_network = self.of.by_network.lock();
        if let Some(under_way) = by_network.get_mut(&self.network) {
            *under_way -= 1;
            if *under_way == 0 {
                by_network.remove(&self.network);
            }
        }
    }
}

/// An IPv4 address, or the first 64 bits of an IPv6 address, which is what one client is given.
fn network(peer: Option<IpAddr>) -> u64 {
    match peer.map(|peer| peer.to_canonical()) {
        None => 0,
        Some(IpAddr::V4(v4)) => u64::from(v4.to_bits()),
        Some(IpAddr::V6(v6)) => u64::try_from(v6.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

async fn answer_plain(stream: &mut TcpStream) -> io::Result<()> {
    use tokio::io::AsyncReadExt;
    let mut taken = 0;
    let mut tail = Vec::new();
    let mut buffer = [0; 1_024];
    // To the end of the head; a body is not waited for.
    while taken < MAX_PLAIN_BYTES && !tail.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        taken += read;
        tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
