//! The time that the data of a shop cover: until their newest event, without the gaps in which nobody did anything. "Now" of a
//! user's features is the end of that time: of a history that ends years ago the wall clock knows nothing.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::base::time::DAYS_PER_MONTH;
use crate::catalogue::Money;
use crate::event::{Event, EventKind};

/// A time without any event of anybody is a gap from so many days on: longer than a shop is closed for a season.
const GAP_DAYS: f64 = 90.0;
/// Gaps remembered, the longest ones.
const MAX_GAPS: usize = 16;

/// The covered time of a training's data. The moments are µs since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    newest: Option<i64>,
    /// From, to; in order.
    gaps: Vec<(i64, i64)>,
}

impl Observed {
    /// From events in order of time. O(events).
    pub fn of(events: &[Event]) -> Self {
        let mut gaps: Vec<(i64, i64)> = events
            .windows(2)
            .filter_map(|pair| match pair {
                [before, after] if after.occurred_at.days_since(before.occurred_at) > GAP_DAYS => {
                    Some((before.occurred_at.0, after.occurred_at.0))
                }
                _ => None,
            })
            .collect();
        if gaps.len() > MAX_GAPS {
            gaps.sort_by_key(|(from, to)| std::cmp::Reverse(to - from));
            gaps.truncate(MAX_GAPS);
            gaps.sort_unstable();
        }
        Self { newest: events.last().map(|event| event.occurred_at.0), gaps }
    }

    /// Measure of features: until the newest event of the training's data or, where later, of those since;
    /// `fallback` where there is no event at all.
    pub fn context<'a>(
        &'a self,
        newest_since: Option<Timestamp>,
        fallback: Timestamp,
        money: &'a Money,
    ) -> FeatureContext<'a> {
        let trained = self.newest.map(Timestamp);
        FeatureContext {
            now: trained.max(newest_since).unwrap_or(fallback),
            trained,
            gaps: &self.gaps,
            money,
        }
    }
}

/// Measure of features: the moment until which they count, what of the time before was not observed, and the
/// currency of money.
#[derive(Clone, Copy, Debug)]
pub struct FeatureContext<'a> {
    now: Timestamp,
    money: &'a Money,
    /// Newest event of the training.
    trained: Option<Timestamp>,
    gaps: &'a [(i64, i64)],
}

impl From<Timestamp> for FeatureContext<'static> {
    /// Counts until this moment, all of the time before being observed.
    fn from(now: Timestamp) -> Self {
        Self { now, money: Money::NONE, trained: None, gaps: &[] }
    }
}

impl FeatureContext<'_> {
    /// The same, no earlier than an event that is known.
    pub(super) fn at_least(self, known: Option<Timestamp>) -> Self {
        Self { now: known.map_or(self.now, |known| self.now.max(known)), ..self }
    }

    /// Currency of sums, and rates of others.
    pub fn money(&self) -> &Money {
        self.money
    }

    /// The end of the observed time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Observed months from a moment on, ≥ 0.
    pub(super) fn months_since(&self, first: Timestamp) -> f64 {
        let since_training = self
            .trained
            .filter(|trained| self.now.days_since(*trained) > GAP_DAYS)
            .map(|trained| (trained.0, self.now.0));
        let unobserved: f64 = self
            .gaps
            .iter()
            .copied()
            .chain(since_training)
            .map(|(from, to)| Timestamp(to.min(self.now.0)).days_since(Timestamp(from.max(first.0))).max(0.0))
            .sum();
        ((self.now.days_since(first) - unobserved) / DAYS_PER_MONTH).max(0.0)
    }
}

/// Days on which users bought, summed up: how long it takes a user to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReturnTimes {
    /// Days from the first to the last, of all users.
    days: f64,
    /// Returns to buy on another day, of all users.
    returns: f64,
}

impl ReturnTimes {
    /// A user's, from events in order of time.
    pub fn of<'a>(events: impl Iterator<Item = &'a Event>) -> Self {
        let day = |event: &Event| event.occurred_at.0.div_euclid(crate::base::time::DAY_MICROS);
        let mut days = events.filter(|event| event.kind == EventKind::Purchase).map(day);
        let Some(first) = days.next() else { return Self::default() };
        let (last, returns) = days.fold((first, 0.0), |(last, returns), day| {
            (day, if day == last { returns } else { returns + 1.0 })
        });
        Self { days: (last - first) as f64, returns }
    }

    /// Months that a user has to be known for at least before a count is a frequency: six times as long as users take to come
    /// back, 1…12. With less, somebody who came once would outrank who comes every other month. 1 where nobody came back.
    pub fn least_months(self) -> f64 {
        const TIMES: f64 = 6.0;
        if self.returns < 1.0 {
            return 1.0;
        }
        (TIMES * self.days / self.returns / DAYS_PER_MONTH).clamp(1.0, 12.0)
    }
}

impl std::ops::Add for ReturnTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { days: self.days + other.days, returns: self.returns + other.returns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UserId;

    fn bought(day: f64) -> Event {
        Event {
            occurred_at: at(day),
            user: Some(UserId(0)),
            item: None,
            kind: EventKind::Purchase,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        }
    }

    fn at(day: f64) -> Timestamp {
        Timestamp::from_seconds(1_500_000_000).plus_days(day)
    }

    #[test]
    fn a_time_in_which_nobody_did_anything_does_not_count() {
        let months = |days: f64| days / DAYS_PER_MONTH;
        let observed = Observed::of(&[bought(0.0), bought(60.0), bought(1_060.0), bought(1_100.0)]);
        let clock = observed.context(None, at(9_000.0), Money::NONE);
        assert_eq!(clock.now(), at(1_100.0));
        assert!((clock.months_since(at(0.0)) - months(100.0)).abs() < 1e-9);
        assert!((clock.months_since(at(1_060.0)) - months(40.0)).abs() < 1e-9);
        assert!((clock.months_since(at(1_099.0)) - months(1.0)).abs() < 1e-9);
        assert_eq!(clock.months_since(at(1_200.0)), 0.0);
        // A live event soon after, and one after years.
        assert!(
            (observed.context(Some(at(1_150.0)), at(0.0), Money::NONE).months_since(at(0.0)) - months(150.0))
                .abs()
                < 1e-9
        );
        let late = observed.context(Some(at(4_000.0)), at(0.0), Money::NONE);
        assert_eq!(late.now(), at(4_000.0));
        assert!((late.months_since(at(0.0)) - months(100.0)).abs() < 1e-9);
        assert_eq!(Observed::default().context(None, at(5.0), Money::NONE).now(), at(5.0));
    }

    #[test]
    fn who_comes_back_seldom_has_to_be_known_for_longer() {
        let times =
            |days: &[f64]| ReturnTimes::of(days.iter().map(|day| bought(*day)).collect::<Vec<_>>().iter());
        // Three lines of one order are no return.
        assert_eq!(times(&[0.0, 0.0, 0.0]).least_months(), 1.0);
        assert_eq!(times(&[]).least_months(), 1.0);
        assert_eq!(times(&[0.0, 3.0, 6.0]).least_months(), 1.0);
        let some = times(&[0.0, 0.0, 30.0, 60.0]) + times(&[0.0]);
        assert!((some.least_months() - 6.0 * 30.0 / DAYS_PER_MONTH).abs() < 1e-9);
        assert_eq!(times(&[0.0, 300.0]).least_months(), 12.0);
    }
}
