//! Ends the TCP connection when the session in it has ended, as the server of a WebSocket is to do (RFC 6455 §7.1.1). Left
//! alone, HTTP lingers for up to a second over what the client may still be uploading, and browsers wait for it
//! before they say `close`.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

/// The session as a response's body. After its last byte it gives way once, so that this is written, and then fails,
/// which drops the connection. What a slow client has not taken by then is lost to this connection, and resumed by the
/// next one.
pub struct Ending {
    inner: BoxBody,
    has_ended: bool,
}

impl Ending {
    /// Around a session.
    pub fn new(inner: BoxBody) -> Self {
        Self { inner, has_ended: false }
    }
}

impl MessageBody for Ending {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.has_ended {
            return Poll::Ready(Some(Err("the session has ended".into())));
        }
        match Pin::new(&mut self.inner).poll_next(context) {
            Poll::Ready(None) => {
                self.has_ended = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }
}
