//! A server under load: ours or a peer.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use super::dialect::Dialect;
use super::peers::{Peer, free_port};
use super::process;
use super::server::{Server, data_dir};

/// Caps would hold back what the generator sends; a training would share the processor.
const SETTINGS: [&str; 4] =
    ["policy.caps=[]", "policy.repeat_window_min=0", "training.interval_s=0", "socket.linger_ms=600000"];

enum Kind {
    Tidings { server: Option<Server>, directory: TempDir, listen: SocketAddr },
    Peer(Box<Peer>),
    Nobody,
}

/// See the module.
pub struct Subject {
    kind: Kind,
}

impl Subject {
    /// An empty shop with a private, durable PostgreSQL.
    pub fn tidings() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut subject = Self { kind: Kind::Tidings { server: None, directory: data_dir(), listen } };
        subject.start();
        subject
    }

    /// Stands in while the real one is elsewhere.
    pub fn nobody() -> Self {
        Self { kind: Kind::Nobody }
    }

    pub fn of_peer(peer: Peer) -> Self {
        Self { kind: Kind::Peer(Box::new(peer)) }
    }

    pub fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Tidings { .. } => "tidings",
            Kind::Peer(peer) => peer.name,
            Kind::Nobody => "nobody",
        }
    }

    pub fn dialect(&self) -> Dialect {
        match &self.kind {
            Kind::Tidings { .. } => Dialect::Tidings,
            Kind::Peer(peer) => peer.dialect,
            Kind::Nobody => Dialect::Tidings,
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        match &self.kind {
            Kind::Tidings { listen, .. } => *listen,
            Kind::Peer(peer) => peer.address,
            Kind::Nobody => SocketAddr::from(([127, 0, 0, 1], 9)),
        }
    }

    /// Where messages are sent to.
    pub fn publish(&self) -> SocketAddr {
        match &self.kind {
            Kind::Tidings { listen, .. } => *listen,
            Kind::Peer(peer) => peer.publish,
            Kind::Nobody => SocketAddr::from(([127, 0, 0, 1], 9)),
        }
    }

    pub fn pid(&self) -> u32 {
        match &self.kind {
            Kind::Tidings { server, .. } => server.as_ref().map_or(0, |server| server.child.id()),
            Kind::Peer(peer) => peer.child.id(),
            Kind::Nobody => 0,
        }
    }

    pub fn resident_bytes(&self) -> f64 {
        process::resident_bytes(self.pid())
    }

    /// CPU seconds: of the server, and of its PostgreSQL.
    pub fn cpu_seconds(&self) -> (f64, f64) {
        let (own, mut database) = process::cpu_seconds(self.pid());
        if let Kind::Peer(peer) = &self.kind
            && let Some(pid) = peer.database()
        {
            let (postmaster, others) = process::cpu_seconds(pid);
            database += postmaster + others;
        }
        (own, database)
    }

    /// Does it keep what it accepted over a restart?
    pub fn keeps(&self) -> bool {
        match &self.kind {
            Kind::Tidings { .. } => true,
            Kind::Peer(peer) => peer.keeps(),
            Kind::Nobody => false,
        }
    }

    /// (Re)starts on the same data and port.
    pub fn start(&mut self) {
        let (server, directory, listen) = match &mut self.kind {
            Kind::Tidings { server, directory, listen } => (server, directory, listen),
            Kind::Peer(peer) => return peer.restart(),
            Kind::Nobody => return,
        };
        let data: PathBuf = directory.path().join("data");
        // Stronger than the flag, which asks for any free port.
        let listen = format!("server.listen={listen}");
        let mut arguments = vec!["--set", listen.as_str()];
        for setting in &SETTINGS {
            arguments.extend(["--set", setting]);
        }
        *server = Some(Server::start("serve", &data, &arguments));
    }

    /// SIGTERM and the drain that follows.
    pub fn stop(&mut self) {
        match &mut self.kind {
            Kind::Tidings { server, .. } => *server = None,
            Kind::Peer(peer) => peer.stop(),
            Kind::Nobody => {}
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Kind::Tidings { server, .. } = &mut self.kind
            && let Some(mut server) = server.take()
        {
            let _ = server.child.kill();
            let _ = server.child.wait();
            // Its number may be another's by now: nothing more is to be sent to it.
            std::mem::forget(server);
        }
    }
}
