//! WebSocket pipes (RFC 6455): the only file that names actix-web-actors, which is deprecated upstream.
//!
//! A pipe freezes whole when its client stops reading (it is polled as the response's body), so nothing here is
//! trusted to notice that: the user's actor sees the full mailbox, and the kernel ends the connection.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Handler, Recipient, StreamHandler};
use actix_http::ws::Item;
use actix_web::body::BoxBody;
use actix_web::web::Payload;
use actix_web::{Error, HttpRequest, HttpResponse};
use actix_web_actors::ws::{self, CloseReason, Message, ProtocolError, WebsocketContext};

use super::ending::Ending;
use super::framing::{Assembly, Guarded, Violation, Whole};
use super::pipe::{
    Gateway, Opened, Outbound, PIPE_CAPACITY, PipeHandle, PipeMeter, Received, ReceivedKind, next_connection,
    pipe,
};
use crate::base::ConnectionId;
use crate::config;
use crate::deliver::{CloseCode, Inbound, InboundError};

/// Frames that can't be parsed before the connection is closed.
const MAX_BAD_FRAMES: u8 = 8;
/// The frame rate is averaged over this long.
const RATE_WINDOW_S: f64 = 10.0;

/// Upgrades a request to a WebSocket whose logins go to `gateway`; without one, to an echo that conformance tests talk
/// to: the same code up to the whole message, which is sent back.
pub fn upgrade(
    request: &HttpRequest,
    payload: Payload,
    limits: &Arc<Limits>,
    gateway: Option<Arc<dyn Gateway>>,
) -> Result<HttpResponse, Error> {
    let violated = Rc::new(Cell::new(false));
    let payload = Guarded::new(payload, Rc::clone(&violated));
    let pipe = WsPipe {
        connection: next_connection(),
        gateway,
        limits: Arc::clone(limits),
        handle: None,
        meter: None,
        attached: None,
        state: State::AwaitingLogin,
        last_heard: Instant::now(),
        budget: f64::from(limits.socket.max_frames_per_s) * RATE_WINDOW_S,
        budget_at: Instant::now(),
        bad_frames: 0,
        assembly: Assembly::default(),
        violated,
    };
    let response = ws::WsResponseBuilder::new(pipe, request, payload)
        .frame_size(limits.socket.max_frame_bytes)
        .start()?;
    Ok(response.map_body(|_, session| BoxBody::new(Ending::new(session))))
}

/// What every pipe must keep to.
#[derive(Debug)]
pub struct Limits {
    /// Sizes and times.
    pub socket: config::Socket,
    /// Most events in one frame.
    pub max_events: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitingLogin,
    LoggingIn,
    Attached,
    Closing,
}

struct WsPipe {
    connection: ConnectionId,
    gateway: Option<Arc<dyn Gateway>>,
    limits: Arc<Limits>,
    handle: Option<PipeHandle>,
    meter: Option<PipeMeter>,
    attached: Option<Recipient<Received>>,
    state: State,
    last_heard: Instant,
    budget: f64,
    budget_at: Instant,
    bad_frames: u8,
    assembly: Assembly,
    /// A frame had a reserved bit set.
    violated: Rc<Cell<bool>>,
}

impl Actor for WsPipe {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(PIPE_CAPACITY);
        let recipient = context.address().recipient();
        let (handle, meter) = pipe(self.connection, recipient, self.limits.socket.max_outbound_bytes);
        self.handle = Some(handle);
        self.meter = Some(meter);
        let deadline = Duration::from_millis(self.limits.socket.login_deadline_ms);
        context.run_later(deadline, move |pipe, context| match pipe.state {
            State::AwaitingLogin if pipe.gateway.is_some() => pipe.close(CloseCode::NoLogin, context),
            // The user's actor has as long for its answer as the client had to ask.
            State::LoggingIn => drop(context.run_later(deadline, |pipe, context| {
                if pipe.state == State::LoggingIn {
                    pipe.close(CloseCode::StreamLost, context);
                }
            })),
            State::AwaitingLogin | State::Attached | State::Closing => {}
        });
        context.run_interval(Duration::from_millis(self.limits.socket.ping_ms), Self::heartbeat);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(attached) = self.attached.take() {
            // A full mailbox is no loss: the user's actor also prunes pipes that are gone.
            let closed =
                Received { connection: self.connection, at: Instant::now(), kind: ReceivedKind::Closed };
            let _ = attached.try_send(closed);
        }
    }
}

