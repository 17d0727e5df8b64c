//! Server-Sent Events (WHATWG HTML, "Server-sent events"): the same pipe as a WebSocket's. Every frame is an `event:`, every
//! message of the stream carries `id: <epoch>:<offset>`, from which the browser resumes by itself. The client's frames come in
//! requests ([`Post`]) under the `connection_id` of the welcome.
//!
//! The bounds are the pipe's: what the user's actor has offered and the client has not read counts against it until the
//! body has handed it to the connection. A client that stops reading falls behind, is let go and resumes later.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient};
use actix_web::web::Bytes;
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::conduct::Conduct;
use super::pipe::{
    Gateway, Opened, Outbound, PIPE_CAPACITY, PipeMeter, Posted, Received, ReceivedKind, next_connection,
    pipe,
};
use super::posts::{Answers, ConnectionKey, Post, PostError, Streams};
use super::ws::Limits;
use tidings_core::base::{ConnectionId, ExternalId};
use tidings_core::event::Speaker;
use tidings_decision::deliver::shapes::Close;
use tidings_decision::deliver::{CloseCode, Frame, Inbound, InboundError, Login, Resume, frames};

/// A comment this often keeps proxies from closing the connection.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Delay before a client reconnects, when nothing else was said.
const RETRY_MS: u32 = 2_000;

/// A piece of the body, and how many bytes of the pipe's bound it frees.
type Piece = (Bytes, usize);

/// Opens a stream for `user`, whose login goes to `gateway` and whose frames come through `streams`; what comes back is the body.
pub fn open(
    user: ExternalId,
    login: Box<Login>,
    limits: &Arc<Limits>,
    gateway: &Arc<dyn Gateway>,
    streams: &Arc<Streams>,
) -> Body {
    let (sender, receiver) = mpsc::channel(PIPE_CAPACITY);
    let (connection, key) = (next_connection(), ConnectionKey::random());
    let mut meter = None;
    let (limits, gateway, streams) = (Arc::clone(limits), Arc::clone(gateway), Arc::clone(streams));
    SsePipe::create(|context| {
        context.set_mailbox_capacity(PIPE_CAPACITY);
        let recipient = context.address().recipient();
        let (handle, own) = pipe(connection, recipient, limits.socket.max_outbound_bytes);
        let own = Arc::new(own);
        meter = Some(Arc::clone(&own));
        streams.enter(key, user, context.address().recipient());
        let now = Instant::now();
        gateway.login(Opened { login, at: now, pipe: handle });
        let conduct = Conduct::new(limits.socket.max_frames_per_s, now);
        SsePipe { connection, key, streams, sender, meter: own, attached: None, conduct, limits }
    });
    Body { receiver, meter }
}

/// Parses the resume position from `Last-Event-ID`; `None` for what is not of this form.
pub fn resume(last_event_id: &str) -> Option<Resume> {
    let (epoch, offset) = last_event_id.rsplit_once(':')?;
    let offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
    (epoch.len() <= 64).then(|| Resume { epoch: epoch.to_owned(), offset })
}

/// The head of any frame.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    r#type: &'a str,
    #[serde(default, borrow)]
    epoch: Option<&'a str>,
    #[serde(default)]
    offset: Option<i64>,
}

