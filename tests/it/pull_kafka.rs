//! `tidings pull --from kafka` from a real broker; `make sources` fetches it and runs these.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::helpers::database::TestDatabase;
use crate::helpers::engines::free_port;
use crate::helpers::puller::{Puller, url};
use crate::helpers::server::{Server, wait_for};
use crate::pull::{MANY, SMALL, purchases, stored, survives_kills};

/// One broker in KRaft mode.
struct Kafka {
    port: u16,
    child: Child,
    _directory: tempfile::TempDir,
}

fn java(class: &str) -> Command {
    let jars = std::env::var("KAFKA_DIR").expect("KAFKA_DIR names no folder: make sources sets it");
    let jars = PathBuf::from(jars).join("jars/*");
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-cp"]).arg(jars).arg(class);
    command
}

impl Kafka {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (port, controller) = (free_port(), free_port());
        let logs = directory.path().join("logs");
        let settings = directory.path().join("server.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\nnum.partitions=4\n",
            logs.display()
        );
        std::fs::write(&settings, text).unwrap();
        let format = java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config"])
            .arg(&settings)
            .output()
            .unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child =
            java("kafka.Kafka").arg(&settings).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let kafka = Self { port, child, _directory: directory };
        wait_for("Kafka", || {
            kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"]).status().unwrap().success()
        });
        kafka
    }

    fn tool(&self, class: &str, arguments: &[&str]) -> Command {
        let mut command = java(class);
        command.args(["--bootstrap-server", &format!("127.0.0.1:{}", self.port)]).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn create(&self, topic: &str) {
        let arguments = ["--create", "--topic", topic, "--partitions", "4"];
        assert!(self.tool("org.apache.kafka.tools.TopicCommand", &arguments).status().unwrap().success());
    }

    fn produce(&self, topic: &str, records: &[String]) {
        let mut command = self.tool("org.apache.kafka.tools.ConsoleProducer", &["--topic", topic]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let text = records.join("\n") + "\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Records taken at random from these, in transactions.
    fn produce_in_transactions(&self, topic: &str, payloads: &[String], records: usize) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), payloads.join("\n")).unwrap();
        let server = format!("bootstrap.servers=127.0.0.1:{}", self.port);
        let mut command = java("org.apache.kafka.tools.ProducerPerformance");
        command.args(["--topic", topic, "--throughput", "-1", "--transaction-duration-ms", "50"]);
        command.args(["--transactional-id", "shop", "--num-records", &records.to_string()]);
        command.arg("--payload-file").arg(file.path()).args(["--producer-props", &server]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn read(&self, topic: &str) -> Vec<String> {
        let arguments = ["--topic", topic, "--from-beginning", "--timeout-ms", "8000"];
        let mut command = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
        let output = command.stdout(Stdio::piped()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The printed configuration; a puller that is started again takes its partitions at once.
    fn puller(&self, server: &Server) -> Puller {
        let address = format!("127.0.0.1:{}", self.port);
        Puller::configured("Kafka", &url(server), &[("127.0.0.1:9092", &address)])
            .with("[kafka.options]\n\"group.instance.id\" = \"a\"")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs Kafka and a puller built with it: make sources"]
fn a_killed_puller_of_kafka_loses_and_doubles_nothing_and_refusals_are_in_their_topic() {
    let (database, kafka) = (TestDatabase::new(), Kafka::start());
    let server = Server::start(&database.url, &[]);
    kafka.create("shop-events");
    kafka.create("shop-events-rejected");
    let mut records = purchases(MANY);
    records.insert(MANY / 2, "nonsense".to_owned());
    kafka.produce("shop-events", &records);
    survives_kills(&kafka.puller(&server).with(SMALL), &database);
    let rejects = kafka.read("shop-events-rejected");
    assert!(!rejects.is_empty() && rejects.iter().all(|line| line.contains("nonsense")), "{rejects:?}");
}

#[test]
#[ignore = "needs Kafka and a puller built with it: make sources"]
fn a_topic_of_transactions_has_an_end() {
    let (database, kafka) = (TestDatabase::new(), Kafka::start());
    let server = Server::start(&database.url, &[]);
    kafka.create("shop-events");
    kafka.produce_in_transactions("shop-events", &purchases(100), 2_000);
    // Behind the last record of a partition stands the marker of its transaction, which nobody is given.
    // Its configuration is there as long as it is.
    let puller = kafka.puller(&server);
    for _ in 0..2 {
        let mut child = puller.command(&["--once"]).spawn().unwrap();
        wait_for("the end", || child.try_wait().unwrap().is_some());
        assert!(child.wait().unwrap().success());
        assert_eq!(stored(&database).0, 2_000);
    }
}

#[test]
#[ignore = "needs Kafka and a puller built with it: make sources"]
fn a_topic_that_is_not_there_ends_a_run_that_ends() {
    let (database, kafka) = (TestDatabase::new(), Kafka::start());
    let server = Server::start(&database.url, &[]);
    kafka.create("shop-events");
    let puller = kafka.puller(&server).replacing("topics = [\"shop-events\"]", "topics = [\"shop-event\"]");
    let output = puller.run(&["--once"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean \"shop-events\"?"), "{said}");
}

#[test]
#[ignore = "needs Kafka and a puller built with it: make sources"]
fn changes_of_debezium_are_read_from_kafka() {
    let (database, kafka) = (TestDatabase::new(), Kafka::start());
    let server = Server::start(&database.url, &[]);
    kafka.create("shop-events");
    let records: Vec<String> = purchases(10)
        .into_iter()
        .map(|row| format!(r#"{{"schema":null,"payload":{{"op":"c","before":null,"after":{row}}}}}"#))
        .chain([r#"{"op":"d","before":{"user_id":1},"after":null}"#.to_owned()])
        .collect();
    kafka.produce("shop-events", &records);
    kafka.puller(&server).with("[records]\nenvelope = \"debezium\"\nkind = \"purchase\"").once();
    assert_eq!(stored(&database), (10, 10));
}
