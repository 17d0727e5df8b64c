//! Events per second from each source, durable at the server: a puller reads what is there already, to its end. Needs Redis,
//! NATS and MariaDB (`make setup`), and Kafka, which is left out where `tests/sources/kafka` has not fetched it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::engines::{Nats, Redis};
use crate::http::Http;
use crate::kafka::{self, Kafka};
use crate::mariadb::MariaDb;
use crate::report::{Aim, Report, median};
use crate::server::{Server, data_dir};

/// Records a run.
const RECORDS: usize = 200_000;
const RUNS: usize = 3;
const BATCH: usize = 5_000;
const IN_FLIGHT: usize = 2;

pub fn run(report: &mut Report) {
    let directory = data_dir();
    let Some(bench) = Bench::start(report, directory.path()) else { return };
    bench.redis(report);
    bench.outbox(report);
    bench.binlog(report);
    bench.nats(report);
    bench.kafka(report);
}

/// Kafka alone.
pub fn kafka(report: &mut Report) {
    let directory = data_dir();
    if let Some(bench) = Bench::start(report, directory.path()) {
        bench.kafka(report);
    }
}

struct Bench<'a> {
    program: PathBuf,
    server: Server,
    directory: &'a Path,
}

impl<'a> Bench<'a> {
    /// A server that has stored nothing; `None` without a puller.
    fn start(report: &mut Report, directory: &'a Path) -> Option<Self> {
        report.setting("records a run", RECORDS);
        report.setting("runs", RUNS);
        report.setting("batch.records", BATCH);
        report.setting("batch.in_flight", IN_FLIGHT);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_tidings")).with_file_name("tidings-pull");
        if !program.is_file() {
            report.absent("sources", "tidings-pull is not built: make bench BENCH=sources builds it");
            return None;
        }
        let server = Server::start("serve", directory, &[]);
        Some(Self { program, server, directory })
    }

