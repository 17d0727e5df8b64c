//! Counts of what live shoppers do.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a live simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveSummary {
    /// Shoppers who came.
    pub visits: u64,
    /// Connections made, the first of each visit too.
    pub connections: u64,
    /// Events sent, repeats after a lost connection not counted.
    pub events: u64,
    /// Events that the server has committed.
    pub accepted: u64,
    /// Error frames received.
    pub errors: u64,
    /// Notifications received, each once.
    pub notifications: u64,
    /// Notifications clicked.
    pub clicked: u64,
    /// Notifications dismissed.
    pub dismissed: u64,
    /// Categories muted.
    pub muted: u64,
    /// Purchases made.
    pub purchases: u64,
}

/// The counters behind [`LiveSummary`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) visits: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) notifications: AtomicU64,
    pub(super) clicked: AtomicU64,
    pub(super) dismissed: AtomicU64,
    pub(super) muted: AtomicU64,
    pub(super) purchases: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// As of now.
    pub(super) fn summary(&self) -> LiveSummary {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LiveSummary {
            visits: read(&self.visits),
            connections: read(&self.connections),
            events: read(&self.events),
            accepted: read(&self.accepted),
            errors: read(&self.errors),
            notifications: read(&self.notifications),
            clicked: read(&self.clicked),
            dismissed: read(&self.dismissed),
            muted: read(&self.muted),
            purchases: read(&self.purchases),
        }
    }
}
