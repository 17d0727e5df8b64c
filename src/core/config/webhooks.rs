//! Settings of webhooks.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;

/// Telling systems of the shop what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Webhooks are delivered.
    pub enabled: bool,
    /// Longest wait for one request, connecting included, milliseconds.
    pub timeout_ms: u64,
    /// Most concurrent requests to all endpoints.
    pub max_concurrent: u32,
    /// Most concurrent requests to one endpoint.
    pub max_concurrent_per_endpoint: u32,
    /// A delivery is tried until it is this old, hours.
    pub give_up_after_h: u64,
    /// An endpoint that has taken nothing for this long is disabled, hours.
    pub disable_after_h: u64,
    /// Endpoints may have private addresses and plain HTTP.
    pub allow_private: bool,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            enabled: true,
            timeout_ms: 15_000,
            max_concurrent: 64,
            max_concurrent_per_endpoint: 8,
            give_up_after_h: 72,
            disable_after_h: 120,
            allow_private: false,
        }
    }
}

impl Webhooks {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("webhooks.timeout_ms", self.timeout_ms, 100, 60_000)?;
        within("webhooks.max_concurrent", self.max_concurrent, 1, 1_000)?;
        within("webhooks.max_concurrent_per_endpoint", self.max_concurrent_per_endpoint, 1, 1_000)?;
        within("webhooks.give_up_after_h", self.give_up_after_h, 1, 720)?;
        within("webhooks.disable_after_h", self.disable_after_h, 1, 720)
    }
}