    /// Fills a source, then times one puller to its end; the median of the runs.
    fn measure(&self, report: &mut Report, name: &str, section: &str, mut fill: impl FnMut(&[String])) {
        let (mut rates, mut busy) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            fill(&payloads(run));
            let before = self.events();
            let started = Instant::now();
            let spent = self.pull(name, section);
            let seconds = started.elapsed().as_secs_f64();
            assert_eq!(self.events() - before, RECORDS as f64, "{name}: events stored");
            rates.push(RECORDS as f64 / seconds);
            busy.push(spent / seconds);
        }
        report.row(&format!("events durable from {name}"), median(&mut rates), "/s", Aim::AtLeast(40_000.0));
        report.row(&format!("processor of the puller, {name}"), median(&mut busy), "cores", Aim::None);
    }

    /// Processor seconds of the puller.
    fn pull(&self, name: &str, section: &str) -> f64 {
        let before = children_seconds();
        assert!(self.puller(name, section).status().unwrap().success());
        children_seconds() - before
    }

    /// A puller that reads to the end that the source has now.
    fn puller(&self, name: &str, section: &str) -> Command {
        let name: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        let config = self.directory.join(format!("{name}.toml"));
        let url = format!("http://{}", self.server.address);
        let text = format!(
            "name = \"{name}\"\n[server]\nurl = \"{url}\"\n[batch]\nrecords = {BATCH}\nin_flight = {IN_FLIGHT}\n{section}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&config).arg("--once").env("TIDINGS_LOG", "warn,rdkafka=off");
        command
    }

    /// Events that the server has stored.
    fn events(&self) -> f64 {
        let metrics = Http::connect(self.server.address).get("/admin/metrics").json();
        metrics["totals"]["events"].as_f64().unwrap()
    }

    fn redis(&self, report: &mut Report) {
        let redis = Redis::start();
        let section = format!(
            "[redis]\nurl = \"redis://127.0.0.1:{}\"\nstream = \"events\"\nfield = \"event\"",
            redis.port
        );
        self.measure(report, "Redis Streams", &section, |payloads| {
            let commands: Vec<Vec<&str>> = payloads
                .iter()
                .map(|payload| vec!["XADD", "events", "*", "event", payload.as_str()])
                .collect();
            redis.run(&commands);
        });
    }

    fn nats(&self, report: &mut Report) {
        let nats = Nats::start();
        nats.stream("SHOP", &["events"]);
        let section = format!("[nats]\nurl = \"nats://127.0.0.1:{}\"\nstream = \"SHOP\"", nats.port);
        self.measure(report, "NATS JetStream", &section, |payloads| {
            payloads.chunks(10_000).for_each(|chunk| nats.publish("events", chunk));
        });
    }

    /// A topic of four partitions.
    fn kafka(&self, report: &mut Report) {
        const NAME: &str = "Kafka";
        const ABSENT: &str = "events durable from Kafka";
        if kafka::folder().is_none() {
            return report.absent(ABSENT, "Kafka is not there: make bench BENCH=kafka fetches it");
        }
        let kafka = Kafka::start();
        kafka.create("events");
        let section = format!("[kafka]\nbrokers = \"127.0.0.1:{}\"\ntopics = [\"events\"]", kafka.port);
        // There is nothing to read yet; what is looked at is whether this puller can.
        let output = self.puller(NAME, &section).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("built without Kafka") {
            return report
                .absent(ABSENT, "tidings-pull is built without it: make bench BENCH=kafka builds it with");
        }
        assert!(output.status.success(), "{said}");
        self.measure(report, NAME, &section, |payloads| kafka.produce("events", payloads));
    }

    /// Rows in the server's own PostgreSQL, which has to do both.
    fn outbox(&self, report: &mut Report) {
        let url = tidings::store::cluster::Cluster::url_of_running(self.directory).unwrap();
        let psql = |statements: &str| {
            let mut child = Command::new("psql")
                .args(["-q", "-v", "ON_ERROR_STOP=1", &url])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), statements.as_bytes()).unwrap();
            assert!(child.wait().unwrap().success());
        };
        psql(
            "CREATE TABLE shop_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload jsonb NOT NULL)",
        );
        let section =
            format!("[postgres-outbox]\nurl = \"{url}\"\ntable = \"shop_outbox\"\npayload = \"payload\"");
        self.measure(report, "PostgreSQL outbox", &section, |payloads| {
            psql(&format!("COPY shop_outbox (payload) FROM STDIN;\n{}\n\\.\n", payloads.join("\n")));
        });
    }

    fn binlog(&self, report: &mut Report) {
        let shop = MariaDb::with_binlog();
        shop.execute(
            "USE shop; CREATE TABLE orders (id bigint PRIMARY KEY AUTO_INCREMENT, customer int, sku int, total int, \
             placed_at timestamp DEFAULT current_timestamp)",
        );
        let section = format!(
            "[records]\nkind = \"purchase\"\nmap = {{ user_id = \"customer\", item_id = \"sku\", value = \"total\", occurred_at = \"placed_at\" }}\n\
             [mysql-binlog]\nurl = \"mysql://tidings:secret@127.0.0.1:{}/shop\"\ntables = [\"orders\"]",
            shop.port
        );
        let mut filled = false;
        self.measure(report, "MariaDB binlog", &section, |_| {
            if !filled {
                // The snapshot is empty; what is measured is the log.
                self.pull("MariaDB binlog", &section);
                filled = true;
            }
            for from in (1..=RECORDS).step_by(1_000) {
                shop.execute(&format!(
                    "USE shop; INSERT INTO orders (customer, sku, total) SELECT seq % 20000, seq % 5000, seq FROM seq_{from}_to_{}",
                    from + 999
                ));
            }
        });
    }
}

/// Processor time of children that have ended, seconds.
fn children_seconds() -> f64 {
    // SAFETY: getrusage(2) fills a plain structure.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn payloads(run: usize) -> Vec<String> {
    let now = tidings::base::Timestamp::now().to_string();
    (0..RECORDS)
        .map(|n| {
            json!({"kind": "view", "user_id": (n * 13 + run) % 20_000, "item_id": n * 31 % 5_000, "dwell_ms": 1200, "occurred_at": now})
                .to_string()
        })
        .collect()
}
