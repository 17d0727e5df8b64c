//! Reference distributions of the data at training time, so that later the server can tell whether the world has moved: the
//! distribution of events over items, and of features over the users who were active. Compared by the population stability index
//! (Siddiqi 2006): below 0.1 stable, above 0.25 moved.
//!
//! Goes in: events and features. Comes out: bins. Memory: 1 byte an item, 80 bytes a feature.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::event::Event;
use crate::profile::Features;

/// Days before the newest event that count as "at training time".
const WINDOW_DAYS: f64 = 28.0;
/// Bins of equal share; items get one more for those nobody touched.
pub const BINS: usize = 10;
/// With fewer observations on either side the index is noise.
const LEAST: u64 = 200;

/// Distribution of a quantity over bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Observations by bin.
    pub counts: Vec<u64>,
}

impl Spread {
    /// The population stability index of what is seen now against this: Σ (now − then) · ln(now / then) over shares, half
    /// an observation added to each bin so that an empty one is not infinite. ≥ 0; `None` with fewer than 200
    /// observations on either side or another number of bins.
    pub fn stability(&self, now: &[u64]) -> Option<f64> {
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        let (then_total, now_total) = (total(&self.counts), total(now));
        if self.counts.len() != now.len() || then_total < LEAST || now_total < LEAST {
            return None;
        }
        let share = |count: u64, total: u64| (count as f64 + 0.5) / (total as f64 + 0.5 * now.len() as f64);
        let parts = self.counts.iter().zip(now).map(|(then, now)| {
            let (then, now) = (share(*then, then_total), share(*now, now_total));
            (now - then) * (now / then).ln()
        });
        Some(parts.sum())
    }
}

/// One feature of active users: the upper bounds of all bins but the last, and who was in each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureSpread {
    bounds: Vec<f64>,
    /// Active users by bin.
    pub spread: Spread,
}

impl FeatureSpread {
    /// Bounds at the deciles; equal deciles (most users search never) make one bin.
    fn fit(mut values: Vec<f64>) -> Self {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let mut bounds: Vec<f64> =
            (1..BINS).filter_map(|bin| values.get(values.len() * bin / BINS).copied()).collect();
        bounds.dedup();
        let mut fitted = Self { spread: Spread { counts: vec![0; bounds.len() + 1] }, bounds };
        for value in values {
            let bin = fitted.bin(value);
            if let Some(count) = fitted.spread.counts.get_mut(bin) {
                *count += 1;
            }
        }
        fitted
    }

    /// The bin of a value. O(log bins).
    pub fn bin(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}

/// The data at training time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Bin of each item, the most touched in bin 0; those not touched in the last one.
    item_bins: Vec<u8>,
    /// Events by bin of their item.
    pub items: Spread,
    /// In the order of [`Baseline::values`].
    pub features: Vec<FeatureSpread>,
}

impl Baseline {
    /// Names of the features compared.
    pub const FEATURES: [&'static str; 4] =
        ["purchases_per_month", "browsing_minutes_per_month", "searches_per_month", "monetary"];

    /// From events in order of time and the features of users by their index. O(events of the last 28 days + items log
    /// items + users log users).
    pub fn fit<'a>(events: &[Event], features: impl Iterator<Item = (usize, &'a Features)>) -> Self {
        let Some(newest) = events.last().map(|event| event.occurred_at) else { return Self::default() };
        let from = newest.plus_days(-WINDOW_DAYS);
        let recent =
            events.get(events.partition_point(|event| event.occurred_at < from)..).unwrap_or_default();
        let mut touched: Vec<u64> = Vec::new();
        let mut active: Vec<bool> = Vec::new();
        for event in recent {
            if let Some(item) = event.item {
                touched.resize(touched.len().max(item.index() + 1), 0);
                touched.get_mut(item.index()).into_iter().for_each(|count| *count += 1);
            }
            if let Some(user) = event.user {
                active.resize(active.len().max(user.index() + 1), false);
                active.get_mut(user.index()).into_iter().for_each(|slot| *slot = true);
            }
        }
        let values: Vec<[f64; 4]> = features
            .filter(|(user, _)| active.get(*user).copied().unwrap_or(false))
            .map(|(_, features)| Self::values(features))
            .collect();
        let column = |feature: usize| values.iter().filter_map(|row| row.get(feature).copied()).collect();
        let features = (0..Self::FEATURES.len()).map(|feature| FeatureSpread::fit(column(feature))).collect();
        let (item_bins, items) = bins(&touched);
        Self { item_bins, items, features }
    }

    /// The values that are compared.
    pub fn values(features: &Features) -> [f64; 4] {
        let [purchases, minutes, searches] = features.observed();
        [purchases, minutes, searches, features.monetary]
    }

    /// The bin of an item; the last one for what nobody had touched. O(1).
    pub fn item_bin(&self, item: ItemId) -> usize {
        self.item_bins.get(item.index()).map_or(BINS, |bin| usize::from(*bin))
    }
}

