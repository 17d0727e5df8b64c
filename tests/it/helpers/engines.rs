//! Engines of the shop's own that pullers read: each a process in a directory of its own, gone with its value. One that is not
//! installed is a failure that says so: `make setup` installs all of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The path of a program, in `PATH` or where Debian puts servers.
fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not installed, so what it is for is not tested: make setup (Debian: {package})")
    })
}

/// Polls until an engine answers.
pub(super) fn until(what: &str, mut answers: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !answers() {
        assert!(Instant::now() < deadline, "waited a minute for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A process that is killed, and its directory removed, with this value.
pub(super) struct Process {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a process, its output in the file `log` of its directory.
pub(super) fn start(command: &mut Command, directory: tempfile::TempDir) -> Process {
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    Process { child, _directory: directory }
}

/// Redis with an append-only file.
pub struct Redis {
    pub port: u16,
    _process: Process,
}

impl Redis {
    pub fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new(program("redis-server", "redis-server"));
        command.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--port",
            &port.to_string(),
        ]);
        command.arg("--dir").arg(directory.path());
        let redis = Self { port, _process: start(&mut command, directory) };
        until("Redis", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        redis
    }

    /// Runs commands, each a list of words; the answer to the last: an integer, a text, or the number of parts of a list.
    pub fn run(&self, commands: &[Vec<&str>]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut request = String::new();
        for command in commands {
            request += &format!("*{}\r\n", command.len());
            for word in command {
                request += &format!("${}\r\n{word}\r\n", word.len());
            }
        }
        let mut writing = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || writing.write_all(request.as_bytes()).unwrap());
        let mut reader = BufReader::new(&mut stream);
        let mut last = String::new();
        for _ in commands {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(!line.starts_with('-'), "{line}");
            last = line[1..].trim().to_owned();
            if line.starts_with('$') && last != "-1" {
                let mut text = vec![0; last.parse::<usize>().unwrap() + 2];
                reader.read_exact(&mut text).unwrap();
                last = String::from_utf8(text).unwrap().trim().to_owned();
            }
        }
        writer.join().unwrap();
        last
    }
}

/// NATS with JetStream.
pub struct Nats {
    pub port: u16,
    _process: Process,
}

impl Nats {
    pub fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new(program("nats-server", "nats-server"));
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string()]);
        command.arg("--store_dir").arg(directory.path());
        let nats = Self { port, _process: start(&mut command, directory) };
        until("NATS", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        nats
    }

    /// Makes a stream of subjects.
    pub fn stream(&self, name: &str, subjects: &[&str]) {
        let config = serde_json::json!({"name": name, "subjects": subjects, "storage": "file"});
        let answer = self.request(&format!("$JS.API.STREAM.CREATE.{name}"), &config.to_string());
        assert!(answer["error"].is_null(), "{answer}");
    }

    /// A request and its JSON answer.
    pub fn request(&self, subject: &str, payload: &str) -> Value {
        let answers = self.exchange(&[(subject, payload)]);
        serde_json::from_str(&answers[0]).unwrap()
    }

    /// Publishes messages into streams; returns once all are stored.
    pub fn publish(&self, subject: &str, payloads: &[String]) {
        let messages: Vec<(&str, &str)> =
            payloads.iter().map(|payload| (subject, payload.as_str())).collect();
        for answer in self.exchange(&messages) {
            assert!(answer.contains("\"seq\""), "{answer}");
        }
    }

    fn exchange(&self, messages: &[(&str, &str)]) -> Vec<String> {
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut request = "CONNECT {\"verbose\":false}\r\nSUB answers 1\r\n".to_owned();
        for (subject, payload) in messages {
            request += &format!("PUB {subject} answers {}\r\n{payload}\r\n", payload.len());
        }
        let mut writing = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || writing.write_all(request.as_bytes()).unwrap());
        let mut reader = BufReader::new(stream);
        let mut answers = Vec::new();
        while answers.len() < messages.len() {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(!line.starts_with("-ERR"), "{line}");
            if line.starts_with("PING") {
                reader.get_mut().write_all(b"PONG\r\n").unwrap();
            }
            let Some(rest) = line.strip_prefix("MSG ") else { continue };
            let mut text = vec![0; rest.split_whitespace().last().unwrap().parse::<usize>().unwrap() + 2];
            reader.read_exact(&mut text).unwrap();
            answers.push(String::from_utf8(text).unwrap());
        }
        writer.join().unwrap();
        answers
    }
}
