//! Server-Sent Events (WHATWG HTML, "Server-sent events"): the same pipe as a WebSocket's, one way only. Every frame is an
//! `event:`, every message of the stream carries `id: <epoch>:<offset>`, from which the browser resumes by itself.
//!
//! The bounds are the pipe's: what the user's actor has offered and the client has not read counts against it until the
//! body has handed it to the connection. A client that stops reading falls behind, is let go and resumes later.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient};
use actix_web::web::Bytes;
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::pipe::{
    Gateway, Opened, Outbound, PIPE_CAPACITY, PipeMeter, Received, ReceivedKind, next_connection, pipe,
};
use super::ws::Limits;
use crate::base::ConnectionId;
use crate::deliver::{CloseCode, Frame, Login, Resume};

/// A comment this often keeps proxies from closing the connection.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Delay before a client reconnects, when nothing else was said.
const RETRY_MS: u32 = 2_000;

/// A piece of the body, and how many bytes of the pipe's bound it frees.
type Piece = (Bytes, usize);

/// Opens a stream whose login goes to `gateway`; what comes back is the body.
pub fn open(login: Box<Login>, limits: &Arc<Limits>, gateway: &Arc<dyn Gateway>) -> Body {
    let (sender, receiver) = mpsc::channel(PIPE_CAPACITY);
    let connection = next_connection();
    let mut meter = None;
    let (limits, gateway) = (Arc::clone(limits), Arc::clone(gateway));
    SsePipe::create(|context| {
        context.set_mailbox_capacity(PIPE_CAPACITY);
        let recipient = context.address().recipient();
        let (handle, own) = pipe(connection, recipient, limits.socket.max_outbound_bytes);
        let own = Arc::new(own);
        meter = Some(Arc::clone(&own));
        gateway.login(Opened { login, at: Instant::now(), pipe: handle });
        let deadline = Duration::from_millis(limits.socket.login_deadline_ms);
        SsePipe { connection, sender, meter: own, attached: None, deadline }
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
/// before what is replayed, and resuming from it would leave that out.
fn event(frame: &str) -> Bytes {
    let head: Head =
        serde_json::from_str(frame).unwrap_or(Head { r#type: "message", epoch: None, offset: None });
    match (head.r#type, head.epoch, head.offset) {
        (kind @ ("recommendation" | "notification"), Some(epoch), Some(offset)) => {
            format!("event: {kind}\nid: {epoch}:{offset}\ndata: {frame}\n\n").into()
        }
        (kind, _, _) => format!("event: {kind}\ndata: {frame}\n\n").into(),
    }
}

/// Says why, and when to come back. `EventSource` reconnects after any end, so a client must close it itself when
/// `reconnect` is false.
fn goodbye(code: CloseCode, retry_ms: u32) -> Bytes {
    let (number, reason, reconnect) = (code.code(), code.reason(), code.reconnect());
    format!(
        "event: close\nretry: {retry_ms}\ndata: {{\"type\":\"close\",\"code\":{number},\"reason\":\"{reason}\",\
         \"reconnect\":{reconnect},\"retry_ms\":{retry_ms}}}\n\n"
    )
    .into()
}

struct SsePipe {
    connection: ConnectionId,
    sender: mpsc::Sender<Piece>,
    meter: Arc<PipeMeter>,
    attached: Option<Recipient<Received>>,
    deadline: Duration,
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
        self.write((event(frame), frame.len()), context);
    }

    fn end(&mut self, code: CloseCode, retry_ms: u32, context: &mut Context<Self>) {
        self.write((goodbye(code, retry_ms), 0), context);
        context.stop();
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
        context.run_later(self.deadline, |pipe, context| {
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
        let notification = r#"{"type":"notification","user_id":1,"epoch":"e","offset":7,"title":"t"}"#;
        assert_eq!(
            text(&event(notification)),
            format!("event: notification\nid: e:7\ndata: {notification}\n\n")
        );
        let welcome = r#"{"type":"welcome","epoch":"e","offset":7}"#;
        assert_eq!(text(&event(welcome)), format!("event: welcome\ndata: {welcome}\n\n"));
    }

    #[test]
    fn a_last_event_id_is_a_place_or_nothing() {
        assert_eq!(resume("e:7"), Some(Resume { epoch: "e".into(), offset: 7 }));
        for bad in ["", "7", "e:", "e:-1", "e:x"] {
            assert_eq!(resume(bad), None, "{bad}");
        }
    }
}
