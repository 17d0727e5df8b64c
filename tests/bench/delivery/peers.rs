//! The servers a user could install instead, each run as its manual says, without durability tricks: nginx with nchan,
//! NATS over WebSocket, Socket.IO, which `tests/bench/peers/setup` installs, and Centrifugo where it is on the PATH, once
//! with its memory engine and once with its PostgreSQL broker, history and recovery on, beside a PostgreSQL as durable as ours.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidings::store::cluster::{Cluster, ClusterOptions};

use super::dialect::Dialect;
use super::server::data_dir;

const CENTRIFUGO: &str = "Centrifugo";
const CENTRIFUGO_ON_POSTGRESQL: &str = "Centrifugo + PG";
/// A start may wait for PostgreSQL to make its tables.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// A running server that clients connect to.
pub struct Peer {
    pub name: &'static str,
    pub dialect: Dialect,
    /// For clients.
    pub address: SocketAddr,
    /// For who sends.
    pub publish: SocketAddr,
    pub child: Child,
    command: Command,
    database: Option<Cluster>,
    _directory: tempfile::TempDir,
}

/// What it promises, or can't, for the table.
pub fn shortfall(name: &str) -> &'static str {
    match name {
        "tidings" => "stored in PostgreSQL before it is sent",
        "nginx + nchan" => {
            "one HTTP request a message; kept in memory only (Redis for more), no identity, no profile"
        }
        "NATS" => "at most once; JetStream stores, but not what a plain subscriber is sent",
        CENTRIFUGO => "history in memory, nothing survives a restart; no profile",
        CENTRIFUGO_ON_POSTGRESQL => {
            "history in PostgreSQL, missed messages are recovered from it; no profile"
        }
        _ => "at most once; nothing is stored, one core",
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// Installs what is missing, starts all that are there; says which are absent.
pub fn names() -> Vec<&'static str> {
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/setup");
    let _ = Command::new(setup).arg(peers_dir()).status();
    let module = Path::new("/usr/lib/nginx/modules/ngx_nchan_module.so").is_file();
    let socket_io = which("node").is_some() && peers_dir().join("node_modules/socket.io").is_dir();
    let there = [
        ("nginx + nchan", which("nginx").is_some() && module),
        ("NATS", which("nats-server").is_some()),
        ("Socket.IO", socket_io),
        (CENTRIFUGO, which("centrifugo").is_some()),
        (CENTRIFUGO_ON_POSTGRESQL, which("centrifugo").is_some()),
    ];
    for (name, _) in there.iter().filter(|(_, there)| !there) {
        println!("  absent: {name} (not on the PATH)");
    }
    there.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

/// Starts one by name.
pub fn start(name: &str) -> Option<Peer> {
    let directory = data_dir();
    let (port, publish) = (free_port(), free_port());
    let file = directory.path().join("config.json");
    let mut database = None;
    let (name, dialect, command) = match name {
        "nginx + nchan" => {
            std::fs::write(&file, nginx(directory.path(), port)).ok()?;
            let mut command = Command::new(which("nginx")?);
            command.arg("-c").arg(&file).arg("-p").arg(directory.path());
            ("nginx + nchan", Dialect::Nchan, command)
        }
        "NATS" => {
            std::fs::write(
                &file,
                format!(
                    "listen: \"127.0.0.1:{publish}\"\nmax_connections: 100000\nwebsocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}\n"
                ),
            )
            .ok()?;
            let mut command = Command::new(which("nats-server")?);
            command.arg("-c").arg(&file);
            ("NATS", Dialect::Nats, command)
        }
        CENTRIFUGO => (CENTRIFUGO, Dialect::Centrifugo, centrifugo(&file, port, None)?),
        CENTRIFUGO_ON_POSTGRESQL => {
            let cluster = Cluster::start(directory.path(), &ClusterOptions::default()).ok()?;
            let command = centrifugo(&file, port, Some(&cluster.url()))?;
            database = Some(cluster);
            (CENTRIFUGO_ON_POSTGRESQL, Dialect::Centrifugo, command)
        }
        _ => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/socketio.cjs");
            let mut command = Command::new(which("node")?);
            command.arg(script).arg(port.to_string()).env("NODE_PATH", peers_dir().join("node_modules"));
            ("Socket.IO", Dialect::SocketIo, command)
        }
    };
    let mut command = command;
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let publish = local(if dialect == Dialect::Nats { publish } else { port });
    let peer = Peer {
        name,
        dialect,
        address: local(port),
        publish,
        child,
        command,
        database,
        _directory: directory,
    };
    peer.listens().then_some(peer)
}

impl Peer {
    fn listens(&self) -> bool {
        let deadline = Instant::now() + LISTENS_WITHIN;
        while TcpStream::connect(self.address).is_err() || TcpStream::connect(self.publish).is_err() {
            if Instant::now() > deadline {
                println!("  {} does not listen", self.name);
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Does it keep what it accepted over a restart?
    pub fn keeps(&self) -> bool {
        self.database.is_some()
    }

    /// The PostgreSQL beside it.
    pub fn database(&self) -> Option<u32> {
        self.database.as_ref().map(Cluster::pid)
    }

    /// Starts it again; its PostgreSQL has run on.
    pub fn restart(&mut self) {
        self.child = self.command.spawn().unwrap();
        assert!(self.listens(), "{} does not come back", self.name);
    }

    /// SIGTERM, and five seconds to follow it.
    pub fn stop(&mut self) {
        // SAFETY: kill(2) on a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A channel for everybody without history, and one for each user with as many messages as one is sent here, recovered by offset.
fn centrifugo(file: &Path, port: u16, database: Option<&str>) -> Option<Command> {
    let binary = which("centrifugo")?;
    let subscribed = |name: &str| serde_json::json!({"name": name, "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true});
    let mut kept = subscribed("user");
    kept["history_size"] = 100.into();
    kept["history_ttl"] = "1h".into();
    kept["force_recovery"] = true.into();
    let mut settings = serde_json::json!({
        "http_server": {"address": "127.0.0.1", "port": port},
        "log": {"level": "error"},
        "usage_stats": {"disabled": true},
        "client": {"allow_anonymous_connect_without_token": true, "allowed_origins": ["*"]},
        "http_api": {"insecure": true},
        "channel": {"namespaces": [subscribed("all"), kept]},
    });
    if let Some(url) = database {
        settings["broker"] = serde_json::json!({"enabled": true, "type": "postgres",
            "postgres": {"dsn": url, "use_notify": true}});
    }
    std::fs::write(file, settings.to_string()).ok()?;
    let mut command = Command::new(binary);
    command.arg("-c").arg(file);
    Some(command)
}

fn nginx(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;\ndaemon off;\nworker_processes auto;\n\
         pid {directory}/nginx.pid;\nerror_log {directory}/error.log crit;\n\
         events {{ worker_connections 18000; }}\n\
         http {{ access_log off; keepalive_requests 100000000; nchan_shared_memory_size 512M;\n\
         client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;\n\
         uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n\
         server {{ listen 127.0.0.1:{port} backlog=8192;\n\
         location ~ ^/sub/(.+)$ {{ nchan_subscriber websocket; nchan_channel_id $1 all; nchan_channel_id_split_delimiter \"\";\n\
         nchan_subscriber_first_message newest; }}\n\
         location ~ ^/pub/(.+)$ {{ nchan_publisher http; nchan_channel_id $1; nchan_message_buffer_length 10; }} }} }}\n"
    )
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop();
    }
}
