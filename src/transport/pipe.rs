//! The two ends of a connection: what a pipe gives to whoever serves its user, and what it takes.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::{Message, Recipient, WeakRecipient};
use tokio::sync::oneshot;

use tidings_core::base::ConnectionId;
use tidings_core::event::Speaker;
use tidings_decision::deliver::{CloseCode, Frame, Inbound, Login};

static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// A number no other connection of this process has.
pub fn next_connection() -> ConnectionId {
    ConnectionId(NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed))
}

/// Messages waiting in one pipe before its client counts as too slow. More than a client within its frame rate can
/// cause in one turn (500 frames, each answered), since a pipe on the same thread takes none of them in between.
pub const PIPE_CAPACITY: usize = 1_024;

/// To a pipe, from whoever serves its user. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Outbound {
    /// Logged in: frames go there from now on.
    Attached(Recipient<Received>),
    /// Write this.
    Frame(Frame),
    /// Say why and end.
    Close(CloseCode),
    /// The token is valid for this long: then say so and end.
    ValidFor(Duration),
    /// The server is going down: say when to come back and end.
    ComeBack {
        /// From now.
        retry_ms: u32,
    },
}

/// From a pipe, to the actor it is attached to. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Received {
    /// Connection of the pipe.
    pub connection: ConnectionId,
    /// Moment when the frame was read.
    pub at: Instant,
    /// The report.
    pub kind: ReceivedKind,
}

/// Report of a pipe.
pub enum ReceivedKind {
    /// A frame.
    Frame(Inbound),
    /// Frames that came in one request.
    Posted(Vec<Posted>),
    /// The connection is gone.
    Closed,
}

/// A frame that came in a request.
pub struct Posted {
    /// The frame.
    pub frame: Inbound,
    /// Source of its events.
    pub speaker: Speaker,
    /// Its answers go there, once: events are answered when they are committed.
    pub answers: oneshot::Sender<Vec<Frame>>,
}

/// A client that asks to log in.
pub struct Opened {
    /// Its first frame.
    pub login: Box<Login>,
    /// Moment when it came.
    pub at: Instant,
    /// The way back.
    pub pipe: PipeHandle,
}

/// Takes logins. Answers through the pipe: [`Outbound::Attached`], or [`Outbound::Close`].
pub trait Gateway: Send + Sync + 'static {
    /// A client asked to log in.
    fn login(&self, opened: Opened);
}

/// Shared by both ends: how much waits, and whether the client fell behind.
#[derive(Default)]
struct Gauge {
    waiting_bytes: AtomicUsize,
    lagged: AtomicBool,
}

/// The serving end. Kept, not cloned per message, so that the pipe's mailbox bound holds.
pub struct PipeHandle {
    /// Connection it serves.
    pub connection: ConnectionId,
    recipient: Recipient<Outbound>,
    gauge: Arc<Gauge>,
    max_bytes: usize,
    /// Allowance on top of them: what was replayed and, at most, still waits.
    replayed: Cell<usize>,
}

/// Reason why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeEnd {
    /// The client fell behind; the pipe closes with 3008 as soon as it can write again.
    TooSlow,
    /// The connection is gone.
    Closed,
}

impl PipeHandle {
    /// Offers a frame; never blocks, never queues more than the bounds.
    pub fn send(&self, frame: Frame) -> Result<(), PipeEnd> {
        let bytes = frame.len();
        if self.gauge.lagged.load(Ordering::Acquire) {
            return Err(PipeEnd::TooSlow);
        }
        let waiting = self.gauge.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let replayed = self.replayed.get().min(waiting);
        self.replayed.set(replayed);
        if waiting + bytes > self.max_bytes + replayed {
            self.gauge.lagged.store(true, Ordering::Release);
            // What was taken before is still written: a client that resumes from there comes further each time. A pipe
            // with a full mailbox finds out with its next heartbeat.
            let _ = self.recipient.try_send(Outbound::Close(CloseCode::TooSlow));
            return Err(PipeEnd::TooSlow);
        }
        self.offer(Outbound::Frame(frame))
    }

