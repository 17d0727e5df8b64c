//! Settings of people who sign in to the dashboard.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;

/// People who sign in to the dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct People {
    /// People may sign in by password.
    pub passwords: bool,
    /// A session without a request for this long has ended, minutes.
    pub idle_min: u64,
    /// A session ends after this long however much it is used, hours.
    pub session_h: u64,
    /// A link to set a password is good for this long, hours.
    pub link_h: u64,
    /// Most attempts to sign in as one person in a minute; 0 = no limit.
    pub attempts_per_min: u32,
    /// Most passwords that are checked at the same time, 19 MiB each.
    pub max_concurrent_checks: usize,
}

impl Default for People {
    fn default() -> Self {
        Self {
            passwords: true,
            idle_min: 60,
            session_h: 12,
            link_h: 24,
            attempts_per_min: 10,
            max_concurrent_checks: 2,
        }
    }
}

impl People {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("people.idle_min", self.idle_min, 1, 1_440)?;
        within("people.session_h", self.session_h, 1, 720)?;
        within("people.link_h", self.link_h, 1, 168)?;
        within("people.attempts_per_min", self.attempts_per_min, 0, 1_000)?;
        within("people.max_concurrent_checks", self.max_concurrent_checks, 1, 64)
    }
}
