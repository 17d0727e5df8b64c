//! Conversation on one connection, whatever carries it: whole frames in, calls to a [`Wire`] out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Recipient;
use actix_http::ws::{CloseReason, Item, Message};

use super::Limits;
use crate::conduct::Conduct;
use crate::framing::{Assembly, Violation, Whole};
use crate::pipe::{Gateway, Opened, Outbound, PipeHandle, PipeMeter, Received, ReceivedKind};
use tidings_core::base::ConnectionId;
use tidings_decision::deliver::{CloseCode, Frame, Inbound, InboundError, frames};

/// Longest time a peer may take to answer a close frame.
const CLOSE_PATIENCE: Duration = Duration::from_millis(200);

/// Operations of a conversation on its connection. Nothing blocks; what is written goes out in order.
pub trait Wire {
    /// Writes a frame of whoever serves the user.
    fn text(&mut self, frame: Frame);
    /// Writes a frame of the pipe's own.
    fn reply(&mut self, frame: Frame);
    /// Writes a message back as it came.
    fn echo(&mut self, message: Whole);
    /// Writes a ping.
    fn ping(&mut self);
    /// Writes a pong.
    fn pong(&mut self, payload: &[u8]);
    /// Writes a close frame.
    fn close(&mut self, reason: Option<CloseReason>);
    /// Ends the connection once what was written is out.
    fn end(&mut self);
    /// Calls [`Conversation::due`] later.
    fn remind(&mut self, after: Duration, of: Reminder);
}

/// Deadline that a conversation wants to be reminded of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reminder {
    /// The client should have logged in by now.
    Login,
    /// The user's actor should have answered by now.
    Answer,
    /// The client's token is no longer valid.
    Token,
    /// The close frame should have been answered by now.
    Close,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitingLogin,
    LoggingIn,
    Attached,
    Closing,
}

/// One connection's side of the talk.
pub struct Conversation {
    connection: ConnectionId,
    /// Receiver of logins; none = an echo, which conformance tests talk to.
    gateway: Option<Arc<dyn Gateway>>,
    limits: Arc<Limits>,
    handle: Option<PipeHandle>,
    attached: Option<Recipient<Received>>,
    state: State,
    last_heard: Instant,
    conduct: Conduct,
    assembly: Assembly,
}

impl Conversation {
    /// A client has connected; `handle` is what whoever serves its user will write to.
    pub fn begin(
        handle: PipeHandle,
        limits: Arc<Limits>,
        gateway: Option<Arc<dyn Gateway>>,
        wire: &mut impl Wire,
    ) -> Self {
        wire.remind(Duration::from_millis(limits.socket.login_deadline_ms), Reminder::Login);
        let now = Instant::now();
        Self {
            connection: handle.connection,
            gateway,
            handle: Some(handle),
            attached: None,
            state: State::AwaitingLogin,
            last_heard: now,
            conduct: Conduct::new(limits.socket.max_frames_per_s, now),
            assembly: Assembly::default(),
            limits,
        }
    }

