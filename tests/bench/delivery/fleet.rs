//! Clients by the ten thousand on one thread: a task each, no buffer of its own but for half a frame, many loopback
//! source addresses. They log in, check what they read, acknowledge, answer pings, and come back as a browser would.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::dialect::{Dialect, Meaning};
use super::ledger::Ledger;
use super::wire;

/// Connections of one source address; there are some 28,000 ports a pair of addresses.
const PER_ADDRESS: usize = 5_000;
/// The scratch that every read goes through.
const SCRATCH: usize = 64 << 10;
const BACKOFF_BASE_MS: f64 = 500.0;
const BACKOFF_MAX_MS: f64 = 20_000.0;
/// As the browser's client acknowledges.
const ACK_EVERY: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients of a fleet do.
#[derive(Clone, Copy, Default)]
pub struct Habits {
    /// Come back after an end, with full jitter.
    pub again: bool,
    /// Acknowledge (Tidings).
    pub acknowledge: bool,
}

#[derive(Default)]
struct Slot {
    user: u32,
    source: Option<Ipv4Addr>,
    stream: Option<Rc<TcpStream>>,
    /// Where it left off.
    position: Option<(String, i64)>,
    acknowledged: i64,
    dirty: bool,
    ready: bool,
    /// Reads nothing after it has logged in.
    deaf: bool,
    /// Half a frame.
    rest: Vec<u8>,
}

struct Shared {
    dialect: Dialect,
    habits: Habits,
    target: Cell<SocketAddr>,
    slots: RefCell<Vec<Slot>>,
    ledger: Rc<RefCell<Ledger>>,
    scratch: RefCell<Vec<u8>>,
    dirty: RefCell<Vec<usize>>,
    n_ready: Cell<usize>,
    logins: Cell<usize>,
    changed: Notify,
    /// Connecting at the same time.
    connecting: Semaphore,
    /// False = the network is down: every socket is cut and none is made.
    network: watch::Sender<bool>,
    hear: Notify,
    seed: Cell<u64>,
}

/// See the module. Lives on a `LocalSet`.
#[derive(Clone)]
pub struct Fleet(Rc<Shared>);

impl Fleet {
    /// Nobody yet; at most `at_once` connect at a time.
    pub fn new(
        dialect: Dialect,
        target: SocketAddr,
        ledger: Rc<RefCell<Ledger>>,
        habits: Habits,
        at_once: usize,
    ) -> Self {
        let shared = Rc::new(Shared {
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
        });
        if habits.acknowledge && dialect == Dialect::Tidings {
            tokio::task::spawn_local(acknowledge(Rc::clone(&shared)));
        }
        Self(shared)
    }

    /// Adds a client for each user.
    pub fn add(&self, users: impl IntoIterator<Item = u32>) {
        for user in users {
            let mut slots = self.0.slots.borrow_mut();
            let index = slots.len();
            let source = Ipv4Addr::new(127, 0, 0, 2 + (index / PER_ADDRESS % 250) as u8);
            slots.push(Slot { user, source: Some(source), ..Slot::default() });
            drop(slots);
            tokio::task::spawn_local(live(Rc::clone(&self.0), index));
        }
    }

    /// Waits until this many are logged in; false when it takes too long.
    pub async fn ready(&self, at_least: usize, within: Duration) -> bool {
        let wait = async {
            while self.0.n_ready.get() < at_least {
                let _ = timeout(Duration::from_millis(20), self.0.changed.notified()).await;
            }
        };
        timeout(within, wait).await.is_ok()
    }

    pub fn n_ready(&self) -> usize {
        self.0.n_ready.get()
    }

    /// Logins so far, returns included.
    pub fn logins(&self) -> usize {
        self.0.logins.get()
    }

    /// Cuts every socket and keeps them apart, or lets them come back.
    pub fn network(&self, up: bool) {
        self.0.network.send_replace(up);
    }

    /// These stop reading (after their login).
    pub fn deafen(&self, indices: impl Iterator<Item = usize>) {
        let mut slots = self.0.slots.borrow_mut();
        for index in indices {
            slots[index].deaf = true;
        }
    }

    /// Everybody reads again.
    pub fn hear(&self) {
        self.0.slots.borrow_mut().iter_mut().for_each(|slot| slot.deaf = false);
        self.0.hear.notify_waiters();
    }
}

/// One cumulative acknowledgement for all that came within a moment.
async fn acknowledge(shared: Rc<Shared>) {
    loop {
        sleep(ACK_EVERY).await;
        let waiting = std::mem::take(&mut *shared.dirty.borrow_mut());
        let mut slots = shared.slots.borrow_mut();
        for index in waiting {
            let slot = &mut slots[index];
            slot.dirty = false;
            let (Some(stream), Some((_, offset))) = (&slot.stream, &slot.position) else { continue };
            if *offset > slot.acknowledged && slot.ready {
                let mut frame = Vec::with_capacity(48);
                wire::encode(
                    wire::TEXT,
                    format!("{{\"type\":\"ack\",\"offset\":{offset}}}").as_bytes(),
                    &mut frame,
                );
                // A full buffer: the next acknowledgement says it too.
                if stream.try_write(&frame).is_ok() {
                    slot.acknowledged = *offset;
                }
            }
        }
    }
}

