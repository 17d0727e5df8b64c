//! The user's open connections: frames go out here, and a client that fell behind is closed and resumes later.

use tidings_core::base::{ConnectionId, ExternalId};
use tidings_core::event::Speaker;
use tidings_decision::deliver::{CloseCode, Frame};
use tidings_telemetry::{Count, Gauge, Metrics};
use tidings_transport::{Outbound, PipeEnd, PipeHandle};

/// Pipes of one user. The gauges of connections and connected users follow it.
#[derive(Default)]
pub(super) struct Pipes {
    open: Vec<PipeHandle>,
    /// Connections whose events are the word of the shop.
    of_shop: Vec<ConnectionId>,
}

impl Pipes {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn has(&self, connection: ConnectionId) -> bool {
        self.get(connection).is_some()
    }

    fn get(&self, connection: ConnectionId) -> Option<&PipeHandle> {
        self.open.iter().find(|pipe| pipe.connection == connection)
    }

    /// Speaker of the events of a connection: the shop or a client.
    pub fn speaker(&self, connection: ConnectionId) -> Speaker {
        if self.of_shop.contains(&connection) { Speaker::Shop } else { Speaker::Client }
    }

    pub fn attach(&mut self, pipe: PipeHandle, speaker: Speaker, metrics: &Metrics) {
        if speaker == Speaker::Shop {
            self.of_shop.push(pipe.connection);
        }
        if self.open.is_empty() {
            metrics.shift(Gauge::ConnectedUsers, 1);
        }
        self.open.push(pipe);
        metrics.shift(Gauge::Connections, 1);
    }

    /// Removes a connection; false when it is not there.
    pub fn detach(&mut self, connection: ConnectionId, metrics: &Metrics) -> bool {
        let before = self.open.len();
        self.open.retain(|pipe| pipe.connection != connection);
        self.of_shop.retain(|known| *known != connection);
        let removed = self.open.len() < before;
        if removed {
            metrics.shift(Gauge::Connections, -1);
            if self.open.is_empty() {
                metrics.shift(Gauge::ConnectedUsers, -1);
            }
        }
        removed
    }

    /// Writes a frame; false when the connection is to be given up.
    pub fn send(
        &self,
        connection: ConnectionId,
        frame: Frame,
        replay: bool,
        user: &ExternalId,
        metrics: &Metrics,
    ) -> bool {
        let Some(pipe) = self.get(connection) else { return true };
        match if replay { pipe.replay(frame) } else { pipe.send(frame) } {
            Ok(()) => {
                metrics.add(Count::Frames, 1);
                true
            }
            Err(end) => {
                if end == PipeEnd::TooSlow {
                    metrics.add(Count::SlowClients, 1);
                    log::info!("slow client closed user_id={user} connection={connection}");
                }
                false
            }
        }
    }

    pub fn close(&mut self, connection: ConnectionId, code: CloseCode, metrics: &Metrics) {
        if let Some(pipe) = self.get(connection) {
            let _ = pipe.offer(Outbound::Close(code));
        }
        self.detach(connection, metrics);
    }

    /// Connections whose pipe has ended.
    pub fn ended(&self) -> Vec<ConnectionId> {
        self.open.iter().filter(|pipe| !pipe.is_open()).map(|pipe| pipe.connection).collect()
    }

    pub fn tell_all(&self, outbound: impl Fn() -> Outbound) {
        for pipe in &self.open {
            let _ = pipe.offer(outbound());
        }
    }

    /// Counts the open connections off, at the end of the actor.
    pub fn count_off(&self, metrics: &Metrics) {
        let connections = i64::try_from(self.open.len()).unwrap_or(0);
        metrics.shift(Gauge::Connections, -connections);
        metrics.shift(Gauge::ConnectedUsers, -connections.min(1));
    }
}
