//! The rows of the table. Every row of a server runs over the same clients; what they received is checked after each.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until};

use super::fleet::{Fleet, Habits};
use super::ledger::Ledger;
use super::peers;
use super::publish::Publisher;
use super::report::percentile;
use super::subject::Subject;
use super::table::Table;

const IDLE: usize = 50_000;
const CLIENTS: usize = 10_000;
/// Connecting at the same time.
const AT_ONCE: usize = 256;
/// Messages to everyone beside the first, by as many publishers as there are below.
const BROADCASTS: usize = 80;
const KEPT_BROADCASTS: usize = 16;
/// Distinct messages, so many a request, so many requests at a time.
const DISTINCT: usize = 60_000;
const PER_REQUEST: usize = 500;
const PUBLISHERS: usize = 16;
/// Messages a second, and for how long.
const PACE: usize = 2_000;
const PACE_S: usize = 15;
const PACE_PUBLISHERS: usize = 64;
/// Longer than anything here takes; a message not there by then is lost.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Files that are no clients: libraries, database connections, listening sockets.
const SPARE_FILES: usize = 600;
/// Events that each user of the memory row has behind them.
const EVENTS_A_USER: usize = 20;

/// Everything of one server's fleet.
pub struct Run {
    pub subject: Subject,
    pub ledger: Rc<RefCell<Ledger>>,
    pub fleet: Fleet,
    pub readers: Vec<u32>,
}

/// A runtime of one thread: the server has the other core.
pub fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, work)
}

/// Ours: all rows.
pub fn tidings(table: &mut Table, files: usize) {
    let subject = Subject::tidings();
    println!("  tidings: {}", peers::shortfall(subject.name()));
    on_one_thread(async {
        seed(&subject, idle_users(files)).await;
        memory(table, &subject, files).await;
    });
    drop(subject);
    on_one_thread(async {
        let mut run = connects(table, Subject::tidings()).await;
        broadcast(table, &run, Keeping::Nothing).await;
        broadcast(table, &run, Keeping::Each).await;
        distinct(table, &run).await;
        pace(table, &run).await;
        restart(table, &mut run).await;
    });
}

/// A peer: the rows it can do.
pub fn peer(table: &mut Table, subject: Subject, files: usize) {
    let name = subject.name();
    println!("  {name}: {}", peers::shortfall(name));
    let keeps = subject.keeps();
    on_one_thread(memory(table, &subject, files));
    on_one_thread(async {
        let mut run = connects(table, subject).await;
        broadcast(table, &run, Keeping::Nothing).await;
        if keeps {
            broadcast(table, &run, Keeping::Each).await;
        }
        distinct(table, &run).await;
        pace(table, &run).await;
        if keeps {
            restart(table, &mut run).await;
        }
    });
    if !keeps {
        table.cannot(name, "one message kept for 10,000 users", "nothing is kept for a user");
        table.cannot(name, "clients after a restart: 99 % back and caught up", "nothing survives a restart");
    }
}

fn idle_users(files: usize) -> usize {
    IDLE.min(files.saturating_sub(SPARE_FILES))
}

/// Gives every user a past, so that there is a profile to keep.
async fn seed(subject: &Subject, n_users: usize) {
    let mut http = Publisher::new(subject.dialect(), subject.publish());
    for from in (0..n_users * EVENTS_A_USER).step_by(10_000) {
        let events: Vec<serde_json::Value> = (from..(from + 10_000).min(n_users * EVENTS_A_USER))
            .map(|n| {
                serde_json::json!({"kind": "view", "user_id": n / EVENTS_A_USER + 1, "item_id": 101 + n * 7 % 200,
                    "occurred_at": 1_790_000_000 + n % 86_400})
            })
            .collect();
        let text = serde_json::Value::from(events).to_string();
        let (status, answer) = http.request("/v1/events", "application/json", text.as_bytes()).await.unwrap();
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
    }
}

