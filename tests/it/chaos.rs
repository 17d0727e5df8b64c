//! `make chaos` in small: two hundred clients of the load generator, messages all the while, and things die. What was
//! accepted is shown, once.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, LocalSet};
use tokio::time::sleep;

use crate::helpers::server::{Server, data_dir};

use dialect::Dialect;
use fleet::{Fleet, Habits};
use ledger::Ledger;
use publish::Publisher;

#[path = "../bench/delivery/clients.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod clients;
#[path = "../bench/delivery/dialect.rs"]
#[allow(dead_code, reason = "shared with the benchmark, which speaks to more servers")]
mod dialect;
#[path = "../bench/delivery/fleet.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod fleet;
#[path = "../bench/delivery/ledger.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod ledger;
#[path = "../bench/delivery/process.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod process;
#[path = "../bench/delivery/publish.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod publish;
#[path = "../bench/delivery/wire.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod wire;

const CLIENTS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(120);

/// Clients of a server with a private, durable PostgreSQL, and one who sends to them in turn.
struct Storm {
    server: Server,
    listen: SocketAddr,
    data_dir: PathBuf,
    _directory: tempfile::TempDir,
    ledger: Rc<RefCell<Ledger>>,
    fleet: Fleet,
    sending: Rc<Cell<bool>>,
    sender: JoinHandle<()>,
}

fn start(listen: SocketAddr, data_dir: &PathBuf) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["serve", "--listen", &listen.to_string(), "--data-dir"]).arg(data_dir);
    for setting in ["policy.caps=[]", "policy.repeat_window_min=0", "training.interval_s=0"] {
        command.args(["--set", setting]);
    }
    Server::spawn(command.env_remove("DATABASE_URL"))
}

impl Storm {
    async fn begin() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let (directory, data_dir) = data_dir();
        let server = start(listen, &data_dir);
        let ledger = Rc::new(RefCell::new(Ledger::new(CLIENTS)));
        let habits = Habits { again: true, acknowledge: true };
        let fleet = Fleet::new(Dialect::Tidings, listen, Rc::clone(&ledger), habits, CLIENTS);
        fleet.add(1..=CLIENTS as u32);
        assert!(fleet.ready(CLIENTS, PATIENCE).await, "{} logged in", fleet.n_ready());
        let sending = Rc::new(Cell::new(true));
        let sender = tokio::task::spawn_local(send(listen, Rc::clone(&ledger), Rc::clone(&sending)));
        Self { server, listen, data_dir, _directory: directory, ledger, fleet, sending, sender }
    }

    /// Messages go on until this many more were accepted.
    async fn go_on(&self, n: usize) {
        let enough = self.accepted() + n;
        let began = Instant::now();
        while self.accepted() < enough {
            assert!(began.elapsed() < PATIENCE, "nothing is accepted any more");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn accepted(&self) -> usize {
        self.ledger.borrow().n_accepted(&[])
    }

    async fn all_back(&self) {
        assert!(self.fleet.ready(CLIENTS, PATIENCE).await, "{} came back", self.fleet.n_ready());
    }

    async fn end(mut self) {
        self.sending.set(false);
        (&mut self.sender).await.unwrap();
        self.all_back().await;
        let began = Instant::now();
        while self.ledger.borrow().lost(&[]) > 0 && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20)).await;
        }
        let ledger = self.ledger.borrow();
        assert_eq!(ledger.lost(&[]), 0, "lost of {}", ledger.n_accepted(&[]));
        assert_eq!((ledger.doubled, ledger.wrong), (0, 0), "shown twice, shown to another");
    }
}

/// One message at a time, each until it is accepted.
async fn send(listen: SocketAddr, ledger: Rc<RefCell<Ledger>>, sending: Rc<Cell<bool>>) {
    let mut publisher = Publisher::new(Dialect::Tidings, listen).with_keys();
    for turn in 0_u32.. {
        if !sending.get() {
            return;
        }
        let body = ledger.borrow_mut().next(turn * 7 % CLIENTS as u32 + 1);
        loop {
            match tokio::time::timeout(Duration::from_secs(10), publisher.send(&[body], &ledger)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => assert!(!error.to_string().starts_with('4'), "{error}"),
                Err(_) => publisher = publisher.again(),
            }
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn on_one_thread(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, work);
}

#[test]
fn killing_the_server_loses_no_message_and_shows_none_twice() {
    on_one_thread(async {
        let mut storm = Storm::begin().await;
        for _ in 0..2 {
            storm.go_on(100).await;
            storm.server.kill();
            let (listen, data_dir) = (storm.listen, storm.data_dir.clone());
            storm.server = tokio::task::spawn_blocking(move || start(listen, &data_dir)).await.unwrap();
            storm.all_back().await;
        }
        storm.go_on(50).await;
        storm.end().await;
    });
}

#[test]
fn a_database_that_stands_still_or_dies_loses_no_message_and_shows_none_twice() {
    on_one_thread(async {
        let storm = Storm::begin().await;
        storm.go_on(50).await;
        let signal = |signal, postmaster_only| {
            for pid in process::database(storm.server.child.id(), postmaster_only) {
                // SAFETY: kill(2) on processes under the server that this test started.
                unsafe { libc::kill(pid as i32, signal) };
            }
        };
        signal(libc::SIGSTOP, false);
        sleep(Duration::from_secs(2)).await;
        signal(libc::SIGCONT, false);
        storm.go_on(50).await;
        signal(libc::SIGQUIT, true);
        storm.go_on(50).await;
        storm.end().await;
    });
}

#[test]
fn cutting_every_socket_loses_no_message_and_shows_none_twice() {
    on_one_thread(async {
        let storm = Storm::begin().await;
        for _ in 0..3 {
            storm.go_on(80).await;
            storm.fleet.network(false);
            storm.go_on(80).await;
            storm.fleet.network(true);
            storm.all_back().await;
        }
        storm.end().await;
    });
}

#[test]
fn clients_that_do_not_read_for_a_while_get_everything_later() {
    on_one_thread(async {
        let storm = Storm::begin().await;
        storm.fleet.deafen((0..CLIENTS).filter(|index| index % 2 == 0));
        storm.go_on(300).await;
        storm.fleet.hear();
        storm.go_on(50).await;
        storm.end().await;
    });
}
