//! Request bodies in memory: read within limits of size, time and of all bytes at once, unpacked, and worked on off the threads that
//! serve connections.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::{self, Bytes};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::room::{Room, Rooms};
use tidings_core::config::Config;
use tidings_state::limiter::network;

/// Time in which at least [`LEAST_BYTES`] of a body come, or the rest of it; the first of them is given for nothing.
const WINDOW: Duration = Duration::from_secs(5);
/// Bytes of a body that come in [`WINDOW`]: a thousand a second and some.
const LEAST_BYTES: usize = 5 << 10;
/// Largest body that is worked on where it was read: another thread would take longer to be asked.
const INLINE_BYTES: usize = 32 << 10;

/// Room for request bodies, and threads that work on large ones.
pub struct Bodies {
    rooms: Rooms,
    /// Large bodies that are worked on at once: one for each core.
    turns: Semaphore,
    max_bytes: usize,
    timeout_ms: u64,
    window: Duration,
}

impl Bodies {
    /// Room of `limits.max_bodies_bytes`, of which one address may take a quarter.
    pub fn new(config: &Config) -> Self {
        let max_bytes = config.server.max_body_bytes;
        Self {
            rooms: Rooms::new(config.limits.max_bodies_bytes, max_bytes),
            turns: Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
            max_bytes,
            timeout_ms: config.server.body_timeout_ms,
            window: WINDOW,
        }
    }

    /// Reads a body of at most `max_bytes`, unpacked. Refuses one whose header says that it is longer before any of it is read, and one
    /// that comes too slowly. Its room, a part of the share of its client's address, is free again when the bytes are dropped.
    pub async fn read(
        &self,
        client: Option<IpAddr>,
        headers: &HeaderMap,
        payload: Payload,
        max_bytes: usize,
    ) -> Result<Bytes, ApiError> {
        let max_bytes = max_bytes.min(self.max_bytes);
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > max_bytes) {
            return Err(ApiError::TooLarge(max_bytes));
        }
        let unpacked = Unpacked::new(headers, max_bytes)?;
        let room = self.rooms.of(client.map_or(0, network));
        let read = self.read_all(payload, unpacked, room, max_bytes);
        let deadline = Duration::from_millis(self.timeout_ms);
        tokio::time::timeout(deadline, read).await.map_err(|_| ApiError::Slow(self.timeout_ms))?
    }

    async fn read_all(
        &self,
        mut payload: Payload,
        mut unpacked: Unpacked,
        mut room: Room,
        max_bytes: usize,
    ) -> Result<Bytes, ApiError> {
        let mut pace = Pace { until: Instant::now() + self.window, bytes: LEAST_BYTES };
        loop {
            let Ok(next) = timeout_at(pace.until, payload.next()).await else {
                pace.go_on(self.window)?;
                continue;
            };
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|_| unreadable("the body could not be read to its end"))?;
            pace.bytes += chunk.len();
            let written = unpacked.write(&chunk);
            if unpacked.target().is_full {
                return Err(ApiError::TooLarge(max_bytes));
            }
            written.map_err(|_| unreadable("the body is not what its Content-Encoding says"))?;
            room.grow(unpacked.target().bytes.len())?;
        }
        let bytes = unpacked.finish()?;
        room.grow(bytes.len())?;
        Ok(Bytes::from_owner(Held { bytes, _room: room }))
    }

    /// Does the work of a body: where it was read if it is small, else elsewhere.
    pub async fn work<T: Send + 'static>(
        &self,
        body: Bytes,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        match body.len() {
            0..=INLINE_BYTES => Ok(work(&body)),
            _ => self.elsewhere(move || work(&body)).await,
        }
    }

    /// Does work on a thread of the pool when it has its turn, so that no connection waits for it.
    pub async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let going_down = || ApiError::Unavailable("the server is going down".to_owned());
        let _turn = self.turns.acquire().await.map_err(|_| going_down())?;
        web::block(work).await.map_err(|_| going_down())
    }
}

fn unreadable(message: &str) -> ApiError {
    ApiError::invalid("bad_body", None, message)
}

/// Bytes of a body in the window that goes on.
struct Pace {
    until: Instant,
    bytes: usize,
}

