//! Kafka, a broker in KRaft mode from the jars that `tests/sources/kafka` fetches.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::engines::{Process, free_port, start, until};

/// The folder with Kafka's `jars`: that of `KAFKA_DIR`, else `kafka` in the target directory; `None` where there is none.
pub fn folder() -> Option<PathBuf> {
    let fetched = || Some(Path::new(env!("CARGO_BIN_EXE_tidings")).ancestors().nth(2)?.join("kafka"));
    let folder = std::env::var_os("KAFKA_DIR").map(PathBuf::from).or_else(fetched)?;
    folder.join("jars").is_dir().then_some(folder)
}

/// A program of Kafka's.
pub fn java(class: &str) -> Command {
    let folder =
        folder().expect("neither KAFKA_DIR nor the target directory has Kafka: make sources fetches it");
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-cp"]).arg(folder.join("jars/*")).arg(class);
    command
}

/// One broker, its topics of four partitions.
pub struct Kafka {
    pub port: u16,
    _process: Process,
}

impl Kafka {
    pub fn start() -> Self {
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
        let mut command = java("kafka.Kafka");
        command.arg(&settings);
        let kafka = Self { port, _process: start(&mut command, directory) };
        until("Kafka", || {
            kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"]).status().unwrap().success()
        });
        kafka
    }

    /// A tool that connects to it, silent.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> Command {
        let mut command = java(class);
        command.args(["--bootstrap-server", &format!("127.0.0.1:{}", self.port)]).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Makes a topic.
    pub fn create(&self, topic: &str) {
        let arguments = ["--create", "--topic", topic, "--partitions", "4"];
        assert!(self.tool("org.apache.kafka.tools.TopicCommand", &arguments).status().unwrap().success());
    }

    /// Writes records without keys; returns once all are stored.
    pub fn produce(&self, topic: &str, records: &[String]) {
        let mut command = self.tool("org.apache.kafka.tools.ConsoleProducer", &["--topic", topic]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let text = records.join("\n") + "\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}
