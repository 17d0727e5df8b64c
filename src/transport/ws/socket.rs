//! A pipe that owns its TCP socket, with TLS or without: an actor that reads, decodes and writes by itself, without an HTTP dispatcher's buffers
//! beneath it. An idle one holds no buffer at all; reading goes through one scratch buffer a thread.
//!
//! All that arrived in its mailbox is handled before it writes, so frames of one turn leave with one system call. It goes
//! on taking from its mailbox while its client does not read, within the bounds of the pipe.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context, Handler};
use actix_http::ws::CloseReason;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::Limits;
use super::conversation::{Conversation, Reminder, Wire};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::framing::Whole;
use crate::pipe::{Gateway, Outbound, PIPE_CAPACITY, PipeMeter, next_connection, pipe};
use crate::tls::Stream;
use tidings_decision::deliver::Frame;

/// Bytes read with one call.
const READ_AT_ONCE: usize = 16 << 10;
/// Reads before another connection of the thread has its turn.
const READS_A_TURN: usize = 8;
/// Longest time a released client may take to read what was written to it.
const LAST_WORDS: Duration = Duration::from_secs(8);

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into());
}

/// Starts a pipe on a socket that has been upgraded; `read` is what came after the request. Logins go to `gateway`; without
/// one it is an echo that conformance tests talk to: the same code up to the whole message, which is sent back. `permit` is given
/// back when the socket is closed.
pub fn start(
    stream: Stream,
    read: &[u8],
    limits: &Arc<Limits>,
    gateway: Option<Arc<dyn Gateway>>,
    permit: OwnedSemaphorePermit,
) {
    let mut incoming = Incoming::new(limits.socket.max_frame_bytes);
    incoming.push(read);
    let mut io = Io {
        stream,
        incoming,
        out: Outgoing::default(),
        max_waiting: limits.socket.max_outbound_bytes,
        waker: None,
        is_ending: false,
        _permit: permit,
    };
    SocketPipe::create(|context| {
        context.set_mailbox_capacity(PIPE_CAPACITY);
        let recipient = context.address().recipient();
        let (handle, meter) = pipe(next_connection(), recipient, limits.socket.max_outbound_bytes);
        let wire = &mut SocketWire { io: &mut io, context };
        let conversation = Conversation::begin(handle, Arc::clone(limits), gateway, wire);
        context.run_interval(Duration::from_millis(limits.socket.ping_ms), |pipe, context| {
            pipe.talk(context, |conversation, meter, wire| conversation.heartbeat(meter, wire));
            pipe.io.wake();
        });
        context.spawn(Drive);
        SocketPipe { io, conversation, meter }
    });
}

struct Io {
    stream: Stream,
    incoming: Incoming,
    out: Outgoing,
    /// A client that lets more answers than this wait is not read from.
    max_waiting: usize,
    waker: Option<Waker>,
    is_ending: bool,
    /// One of the sockets that may be open at once.
    _permit: OwnedSemaphorePermit,
}

impl Io {
    /// Drives the socket once more: a timer may have had its turn after the socket.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Returns whether the client is read from now.
    fn may_read(&self) -> bool {
        self.incoming.may_read() && self.out.held_bytes() <= self.max_waiting
    }

    /// Reads more bytes. An error is the connection's end.
    fn read(&mut self, task: &mut task::Context<'_>) -> Poll<Result<(), Gone>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(task, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.incoming.push(buffer.filled());
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(_) => Poll::Ready(Err(Gone)),
            }
        })
    }
}

/// The connection is no more.
struct Gone;

struct SocketPipe {
    io: Io,
    conversation: Conversation,
    meter: PipeMeter,
}

