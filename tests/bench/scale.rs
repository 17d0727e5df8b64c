//! A generated shop in three sizes: how long training takes and how much memory, from PostgreSQL, and what it does to
//! the latency of serving. Minutes: runs only when named. `BENCH_SCALE=0.1,1,10` chooses sizes (millions of events), `1x41000` one
//! with so many items.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use diesel::ExecuteCopyFromDsl;
use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rand::{Rng, RngExt};
use tidings::base::random;
use tidings::schema::events;
use tidings::store::cluster::{Cluster, ClusterOptions};
use tidings::store::{Connection, Store};

use crate::http::Http;
use crate::load;
use crate::report::{Aim, Report, percentile};
use crate::server::{Server, data_dir, tidings};

/// 2026-01-01, and half a year of history.
const START: i64 = 1_767_225_600;
const DAYS: i64 = 180;
const TASTES: u32 = 200;
/// Sessions of one COPY.
const SESSIONS_AT_ONCE: usize = 100_000;
/// Processor time and memory of a training of 1,000,000 events of 41,000 items.
const WIDE: &str = "1x41000";
const WIDE_CPU_SECONDS: f64 = 70.0;
const WIDE_MIB: f64 = 491.0;
/// What the largest size may take.
const MOST_SECONDS: f64 = 600.0;
const MOST_MIB: f64 = 8_192.0;
/// Memory of a training of this shop, as `src/ARCHITECTURE.md` states it: MiB, and MiB a million events.
const MIB: f64 = 80.0;
const MIB_A_MILLION: f64 = 205.0;
/// Clients of the latency measurement; the views a second of all of them together; its length in seconds.
const CLIENTS: i64 = 200;
const VIEWS_PER_S: i64 = 100;
const SECONDS: i64 = 15;

pub fn run(report: &mut Report) {
    let sizes = std::env::var("BENCH_SCALE").unwrap_or_else(|_| format!("0.1,1,{WIDE},10"));
    report.setting("millions of events", sizes.clone());
    report.setting(
        "shop",
        "a user for 10 events, an item for 100; half a year; a tenth more by one robot nobody flagged",
    );
    for size in sizes.split(',') {
        let (millions, items) = size.trim().split_once('x').unwrap_or((size.trim(), ""));
        let n_events = (millions.parse::<f64>().unwrap() * 1e6) as usize;
        let n_items = items.parse().unwrap_or((n_events / 100).max(200) as u32);
        let directory = data_dir();
        let started = Instant::now();
        let cluster = Cluster::start(directory.path(), &ClusterOptions::default()).unwrap();
        let store = Store::connect(&cluster.url(), 2).unwrap();
        store.migrate().unwrap();
        let rows = store.run_blocking(|connection| Ok(fill(connection, n_events, n_items))).unwrap();
        report.row(&format!("{size} M: rows"), rows as f64, "", Aim::None);
        report.row(&format!("{size} M: filled by COPY"), started.elapsed().as_secs_f64(), "s", Aim::None);
        train(report, size, directory.path());
        drop(store);
        drop(cluster);
        if (500_000..5_000_000).contains(&n_events) && items.is_empty() {
            latency(report, size, directory.path(), n_events as i64);
        }
    }
}

/// A session of somebody: looks at things of their taste or at what is popular, and buys some that go together.
struct Shop<R> {
    rng: R,
    n_users: u32,
    n_items: u32,
    key: u64,
}

impl<R: Rng> Shop<R> {
    fn skewed(&mut self, n: u32, power: i32) -> u32 {
        ((f64::from(n) * self.rng.random::<f64>().powi(power)) as u32).min(n - 1)
    }

    fn item(&mut self, taste: u32) -> u32 {
        let size = (self.n_items / TASTES).max(1);
        if self.rng.random::<f64>() < 0.7 {
            (taste * size + self.skewed(size, 3)) % self.n_items
        } else {
            // A rank far from its neighbours': what is popular is spread over the tastes.
            let rank = u64::from(self.skewed(self.n_items, 4));
            (rank * 7_919 % u64::from(self.n_items)) as u32
        }
    }

