//! Features of users as a shop states them, from a table of its own: users can be segmented without a single event.

use serde::{Deserialize, Serialize};

use crate::base::ExternalId;

/// Largest rate a month that is believed.
const MAX_RATE: f64 = 1e9;

/// Behaviour of a user as the shop states it, as rates a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatedFeatures {
    /// Items bought a month.
    pub purchases_per_month: f64,
    /// Minutes of browsing a month.
    pub browsing_minutes_per_month: f64,
    /// Searches a month.
    pub searches_per_month: f64,
}

impl StatedFeatures {
    /// Checks the bounds; the error names the first feature out of them.
    pub fn validate(&self) -> Result<(), String> {
        let features = [
            ("purchases_per_month", self.purchases_per_month),
            ("browsing_minutes_per_month", self.browsing_minutes_per_month),
            ("searches_per_month", self.searches_per_month),
        ];
        match features.into_iter().find(|(_, value)| !(0.0..=MAX_RATE).contains(value)) {
            Some((name, value)) => Err(format!("{name} must be between 0 and {MAX_RATE:e}, is {value}")),
            None => Ok(()),
        }
    }
}

/// Stated features with the user they are about.
#[derive(Clone, Debug, PartialEq)]
pub struct StatedUser {
    /// The shop's id.
    pub user: ExternalId,
    /// Rates a month.
    pub features: StatedFeatures,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::base::time::DAYS_PER_MONTH;
    use crate::catalogue::Catalogue;
    use crate::event::{Event, EventKind};
    use crate::profile::Profile;

    const STATED: StatedFeatures = StatedFeatures {
        purchases_per_month: 6.0,
        browsing_minutes_per_month: 40.0,
        searches_per_month: 2.0,
    };

    #[test]
    fn stated_features_alone_are_the_features_and_events_outweigh_them_with_time() {
        let start = Timestamp::from_seconds(1_700_000_000);
        let mut profile = Profile::default();
        profile.state(STATED);
        let features = profile.features(start);
        assert_eq!(features.behaviour(12.0), [6.0, 40.0, 2.0]);
        assert_eq!((features.recency_days, features.monetary), (None, 0.0));
        let search = Event {
            occurred_at: start,
            user: None,
            item: None,
            kind: EventKind::Search,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        };
        profile.apply(&search, &Catalogue::default());
        // One search more in no time at all, then three months without another.
        assert_eq!(profile.features(start).searches_per_month, 3.0);
        let later = start.plus_days(3.0 * DAYS_PER_MONTH);
        assert!((profile.features(later).searches_per_month - 0.75).abs() < 1e-9);
        assert!((profile.features(later).purchases_per_month - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_rate_below_zero_or_without_a_number_is_named() {
        assert_eq!(STATED.validate(), Ok(()));
        let bad = StatedFeatures { searches_per_month: -1.0, ..STATED };
        assert!(bad.validate().unwrap_err().starts_with("searches_per_month"));
        assert!(StatedFeatures { purchases_per_month: f64::NAN, ..STATED }.validate().is_err());
    }
}
