//! The servers a user could install instead, each run as its manual says, without durability tricks: nginx with nchan,
//! NATS over WebSocket, Socket.IO. `tests/bench/peers/setup` installs them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::dialect::Dialect;

/// A running server that clients connect to.
pub struct Peer {
    pub name: &'static str,
    pub dialect: Dialect,
    /// For clients.
    pub address: SocketAddr,
    /// For who sends.
    pub publish: SocketAddr,
    pub child: Child,
    _directory: tempfile::TempDir,
}

/// What it can't promise, for the table.
pub fn shortfall(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Tidings => "stored in PostgreSQL before it is sent",
        Dialect::Nchan => {
            "one HTTP request a message; kept in memory only (Redis for more), no identity, no profile"
        }
        Dialect::Nats => "at most once; JetStream stores, but not what a plain subscriber is sent",
        Dialect::SocketIo => "at most once; nothing is stored, one core",
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
    ];
    for (name, _) in there.iter().filter(|(_, there)| !there) {
        println!("  absent: {name} (not installed, and could not be)");
    }
    there.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

/// Starts one by name.
pub fn start(name: &str) -> Option<Peer> {
    let directory = tempfile::tempdir().ok()?;
    let (port, publish) = (free_port(), free_port());
    let file = directory.path().join("config");
    let (name, dialect, mut command) = match name {
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
        _ => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/socketio.cjs");
            let mut command = Command::new(which("node")?);
            command.arg(script).arg(port.to_string()).env("NODE_PATH", peers_dir().join("node_modules"));
            ("Socket.IO", Dialect::SocketIo, command)
        }
    };
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let publish = local(if dialect == Dialect::Nats { publish } else { port });
    let peer = Peer { name, dialect, address: local(port), publish, child, _directory: directory };
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(peer.address).is_err() || TcpStream::connect(peer.publish).is_err() {
        if Instant::now() > deadline {
            println!("  {name} does not listen");
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(peer)
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