    fn row(&mut self, out: &mut String, user: u32, item: u32, kind: u8, second: i64, basket: u64) {
        use std::fmt::Write;
        self.key += 1;
        let dwell = if kind == 1 { "4000" } else { "\\N" };
        let value = if kind == 5 { "9.5" } else { "\\N" };
        writeln!(
            out,
            "00000000-0000-4000-8000-{:012x}\t{}\t{user}\t{item}\t{kind}\t{dwell}\t1\t{value}\t{basket}",
            self.key,
            tidings::base::Timestamp::from_seconds(second),
        )
        .unwrap();
    }

    fn session(&mut self, out: &mut String, user: u32, basket: u64) -> usize {
        let taste = user.wrapping_mul(2_654_435_761) % TASTES;
        let start = START + (self.rng.random::<f64>() * (DAYS * 86_400 - 3_600) as f64) as i64;
        let views = 1 + self.skewed(12, 2);
        for step in 0..views {
            let item = self.item(taste);
            self.row(out, user, item, 1, start + i64::from(step) * 40, basket);
        }
        let size = (self.n_items / TASTES).max(1);
        let bought = if self.rng.random::<f64>() < 0.4 { 1 + self.skewed(5, 2) } else { 0 };
        for step in 0..bought {
            let item = (taste * size + self.skewed(size.min(12), 1)) % self.n_items;
            self.row(out, user, item, 5, start + 1_000 + i64::from(step), basket);
        }
        (views + bought) as usize
    }
}

fn fill(connection: &mut Connection, n_events: usize, n_items: u32) -> usize {
    let n_users = (n_events / 10).max(100) as u32;
    connection
        .batch_execute(&format!(
            "SET statement_timeout = 0; \
             INSERT INTO users (external_id) SELECT g::text FROM generate_series(0, {n_users}) g; \
             INSERT INTO items (external_id, title, category) SELECT g::text, 'Item ' || g || ' of kind ' || g % 997, \
               ARRAY['Taste ' || g / greatest({n_items} / {TASTES}, 1)] FROM generate_series(0, {n_items} - 1) g; \
             SELECT ensure_event_partition(to_timestamp({START}) + make_interval(days => 28 * n)) \
               FROM generate_series(0, 6) n"
        ))
        .unwrap();
    let mut shop = Shop { rng: random::rng(1, "scale"), n_users, n_items, key: 0 };
    let (mut rows, mut basket) = (0, 0);
    // The robot is the last user.
    let robot = n_users;
    while rows < n_events + n_events / 10 {
        let mut text = String::new();
        for _ in 0..SESSIONS_AT_ONCE {
            basket += 1;
            let user = if rows < n_events { shop.skewed(shop.n_users, 2) } else { robot };
            rows += shop.session(&mut text, user, basket);
            if rows >= n_events + n_events / 10 {
                break;
            }
        }
        diesel::copy_from(events::table)
            .from_raw_data(
                (
                    events::event_key,
                    events::occurred_at,
                    events::user_id,
                    events::item_id,
                    events::kind,
                    events::dwell_ms,
                    events::quantity,
                    events::value,
                    events::basket,
                ),
                |copy| {
                    copy.write_all(text.as_bytes()).unwrap();
                    diesel::QueryResult::Ok(())
                },
            )
            .execute(connection)
            .unwrap();
    }
    connection.batch_execute("ANALYZE events; ANALYZE users; ANALYZE items; CHECKPOINT").unwrap();
    rows
}