/// A frame as an event. JSON has no raw line break, so it is one `data:` line. Only messages carry an id: a `welcome` comes
/// before what is replayed, and resuming from it would leave that out. The welcome names the connection.
fn event(frame: &str, key: ConnectionKey) -> Bytes {
    let head: Head =
        serde_json::from_str(frame).unwrap_or(Head { r#type: "message", epoch: None, offset: None });
    match (head.r#type, head.epoch, head.offset) {
        (kind @ ("recommendation" | "notification"), Some(epoch), Some(offset)) => {
            format!("event: {kind}\nid: {epoch}:{offset}\ndata: {frame}\n\n").into()
        }
        ("welcome", _, _) => {
            let welcome = frames::with_connection_id(frame, &key.to_string());
            format!("event: welcome\ndata: {welcome}\n\n").into()
        }
        (kind, _, _) => format!("event: {kind}\ndata: {frame}\n\n").into(),
    }
}

/// Says why, and when to come back. `EventSource` reconnects after any end, so a client must close it itself when
/// `reconnect` is false.
fn goodbye(code: CloseCode, retry_ms: u32) -> Bytes {
    let close = Close {
        r#type: "close",
        code: code.code(),
        reason: code.reason(),
        reconnect: code.reconnect(),
        retry_ms,
    };
    let data = serde_json::to_string(&close).unwrap_or_default();
    format!("event: close\nretry: {retry_ms}\ndata: {data}\n\n").into()
}

struct SsePipe {
    connection: ConnectionId,
    key: ConnectionKey,
    streams: Arc<Streams>,
    sender: mpsc::Sender<Piece>,
    meter: Arc<PipeMeter>,
    attached: Option<Recipient<Received>>,
    conduct: Conduct,
    limits: Arc<Limits>,
}

impl SsePipe {
    fn write(&mut self, piece: Piece, context: &mut Context<Self>) {
        match self.sender.try_send(piece) {
            Ok(()) => {}
            // Full: the client does not read. Closed: it is gone.
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => context.stop(),
        }
    }

    fn frame(&mut self, frame: &Frame, context: &mut Context<Self>) {
        self.write((event(frame, self.key), frame.len()), context);
    }

    fn end(&mut self, code: CloseCode, retry_ms: u32, context: &mut Context<Self>) {
        self.write((goodbye(code, retry_ms), 0), context);
        context.stop();
    }

    /// Passes frames on, within the bounds of a WebSocket.
    fn post(
        &mut self,
        speaker: Speaker,
        frames: Vec<Result<Inbound, InboundError>>,
        context: &mut Context<Self>,
    ) -> Result<Vec<Answers>, PostError> {
        let Some(attached) = &self.attached else { return Err(PostError::Unknown) };
        let at = Instant::now();
        if !self.conduct.takes(frames.len(), self.limits.socket.max_frames_per_s, at) {
            self.end(CloseCode::TooManyRequests, RETRY_MS, context);
            return Err(PostError::TooMany);
        }
        let (mut answers, mut posted, mut forgiven) = (Vec::with_capacity(frames.len()), Vec::new(), true);
        for frame in frames {
            match frame {
                Ok(frame) => {
                    let (sender, receiver) = oneshot::channel();
                    posted.push(Posted { frame, speaker, answers: sender });
                    answers.push(Answers::Awaited(receiver));
                }
                Err(error) => {
                    answers.push(Answers::Refused(error.frame()));
                    forgiven = self.conduct.forgives_bad_frame();
                }
            }
            if !forgiven {
                break;
            }
        }
        let kind = ReceivedKind::Posted(posted);
        match attached.try_send(Received { connection: self.connection, at, kind }) {
            Ok(()) => {}
            Err(SendError::Full(_)) => return Err(PostError::Busy),
            Err(SendError::Closed(_)) => {
                self.end(CloseCode::StreamLost, RETRY_MS, context);
                return Err(PostError::Unknown);
            }
        }
        if !forgiven {
            self.end(CloseCode::BadFrame, RETRY_MS, context);
        }
        Ok(answers)
    }

    fn heartbeat(&mut self, context: &mut Context<Self>) {
        if self.meter.lagged() {
            self.end(CloseCode::TooSlow, RETRY_MS, context);
        } else if self.attached.as_ref().is_some_and(|attached| !attached.connected()) {
            self.end(CloseCode::StreamLost, RETRY_MS, context);
        } else {
            self.write((Bytes::from_static(b": still here\n\n"), 0), context);
        }
    }
}

impl Actor for SsePipe {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.write((format!("retry: {RETRY_MS}\n\n").into(), 0), context);
        context.run_interval(HEARTBEAT, Self::heartbeat);
        let deadline = Duration::from_millis(self.limits.socket.login_deadline_ms);
        context.run_later(deadline, |pipe, context| {
            if pipe.attached.is_none() {
                pipe.end(CloseCode::StreamLost, RETRY_MS, context);
            }
        });
        // The body is dropped with the connection.
        let gone = self.sender.clone();
        let gone = async move { gone.closed().await };
        context.spawn(actix::fut::ActorFutureExt::map(
            actix::fut::wrap_future::<_, Self>(gone),
            |(), _, context: &mut Context<Self>| context.stop(),
        ));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.streams.leave(self.key);
        if let Some(attached) = self.attached.take() {
            // A full mailbox is no loss: the user's actor also prunes pipes that are gone.
            let closed =
                Received { connection: self.connection, at: Instant::now(), kind: ReceivedKind::Closed };
            let _ = attached.try_send(closed);
        }
    }
}

impl Handler<Outbound> for SsePipe {
    type Result = ();

    fn handle(&mut self, outbound: Outbound, context: &mut Self::Context) {
        match outbound {
            Outbound::Attached(recipient) => self.attached = Some(recipient),
            Outbound::Frame(frame) => self.frame(&frame, context),
            Outbound::Close(code) => self.end(code, RETRY_MS, context),
            Outbound::ComeBack { retry_ms } => self.end(CloseCode::ShuttingDown, retry_ms, context),
            Outbound::ValidFor(left) => drop(context.run_later(left, |pipe, context| {
                pipe.end(CloseCode::TokenExpired, RETRY_MS, context);
            })),
        }
    }
}

impl Handler<Post> for SsePipe {
    type Result = ();

    fn handle(&mut self, Post { speaker, frames, reply }: Post, context: &mut Self::Context) {
        let _ = reply.send(self.post(speaker, frames, context));
    }
}

/// The body of the answer: ends when the pipe does.
pub struct Body {
    receiver: mpsc::Receiver<Piece>,
    meter: Option<Arc<PipeMeter>>,
}

impl Stream for Body {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|piece| {
            let (bytes, frees) = piece?;
            if let Some(meter) = &self.meter {
                meter.taken(frees);
            }
            Some(Ok(bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn messages_carry_their_place_and_nothing_else_does() {
        let key = ConnectionKey::random();
        let notification = r#"{"type":"notification","user_id":1,"epoch":"e","offset":7,"title":"t"}"#;
        assert_eq!(
            text(&event(notification, key)),
            format!("event: notification\nid: e:7\ndata: {notification}\n\n")
        );
        let named = format!(r#"{{"type":"welcome","epoch":"e","offset":7,"connection_id":"{key}"}}"#);
        let welcome = r#"{"type":"welcome","epoch":"e","offset":7}"#;
        assert_eq!(text(&event(welcome, key)), format!("event: welcome\ndata: {named}\n\n"));
    }

    #[test]
    fn a_last_event_id_is_a_place_or_nothing() {
        assert_eq!(resume("e:7"), Some(Resume { epoch: "e".into(), offset: 7 }));
        for bad in ["", "7", "e:", "e:-1", "e:x"] {
            assert_eq!(resume(bad), None, "{bad}");
        }
    }
}
