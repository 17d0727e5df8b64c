//! Prices of an item in the last weeks, and the price that a reduction has to be compared with.
//!
//! The price before a reduction is the lowest of the 30 days before it began, and one that goes down step by step began with
//! its first step: Directive 98/6/EC, article 6a (1, 2, 5), as amended by Directive (EU) 2019/2161.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::base::{Millis, Timestamp};

/// Days whose lowest price a reduction is compared with, and longest age of a reduction.
pub const REFERENCE_DAYS: u64 = 30;
/// Prices that ended longer ago than this are of no use: a reduction may be 30 days old, and the days before it count.
pub const KEPT_DAYS: u64 = 2 * REFERENCE_DAYS;
/// Most prices kept for one item; beyond it the oldest two become one, the lower.
const MAX_PRICES: usize = 32;

const REFERENCE: Millis = Millis::hours(24 * REFERENCE_DAYS);
const KEPT: Millis = Millis::hours(24 * KEPT_DAYS);

/// An ISO 4217 code, as its three letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// From a text of three bytes; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// From the three letters.
    pub fn from_letters(letters: [u8; 3]) -> Self {
        Self(letters)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A price and since when it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PricePoint {
    /// First moment of it.
    pub since: Timestamp,
    /// Major units, ≥ 0.
    pub price: f64,
    /// Its currency; `None` where the shop names none.
    pub currency: Option<Currency>,
}

/// Prices of one item, oldest first, the present one last: those of the last 60 days and the one before them. At most 32;
/// an item that changes more often keeps the lower of its oldest two, so that what it cost is never overstated. 24 bytes each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(Vec<PricePoint>);

/// A price that is lower than the one before it, and the lower prices right before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reduction<'a> {
    /// Lowest price of the 30 days before the reduction began.
    pub before: f64,
    /// Prices since then, each lower than the one before it; the last is the present one. Never empty.
    pub steps: &'a [PricePoint],
}

impl Prices {
    /// Adds a price. One that is no change is left out, an earlier one takes its place in time. O(prices).
    pub fn note(&mut self, point: PricePoint) {
        let place = self.0.partition_point(|known| known.since <= point.since);
        let is_known = |known: &PricePoint| (known.price, known.currency) == (point.price, point.currency);
        if place.checked_sub(1).and_then(|before| self.0.get(before)).is_some_and(is_known) {
            return;
        }
        self.0.insert(place, point);
        // One that ended before the days that count, for the next had begun.
        let horizon = point.since - KEPT;
        let ended = self.0.iter().skip(1).take_while(|next| next.since <= horizon).count();
        self.0.drain(..ended);
        while self.0.len() > MAX_PRICES {
            self.merge_oldest();
        }
    }

    fn merge_oldest(&mut self) {
        let [oldest, next, ..] = self.0.as_slice() else { return };
        let merged = if oldest.currency == next.currency && oldest.price < next.price {
            *oldest
        } else {
            PricePoint { since: oldest.since, ..*next }
        };
        self.0.drain(..1);
        if let Some(first) = self.0.first_mut() {
            *first = merged;
        }
    }

    /// Number of prices kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether no price is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Price at a moment. The oldest one is taken to have held before it was first heard of. `None` where it was in another
    /// currency than the present one, and without prices.
    pub fn at(&self, moment: Timestamp) -> Option<f64> {
        let held = self.0.partition_point(|point| point.since <= moment);
        let then = self.0.get(held.saturating_sub(1))?;
        (then.currency == self.0.last()?.currency).then_some(then.price)
    }

    /// Lowest price, in the present currency, that held at some time of `within` before `moment`; `None` if there was none.
    pub fn lowest_before(&self, moment: Timestamp, within: Millis) -> Option<f64> {
        let (since, currency) = (moment - within, self.0.last()?.currency);
        let ends = self.0.iter().skip(1).map(|next| next.since).chain([moment]);
        self.0
            .iter()
            .zip(ends)
            .filter(|(point, end)| point.since < moment && *end > since && point.currency == currency)
            .map(|(point, _)| point.price)
            .reduce(f64::min)
    }

    /// The reduction that the present price is or goes on with; `None` if it is not lower than the one before it, or that
    /// is more than 30 days ago. O(prices).
    pub fn reduction(&self, now: Timestamp) -> Option<Reduction<'_>> {
        let is_step = |pair: &[PricePoint]| match pair {
            [before, after] => {
                after.price < before.price
                    && after.currency == before.currency
                    && after.since > now - REFERENCE
            }
            _ => false,
        };
        let steps = self.0.windows(2).rev().take_while(|pair| is_step(pair)).count();
        let steps = self.0.get(self.0.len() - steps..)?;
        let before = self.lowest_before(steps.first()?.since, REFERENCE)?;
        Some(Reduction { before, steps })
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn point(days_ago: f64, price: f64) -> PricePoint {
        PricePoint { since: NOW.plus_days(-days_ago), price, currency: Currency::parse("EUR") }
    }

    fn prices(points: &[(f64, f64)]) -> Prices {
        let mut prices = Prices::default();
        points.iter().for_each(|(days_ago, price)| prices.note(point(*days_ago, *price)));
        prices
    }

