//! Settings of how much one client may ask for.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;
use super::network::Network;

/// Most exempt networks: each address is compared with all of them.
const MAX_EXEMPT: usize = 256;
/// Highest rate: one request a microsecond in the window.
const MAX_PER_S: u32 = 100_000;

/// Rates of requests, each averaged over ten seconds, which may come at once; 0 = no limit. None of them holds with
/// `auth.mode = "off"`, where only this machine can ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second from one address (IPv6: /64) without a token, or with one of a user.
    pub address_per_s: u32,
    /// Requests a second of one user, reading and changing apart.
    pub user_per_s: u32,
    /// Events a minute that one user tells of with a token of their own, in requests and on connections.
    pub user_events_per_minute: u32,
    /// Requests a second under one name of a service or an administrator, reading and changing apart.
    pub service_per_s: u32,
    /// New WebSockets and event streams a second from one address.
    pub connections_per_s: u32,
    /// Refused tokens a minute from one address, also from an exempt one.
    pub failures_per_min: u32,
    /// Addresses and networks whose clients are not counted by their address, such as a proxy that hides them.
    pub exempt: Vec<Network>,
    /// Most bytes of request bodies in memory at once, all clients together; at least one of `server.max_body_bytes` has room.
    pub max_bodies_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let networks = ["127.0.0.0/8", "::1"].map(|text| Network::try_from(text.to_owned()));
        Self {
            address_per_s: 200,
            user_per_s: 30,
            user_events_per_minute: 6_000,
            service_per_s: 0,
            connections_per_s: 500,
            failures_per_min: 60,
            exempt: networks.into_iter().flatten().collect(),
            max_bodies_bytes: 256 << 20,
        }
    }
}

impl Limits {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("limits.address_per_s", self.address_per_s, 0, MAX_PER_S)?;
        within("limits.user_per_s", self.user_per_s, 0, MAX_PER_S)?;
        within("limits.user_events_per_minute", self.user_events_per_minute, 0, MAX_PER_S)?;
        within("limits.service_per_s", self.service_per_s, 0, MAX_PER_S)?;
        within("limits.connections_per_s", self.connections_per_s, 0, MAX_PER_S)?;
        within("limits.failures_per_min", self.failures_per_min, 0, MAX_PER_S)?;
        within("limits.exempt", self.exempt.len(), 0, MAX_EXEMPT)?;
        within("limits.max_bodies_bytes", self.max_bodies_bytes, 1 << 20, 1 << 40)
    }
}
