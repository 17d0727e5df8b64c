//! `tidings pull --from kafka` from a real broker; `make sources` fetches it and runs these.

use std::process::Stdio;

use crate::helpers::database::TestDatabase;
use crate::helpers::kafka::{Kafka, java};
use crate::helpers::puller::{Puller, url};
use crate::helpers::server::{Server, wait_for};
use crate::pull::{MANY, SMALL, purchases, stored, survives_kills};

/// Records taken at random from these, in transactions.
fn produce_in_transactions(kafka: &Kafka, topic: &str, payloads: &[String], records: usize) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), payloads.join("\n")).unwrap();
    let server = format!("bootstrap.servers=127.0.0.1:{}", kafka.port);
    let mut command = java("org.apache.kafka.tools.ProducerPerformance");
    command.args(["--topic", topic, "--throughput", "-1", "--transaction-duration-ms", "50"]);
    command.args(["--transactional-id", "shop", "--num-records", &records.to_string()]);
    command.arg("--payload-file").arg(file.path()).args(["--producer-props", &server]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn read(kafka: &Kafka, topic: &str) -> Vec<String> {
    let arguments = ["--topic", topic, "--from-beginning", "--timeout-ms", "8000"];
    let mut command = kafka.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
    let output = command.stdout(Stdio::piped()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The printed configuration; a puller that is started again takes its partitions at once.
fn puller(kafka: &Kafka, server: &Server) -> Puller {
    let address = format!("127.0.0.1:{}", kafka.port);
    Puller::configured("Kafka", &url(server), &[("127.0.0.1:9092", &address)])
        .with("[kafka.options]\n\"group.instance.id\" = \"a\"")
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
    survives_kills(&puller(&kafka, &server).with(SMALL), &database);
    let rejects = read(&kafka, "shop-events-rejected");
    assert!(!rejects.is_empty() && rejects.iter().all(|line| line.contains("nonsense")), "{rejects:?}");
}

#[test]
#[ignore = "needs Kafka and a puller built with it: make sources"]
fn a_topic_of_transactions_has_an_end() {
    let (database, kafka) = (TestDatabase::new(), Kafka::start());
    let server = Server::start(&database.url, &[]);
    kafka.create("shop-events");
    produce_in_transactions(&kafka, "shop-events", &purchases(100), 2_000);
    // Behind the last record of a partition stands the marker of its transaction, which nobody is given.
    // Its configuration is there as long as it is.
    let puller = puller(&kafka, &server);
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
    let puller = puller(&kafka, &server).replacing("topics = [\"shop-events\"]", "topics = [\"shop-event\"]");
    let output = puller.run(&["--once"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean \"shop-events\"?"), "{said}");
}

#[test]
#[ignore = "needs Kafka and a puller built with it: make sources"]
fn a_puller_that_ends_has_left_its_group() {
    let (database, kafka) = (TestDatabase::new(), Kafka::start());
    let server = Server::start(&database.url, &[]);
    kafka.create("shop-events");
    kafka.produce("shop-events", &purchases(10));
    let address = format!("127.0.0.1:{}", kafka.port);
    Puller::configured("Kafka", &url(&server), &[("127.0.0.1:9092", &address)]).once();
    let arguments = ["--describe", "--members", "--group", "tidings-shop-kafka"];
    let mut command = kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &arguments);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("has no active members"), "{said}");
    assert_eq!(stored(&database), (10, 10));
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
    puller(&kafka, &server).with("[records]\nenvelope = \"debezium\"\nkind = \"purchase\"").once();
    assert_eq!(stored(&database), (10, 10));
}
