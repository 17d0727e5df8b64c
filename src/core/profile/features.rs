//! The measures of a user that segments are made from and the dashboard shows.

use serde::{Deserialize, Serialize};

/// Features of one user; units in the names. All finite and, `monetary` aside, ≥ 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Items bought a month of observed time: from the user's first event to the newest event of the data.
    pub purchases_per_month: f64,
    /// Dwell of views, minutes a month.
    pub browsing_minutes_per_month: f64,
    /// Searches a month.
    pub searches_per_month: f64,
    /// Days from the last purchase to the newest event of the data; `None` for who never bought.
    pub recency_days: Option<f64>,
    /// Purchases minus returns, major units of the shop's currency, what can't be converted into it left out ([`crate::catalogue::Amounts::total`]);
    /// negative when more came back than is known
    /// to have been bought.
    pub monetary: f64,
    /// The same counts over the time the user was active; `None` where only the rates are known.
    pub active: Option<Activity>,
}

/// Counts of one user over the time from the first to the last event. They say nothing about when that was: the same
/// purchases at another time are the same activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Months from the first to the last event, ≥ 0.
    pub months: f64,
    /// Items bought.
    pub purchases: f64,
    /// Dwell of views, minutes.
    pub browsing_minutes: f64,
    /// Searches.
    pub searches: f64,
}

impl Features {
    /// Features that k-means clusters by: purchases, minutes and searches a month of the user's active time, which counts for
    /// `least_months` at least; the plain rates where the active time is not known. NaN, infinite and negative values become
    /// 0.
    pub fn behaviour(&self, least_months: f64) -> [f64; 3] {
        let rates = match self.active {
            Some(Activity { months, purchases, browsing_minutes, searches }) => {
                let months = months.max(least_months).max(1.0);
                [purchases, browsing_minutes, searches].map(|count| count / months)
            }
            None => self.rates(),
        };
        bounded(rates)
    }

    /// Purchases, minutes and searches a month of observed time, bounded in the same way.
    pub fn observed(&self) -> [f64; 3] {
        bounded(self.rates())
    }

    fn rates(&self) -> [f64; 3] {
        [self.purchases_per_month, self.browsing_minutes_per_month, self.searches_per_month]
    }
}

fn bounded(values: [f64; 3]) -> [f64; 3] {
    values.map(|value| if value.is_finite() { value.clamp(0.0, 1e12) } else { 0.0 })
}