/// Items by number of events into bins of about equal numbers of events, ties by id.
fn bins(touched: &[u64]) -> (Vec<u8>, Spread) {
    let total: u64 = touched.iter().sum();
    let mut order: Vec<(std::cmp::Reverse<u64>, usize)> = touched
        .iter()
        .enumerate()
        .filter(|(_, n)| **n > 0)
        .map(|(item, n)| (std::cmp::Reverse(*n), item))
        .collect();
    order.sort_unstable();
    let mut of_item = vec![BINS as u8; touched.len()];
    let mut counts = vec![0u64; BINS + 1];
    let mut before = 0u64;
    for (std::cmp::Reverse(n), item) in order {
        let bin = (before * BINS as u64 / total.max(1)).min(BINS as u64 - 1) as usize;
        of_item.get_mut(item).into_iter().for_each(|slot| *slot = bin as u8);
        counts.get_mut(bin).into_iter().for_each(|count| *count += n);
        before += n;
    }
    (of_item, Spread { counts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::recommend::fixtures::event;

    #[test]
    fn the_index_agrees_with_a_value_computed_by_hand() {
        let then = Spread { counts: vec![500, 300, 200] };
        assert_eq!(then.stability(&[500, 300, 200]), Some(0.0));
        // Shares .5 .3 .2 → .3 .3 .4: −.2 ln .6 + .2 ln 2 = 0.2408; the half observations move the fourth digit.
        let moved = then.stability(&[3_000, 3_000, 4_000]).unwrap();
        assert!((moved - 0.2408).abs() < 1e-3, "{moved}");
        assert!(then.stability(&[1_000, 0, 0]).unwrap().is_finite());
        assert_eq!(then.stability(&[10, 5, 5]), None, "too few to tell");
        assert_eq!(then.stability(&[1_000, 1_000]), None);
        assert_eq!(Spread::default().stability(&[]), None);
    }

    #[test]
    fn items_fall_into_bins_of_equal_numbers_of_events() {
        let mut events = Vec::new();
        for item in 0..20u32 {
            events.extend((0..30).map(|n| event(n, EventKind::View, item, 100.0)));
        }
        // Older than the window.
        events.insert(0, event(0, EventKind::View, 25, 1.0));
        let baseline = Baseline::fit(&events, std::iter::empty());
        assert_eq!(baseline.items.counts, [60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 0]);
        assert_eq!((baseline.item_bin(ItemId(0)), baseline.item_bin(ItemId(19))), (0, 9));
        assert_eq!((baseline.item_bin(ItemId(25)), baseline.item_bin(ItemId(99))), (BINS, BINS));
    }

    #[test]
    fn features_of_active_users_are_binned_by_deciles() {
        let events: Vec<_> = (0..300).map(|user| event(user, EventKind::View, 0, 1.0)).collect();
        let features: Vec<Features> = (0..400)
            .map(|user| Features { purchases_per_month: f64::from(user % 100), ..Features::default() })
            .collect();
        let baseline = Baseline::fit(&events, features.iter().enumerate());
        let [purchases, _, searches, _] = baseline.features.as_slice() else { panic!() };
        assert_eq!(
            purchases.spread.counts.iter().sum::<u64>(),
            300,
            "the hundred who were away do not count"
        );
        assert_eq!(purchases.spread.counts.len(), 10);
        assert_eq!(searches.spread.counts, [300, 0], "nobody searches");
        assert_eq!((searches.bin(0.0), searches.bin(3.0)), (0, 1));
        assert_eq!(Baseline::fit(&[], features.iter().enumerate()), Baseline::default());
    }
}