async fn memory(table: &mut Table, subject: &Subject, files: usize) {
    let users = idle_users(files);
    let ledger = Rc::new(RefCell::new(Ledger::new(users + 50)));
    let fleet = Fleet::new(subject.dialect(), subject.address(), ledger, Habits::default(), AT_ONCE);
    // The first few make lazily allocated parts exist, so that they are not counted.
    fleet.add(1..=50);
    assert!(fleet.ready(50, PATIENCE).await, "fifty clients can't log in");
    let before = subject.resident_bytes();
    fleet.add(51..=users as u32);
    let all = fleet.ready(users, PATIENCE * 3).await;
    sleep(Duration::from_secs(3)).await;
    let per_user = (subject.resident_bytes() - before) / (fleet.n_ready() - 50) as f64 / 1024.0;
    let asked =
        if users < IDLE { format!("of {IDLE}: this machine's file limit is lower") } else { String::new() };
    let asked = if all { asked } else { format!("{asked} (not all could log in)") };
    let note = format!("{} users {asked}", fleet.n_ready());
    table.put(subject.name(), "memory per idle logged-in user", per_user, "KB", false, note);
}

async fn connects(table: &mut Table, subject: Subject) -> Run {
    let ledger = Rc::new(RefCell::new(Ledger::new(CLIENTS)));
    let habits = Habits { again: true, acknowledge: true };
    let fleet = Fleet::new(subject.dialect(), subject.address(), Rc::clone(&ledger), habits, AT_ONCE);
    let readers: Vec<u32> = (1..=CLIENTS as u32).collect();
    let cpu = subject.cpu_seconds();
    let began = Instant::now();
    fleet.add(readers.iter().copied());
    assert!(fleet.ready(CLIENTS, PATIENCE * 2).await, "{} of {CLIENTS} logged in", fleet.n_ready());
    let seconds = began.elapsed().as_secs_f64();
    let note = cost(&subject, cpu, CLIENTS);
    table.put(
        subject.name(),
        "connects, login and welcome included",
        CLIENTS as f64 / seconds,
        "/s",
        true,
        note,
    );
    Run { subject, ledger, fleet, readers }
}

/// Server CPU a message, PostgreSQL's beside it.
fn cost(subject: &Subject, before: (f64, f64), messages: usize) -> String {
    let after = subject.cpu_seconds();
    let each = |seconds: f64| seconds / messages.max(1) as f64 * 1e6;
    let (server, database) = (each(after.0 - before.0), each(after.1 - before.1));
    if database > 0.0 {
        format!("server CPU {server:.1} µs each, PostgreSQL {database:.1} µs")
    } else {
        format!("server CPU {server:.1} µs each")
    }
}

impl Run {
    /// Waits until everything accepted was shown, then says what was not right.
    pub async fn settle(&self, table: &mut Table, row: &str) {
        let began = Instant::now();
        while self.ledger.borrow().lost(&self.readers) > 0 && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(5)).await;
        }
        // What comes late may come twice.
        sleep(Duration::from_millis(300)).await;
        let ledger = self.ledger.borrow();
        let name = self.subject.name();
        for (what, count) in [
            ("lost", ledger.lost(&self.readers)),
            ("shown twice", ledger.doubled),
            ("of another user or damaged", ledger.wrong),
            ("gaps in the numbering", ledger.gaps),
        ] {
            if count == 0 {
                continue;
            }
            // What a peer promises is its own affair; ours is an error.
            match name {
                "tidings" => table.fault(format!("{name}: {row}: {count} {what}")),
                _ => println!("  {name}: {row}: {count} {what}"),
            }
        }
    }
}

/// What is kept of a message to everyone.
#[derive(Clone, Copy, PartialEq)]
enum Keeping {
    /// Nothing: whoever is not there misses it.
    Nothing,
    /// A row in each user's stream and inbox.
    Each,
}

