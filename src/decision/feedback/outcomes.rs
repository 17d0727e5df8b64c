//! Outcomes of a group of messages: counts, the shares that matter, and how sure they are.

use serde::Serialize;

use super::statistics::{Estimate, Z_95};

/// Fewest users that each of two groups must be expected to have on either side (bought, did not buy) before their difference is
/// told: the rule of the χ² test.
const MIN_EXPECTED: f64 = 5.0;

/// Counts of messages, and the money they brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutcomeCounts {
    /// Put into a stream.
    pub sent: u64,
    /// Acknowledged by a client, or answered by any feedback.
    pub delivered: u64,
    /// Shown.
    pub displayed: u64,
    /// Clicked.
    pub clicked: u64,
    /// Closed unread.
    pub dismissed: u64,
    /// Thumbs up.
    pub liked: u64,
    /// Thumbs down.
    pub disliked: u64,
    /// Followed by a purchase of an item in it, within the attribution window.
    pub converted: u64,
    /// Of these purchases, in the shop's currency.
    pub revenue: f64,
    /// Its category was muted from it.
    pub muted: u64,
    /// The last one before its user opted out of everything.
    pub unsubscribed: u64,
}

impl OutcomeCounts {
    /// Adds the counts of another group.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.displayed += other.displayed;
        self.clicked += other.clicked;
        self.dismissed += other.dismissed;
        self.liked += other.liked;
        self.disliked += other.disliked;
        self.converted += other.converted;
        self.revenue += other.revenue;
        self.muted += other.muted;
        self.unsubscribed += other.unsubscribed;
    }

    /// The shares of these counts.
    pub fn shares(&self) -> OutcomeShares {
        let per_thousand = |share: Option<Share>| share.map(|share| share.times(1_000.0));
        OutcomeShares {
            click_through: Share::of(self.clicked, self.delivered),
            conversion: Share::of(self.converted, self.delivered),
            liked: Share::of(self.liked, self.liked + self.disliked),
            muted_per_thousand: per_thousand(Share::of(self.muted, self.delivered)),
            unsubscribed_per_thousand: per_thousand(Share::of(self.unsubscribed, self.delivered)),
        }
    }
}

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Share {
    /// As counted, 0…1.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// `part` of `whole` with Wilson's score interval (JASA 22, 1927), which holds near 0 and 1 and for small wholes too;
    /// `None` without a whole. A part above the whole counts as the whole.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        let n = whole as f64;
        let value = part.min(whole) as f64 / n;
        let squared = Z_95 * Z_95;
        let middle = value + squared / (2.0 * n);
        let reach = Z_95 * (value * (1.0 - value) / n + squared / (4.0 * n * n)).sqrt();
        let whole = 1.0 + squared / n;
        Some(Self {
            value,
            low: ((middle - reach) / whole).clamp(0.0, value),
            high: ((middle + reach) / whole).clamp(value, 1.0),
        })
    }

    /// This share less `other`, with Newcombe's interval of method 10 (Statistics in Medicine 17, 1998), which holds where one of
    /// them is 0 or 1.
    pub fn minus(self, other: Self) -> Estimate {
        let difference = self.value - other.value;
        Estimate::between(
            difference,
            difference - (self.value - self.low).hypot(other.high - other.value),
            difference + (self.high - self.value).hypot(other.value - other.low),
        )
    }

    /// This share / `other` − 1, its interval by the same method (Donner & Zou, Statistics in Medicine 31, 2012): it leaves 0 out
    /// when that of the difference does. Without an upper end where `other` may be 0; `None` where it is.
    pub fn lift_over(self, other: Self) -> Option<Estimate> {
        let (treated, control) = (self.value, other.value);
        if control <= 0.0 {
            return None;
        }
        // Roots of (treated − ratio · control)² = reach² + ratio² · other_reach².
        let discriminant = |reach: f64, other_reach: f64| {
            let (a, c) = (control.powi(2) - other_reach.powi(2), treated.powi(2) - reach.powi(2));
            ((treated * control).powi(2) - a * c).max(0.0).sqrt()
        };
        let (below, above) = (treated - self.low, other.high - control);
        let low = (treated.powi(2) - below.powi(2)).max(0.0)
            / (treated * control + discriminant(below, above)).max(f64::MIN_POSITIVE);
        let (over, under) = (self.high - treated, control - other.low);
        let high = (other.low > 0.0)
            .then(|| (treated * control + discriminant(over, under)) / (control.powi(2) - under.powi(2)));
        Some(Estimate {
            value: treated / control - 1.0,
            low: Some(low - 1.0),
            high: high.map(|high| high - 1.0),
        })
    }

    fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// Reason why the difference of two shares, each part of whole, can't be told yet; `None` when it can.
