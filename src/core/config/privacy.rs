//! Settings of personal data.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;

/// Personal data: who may erase it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// Users may erase themselves with their own token. It can't be undone.
    pub erase_own: bool,
    /// The id of an erased user is refused for this long, days.
    pub tombstone_days: u32,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { erase_own: false, tombstone_days: 365 }
    }
}

impl Privacy {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("privacy.tombstone_days", self.tombstone_days, 1, 36_500)
    }
}
