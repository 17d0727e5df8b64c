//! A connection of HTTP whose client sends what never becomes a request: the rest of a body that was answered before it came, or a head
//! without an end behind one that was answered. The HTTP server waits for the first head no longer than a limit; this does it for
//! everything that comes later.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Requests of one connection.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// The connection speaks another protocol from now on.
    upgraded: AtomicBool,
}

impl Requests {
    /// A request whose head was read; until the result is dropped it is under way.
    pub fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct UnderWay(Arc<Counted>);

impl UnderWay {
    /// The connection speaks another protocol from now on: it is not watched any more.
    pub fn upgraded(self) {
        self.0.upgraded.store(true, Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream that fails when bytes came, no request is under way, nothing is answered and none begins for too long.
pub struct Watched<S> {
    stream: S,
    requests: Requests,
    patience: Duration,
    /// Requests that had begun at the last look.
    seen: usize,
    /// End of the wait for a request, once something of it came.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Watches a stream whose requests begin so long after their first byte.
    pub fn new(stream: S, patience: Duration) -> Self {
        Self { stream, requests: Requests::default(), patience, seen: 0, wait: None }
    }

    /// The requests that are read from it.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The stream, not watched any more.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Returns whether requests are under way; what begins ends the wait for it.
    fn is_serving(&mut self) -> bool {
        let Counted { begun, ended, upgraded } = &*self.requests.0;
        let ended = ended.load(Ordering::Relaxed);
        let begun = begun.load(Ordering::Relaxed);
        let is_serving = begun != ended || upgraded.load(Ordering::Relaxed);
        if is_serving || begun != self.seen {
            self.wait = None;
        }
        self.seen = begun;
        is_serving
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_serving = this.is_serving();
        if this.wait.as_mut().is_some_and(|wait| wait.as_mut().poll(task).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(task, buffer))?;
        if !is_serving && this.wait.is_none() && buffer.filled().len() > before {
            this.wait = Some(Box::pin(sleep(this.patience)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wait = None;
        Pin::new(&mut this.stream).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wait = None;
        Pin::new(&mut this.stream).poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn watched() -> (DuplexStream, Watched<DuplexStream>) {
        let (client, stream) = duplex(64);
        (client, Watched::new(stream, Duration::from_millis(20)))
    }

    #[actix_web::test]
    async fn what_never_becomes_a_request_ends_the_connection_however_it_trickles() {
        let (mut client, mut stream) = watched();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 18);
        drop(stream.requests().begin());
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        let trickle = async {
            while client.write_all(b"x").await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let read = async {
            loop {
                match stream.read(&mut buffer).await {
                    Ok(read) => assert!(read > 0),
                    Err(error) => return error.kind(),
                }
            }
        };
        tokio::select! {
            () = trickle => panic!("the stream has not gone"),
            kind = read => assert_eq!(kind, io::ErrorKind::TimedOut),
        }
    }

    #[actix_web::test]
    async fn silence_and_a_request_that_takes_long_and_another_protocol_do_not() {
        let (mut client, mut stream) = watched();
        let long = Duration::from_millis(100);
        let mut buffer = [0; 1];
        let silence = tokio::time::timeout(long, stream.read(&mut buffer)).await;
        assert!(silence.is_err(), "nothing came, and keep-alive has a limit of its own");
        client.write_all(b"ab").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
        let request = stream.requests().begin();
        tokio::time::sleep(long).await;
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 1, "a part of its body");
        request.upgraded();
        for _ in 0..2 {
            client.write_all(b"c").await.unwrap();
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
            tokio::time::sleep(long).await;
        }
    }
}
