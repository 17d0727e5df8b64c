//! An accepted connection. One without TLS takes no more memory than its TCP socket; one with TLS has its session on the heap.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// Bytes to and from a client, as HTTP and WebSockets see them.
pub enum Stream {
    /// As they are on the wire.
    Plain(TcpStream),
    /// Encrypted on the wire.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Tells the client that nothing more comes: `close_notify` (RFC 8446 §6.1), without which the end could be an attacker's. A
    /// connection without TLS is told by its end.
    pub fn poll_farewell(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(task),
        }
    }
}

/// Calls the same method on whichever stream it is.
macro_rules! either {
    ($stream:expr, $pinned:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Plain(stream) => {
                let $pinned = Pin::new(stream);
                $call
            }
            Stream::Tls(stream) => {
                let $pinned = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(task, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(task, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(task, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(task))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_tls_takes_no_more_than_its_socket() {
        assert_eq!(size_of::<Stream>(), size_of::<TcpStream>());
    }
}