/// One client's life.
async fn live(shared: Rc<Shared>, index: usize) {
    let mut network = shared.network.subscribe();
    let mut attempt = 0;
    loop {
        let _ = network.wait_for(|up| *up).await;
        let before = shared.logins.get();
        let end = tokio::select! {
            end = session(&shared, index, &mut attempt) => end,
            _ = network.wait_for(|up| !*up) => {
                if let Some(stream) = &shared.slots.borrow()[index].stream {
                    let _ = socket2::SockRef::from(&**stream).set_linger(Some(Duration::ZERO));
                }
                Ok(None)
            }
        };
        shared.gone(index);
        if !shared.habits.again {
            if let Err(error) = end
                && before == shared.logins.get()
            {
                eprintln!("  a client could not log in: {error}");
            }
            return;
        }
        let jitter =
            shared.random() * (BACKOFF_BASE_MS * f64::from(1 << attempt.min(10))).min(BACKOFF_MAX_MS);
        // A server that knows when it is back says so.
        let wait = end.ok().flatten().map_or(jitter, |hint_ms| hint_ms + jitter);
        attempt += 1;
        sleep(Duration::from_secs_f64(wait / 1e3)).await;
    }
}

/// From connecting to the end of the connection; the hint of a close frame.
async fn session(shared: &Rc<Shared>, index: usize, attempt: &mut u32) -> io::Result<Option<f64>> {
    let permit = shared.connecting.acquire().await.map_err(io::Error::other)?;
    let stream = timeout(PATIENCE, shared.connect(index)).await??;
    let mut permit = Some(permit).filter(|_| !shared.slots.borrow()[index].ready);
    if permit.is_none() {
        *attempt = 0;
    }
    let began = Instant::now();
    // What came in one piece with the upgrade's answer.
    let mut answers = Vec::new();
    if shared.take(index, &[], &mut answers).is_none() && !answers.is_empty() {
        stream.try_write(&answers)?;
    }
    loop {
        let deaf = {
            let slots = shared.slots.borrow();
            slots[index].deaf && slots[index].ready
        };
        if deaf {
            shared.hear.notified().await;
            continue;
        }
        if permit.is_some() {
            timeout(PATIENCE.saturating_sub(began.elapsed()), stream.readable()).await??;
        } else {
            stream.readable().await?;
        }
        let mut answers = Vec::new();
        match shared.read(index, &stream, &mut answers) {
            Ok(Some(hint)) => return Ok(Some(hint)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if !answers.is_empty() {
            // Small, and nothing else is being written but acknowledgements, which are whole frames.
            let _ = stream.try_write(&answers)?;
        }
        if permit.is_some() && shared.slots.borrow()[index].ready {
            permit = None;
            *attempt = 0;
        }
    }
}

impl Shared {
    async fn connect(&self, index: usize) -> io::Result<Rc<TcpStream>> {
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

    fn gone(&self, index: usize) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index];
        slot.stream = None;
        slot.rest = Vec::new();
        if std::mem::take(&mut slot.ready) {
            self.n_ready.set(self.n_ready.get() - 1);
        }
    }

    /// Reads once and acts on every whole frame; `Some` = a close frame with a hint.
    fn read(&self, index: usize, stream: &TcpStream, answers: &mut Vec<u8>) -> io::Result<Option<f64>> {
        let mut scratch = self.scratch.borrow_mut();
        let n = stream.try_read(&mut scratch)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.take(index, &scratch[..n], answers))
    }

    /// Acts on every whole frame of what was kept and what is new.
    fn take(&self, index: usize, new: &[u8], answers: &mut Vec<u8>) -> Option<f64> {
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
                _ => self.frame(index, slot, payload, answers),
            }
            at += taken;
        }
        slot.rest = bytes[at..].to_vec();
        end
    }

    fn frame(&self, index: usize, slot: &mut Slot, payload: &[u8], answers: &mut Vec<u8>) {
        match self.dialect.read(payload, answers) {
            Meaning::Nothing => {}
            Meaning::Ready => {
                if self.dialect == Dialect::Tidings {
                    self.welcomed(slot, payload);
                }
                self.logged_in(slot);
            }
            Meaning::Messages(payload) => {
                let envelope = self.dialect.envelope(payload);
                let mut ledger = self.ledger.borrow_mut();
                if let (Some(epoch), Some(offset)) = (envelope.epoch, envelope.offset) {
                    if let Some((known, last)) = &slot.position
                        && known == epoch
                        && offset > last + 1
                    {
                        ledger.gaps += 1;
                    }
                    match &mut slot.position {
                        Some((known, last)) if known == epoch => *last = offset.max(*last),
                        position => *position = Some((epoch.to_owned(), offset)),
                    }
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
        let lost = wire::find(payload, b"\"recovered\":false").is_some();
        let envelope = self.dialect.envelope(payload);
        if lost {
            self.ledger.borrow_mut().unrecovered += 1;
        }
        if (lost || slot.position.is_none())
            && let (Some(epoch), Some(offset)) = (envelope.epoch, envelope.offset)
        {
            slot.position = Some((epoch.to_owned(), offset));
        }
    }

    /// Uniform in 0…1 (xorshift): the same on every run.
    fn random(&self) -> f64 {
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
