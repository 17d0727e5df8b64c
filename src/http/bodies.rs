//! Request bodies in memory: read within limits of size, time and of all bytes at once, unpacked, and worked on off the threads that
//! serve connections.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::{self, Bytes};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use tidings_core::config::Config;

/// Bytes of a body that are counted apart from the rest of it: the small bodies of most clients pass while others fill what is for
/// large ones.
const SMALL_BYTES: usize = 64 << 10;
/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;
/// Largest body that is worked on where it was read: another thread would take longer to be asked.
const INLINE_BYTES: usize = 32 << 10;

/// Room for request bodies, and threads that work on large ones.
pub struct Bodies {
    /// First bytes of each body, and what comes after them.
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// Large bodies that are worked on at once: one for each core.
    turns: Semaphore,
    max_bytes: usize,
    timeout_ms: u64,
}

impl Bodies {
    /// Room of `limits.max_bodies_bytes`, a quarter of it for first bytes.
    pub fn new(config: &Config) -> Self {
        let max_bytes = config.server.max_body_bytes;
        let room = config.limits.max_bodies_bytes;
        let units = |bytes: usize| Arc::new(Semaphore::new(bytes.div_ceil(UNIT)));
        Self {
            small: units((room / 4).max(SMALL_BYTES)),
            large: units((room - room / 4).max(max_bytes)),
            turns: Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
            max_bytes,
            timeout_ms: config.server.body_timeout_ms,
        }
    }

    /// Reads a body of at most `max_bytes`, unpacked. Refuses one whose header says that it is longer before any of it is read. Its room
    /// is free again when the bytes are dropped.
    pub async fn read(
        &self,
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
        let read = self.read_all(payload, unpacked, max_bytes);
        let deadline = Duration::from_millis(self.timeout_ms);
        tokio::time::timeout(deadline, read).await.map_err(|_| ApiError::Slow(self.timeout_ms))?
    }

    async fn read_all(
        &self,
        mut payload: Payload,
        mut unpacked: Unpacked,
        max_bytes: usize,
    ) -> Result<Bytes, ApiError> {
        let mut room = Room::default();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| unreadable("the body could not be read to its end"))?;
            let written = unpacked.write(&chunk);
            if unpacked.target().is_full {
                return Err(ApiError::TooLarge(max_bytes));
            }
            written.map_err(|_| unreadable("the body is not what its Content-Encoding says"))?;
            room.grow(self, unpacked.target().bytes.len())?;
        }
        let bytes = unpacked.finish()?;
        room.grow(self, bytes.len())?;
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

/// Units that a body takes.
#[derive(Default)]
struct Room {
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes what a body of so many bytes needs; an error if there is no room for it.
    fn grow(&mut self, bodies: &Bodies, bytes: usize) -> Result<(), ApiError> {
        let first = bytes.min(SMALL_BYTES);
        take(&mut self.small, &bodies.small, first)?;
        take(&mut self.large, &bodies.large, bytes - first)
    }
}

fn take(held: &mut Option<OwnedSemaphorePermit>, of: &Arc<Semaphore>, bytes: usize) -> Result<(), ApiError> {
    let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let missing = u32::try_from(bytes.div_ceil(UNIT).saturating_sub(has)).unwrap_or(u32::MAX);
    if missing == 0 {
        return Ok(());
    }
    let more = Arc::clone(of).try_acquire_many_owned(missing).map_err(|_| {
        ApiError::Overloaded("too many large requests at once, try again in a moment".to_owned())
    })?;
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
    Ok(())
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
            let read = bodies.read(&headers(encoding), payload(&packed), usize::MAX).await.unwrap();
            assert_eq!(read, text, "{encoding}");
        }
        // A thousandth of it arrives.
        let bomb = gzip(&vec![0; 100 << 20]);
        for (encoding, packed) in
            [("gzip", bomb), ("deflate", zlib(&vec![0; 1 << 20])), ("", vec![0; 100_001])]
        {
            let refused = bodies.read(&headers(encoding), payload(&packed), usize::MAX).await;
            assert!(matches!(refused, Err(ApiError::TooLarge(100_000))), "{encoding}");
        }
        let cut = gzip(&text);
        for (encoding, packed) in [("gzip", &b"nonsense"[..]), ("gzip", &cut[..cut.len() / 2])] {
            let refused = bodies.read(&headers(encoding), payload(packed), usize::MAX).await;
            assert!(matches!(refused, Err(ApiError::Invalid { code: "bad_body", .. })), "{encoding}");
        }
        let refused = bodies.read(&headers("br"), payload(b"x"), usize::MAX).await;
        assert!(matches!(refused, Err(ApiError::Encoding)));
    }

    #[actix_web::test]
    async fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1001"));
        let never: Payload = Payload::Stream { payload: Box::pin(futures_util::stream::pending()) };
        let refused = bodies(100_000, 1 << 20).read(&headers, never, 1_000).await;
        assert!(matches!(refused, Err(ApiError::TooLarge(1_000))));
    }

    #[actix_web::test]
    async fn all_bodies_share_their_room_and_small_ones_have_some_of_their_own() {
        let bodies = bodies(600 << 10, 1 << 20);
        let none = HeaderMap::new();
        let large = vec![b'x'; 500 << 10];
        let first = bodies.read(&none, payload(&large), usize::MAX).await.unwrap();
        let refused = bodies.read(&none, payload(&large), usize::MAX).await;
        assert!(matches!(refused, Err(ApiError::Overloaded(_))));
        let small = bodies.read(&none, payload(b"{}"), usize::MAX).await.unwrap();
        let part = first.slice(10..20);
        drop((first, small));
        assert!(bodies.read(&none, payload(&large), usize::MAX).await.is_err(), "a part still holds it");
        drop(part);
        assert!(bodies.read(&none, payload(&large), usize::MAX).await.is_ok());
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
