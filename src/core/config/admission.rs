//! Settings of what events may say.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;
use super::event::{self, Kinds};

/// Settings of what the catalogue takes from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogueRules {
    /// Sources whose events may name items that the catalogue has not.
    pub from_events: FromEvents,
}

/// Sources whose events may name items that the catalogue has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromEvents {
    /// Nobody's: every event names an item of the catalogue.
    Never,
    /// Those that the shop sends.
    #[default]
    Shop,
    /// Those of clients too.
    Anyone,
}

/// Events as clients send them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventRules {
    /// A client reports what happened within this many hours.
    pub client_window_h: u64,
    /// Kinds of the shop's own, by name: a weight, or a table of `weight` and `item`.
    pub kinds: Kinds,
}

impl Default for EventRules {
    fn default() -> Self {
        Self { client_window_h: 72, kinds: Kinds::new() }
    }
}

impl EventRules {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("event.client_window_h", self.client_window_h, 1, 2_160)?;
        event::validate(&self.kinds)
    }
}
