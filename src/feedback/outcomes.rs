//! What came of a group of messages: counts, the shares that matter, and how sure they are.

use serde::Serialize;

use super::statistics::Z_95;

/// Counts of messages, and the money they brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
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

    fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// Click-through, conversion and satisfaction. `None` while nothing was delivered (or, for likes, rated).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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

    #[test]
    fn nothing_delivered_has_no_shares_and_no_nan() {
        let shares = OutcomeCounts { sent: 3, ..OutcomeCounts::default() }.shares();
        assert_eq!((shares.click_through, shares.liked, shares.muted_per_thousand), (None, None, None));
        let rated = OutcomeCounts { liked: 3, disliked: 1, delivered: 500, muted: 2, ..Default::default() };
        assert!((rated.shares().liked.unwrap().value - 0.75).abs() < 1e-12);
        assert!((rated.shares().muted_per_thousand.unwrap().value - 4.0).abs() < 1e-12);
    }
}
