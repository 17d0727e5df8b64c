//! The clients of a fleet, without their tasks: each connects, reads frames whole, and knows its place in the stream.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};

use super::dialect::{Dialect, Meaning};
use super::ledger::Ledger;
use super::wire;

/// The scratch that every read goes through.
const SCRATCH: usize = 64 << 10;

/// What the clients of a fleet do.
#[derive(Clone, Copy, Default)]
pub struct Habits {
    /// Come back after an end, with full jitter.
    pub again: bool,
    /// Acknowledge (Tidings).
    pub acknowledge: bool,
}

#[derive(Default)]
pub struct Slot {
    pub user: u32,
    pub source: Option<Ipv4Addr>,
    pub stream: Option<Rc<TcpStream>>,
    /// Where it left off.
    pub position: Option<(String, i64)>,
    pub acknowledged: i64,
    pub dirty: bool,
    pub ready: bool,
    /// Reads nothing after it has logged in.
    pub deaf: bool,
    /// Half a frame.
    pub rest: Vec<u8>,
}

impl Slot {
    /// Notes the place of a message, in the epoch known so far unless another is said: is one before it missing?
    fn is_gap(&mut self, epoch: Option<&str>, offset: i64) -> bool {
        match &mut self.position {
            Some((known, last)) if epoch.is_none_or(|epoch| known == epoch) => {
                let is_gap = offset > *last + 1;
                *last = offset.max(*last);
                is_gap
            }
            position => {
                *position = epoch.map(|epoch| (epoch.to_owned(), offset));
                false
            }
        }
    }
}

pub struct Shared {
    pub dialect: Dialect,
    pub habits: Habits,
    pub target: Cell<SocketAddr>,
    pub slots: RefCell<Vec<Slot>>,
    pub ledger: Rc<RefCell<Ledger>>,
    pub scratch: RefCell<Vec<u8>>,
    pub dirty: RefCell<Vec<usize>>,
    pub n_ready: Cell<usize>,
    pub logins: Cell<usize>,
    pub changed: Notify,
    /// Connecting at the same time.
    pub connecting: Semaphore,
    /// False = the network is down: every socket is cut and none is made.
    pub network: watch::Sender<bool>,
    pub hear: Notify,
    pub seed: Cell<u64>,
}

impl Shared {
    /// No client yet; at most `at_once` connect at a time.
    pub fn new(
        dialect: Dialect,
        target: SocketAddr,
        ledger: Rc<RefCell<Ledger>>,
        habits: Habits,
        at_once: usize,
    ) -> Self {
        Self {
            dialect,
            habits,
            target: Cell::new(target),
            slots: RefCell::default(),
            ledger,
            scratch: RefCell::new(vec![0; SCRATCH]),
            dirty: RefCell::default(),
            n_ready: Cell::new(0),
            logins: Cell::new(0),
            changed: Notify::new(),
            connecting: Semaphore::new(at_once),
            network: watch::channel(true).0,
            hear: Notify::new(),
            seed: Cell::new(0x9e37_79b9_7f4a_7c15),
        }
    }

    pub async fn connect(&self, index: usize) -> io::Result<Rc<TcpStream>> {
        let (user, source, position) = {
            let slots = self.slots.borrow();
            let slot = &slots[index];
            (slot.user, slot.source.unwrap_or(Ipv4Addr::LOCALHOST), slot.position.clone())
        };
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_nodelay(true)?;
        choose_port_when_connecting(&socket)?;
        socket.bind((source, 0).into())?;
        let mut stream = socket.connect(self.target.get()).await?;
        let upgrade = wire::upgrade(&self.dialect.path(user), &self.target.get().to_string());
        stream.write_all(upgrade.as_bytes()).await?;
        let mut head = Vec::new();
        let after = loop {
            stream.readable().await?;
            let mut scratch = self.scratch.borrow_mut();
            match stream.try_read(&mut scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => head.extend_from_slice(&scratch[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if let Some(end) = wire::find(&head, b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            let line = String::from_utf8_lossy(&head[..head.len().min(60)]).into_owned();
            return Err(io::Error::other(format!("the upgrade was refused: {line}")));
        }
        let mut hello = Vec::new();
        self.dialect.hello(
            user,
            position.as_ref().map(|(epoch, offset)| (epoch.as_str(), *offset)),
            &mut hello,
        );
        stream.write_all(&hello).await?;
        let stream = Rc::new(stream);
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index];
        slot.stream = Some(Rc::clone(&stream));
        slot.rest = head.split_off(after);
        slot.acknowledged = -1;
        if self.dialect.ready_at_once() {
            self.logged_in(slot);
        }
        Ok(stream)
    }

    fn logged_in(&self, slot: &mut Slot) {
        if !slot.ready {
            slot.ready = true;
            self.n_ready.set(self.n_ready.get() + 1);
            self.logins.set(self.logins.get() + 1);
            self.changed.notify_waiters();
        }
    }

    pub fn gone(&self, index: usize) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index];
        slot.stream = None;
        slot.rest = Vec::new();
        if std::mem::take(&mut slot.ready) {
            self.n_ready.set(self.n_ready.get() - 1);
        }
    }

    /// Reads once and acts on every whole frame; `Some` = a close frame with a hint.
    pub fn read(&self, index: usize, stream: &TcpStream, answers: &mut Vec<u8>) -> io::Result<Option<f64>> {
        let mut scratch = self.scratch.borrow_mut();
        let n = stream.try_read(&mut scratch)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.take(index, &scratch[..n], answers))
    }

