//! Settings of the steps after ranking: business rules, diversity, exploration.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;

/// Settings of the steps after ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recommend {
    /// Cost of an item's likeness to what is already in the list, 0…0.9, against its relevance; 0 = nothing.
    pub diversity: f64,
    /// Share of places, but for the first, given to new items nobody has touched, 0…0.5.
    pub exploration: f64,
    /// Top-level categories never recommended.
    pub blocked_categories: Vec<String>,
    /// Lowest price recommended; 0 = none. An item without a price passes.
    pub min_price: f64,
    /// Highest price recommended; 0 = none. An item without a price passes.
    pub max_price: f64,
}

impl Recommend {
    /// Best fit alone: no rule, no diversity, no exploration.
    pub const RELEVANCE_ONLY: Self = Self {
        diversity: 0.0,
        exploration: 0.0,
        blocked_categories: Vec::new(),
        min_price: 0.0,
        max_price: 0.0,
    };

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("recommend.diversity", self.diversity, 0.0, 0.9)?;
        within("recommend.exploration", self.exploration, 0.0, 0.5)?;
        within("recommend.blocked_categories", self.blocked_categories.len(), 0, 1_000)?;
        within("recommend.min_price", self.min_price, 0.0, 1e12)?;
        within("recommend.max_price", self.max_price, 0.0, 1e12)?;
        if self.max_price > 0.0 {
            within("recommend.min_price", self.min_price, 0.0, self.max_price)?;
        }
        Ok(())
    }
}

impl Default for Recommend {
    fn default() -> Self {
        Self { diversity: 0.05, exploration: 0.05, ..Self::RELEVANCE_ONLY }
    }
}