impl Pace {
    /// Begins the next window; an error if too little came in the last one.
    fn go_on(&mut self, window: Duration) -> Result<(), ApiError> {
        if self.bytes < LEAST_BYTES {
            return Err(ApiError::Stalled { least: LEAST_BYTES, seconds: WINDOW.as_secs() });
        }
        *self = Self { until: Instant::now() + window, bytes: 0 };
        Ok(())
    }
}

/// A body with the room that it takes.
struct Held {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body as its `Content-Encoding` says (RFC 9110 §8.4). Never more than the limit is unpacked.
enum Unpacked {
    Plain(Target),
    Gzip(Box<MultiGzDecoder<Target>>),
    Deflate(Box<ZlibDecoder<Target>>),
}

impl Unpacked {
    fn new(headers: &HeaderMap, max_bytes: usize) -> Result<Self, ApiError> {
        let target = Target { bytes: Vec::new(), max_bytes, is_full: false };
        let encoding = headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        match encoding.as_deref().map(<[u8]>::trim_ascii) {
            None | Some(b"" | b"identity") => Ok(Self::Plain(target)),
            Some(b"gzip" | b"x-gzip") => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(target)))),
            Some(b"deflate") => Ok(Self::Deflate(Box::new(ZlibDecoder::new(target)))),
            Some(_) => Err(ApiError::Encoding),
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(target) => target.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
            Self::Deflate(decoder) => decoder.write_all(chunk),
        }
    }

    fn target(&self) -> &Target {
        match self {
            Self::Plain(target) => target,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, ApiError> {
        let finished = match &mut self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        let max_bytes = self.target().max_bytes;
        if self.target().is_full {
            return Err(ApiError::TooLarge(max_bytes));
        }
        let bytes = match self {
            Self::Plain(target) => Ok(target),
            Self::Gzip(decoder) => finished.and_then(|()| decoder.finish()),
            Self::Deflate(decoder) => finished.and_then(|()| decoder.finish()),
        };
        bytes
            .map(|target| target.bytes)
            .map_err(|_| unreadable("the body is not what its Content-Encoding says"))
    }
}

/// Bytes up to a limit, and an error after that.
struct Target {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_full: bool,
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max_bytes {
            self.is_full = true;
            return Err(io::Error::other("the body is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::error::PayloadError;
    use actix_web::http::header::HeaderValue;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn bodies(max_body_bytes: usize, max_bodies_bytes: usize) -> Bodies {
        let mut config = Config::default();
        config.server.max_body_bytes = max_body_bytes;
        config.limits.max_bodies_bytes = max_bodies_bytes;
        Bodies::new(&config)
    }

    fn headers(encoding: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        headers
    }

    /// A payload in pieces of a kilobyte.
    fn payload(bytes: &[u8]) -> Payload {
        let chunks: Vec<Result<Bytes, PayloadError>> =
            bytes.chunks(1_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Payload::Stream { payload: Box::pin(futures_util::stream::iter(chunks)) }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[actix_web::test]
    async fn what_is_packed_is_unpacked_up_to_the_limit_and_no_further() {
        let bodies = bodies(100_000, 16 << 20);
        let text = b"0123456789".repeat(10_000);
        for (encoding, packed) in [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("GZIP", [gzip(&text[..500]), gzip(&text[500..])].concat()),
            ("deflate", zlib(&text)),
        ] {
            let read = bodies.read(None, &headers(encoding), payload(&packed), usize::MAX).await.unwrap();
            assert_eq!(read, text, "{encoding}");
        }
        // A thousandth of it arrives.
        let bomb = gzip(&vec![0; 100 << 20]);
        for (encoding, packed) in
            [("gzip", bomb), ("deflate", zlib(&vec![0; 1 << 20])), ("", vec![0; 100_001])]
        {
            let refused = bodies.read(None, &headers(encoding), payload(&packed), usize::MAX).await;
            assert!(matches!(refused, Err(ApiError::TooLarge(100_000))), "{encoding}");
        }
        let cut = gzip(&text);
        for (encoding, packed) in [("gzip", &b"nonsense"[..]), ("gzip", &cut[..cut.len() / 2])] {
            let refused = bodies.read(None, &headers(encoding), payload(packed), usize::MAX).await;
            assert!(matches!(refused, Err(ApiError::Invalid { code: "bad_body", .. })), "{encoding}");
        }
        let refused = bodies.read(None, &headers("br"), payload(b"x"), usize::MAX).await;
        assert!(matches!(refused, Err(ApiError::Encoding)));
    }

    #[actix_web::test]
    async fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1001"));
        let never: Payload = Payload::Stream { payload: Box::pin(futures_util::stream::pending()) };
        let refused = bodies(100_000, 1 << 20).read(None, &headers, never, 1_000).await;
        assert!(matches!(refused, Err(ApiError::TooLarge(1_000))));
    }

    #[actix_web::test]
    async fn all_bodies_share_their_room_and_small_ones_have_some_of_their_own() {
        let bodies = bodies(600 << 10, 1 << 20);
        let none = HeaderMap::new();
        let large = vec![b'x'; 500 << 10];
        let first = bodies.read(None, &none, payload(&large), usize::MAX).await.unwrap();
        let refused = bodies.read(None, &none, payload(&large), usize::MAX).await;
        assert!(matches!(refused, Err(ApiError::Overloaded(_))));
        let other = Some(IpAddr::from([203, 0, 113, 8]));
        let small = bodies.read(other, &none, payload(b"{}"), usize::MAX).await.unwrap();
        let part = first.slice(10..20);
        drop((first, small));
        assert!(
            bodies.read(None, &none, payload(&large), usize::MAX).await.is_err(),
            "a part still holds it"
        );
        drop(part);
        assert!(bodies.read(None, &none, payload(&large), usize::MAX).await.is_ok());
    }

    #[actix_web::test]
    async fn one_address_leaves_room_for_the_small_bodies_of_others() {
        let bodies = bodies(64 << 10, 1 << 20);
        let (none, text) = (HeaderMap::new(), vec![b'x'; 64 << 10]);
        let stranger = Some(IpAddr::from([203, 0, 113, 7]));
        let first = bodies.read(stranger, &none, payload(&text), usize::MAX).await.unwrap();
        let refused = bodies.read(stranger, &none, payload(&text), usize::MAX).await;
        assert!(matches!(refused, Err(ApiError::Overloaded(_))));
        let other = Some(IpAddr::from([203, 0, 113, 8]));
        assert!(bodies.read(other, &none, payload(&text), usize::MAX).await.is_ok());
        drop(first);
        assert!(bodies.read(stranger, &none, payload(&text), usize::MAX).await.is_ok());
    }

    #[actix_web::test]
    async fn a_body_that_does_not_go_on_is_refused_long_before_the_time_for_all_of_it() {
        let bodies = Bodies { window: Duration::from_millis(20), ..bodies(1 << 20, 16 << 20) };
        let begun = futures_util::stream::iter([Ok(Bytes::from(vec![b'x'; 64 << 10]))]);
        let never: Payload =
            Payload::Stream { payload: Box::pin(begun.chain(futures_util::stream::pending())) };
        let refused = bodies.read(None, &HeaderMap::new(), never, usize::MAX).await;
        assert!(matches!(refused, Err(ApiError::Stalled { .. })));
        // As long as enough comes it is read, whatever the time.
        let steady = futures_util::stream::iter(0..12).then(async |_| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(Bytes::from(vec![b'x'; 2 * LEAST_BYTES]))
        });
        let steady: Payload = Payload::Stream { payload: Box::pin(steady) };
        let read = bodies.read(None, &HeaderMap::new(), steady, usize::MAX).await.unwrap();
        assert_eq!(read.len(), 24 * LEAST_BYTES);
    }

    #[actix_web::test]
    async fn large_bodies_are_worked_on_elsewhere() {
        let bodies = bodies(1 << 20, 16 << 20);
        let here = std::thread::current().id();
        let thread = |bytes: usize| bodies.work(Bytes::from(vec![0; bytes]), |_| std::thread::current().id());
        assert_eq!(thread(100).await.unwrap(), here);
        assert_ne!(thread(100_000).await.unwrap(), here);
    }
}