/// Trains in a process of its own beside the running PostgreSQL, which is not part of the memory measured.
fn train(report: &mut Report, size: &str, directory: &Path) {
    let (started, cpu_before) = (Instant::now(), cpu_seconds_of_children());
    let mut child = tidings()
        .args(["train", "--data-dir"])
        .arg(directory)
        .env("TIDINGS_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let stages = std::thread::spawn(move || {
        let mut stages: Vec<(String, Instant)> = Vec::new();
        for line in errors.lines().map_while(Result::ok) {
            match line.split("training stage=").nth(1) {
                Some(stage) => stages.push((stage.to_owned(), Instant::now())),
                None => eprintln!("  {line}"),
            }
        }
        stages
    });
    let output = child.stdout.take().unwrap();
    let lines =
        std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>());
    let mut peak_mib = 0.0f64;
    while child.try_wait().unwrap().is_none() {
        peak_mib = peak_mib.max(high_water_mib(child.id()));
        std::thread::sleep(Duration::from_millis(50));
    }
    let ended = Instant::now();
    for line in lines.join().unwrap() {
        println!("    {line}");
    }
    let stages = stages.join().unwrap();
    for (index, (stage, begun)) in stages.iter().enumerate() {
        let until = stages.get(index + 1).map_or(ended, |(_, next)| *next);
        report.row(&format!("{size} M: {stage}"), (until - *begun).as_secs_f64(), "s", Aim::None);
    }
    report.row(
        &format!("{size} M: training, all"),
        (ended - started).as_secs_f64(),
        "s",
        Aim::AtMost(MOST_SECONDS),
    );
    let cpu = cpu_seconds_of_children() - cpu_before;
    let is_wide = size.trim() == WIDE;
    let (of_cpu, of_memory) = match is_wide {
        true => (Aim::AtMost(WIDE_CPU_SECONDS), Aim::AtMost(WIDE_MIB)),
        false => (Aim::None, Aim::AtMost(MOST_MIB)),
    };
    report.row(&format!("{size} M: processor time of the training"), cpu, "s", of_cpu);
    report.row(&format!("{size} M: peak resident memory"), peak_mib, "MiB", of_memory);
    let Ok(millions) = size.trim().parse::<f64>() else { return };
    let stated = MIB + MIB_A_MILLION * millions;
    let name = format!("{size} M: peak resident memory against the formula");
    report.versus(&name, (peak_mib, stated), "MiB", Aim::AtMost(1.1));
}

/// User and system time of children that have ended, fields 16 and 17 of proc(5)'s stat, 100 a second.
fn cpu_seconds_of_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split_whitespace();
    fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn high_water_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// From a view sent to the push received, at rest and while a training runs in the same server.
fn latency(report: &mut Report, size: &str, directory: &Path, n_events: i64) {
    let settings = ["policy.caps=[]", "policy.repeat_window_min=0", "training.interval_s=0"];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let server = Server::start("serve", directory, &settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut measured = Vec::new();
    for training in [false, true] {
        let mut http = Http::connect(server.address);
        if training {
            assert_eq!(http.post("/admin/retrain", &serde_json::Value::Null).status, 202);
        }
        let latencies: Vec<f64> = runtime.block_on(async {
            let sockets = join_all((1..=CLIENTS).map(|user| load::login(server.address, user))).await;
            let every = Duration::from_millis((CLIENTS * 1_000 / VIEWS_PER_S) as u64);
            let parts = sockets.into_iter().enumerate().map(|(index, socket)| {
                let items = (0..SECONDS * VIEWS_PER_S / CLIENTS)
                    .map(|n| (index as i64 * 31 + n * 97) % (n_events / 100))
                    .collect();
                load::views(socket, items, every, every.mul_f64(index as f64 / CLIENTS as f64))
            });
            join_all(parts).await.into_iter().flat_map(|(latencies, _)| latencies).collect()
        });
        // The connection before has been idle for too long.
        let running = Http::connect(server.address).get("/admin/metrics").json()["job"]["state"] == "running";
        let when = if training { "while training" } else { "at rest" };
        if training {
            report.row(
                &format!("{size} M: still training at the end"),
                f64::from(u8::from(running)),
                "",
                Aim::None,
            );
        }
        let p99 = percentile(&latencies, 0.99);
        report.row(
            &format!("{size} M: view → push, p50 {when}"),
            percentile(&latencies, 0.5),
            "ms",
            Aim::None,
        );
        report.row(&format!("{size} M: view → push, p99 {when}"), p99, "ms", Aim::None);
        measured.push(p99);
    }
    report.row(
        &format!("{size} M: p99 while training / at rest"),
        measured[1] / measured[0],
        "×",
        Aim::AtMost(2.0),
    );
}