    /// Acts on every whole frame of what was kept and what is new.
    pub fn take(&self, index: usize, new: &[u8], answers: &mut Vec<u8>) -> Option<f64> {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index];
        let mut rest = std::mem::take(&mut slot.rest);
        let bytes: &[u8] = if rest.is_empty() {
            new
        } else {
            rest.extend_from_slice(new);
            &rest
        };
        let mut at = 0;
        let mut end = None;
        while let Some((opcode, payload, taken)) = wire::decode(&bytes[at..]) {
            match opcode {
                wire::PING => wire::encode(wire::PONG, payload, answers),
                wire::CLOSE => end = Some(hint(payload)),
                wire::PONG => {}
                _ => self.dialect.parts(payload).for_each(|part| self.message(index, slot, part, answers)),
            }
            at += taken;
        }
        slot.rest = bytes[at..].to_vec();
        end
    }

    fn message(&self, index: usize, slot: &mut Slot, payload: &[u8], answers: &mut Vec<u8>) {
        match self.dialect.read(payload, answers) {
            Meaning::Nothing => {}
            Meaning::Ready => {
                self.welcomed(slot, payload);
                self.logged_in(slot);
            }
            Meaning::Messages(payload) => {
                let envelope = self.dialect.envelope(payload);
                let mut ledger = self.ledger.borrow_mut();
                if let Some(offset) = envelope.offset {
                    ledger.gaps += usize::from(slot.is_gap(envelope.epoch, offset));
                    if self.habits.acknowledge && !slot.dirty {
                        slot.dirty = true;
                        self.dirty.borrow_mut().push(index);
                    }
                }
                self.dialect.bodies(payload, |body| ledger.received(slot.user, body, envelope.id));
            }
        }
    }

    /// A stream that can't be resumed goes on from where it is now; one not known yet begins there.
    fn welcomed(&self, slot: &mut Slot, payload: &[u8]) {
        let lost = self.dialect.is_unrecovered(payload, slot.position.is_some());
        let envelope = self.dialect.envelope(payload);
        if lost {
            self.ledger.borrow_mut().unrecovered += 1;
        }
        let brings_missed = self.dialect == Dialect::Centrifugo;
        if (lost || slot.position.is_none() || brings_missed)
            && let (Some(epoch), Some(offset)) = (envelope.epoch, envelope.offset)
        {
            slot.position = Some((epoch.to_owned(), offset));
        }
        // Centrifugo's answer brings what was missed; ours has no message in it.
        let mut ledger = self.ledger.borrow_mut();
        self.dialect.bodies(payload, |body| ledger.received(slot.user, body, None));
    }

    /// Uniform in 0…1 (xorshift): the same on every run.
    pub fn random(&self) -> f64 {
        let mut seed = self.seed.get();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        self.seed.set(seed);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Lets the kernel choose a port by both ends of the connection: by this end alone it searches all those that fleets of
/// before have left waiting, which took longer than connecting.
fn choose_port_when_connecting(socket: &TcpSocket) -> io::Result<()> {
    let (on, size) = (1_i32, std::mem::size_of::<i32>() as libc::socklen_t);
    // SAFETY: the option is an int, and the socket is open.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            size,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `retry_ms=` in a close frame's reason, 0 without.
fn hint(payload: &[u8]) -> f64 {
    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
    reason.split([' ', ';', ',']).find_map(|word| word.strip_prefix("retry_ms=")?.parse().ok()).unwrap_or(0.0)
}