    /// Offers a frame of those that come all at once because the client was away: bounded by what is kept for that, shared with
    /// it, and no sign that the client is slow. Until they are written that much more may wait.
    pub fn replay(&self, frame: Frame) -> Result<(), PipeEnd> {
        if self.gauge.lagged.load(Ordering::Acquire) {
            return Err(PipeEnd::TooSlow);
        }
        self.gauge.waiting_bytes.fetch_add(frame.len(), Ordering::AcqRel);
        self.replayed.set(self.replayed.get() + frame.len());
        self.offer(Outbound::Frame(frame))
    }

    /// Offers anything else.
    pub fn offer(&self, outbound: Outbound) -> Result<(), PipeEnd> {
        match self.recipient.try_send(outbound) {
            Ok(()) => Ok(()),
            Err(SendError::Full(_)) => {
                self.gauge.lagged.store(true, Ordering::Release);
                Err(PipeEnd::TooSlow)
            }
            Err(SendError::Closed(_)) => Err(PipeEnd::Closed),
        }
    }

    /// A way to the pipe that does not keep it.
    pub fn weak(&self) -> WeakPipe {
        WeakPipe(self.recipient.downgrade())
    }

    /// Returns whether the pipe is still there.
    pub fn is_open(&self) -> bool {
        self.recipient.connected()
    }
}

/// A way to a pipe, for what is about the connection as a whole.
pub struct WeakPipe(WeakRecipient<Outbound>);

impl WeakPipe {
    /// Ends the connection; false if it has ended.
    pub fn close(&self, code: CloseCode) -> bool {
        self.0.upgrade().is_some_and(|recipient| recipient.try_send(Outbound::Close(code)).is_ok())
    }

    /// Returns whether the pipe is still there.
    pub fn is_open(&self) -> bool {
        self.0.upgrade().is_some_and(|recipient| recipient.connected())
    }
}

/// The pipe's own end.
pub struct PipeMeter {
    gauge: Arc<Gauge>,
}

impl PipeMeter {
    /// A frame left the mailbox.
    pub fn taken(&self, bytes: usize) {
        self.gauge.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Returns whether the client fell behind. Then something is missing and the connection must end.
    pub fn lagged(&self) -> bool {
        self.gauge.lagged.load(Ordering::Acquire)
    }
}

/// Both ends of a new connection.
pub fn pipe(
    connection: ConnectionId,
    recipient: Recipient<Outbound>,
    max_bytes: usize,
) -> (PipeHandle, PipeMeter) {
    let gauge = Arc::new(Gauge::default());
    let meter = PipeMeter { gauge: Arc::clone(&gauge) };
    (PipeHandle { connection, recipient, gauge, max_bytes, replayed: Cell::new(0) }, meter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Actor, Context, Handler};

    /// Takes what it is given and writes none of it.
    struct Silent;

    impl Actor for Silent {
        type Context = Context<Self>;
    }

    impl Handler<Outbound> for Silent {
        type Result = ();

        fn handle(&mut self, _: Outbound, _: &mut Self::Context) {}
    }

    fn frame(bytes: usize) -> Frame {
        "x".repeat(bytes).as_str().into()
    }

    #[actix::test]
    async fn what_is_replayed_comes_on_top_of_the_bound_until_it_is_written() {
        let silent = Silent::create(|context| {
            context.set_mailbox_capacity(PIPE_CAPACITY);
            Silent
        });
        let (handle, meter) = pipe(next_connection(), silent.recipient(), 100);
        for _ in 0..30 {
            assert_eq!(handle.replay(frame(10)), Ok(()));
        }
        // What is live has the whole bound behind it.
        assert_eq!(handle.send(frame(60)), Ok(()));
        assert_eq!(handle.send(frame(40)), Ok(()));
        meter.taken(300);
        meter.taken(100);
        // And nothing more than that once it is out.
        assert_eq!(handle.send(frame(60)), Ok(()));
        assert_eq!(handle.send(frame(41)), Err(PipeEnd::TooSlow));
        assert!(meter.lagged());
        assert_eq!(handle.replay(frame(1)), Err(PipeEnd::TooSlow));
    }
}
