//! A pipe inside the response of an HTTP request: the only file that names actix-web-actors, which is deprecated upstream.
//!
//! Such a pipe freezes whole when its client stops reading (it is polled as the response's body), so nothing here is
//! trusted to notice that: the user's actor sees the full mailbox, and the kernel ends the connection.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler};
use actix_web::body::BoxBody;
use actix_web::web::Payload;
use actix_web::{Error, HttpRequest, HttpResponse};
use actix_web_actors::ws::{self, CloseReason, Message, ProtocolError, WebsocketContext};

use super::Limits;
use super::conversation::{Conversation, Reminder, Wire};
use crate::deliver::Frame;
use crate::transport::ending::Ending;
use crate::transport::framing::{Violation, Whole};
use crate::transport::pipe::{Gateway, Outbound, PIPE_CAPACITY, PipeMeter, next_connection, pipe};

/// Upgrades a request to a WebSocket whose logins go to `gateway`; without one, to an echo that conformance tests talk
/// to: the same code up to the whole message, which is sent back.
pub fn upgrade(
    request: &HttpRequest,
    payload: Payload,
    limits: &Arc<Limits>,
    gateway: Option<Arc<dyn Gateway>>,
) -> Result<HttpResponse, Error> {
    let session = Session { limits: Arc::clone(limits), gateway, talk: None };
    let response = ws::WsResponseBuilder::new(session, request, payload)
        .frame_size(limits.socket.max_frame_bytes)
        .start()?;
    Ok(response.map_body(|_, session| BoxBody::new(Ending::new(session))))
}

struct Session {
    limits: Arc<Limits>,
    gateway: Option<Arc<dyn Gateway>>,
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

/// What the codec's error means.
fn violation(error: &ProtocolError) -> Violation {
    match error {
        ProtocolError::Overflow => Violation::TooBig,
        // The codec's own complaint has the kind `InvalidData`; this is text that is not UTF-8.
        ProtocolError::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => Violation::NotUtf8,
        _ => Violation::Protocol,
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        let message = message.map_err(|error| violation(&error));
        self.talk(|conversation, _| conversation.received(message, context));
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
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