impl SocketPipe {
    fn talk(
        &mut self,
        context: &mut Context<Self>,
        act: impl FnOnce(&mut Conversation, &PipeMeter, &mut SocketWire<'_>),
    ) {
        act(&mut self.conversation, &self.meter, &mut SocketWire { io: &mut self.io, context });
    }

    /// Reads what is there, writes what waits.
    fn drive(&mut self, context: &mut Context<Self>, task: &mut task::Context<'_>) -> Result<(), Gone> {
        if !self.io.waker.as_ref().is_some_and(|waker| waker.will_wake(task.waker())) {
            self.io.waker = Some(task.waker().clone());
        }
        for _ in 0..READS_A_TURN {
            self.answer(context);
            let may_read = self.io.may_read();
            let read = may_read && self.io.read(task)?.is_ready();
            if read {
                continue;
            }
            self.write(task)?;
            // What could not be read for the answers that waited may be read now.
            if may_read || !self.io.may_read() {
                return Ok(());
            }
        }
        self.write(task)?;
        task.waker().wake_by_ref();
        Ok(())
    }

    fn answer(&mut self, context: &mut Context<Self>) {
        while let Some(message) = self.io.incoming.next_message() {
            self.talk(context, |conversation, _, wire| conversation.received(message, wire));
        }
    }

    fn write(&mut self, task: &mut task::Context<'_>) -> Result<(), Gone> {
        let Io { stream, out, is_ending, .. } = &mut self.io;
        let written = match out.write(Pin::new(&mut *stream), task, |bytes| self.meter.taken(bytes)) {
            Poll::Ready(Ok(())) if *is_ending => stream.poll_farewell(task),
            Poll::Ready(Ok(())) => return Ok(()),
            written => written,
        };
        if written.is_pending() { Ok(()) } else { Err(Gone) }
    }
}

/// Polled in every turn of the actor, after its mailbox.
struct Drive;

impl ActorFuture<SocketPipe> for Drive {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        pipe: &mut SocketPipe,
        context: &mut Context<SocketPipe>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        match pipe.drive(context, task) {
            Ok(()) => Poll::Pending,
            Err(Gone) => {
                context.stop();
                Poll::Ready(())
            }
        }
    }
}

impl Actor for SocketPipe {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.conversation.gone();
    }
}

impl Handler<Outbound> for SocketPipe {
    type Result = ();

    fn handle(&mut self, outbound: Outbound, context: &mut Self::Context) {
        self.talk(context, |conversation, _, wire| conversation.outbound(outbound, wire));
    }
}

struct SocketWire<'a> {
    io: &'a mut Io,
    context: &'a mut Context<SocketPipe>,
}

impl Wire for SocketWire<'_> {
    fn text(&mut self, frame: Frame) {
        self.io.out.metered(frame);
    }

    fn reply(&mut self, frame: Frame) {
        self.io.out.text(frame);
    }

    fn echo(&mut self, message: Whole) {
        match message {
            Whole::Text(text) => self.io.out.message(text.into_bytes(), true),
            Whole::Binary(bytes) => self.io.out.message(bytes, false),
        }
    }

    fn ping(&mut self) {
        // Behind what a client has not read, a ping asks nothing that its reading would not answer.
        if self.io.out.is_empty() {
            self.io.out.control(PING, b"");
        }
    }

    fn pong(&mut self, payload: &[u8]) {
        self.io.out.control(PONG, payload);
    }

    fn close(&mut self, reason: Option<CloseReason>) {
        let mut payload = Vec::new();
        if let Some(CloseReason { code, description }) = reason {
            payload.extend(u16::from(code).to_be_bytes());
            payload.extend(description.unwrap_or_default().into_bytes());
        }
        self.io.out.control(CLOSE, &payload);
    }

    fn end(&mut self) {
        if !self.io.is_ending {
            self.io.is_ending = true;
            self.context.run_later(LAST_WORDS, |_, context| context.stop());
        }
    }

    fn remind(&mut self, after: Duration, of: Reminder) {
        self.context.run_later(after, move |pipe, context| {
            pipe.talk(context, |conversation, _, wire| conversation.due(of, wire));
            pipe.io.wake();
        });
    }
}