    /// The price a reduction is compared with, and its steps.
    fn reduction(points: &[(f64, f64)]) -> Option<(f64, usize)> {
        prices(points).reduction(NOW).map(|reduction| (reduction.before, reduction.steps.len()))
    }

    #[test]
    fn a_reduction_is_compared_with_the_lowest_price_of_the_30_days_before_its_first_step() {
        for (points, right) in [
            (&[(50.0, 100.0)][..], None),
            (&[(50.0, 100.0), (1.0, 80.0)], Some((100.0, 1))),
            // Raised before it was lowered.
            (&[(50.0, 100.0), (9.0, 200.0), (1.0, 110.0)], Some((100.0, 1))),
            (&[(59.0, 100.0), (40.0, 200.0), (1.0, 110.0)], Some((200.0, 1))),
            (&[(50.0, 100.0), (30.9, 200.0), (1.0, 110.0)], Some((100.0, 1))),
            (&[(50.0, 100.0), (31.1, 200.0), (1.0, 110.0)], Some((200.0, 1))),
            // Step by step.
            (&[(50.0, 100.0), (3.0, 96.0), (2.0, 92.0), (1.0, 88.0)], Some((100.0, 3))),
            // A sale, its end, another one.
            (&[(50.0, 10.0), (9.0, 7.5), (8.0, 10.0), (2.0, 7.5), (1.0, 5.0)], Some((7.5, 2))),
            (&[(50.0, 100.0), (1.0, 120.0)], None),
            (&[(50.0, 100.0), (31.0, 80.0)], None),
            // What went on for longer than 30 days began 30 days ago.
            (&[(59.0, 100.0), (45.0, 90.0), (20.0, 80.0), (1.0, 70.0)], Some((90.0, 2))),
        ] {
            assert_eq!(reduction(points), right, "{points:?}");
        }
    }

    #[test]
    fn the_price_at_a_moment_is_the_one_that_held() {
        let prices = prices(&[(20.0, 100.0), (10.0, 200.0), (0.0, 110.0)]);
        let at = |days_ago: f64| prices.at(NOW.plus_days(-days_ago));
        assert_eq!(
            [at(25.0), at(20.0), at(10.1), at(10.0), at(0.0), at(-1.0)].map(Option::unwrap),
            [100.0, 100.0, 100.0, 200.0, 110.0, 110.0]
        );
        assert_eq!(prices.lowest_before(NOW, Millis::hours(24 * 5)), Some(200.0));
        assert_eq!(prices.lowest_before(NOW, Millis::hours(24 * 11)), Some(100.0));
        assert_eq!((Prices::default().at(NOW), Prices::default().reduction(NOW)), (None, None));
    }

    #[test]
    fn another_currency_is_neither_a_reduction_nor_a_price_to_compare_with() {
        let mut prices = prices(&[(20.0, 100.0)]);
        prices.note(PricePoint { currency: Currency::parse("USD"), ..point(10.0, 50.0) });
        assert_eq!(prices.reduction(NOW), None);
        assert_eq!(prices.at(NOW.plus_days(-15.0)), None);
        prices.note(PricePoint { currency: Currency::parse("USD"), ..point(5.0, 40.0) });
        assert_eq!(prices.reduction(NOW).unwrap().before, 50.0);
    }

    #[test]
    fn what_is_no_change_is_left_out_and_what_comes_late_takes_its_place() {
        let mut late = prices(&[(20.0, 100.0), (10.0, 100.0), (1.0, 80.0)]);
        assert_eq!(late, prices(&[(20.0, 100.0), (1.0, 80.0)]));
        late.note(point(5.0, 90.0));
        assert_eq!(late, prices(&[(20.0, 100.0), (5.0, 90.0), (1.0, 80.0)]));
    }

    #[test]
    fn few_prices_are_kept_and_they_never_overstate_what_it_cost() {
        let mut rng = StdRng::seed_from_u64(23);
        for _ in 0..300 {
            let n = rng.random_range(1..200);
            let span = rng.random_range(1.0..100.0);
            let all: Vec<(f64, f64)> = (0..n)
                .map(|k| (span * (1.0 - f64::from(k) / f64::from(n)), f64::from(rng.random_range(1..50))))
                .collect();
            let kept = prices(&all);
            assert!(kept.len() <= MAX_PRICES);
            let mut all: Vec<PricePoint> =
                all.iter().map(|(days_ago, price)| point(*days_ago, *price)).collect();
            all.dedup_by_key(|point| point.price);
            let whole = Prices(all);
            if let (Some(kept), Some(whole)) = (kept.reduction(NOW), whole.reduction(NOW)) {
                assert!(kept.before <= whole.before);
                assert_eq!(kept.steps.last(), whole.steps.last());
            }
            for days_ago in [0.1, 1.0, 10.0, 29.0] {
                let moment = NOW.plus_days(-days_ago);
                let then = |prices: &Prices| prices.at(moment).unwrap();
                assert!(whole.0.first().unwrap().since > moment || then(&kept) <= then(&whole));
            }
        }
    }
}