async fn broadcast(table: &mut Table, run: &Run, keeping: Keeping) {
    let (row, n) = match keeping {
        Keeping::Nothing => ("one message to 10,000 sockets", BROADCASTS),
        Keeping::Each => ("one message kept for 10,000 users", KEPT_BROADCASTS),
    };
    run.ledger.borrow_mut().reset();
    // One alone: until the last of them has it. Then the others, from several publishers.
    let began = Instant::now();
    if let Err(error) = announce(run, keeping, 1).await {
        return table.cannot(run.subject.name(), row, &error.to_string());
    }
    all_shown(run, CLIENTS).await;
    let alone = run.ledger.borrow().last_at - began;
    let cpu = run.subject.cpu_seconds();
    let began = Instant::now();
    let each = (0..PUBLISHERS).map(|_| announce(run, keeping, n / PUBLISHERS));
    if let Err(error) = futures_util::future::try_join_all(each).await {
        return table.cannot(run.subject.name(), row, &error.to_string());
    }
    all_shown(run, (n + 1) * CLIENTS).await;
    let cost = cost(&run.subject, cpu, n * CLIENTS);
    let note = format!("one alone has reached the last after {:.0} ms, {cost}", alone.as_secs_f64() * 1e3);
    let seconds = (run.ledger.borrow().last_at - began).as_secs_f64();
    let shown = run.ledger.borrow().shown.saturating_sub(CLIENTS);
    run.settle(table, row).await;
    table.put(run.subject.name(), row, shown as f64 / seconds, "/s", true, note);
}

/// Sends messages to everyone, one after the other.
async fn announce(run: &Run, keeping: Keeping, n: usize) -> std::io::Result<()> {
    let mut publisher = Publisher::new(run.subject.dialect(), run.subject.publish()).kept_for(CLIENTS as u32);
    if keeping == Keeping::Nothing {
        publisher = publisher.ephemeral();
    }
    for _ in 0..n {
        let body = run.ledger.borrow_mut().next(0);
        publisher.send(&[body], &run.ledger).await?;
    }
    Ok(())
}

