//! `make chaos`: messages are sent all the while, and everything that can die does. A message whose answer did not come
//! is sent again with the same `dedupe_key`. Counted: accepted, shown, lost, shown twice, and how long until 99 % of the
//! clients were back after each fault.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fleet::{Fleet, Habits};
use super::ledger::Ledger;
use super::process;
use super::publish::Publisher;
use super::rows::{PATIENCE, on_one_thread};
use super::subject::Subject;
use super::table::Table;

const CLIENTS: usize = 10_000;
/// Messages a second while faults happen.
const PACE: f64 = 400.0;
const PUBLISHERS: usize = 16;
/// Everyone comes back at once: nobody queues in the generator.
const AT_ONCE: usize = 100_000;
/// How long a publisher keeps trying one message.
const TRY_FOR: Duration = Duration::from_secs(60);

/// Clients, and senders that never give up.
struct Storm {
    subject: Subject,
    ledger: Rc<RefCell<Ledger>>,
    fleet: Fleet,
    readers: Vec<u32>,
    sending: Rc<Cell<bool>>,
    senders: Vec<JoinHandle<usize>>,
    /// Longest time until 99 % were back, seconds.
    back_s: f64,
}

/// All scenarios, each with a server and clients of its own; `clients` may make it smaller.
pub fn run(table: &mut Table, clients: Option<usize>) {
    let n = clients.unwrap_or(CLIENTS);
    println!("  {n} clients, {PACE} messages/s to users in turn, private PostgreSQL, fsync on");
    on_one_thread(async {
        let mut storm = Storm::begin(n).await;
        for _ in 0..4 {
            sleep(Duration::from_secs(4)).await;
            storm.restart(true).await;
            storm.back().await;
        }
        storm.end(table, "SIGKILL of the server, four times").await;
    });
    on_one_thread(async {
        let mut storm = Storm::begin(n).await;
        sleep(Duration::from_secs(2)).await;
        storm.signal_database(libc::SIGSTOP);
        sleep(Duration::from_secs(10)).await;
        storm.signal_database(libc::SIGCONT);
        storm.back().await;
        storm.end(table, "PostgreSQL stands still for 10 s").await;
    });
    on_one_thread(async {
        let mut storm = Storm::begin(n).await;
        for _ in 0..2 {
            sleep(Duration::from_secs(3)).await;
            storm.signal_database(libc::SIGQUIT);
        }
        sleep(Duration::from_secs(3)).await;
        storm.back().await;
        storm.end(table, "PostgreSQL killed twice").await;
    });
    on_one_thread(async {
        let mut storm = Storm::begin(n).await;
        for _ in 0..3 {
            sleep(Duration::from_secs(13)).await;
            storm.fleet.network(false);
            sleep(Duration::from_secs(2)).await;
            storm.fleet.network(true);
            storm.back().await;
        }
        storm.end(table, "every socket cut for 2 s every 15 s, all back at once").await;
    });
    on_one_thread(async {
        let mut storm = Storm::begin(n).await;
        storm.fleet.deafen((0..n).filter(|index| index % 2 == 0));
        sleep(Duration::from_secs(15)).await;
        storm.fleet.hear();
        storm.back().await;
        storm.end(table, "half of the clients do not read for 15 s").await;
    });
}

impl Storm {
    async fn begin(n: usize) -> Self {
        let subject = Subject::tidings();
        let ledger = Rc::new(RefCell::new(Ledger::new(n)));
        let habits = Habits { again: true, acknowledge: true };
        let fleet = Fleet::new(subject.dialect(), subject.address(), Rc::clone(&ledger), habits, AT_ONCE);
        fleet.add(1..=n as u32);
        assert!(fleet.ready(n, PATIENCE * 3).await, "{} of {n} logged in", fleet.n_ready());
        let sending = Rc::new(Cell::new(true));
        let senders = (0..PUBLISHERS)
            .map(|lane| {
                let publisher = Publisher::new(subject.dialect(), subject.publish()).with_keys();
                tokio::task::spawn_local(send(publisher, Rc::clone(&ledger), Rc::clone(&sending), lane, n))
            })
            .collect();
        let readers = (1..=n as u32).collect();
        Self { subject, ledger, fleet, readers, sending, senders, back_s: 0.0 }
    }

    /// Ends the server and starts it again on the same data, while the clients go on.
    async fn restart(&mut self, kill: bool) {
        let mut subject = std::mem::replace(&mut self.subject, Subject::nobody());
        let started = tokio::task::spawn_blocking(move || {
            if kill {
                subject.kill();
            }
            subject.stop();
            subject.start();
            subject
        });
        self.subject = started.await.unwrap();
    }

    fn signal_database(&self, signal: i32) {
        for pid in process::database(self.subject.pid(), signal == libc::SIGQUIT) {
            // SAFETY: kill(2) on processes under the server that this program started.
            unsafe { libc::kill(pid as i32, signal) };
        }
    }

    /// Waits until 99 % are logged in.
    async fn back(&mut self) {
        let began = Instant::now();
        // A cut is noticed in a moment, not at once.
        sleep(Duration::from_millis(100)).await;
        let most = self.readers.len() * 99 / 100;
        while self.fleet.n_ready() < most && began.elapsed() < PATIENCE * 2 {
            sleep(Duration::from_millis(10)).await;
        }
        self.back_s = self.back_s.max(began.elapsed().as_secs_f64());
    }

    async fn end(self, table: &mut Table, fault: &str) {
        self.sending.set(false);
        let mut given_up = 0;
        for sender in self.senders {
            given_up += sender.await.unwrap_or(0);
        }
        let began = Instant::now();
        while self.ledger.borrow().lost(&self.readers) > 0 && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let ledger = self.ledger.borrow();
        let (accepted, lost) = (ledger.n_accepted(&self.readers), ledger.lost(&self.readers));
        println!("  {fault}");
        println!(
            "      accepted {accepted}, shown {}, lost {lost}, shown twice {}, of another user {}, delivered again {}, \
             recovered: false {}, not accepted within a minute {given_up}, 99 % back {:.1} s",
            ledger.shown, ledger.doubled, ledger.wrong, ledger.repeated, ledger.unrecovered, self.back_s
        );
        table.put("tidings", &format!("{fault}: 99 % back"), self.back_s, "s", false, format!("lost {lost}"));
        if lost + ledger.doubled + ledger.wrong > 0 {
            table.fault(format!("{fault}: lost {lost}, doubled {}, wrong {}", ledger.doubled, ledger.wrong));
        }
    }
}

/// Sends at its share of the pace; returns how many messages it gave up on.
async fn send(
    mut publisher: Publisher,
    ledger: Rc<RefCell<Ledger>>,
    sending: Rc<Cell<bool>>,
    lane: usize,
    n_users: usize,
) -> usize {
    let every = Duration::from_secs_f64(PUBLISHERS as f64 / PACE);
    let mut given_up = 0;
    let mut turn = lane;
    let mut told = false;
    while sending.get() {
        let body = ledger.borrow_mut().next((turn * 7_919 % n_users) as u32 + 1);
        turn += PUBLISHERS;
        let began = Instant::now();
        loop {
            match tokio::time::timeout(Duration::from_secs(15), publisher.send(&[body], &ledger)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) if error.to_string().starts_with('4') && !told => {
                    println!("  the server refuses a message: {error}");
                    told = true;
                }
                Ok(Err(_)) => {}
                Err(_) => publisher = publisher.again(),
            }
            if began.elapsed() > TRY_FOR {
                given_up += 1;
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        sleep(every.saturating_sub(began.elapsed())).await;
    }
    given_up
}
