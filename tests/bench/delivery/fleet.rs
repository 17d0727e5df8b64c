//! Clients by the ten thousand on one thread: a task each, no buffer of its own but for half a frame, many loopback
//! source addresses. They log in, check what they read, acknowledge, answer pings, and come back as a browser would.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

pub use super::clients::Habits;
use super::clients::{Shared, Slot};
use super::dialect::Dialect;
use super::ledger::Ledger;
use super::wire;

/// Connections of one source address; there are some 28,000 ports a pair of addresses.
const PER_ADDRESS: usize = 5_000;
const BACKOFF_BASE_MS: f64 = 500.0;
const BACKOFF_MAX_MS: f64 = 20_000.0;
/// As the browser's client acknowledges.
const ACK_EVERY: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients on one thread, each a task. Lives on a `LocalSet`.
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
        let shared = Rc::new(Shared::new(dialect, target, ledger, habits, at_once));
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
