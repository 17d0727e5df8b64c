//! The measures of a user that segments are made from and the dashboard shows.

use serde::{Deserialize, Serialize};

/// Features of one user; units in the names. All finite and, `monetary` aside, ≥ 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Items bought a month.
    pub purchases_per_month: f64,
    /// Dwell of views, minutes a month.
    pub browsing_minutes_per_month: f64,
    /// Searches a month.
    pub searches_per_month: f64,
    /// Days since the last purchase; `None` for who never bought.
    pub recency_days: Option<f64>,
    /// Purchases minus returns, major units of the shop's currency; negative when more came back than is known
    /// to have been bought.
    pub monetary: f64,
}

impl Features {
    /// Features that k-means clusters by: purchases, minutes, searches. NaN, infinite and negative values become 0.
    pub fn behaviour(&self) -> [f64; 3] {
        [self.purchases_per_month, self.browsing_minutes_per_month, self.searches_per_month]
            .map(|value| if value.is_finite() { value.clamp(0.0, 1e12) } else { 0.0 })
    }
}