    /// A message, or what was wrong with it.
    pub fn received(&mut self, message: Result<Message, Violation>, wire: &mut impl Wire) {
        self.last_heard = Instant::now();
        if self.state == State::Closing {
            // Answered, or broken for good: there is nothing more to wait for.
            if matches!(message, Ok(Message::Close(_)) | Err(_)) {
                wire.end();
            }
            return;
        }
        match message {
            Ok(Message::Close(reason)) => {
                self.state = State::Closing;
                wire.close(reason);
                wire.end();
            }
            Ok(_) if !self.within_rate() => self.close(CloseCode::TooManyRequests, wire),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Text(text)) if self.gateway.is_some() => self.text(&text, wire),
            Ok(Message::Text(text)) => wire.echo(Whole::Text(text.into())),
            Ok(Message::Ping(bytes)) => wire.pong(&bytes),
            Ok(Message::Continuation(item)) => self.fragment(item, wire),
            Ok(Message::Binary(bytes)) => self.whole(Whole::Binary(bytes.into()), wire),
            Err(violation) => self.violation(violation, wire),
        }
    }

    /// Carries out what the actor of the user, or the login, asks of this connection.
    pub fn outbound(&mut self, outbound: Outbound, wire: &mut impl Wire) {
        match outbound {
            Outbound::Attached(recipient) => {
                if self.state == State::LoggingIn {
                    self.state = State::Attached;
                    self.attached = Some(recipient);
                }
            }
            Outbound::Frame(frame) if self.state != State::Closing => wire.text(frame),
            Outbound::Frame(_) => {}
            Outbound::Close(code) => self.close(code, wire),
            Outbound::ComeBack { retry_ms } => {
                let reason = format!("{} retry_ms={retry_ms}", CloseCode::ShuttingDown.reason());
                self.close_saying(CloseCode::ShuttingDown, reason, wire);
            }
            Outbound::ValidFor(left) => wire.remind(left, Reminder::Token),
        }
    }

    /// Something it wanted to come back to.
    pub fn due(&mut self, reminder: Reminder, wire: &mut impl Wire) {
        match (reminder, self.state) {
            (Reminder::Login, State::AwaitingLogin) if self.gateway.is_some() => {
                self.close(CloseCode::NoLogin, wire);
            }
            // The user's actor has as long for its answer as the client had to ask.
            (Reminder::Login, State::LoggingIn) => {
                wire.remind(Duration::from_millis(self.limits.socket.login_deadline_ms), Reminder::Answer);
            }
            (Reminder::Answer, State::LoggingIn) => self.close(CloseCode::StreamLost, wire),
            (Reminder::Token, _) => self.close(CloseCode::TokenExpired, wire),
            (Reminder::Close, State::Closing) => wire.end(),
            _ => {}
        }
    }

    /// Time for a ping, or to find that the other side has gone.
    pub fn heartbeat(&mut self, meter: &PipeMeter, wire: &mut impl Wire) {
        let patience = self.limits.socket.ping_ms + self.limits.socket.pong_ms;
        if self.last_heard.elapsed() > Duration::from_millis(patience) {
            self.close(CloseCode::NoPong, wire);
        } else if meter.lagged() {
            self.close(CloseCode::TooSlow, wire);
        } else if self.attached.as_ref().is_some_and(|attached| !attached.connected()) {
            // The user's actor has ended without a word; a new login starts another.
            self.close(CloseCode::StreamLost, wire);
        } else if self.state != State::Closing {
            wire.ping();
        }
    }

    /// The connection has gone: tells whoever serves the user.
    pub fn gone(&mut self) {
        if let Some(attached) = self.attached.take() {
            // A full mailbox is no loss: the user's actor also prunes pipes that are gone.
            let closed =
                Received { connection: self.connection, at: Instant::now(), kind: ReceivedKind::Closed };
            let _ = attached.try_send(closed);
        }
    }

    fn close(&mut self, code: CloseCode, wire: &mut impl Wire) {
        self.close_saying(code, code.reason().to_owned(), wire);
    }

    fn close_saying(&mut self, code: CloseCode, reason: String, wire: &mut impl Wire) {
        self.close_with(CloseReason { code: code.code().into(), description: Some(reason) }, wire);
    }

    fn close_with(&mut self, reason: CloseReason, wire: &mut impl Wire) {
        if self.state == State::Closing {
            return;
        }
        self.state = State::Closing;
        wire.close(Some(reason));
        wire.remind(CLOSE_PATIENCE, Reminder::Close);
    }

    fn within_rate(&mut self) -> bool {
        self.conduct.takes(1, self.limits.socket.max_frames_per_s, Instant::now())
    }

    fn text(&mut self, text: &str, wire: &mut impl Wire) {
        let at = Instant::now();
        match Inbound::parse(text, self.limits.max_events) {
            Ok(inbound) => self.inbound(inbound, at, wire),
            Err(error) => self.bad_frame(&error, wire),
        }
    }

    fn bad_frame(&mut self, error: &InboundError, wire: &mut impl Wire) {
        wire.reply(error.frame());
        if !self.conduct.forgives_bad_frame() || self.state == State::AwaitingLogin {
            self.close(CloseCode::BadFrame, wire);
        }
    }

    fn inbound(&mut self, inbound: Inbound, at: Instant, wire: &mut impl Wire) {
        match (self.state, inbound) {
            (State::AwaitingLogin, Inbound::Login(login)) => {
                self.state = State::LoggingIn;
                if let (Some(pipe), Some(gateway)) = (self.handle.take(), &self.gateway) {
                    gateway.login(Opened { login, at, pipe });
                }
            }
            (State::Attached, inbound) => self.forward(inbound, at, wire),
            (State::Closing, _) => {}
            (State::AwaitingLogin | State::LoggingIn, _) => {
                let message = "log in first and wait for the answer: {\"type\":\"login\",\"user_id\":1}";
                let error = InboundError { code: "not_logged_in", message: message.to_owned() };
                match self.state {
                    // It has said who it is: nothing but too early.
                    State::LoggingIn => wire.reply(error.frame()),
                    _ => self.bad_frame(&error, wire),
                }
            }
        }
    }

    fn forward(&mut self, inbound: Inbound, at: Instant, wire: &mut impl Wire) {
        let Some(attached) = &self.attached else { return };
        let received = Received { connection: self.connection, at, kind: ReceivedKind::Frame(inbound) };
        match attached.try_send(received) {
            Ok(()) => {}
            Err(actix::dev::SendError::Full(_)) => {
                let message = "too much at once, send it again in a moment";
                wire.reply(frames::error("busy", message, true, None));
            }
            Err(actix::dev::SendError::Closed(_)) => self.close(CloseCode::StreamLost, wire),
        }
    }

    /// A whole message: read, or sent back by the echo.
    fn whole(&mut self, message: Whole, wire: &mut impl Wire) {
        match (&self.gateway, message) {
            (Some(_), Whole::Text(text)) => self.text(&text, wire),
            (Some(_), Whole::Binary(bytes)) => match std::str::from_utf8(&bytes) {
                Ok(text) => self.text(text, wire),
                Err(_) => {
                    let message = "a binary frame is read as text, and this one is not UTF-8".to_owned();
                    self.bad_frame(&InboundError { code: "bad_frame", message }, wire);
                }
            },
            (None, message) => wire.echo(message),
        }
    }

    fn fragment(&mut self, item: Item, wire: &mut impl Wire) {
        match self.assembly.push(item, self.limits.socket.max_frame_bytes) {
            Ok(Some(message)) => self.whole(message, wire),
            Ok(None) => {}
            Err(violation) => self.violation(violation, wire),
        }
    }

    /// Clients of ours learn that they should not come back like that; a stranger gets the RFC's own code.
    fn violation(&mut self, violation: Violation, wire: &mut impl Wire) {
        if self.gateway.is_some() {
            return self.close(CloseCode::BadFrame, wire);
        }
        self.close_with(CloseReason { code: (violation as u16).into(), description: None }, wire);
    }
}
