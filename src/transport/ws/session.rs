//! A pipe inside the response of an HTTP request: the only file that names actix-web-actors, which is deprecated upstream.
//!
//! Such a pipe freezes whole when its client stops reading (it is polled as the response's body), so nothing here is
//! trusted to notice that: the user's actor sees the full mailbox, and the kernel ends the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler};
use actix_web::body::BoxBody;
use actix_web::web::Payload;
use actix_web::{Error, HttpRequest, HttpResponse};
use actix_web_actors::ws::{self, CloseReason, Message, ProtocolError, WebsocketContext};
use futures_util::{Stream, stream};

use super::conversation::{Conversation, Reminder, Wire};
use super::incoming::Incoming;
use super::{Limits, SUBPROTOCOLS};
use crate::ending::Ending;
use crate::framing::{Violation, Whole};
use crate::pipe::{Gateway, Outbound, PIPE_CAPACITY, PipeMeter, next_connection, pipe};
use tidings_decision::deliver::Frame;

/// Upgrades a request to a WebSocket whose logins go to `gateway`; without one, to an echo that conformance tests talk
/// to: the same code up to the whole message, which is sent back.
///
/// actix-web-actors gets an empty stream to decode: its decoder buffers all that can be read before it looks at any of it,
/// and a frame of any length before it compares that with a limit. The request's payload is decoded by [`Messages`].
pub fn upgrade(
    request: &HttpRequest,
    payload: Payload,
    limits: &Arc<Limits>,
    gateway: Option<Arc<dyn Gateway>>,
) -> Result<HttpResponse, Error> {
    let incoming = Incoming::new(limits.socket.max_frame_bytes);
    let messages = Some(Messages { payload, incoming });
    let session = Session { limits: Arc::clone(limits), gateway, messages, talk: None };
    let builder = ws::WsResponseBuilder::new(session, request, stream::pending());
    let response = builder.protocols(&SUBPROTOCOLS).start()?;
    Ok(response.map_body(|_, session| BoxBody::new(Ending::new(session))))
}

/// Messages in the payload of a request, read a piece at a time.
struct Messages {
    payload: Payload,
    incoming: Incoming,
}

impl Stream for Messages {
    type Item = Result<Message, Violation>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(next) = self.incoming.next_message() {
                return Poll::Ready(Some(next));
            }
            if !self.incoming.may_read() {
                // Not woken again: the conversation ends the session, having closed it at the violation.
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut self.payload).poll_next(task)) {
                Some(Ok(bytes)) => self.incoming.push(&bytes),
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

struct Session {
    limits: Arc<Limits>,
    gateway: Option<Arc<dyn Gateway>>,
    /// Until it runs.
    messages: Option<Messages>,
    /// From the moment it runs.
    talk: Option<(Conversation, PipeMeter)>,
}

impl Session {
    fn talk(&mut self, act: impl FnOnce(&mut Conversation, &PipeMeter)) {
        if let Some((conversation, meter)) = &mut self.talk {
            act(conversation, meter);
        }
    }
}

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(PIPE_CAPACITY);
        let recipient = context.address().recipient();
        let (handle, meter) = pipe(next_connection(), recipient, self.limits.socket.max_outbound_bytes);
        let conversation =
            Conversation::begin(handle, Arc::clone(&self.limits), self.gateway.take(), context);
        self.talk = Some((conversation, meter));
        if let Some(messages) = self.messages.take() {
            context.add_stream(messages);
        }
        context.run_interval(Duration::from_millis(self.limits.socket.ping_ms), |session, context| {
            session.talk(|conversation, meter| conversation.heartbeat(meter, context));
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.talk(|conversation, _| conversation.gone());
    }
}

impl Wire for WebsocketContext<Session> {
    fn text(&mut self, frame: Frame) {
        WebsocketContext::text(self, &*frame);
    }

    fn reply(&mut self, frame: Frame) {
        WebsocketContext::text(self, &*frame);
    }

    fn echo(&mut self, message: Whole) {
        match message {
            Whole::Text(text) => WebsocketContext::text(self, text),
            Whole::Binary(bytes) => WebsocketContext::binary(self, bytes),
        }
    }

    fn ping(&mut self) {
        WebsocketContext::ping(self, b"");
    }

    fn pong(&mut self, payload: &[u8]) {
        WebsocketContext::pong(self, payload);
    }

    fn close(&mut self, reason: Option<CloseReason>) {
        WebsocketContext::close(self, reason);
    }

    fn end(&mut self) {
        self.stop();
    }

    fn remind(&mut self, after: Duration, of: Reminder) {
        self.run_later(after, move |session, context| {
            session.talk(|conversation, _| conversation.due(of, context));
        });
    }
}

impl StreamHandler<Result<Message, Violation>> for Session {
    fn handle(&mut self, message: Result<Message, Violation>, context: &mut Self::Context) {
        self.talk(|conversation, _| conversation.received(message, context));
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

/// Asked for by actix-web-actors and never called: the stream it has is empty and does not end.
impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, _: Result<Message, ProtocolError>, _: &mut Self::Context) {}
}

impl Handler<Outbound> for Session {
    type Result = ();

    fn handle(&mut self, outbound: Outbound, context: &mut Self::Context) {
        self.talk(|conversation, meter| {
            if let Outbound::Frame(frame) = &outbound {
                meter.taken(frame.len());
            }
            conversation.outbound(outbound, context);
        });
    }
}