impl WsPipe {
    fn heartbeat(&mut self, context: &mut WebsocketContext<Self>) {
        let patience = self.limits.socket.ping_ms + self.limits.socket.pong_ms;
        if self.last_heard.elapsed() > Duration::from_millis(patience) {
            self.close(CloseCode::NoPong, context);
        } else if self.meter.as_ref().is_some_and(PipeMeter::lagged) {
            self.close(CloseCode::TooSlow, context);
        } else if self.attached.as_ref().is_some_and(|attached| !attached.connected()) {
            // The user's actor has ended without a word; a new login starts another.
            self.close(CloseCode::StreamLost, context);
        } else {
            context.ping(b"");
        }
    }

    fn close(&mut self, code: CloseCode, context: &mut WebsocketContext<Self>) {
        self.close_saying(code, code.reason().to_owned(), context);
    }

    fn close_saying(&mut self, code: CloseCode, reason: String, context: &mut WebsocketContext<Self>) {
        if self.state == State::Closing {
            return;
        }
        self.state = State::Closing;
        let reason = CloseReason { code: code.code().into(), description: Some(reason) };
        context.close(Some(reason));
        // The close frame goes out before the context ends; a peer that does not answer it is not waited for.
        context.run_later(Duration::from_millis(200), |_, context| context.stop());
    }

    /// Takes one frame out of the budget; false when it is used up.
    fn within_rate(&mut self) -> bool {
        let rate = f64::from(self.limits.socket.max_frames_per_s);
        let now = Instant::now();
        let refill = now.duration_since(self.budget_at).as_secs_f64() * rate;
        self.budget = (self.budget + refill).min(rate * RATE_WINDOW_S) - 1.0;
        self.budget_at = now;
        self.budget >= 0.0
    }

    fn text(&mut self, text: &str, context: &mut WebsocketContext<Self>) {
        let at = Instant::now();
        match Inbound::parse(text, self.limits.max_events) {
            Ok(inbound) => self.inbound(inbound, at, context),
            Err(error) => self.bad_frame(&error, context),
        }
    }

    fn bad_frame(&mut self, error: &InboundError, context: &mut WebsocketContext<Self>) {
        context.text(&*error.frame());
        self.bad_frames += 1;
        if self.state == State::AwaitingLogin || self.bad_frames >= MAX_BAD_FRAMES {
            self.close(CloseCode::BadFrame, context);
        }
    }

    fn inbound(&mut self, inbound: Inbound, at: Instant, context: &mut WebsocketContext<Self>) {
        match (self.state, inbound) {
            (State::AwaitingLogin, Inbound::Login(login)) => {
                self.state = State::LoggingIn;
                if let (Some(pipe), Some(gateway)) = (self.handle.take(), &self.gateway) {
                    gateway.login(Opened { login, at, pipe });
                }
            }
            (State::Attached, inbound) => self.forward(inbound, at, context),
            (State::Closing, _) => {}
            (State::AwaitingLogin | State::LoggingIn, _) => {
                let message = "log in first and wait for the answer: {\"type\":\"login\",\"user_id\":1}";
                self.bad_frame(&InboundError { code: "not_logged_in", message: message.to_owned() }, context);
            }
        }
    }

    fn forward(&mut self, inbound: Inbound, at: Instant, context: &mut WebsocketContext<Self>) {
        let Some(attached) = &self.attached else { return };
        let received = Received { connection: self.connection, at, kind: ReceivedKind::Frame(inbound) };
        match attached.try_send(received) {
            Ok(()) => {}
            Err(actix::dev::SendError::Full(_)) => {
                let message = "too much at once, send it again in a moment";
                context.text(&*crate::deliver::frames::error("busy", message, true, None));
            }
            Err(actix::dev::SendError::Closed(_)) => self.close(CloseCode::StreamLost, context),
        }
    }