pub fn too_few((part, whole): (u64, u64), (other, other_whole): (u64, u64)) -> Option<String> {
    let smaller = whole.min(other_whole) as f64;
    let rate = (part + other) as f64 / ((whole + other_whole) as f64).max(1.0);
    let expected = smaller * rate.min(1.0 - rate).max(0.0);
    (expected < MIN_EXPECTED).then(|| {
        let needed = MIN_EXPECTED / (expected / smaller.max(1.0));
        if needed.is_finite() {
            let more = (needed - smaller).ceil().max(1.0);
            format!("too few to tell: the smaller group has {smaller} users, about {more} more are needed at this rate")
        } else {
            format!("too few to tell: all users did the same, of whom the smaller group has {smaller}")
        }
    })
}

/// Click-through, conversion and satisfaction. `None` while nothing was delivered (or, for likes, rated).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutcomeShares {
    /// Clicked of delivered.
    pub click_through: Option<Share>,
    /// Converted of delivered.
    pub conversion: Option<Share>,
    /// Liked of liked and disliked.
    pub liked: Option<Share>,
    /// Muted of a thousand delivered.
    pub muted_per_thousand: Option<Share>,
    /// Opted out after a thousand delivered.
    pub unsubscribed_per_thousand: Option<Share>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the published formula and as the roots of (p − x)² = z² x (1 − x) / n, in Python's double precision.
    #[test]
    fn intervals_are_wilsons() {
        for (part, whole, low, high) in [
            (0, 10, 0.0, 0.277_532_8),
            (3, 10, 0.107_791_3, 0.603_221_9),
            (10, 10, 0.722_467_2, 1.0),
            (50, 1_000, 0.038_130_3, 0.065_313_8),
        ] {
            let share = Share::of(part, whole).unwrap();
            assert!((share.low - low).abs() < 1e-6 && (share.high - high).abs() < 1e-6, "{part} {share:?}");
        }
    }

    /// Newcombe 1998, table II, method 10, to the four places printed there; ratios from the same limits by bisection in Python.
    #[test]
    fn differences_and_ratios_are_newcombes() {
        for (a, b, difference, low, high, ratio) in [
            ((56, 70), (48, 80), 0.2, 0.0524, 0.3339, Some((0.078_294_6, Some(0.662_919_9)))),
            ((9, 10), (3, 10), 0.6, 0.1705, 0.8090, Some((0.322_396_5, Some(7.368_906_1)))),
            ((6, 7), (2, 7), 0.5714, 0.0582, 0.8062, Some((0.108_160_3, Some(9.464_311_2)))),
            ((5, 56), (0, 29), 0.0893, -0.0381, 0.1926, None),
            ((0, 10), (0, 20), 0.0, -0.1611, 0.2775, None),
        ] {
            let [a, b] = [a, b].map(|(part, whole)| Share::of(part, whole).unwrap());
            let found = a.minus(b);
            for (found, expected) in [(Some(found.value), difference), (found.low, low), (found.high, high)] {
                assert!((found.unwrap() - expected).abs() < 6e-5, "{found:?} {expected}");
            }
            let lift = a.lift_over(b);
            assert_eq!(lift.is_some(), ratio.is_some());
            if let Some((lift, (low, high))) = lift.zip(ratio) {
                assert!((lift.low.unwrap() - low).abs() < 1e-6, "{lift:?}");
                assert!(high.is_none_or(|high: f64| (lift.high.unwrap() - high).abs() < 1e-6), "{lift:?}");
                assert_eq!(lift.excludes_zero(), found.excludes_zero());
            }
        }
        let none = Share::of(0, 50).unwrap();
        let lift = none.lift_over(Share::of(10, 50).unwrap()).unwrap();
        assert_eq!((lift.value, lift.low), (-1.0, Some(-1.0)));
        assert!(lift.high.unwrap() < 0.0);
    }

    #[test]
    fn nothing_delivered_has_no_shares_and_no_nan() {
        let shares = OutcomeCounts { sent: 3, ..OutcomeCounts::default() }.shares();
        assert_eq!((shares.click_through, shares.liked, shares.muted_per_thousand), (None, None, None));
        let rated = OutcomeCounts { liked: 3, disliked: 1, delivered: 500, muted: 2, ..Default::default() };
        assert!((rated.shares().liked.unwrap().value - 0.75).abs() < 1e-12);
        assert!((rated.shares().muted_per_thousand.unwrap().value - 4.0).abs() < 1e-12);
    }
}