async fn all_shown(run: &Run, n: usize) {
    while run.ledger.borrow().shown < n && run.ledger.borrow().last_at.elapsed() < PATIENCE {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn distinct(table: &mut Table, run: &Run) {
    const ROW: &str = "distinct messages to distinct users";
    run.ledger.borrow_mut().reset();
    let cpu = run.subject.cpu_seconds();
    let began = Instant::now();
    let next = Rc::new(RefCell::new(0));
    let failed = Rc::new(RefCell::new(None));
    let mut tasks = Vec::new();
    for _ in 0..PUBLISHERS {
        let mut publisher = Publisher::new(run.subject.dialect(), run.subject.publish());
        let (next, failed, ledger) = (Rc::clone(&next), Rc::clone(&failed), Rc::clone(&run.ledger));
        tasks.push(tokio::task::spawn_local(async move {
            loop {
                let from = *next.borrow();
                if from >= DISTINCT || failed.borrow().is_some() {
                    return;
                }
                *next.borrow_mut() += PER_REQUEST;
                let bodies: Vec<_> = (from..from + PER_REQUEST)
                    .map(|n| ledger.borrow_mut().next((n % CLIENTS) as u32 + 1))
                    .collect();
                if let Err(error) = publisher.send(&bodies, &ledger).await {
                    *failed.borrow_mut() = Some(error.to_string());
                }
            }
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
    if let Some(error) = failed.borrow().as_deref() {
        return table.cannot(run.subject.name(), ROW, error);
    }
    let accepted = began.elapsed().as_secs_f64();
    run.settle(table, ROW).await;
    let note =
        format!("{}, accepted at {:.0} /s", cost(&run.subject, cpu, DISTINCT), DISTINCT as f64 / accepted);
    let ledger = run.ledger.borrow();
    let seconds = (ledger.last_at - began).as_secs_f64();
    table.put(run.subject.name(), ROW, ledger.shown as f64 / seconds, "/s", true, note);
}

async fn pace(table: &mut Table, run: &Run) {
    const ROW: &str = "sent → received at 2,000 /s over 10,000 sockets, p99";
    run.ledger.borrow_mut().reset();
    let cpu = run.subject.cpu_seconds();
    let mut lanes = Vec::new();
    let failed = Rc::new(RefCell::new(None));
    for _ in 0..PACE_PUBLISHERS {
        let (lane, mut bodies) = tokio::sync::mpsc::unbounded_channel();
        let mut publisher = Publisher::new(run.subject.dialect(), run.subject.publish());
        let (ledger, failed) = (Rc::clone(&run.ledger), Rc::clone(&failed));
        let task = tokio::task::spawn_local(async move {
            while let Some(body) = bodies.recv().await {
                if let Err(error) = publisher.send(&[body], &ledger).await {
                    *failed.borrow_mut() = Some(error.to_string());
                    return;
                }
            }
        });
        lanes.push((lane, task));
    }
    let began = tokio::time::Instant::now();
    // Dated when due, not when a connection is free: what waits counts.
    for n in 0..PACE * PACE_S {
        sleep_until(began + Duration::from_secs_f64(n as f64 / PACE as f64)).await;
        let body = run.ledger.borrow_mut().next((n * 37 % CLIENTS) as u32 + 1);
        if lanes[n % PACE_PUBLISHERS].0.send(body).is_err() {
            break;
        }
    }
    for (lane, task) in lanes {
        drop(lane);
        let _ = task.await;
    }
    if let Some(error) = failed.borrow().as_deref() {
        return table.cannot(run.subject.name(), ROW, error);
    }
    run.settle(table, ROW).await;
    let note = cost(&run.subject, cpu, PACE * PACE_S);
    let latencies = std::mem::take(&mut run.ledger.borrow_mut().latencies);
    let p50 = percentile(&latencies, 0.5);
    let p99 = percentile(&latencies, 0.99);
    let worst = latencies.into_iter().fold(f64::NAN, f64::max);
    let note = format!("p50 {p50:.2} ms, worst {worst:.0} ms, {note}");
    table.put(run.subject.name(), ROW, p99, "ms", false, note);
}

async fn restart(table: &mut Table, run: &mut Run) {
    const ROW: &str = "clients after a restart: 99 % back and caught up";
    run.ledger.borrow_mut().reset();
    let logins = run.fleet.logins();
    let began = Instant::now();
    // The generator's clients must notice and come back while this thread waits for the server.
    let mut subject = std::mem::replace(&mut run.subject, Subject::nobody());
    subject = tokio::task::spawn_blocking(move || {
        subject.stop();
        subject
    })
    .await
    .unwrap();
    let stopped = began.elapsed().as_secs_f64();
    subject = tokio::task::spawn_blocking(move || {
        subject.start();
        subject
    })
    .await
    .unwrap();
    let up = Instant::now();
    run.subject = subject;
    let ready_after = began.elapsed().as_secs_f64();
    // One message for everybody while they come back.
    let mut publisher = Publisher::new(run.subject.dialect(), run.subject.publish());
    let mut caught_up = true;
    for from in (0..CLIENTS).step_by(PER_REQUEST) {
        let bodies: Vec<_> =
            (from..from + PER_REQUEST).map(|n| run.ledger.borrow_mut().next(n as u32 + 1)).collect();
        caught_up &= publisher.send(&bodies, &run.ledger).await.is_ok();
    }
    let most = CLIENTS * 99 / 100;
    let mut back_s = None;
    loop {
        let back = run.fleet.n_ready() >= most && run.fleet.logins() >= logins + most;
        if back {
            back_s.get_or_insert_with(|| up.elapsed().as_secs_f64());
        }
        if (back && (!caught_up || run.ledger.borrow().shown >= most)) || up.elapsed() > PATIENCE {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    let seconds = up.elapsed().as_secs_f64();
    run.settle(table, ROW).await;
    let note = format!(
        "after the server listens; back after {:.1} s; drained {stopped:.1} s, up again {:.1} s later; recovered: false {}{}",
        back_s.unwrap_or(f64::NAN),
        ready_after - stopped,
        run.ledger.borrow().unrecovered,
        if caught_up { "" } else { "; no messages sent" }
    );
    table.put(run.subject.name(), ROW, seconds, "s", false, note);
}