    /// A whole message: read, or sent back by the echo.
    fn whole(&mut self, message: Whole, context: &mut WebsocketContext<Self>) {
        match (&self.gateway, message) {
            (Some(_), Whole::Text(text)) => self.text(&text, context),
            (Some(_), Whole::Binary(_)) => self.close(CloseCode::BadFrame, context),
            (None, Whole::Text(text)) => context.text(text),
            (None, Whole::Binary(bytes)) => context.binary(bytes),
        }
    }

    fn fragment(&mut self, item: Item, context: &mut WebsocketContext<Self>) {
        if self.gateway.is_some() && matches!(item, Item::FirstBinary(_)) {
            return self.close(CloseCode::BadFrame, context);
        }
        match self.assembly.push(item, self.limits.socket.max_frame_bytes) {
            Ok(Some(message)) => self.whole(message, context),
            Ok(None) => {}
            Err(violation) => self.violation(violation, context),
        }
    }

    /// Clients of ours learn that they should not come back like that; a stranger gets the RFC's own code.
    fn violation(&mut self, violation: Violation, context: &mut WebsocketContext<Self>) {
        if self.gateway.is_some() || self.state == State::Closing {
            return self.close(CloseCode::BadFrame, context);
        }
        self.state = State::Closing;
        context.close(Some(CloseReason { code: (violation as u16).into(), description: None }));
        context.run_later(Duration::from_millis(200), |_, context| context.stop());
    }

    /// What the codec's error means.
    fn violation_of(&self, error: &ProtocolError) -> Violation {
        match error {
            ProtocolError::Overflow => Violation::TooBig,
            // The one other thing the codec reports this way is text that is no UTF-8.
            ProtocolError::Io(_) if !self.violated.get() => Violation::NotUtf8,
            _ => Violation::Protocol,
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for WsPipe {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        self.last_heard = Instant::now();
        if self.state == State::Closing {
            // Answered, or broken for good: there is nothing more to wait for.
            if matches!(message, Ok(Message::Close(_)) | Err(_)) {
                context.stop();
            }
            return;
        }
        match message {
            Ok(Message::Pong(_)) => {}
            Ok(Message::Close(reason)) => {
                self.state = State::Closing;
                context.close(reason);
                context.stop();
            }
            Ok(_) if !self.within_rate() => self.close(CloseCode::TooManyRequests, context),
            Ok(Message::Text(text)) if self.gateway.is_some() => self.text(&text, context),
            Ok(Message::Text(text)) => self.whole(Whole::Text(text.into()), context),
            Ok(Message::Ping(bytes)) => context.pong(&bytes),
            Ok(Message::Continuation(item)) => self.fragment(item, context),
            Ok(Message::Binary(bytes)) => self.whole(Whole::Binary(bytes.into()), context),
            Ok(Message::Nop) => {}
            Err(error) => self.violation(self.violation_of(&error), context),
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<Outbound> for WsPipe {
    type Result = ();

    fn handle(&mut self, outbound: Outbound, context: &mut Self::Context) {
        match outbound {
            Outbound::Attached(recipient) => {
                if self.state == State::LoggingIn {
                    self.state = State::Attached;
                    self.attached = Some(recipient);
                }
            }
            Outbound::Frame(frame) => {
                if let Some(meter) = &self.meter {
                    meter.taken(frame.len());
                    if meter.lagged() {
                        return self.close(CloseCode::TooSlow, context);
                    }
                }
                if self.state != State::Closing {
                    context.text(&*frame);
                }
            }
            Outbound::Close(code) => self.close(code, context),
            Outbound::ComeBack { retry_ms } => {
                let reason = format!("{} retry_ms={retry_ms}", CloseCode::ShuttingDown.reason());
                self.close_saying(CloseCode::ShuttingDown, reason, context);
            }
            Outbound::ValidFor(left) => drop(context.run_later(left, |pipe, context| {
                pipe.close(CloseCode::TokenExpired, context);
            })),
        }
    }
}
