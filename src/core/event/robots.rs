//! Robots, told by their rate: more actions in a minute or a day, by the time at which they happened, than a person makes. Their
//! events are kept; the user is flagged, neither learned from nor answered, until the rate is a person's again.
//!
//! Only views, searches, cart changes and likes count. One invoice or one evening of rating films is many rows
//! in one minute and a person all the same.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::{ExternalId, Timestamp};
use crate::event::EventKind;

const MINUTE_MICROS: i64 = 60_000_000;
const MINUTES_PER_DAY: u32 = 1_440;

/// More than this is a robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotLimits {
    /// Actions in one minute. Default 60: one a second, a whole minute long.
    pub per_minute: u32,
    /// Actions in one day (UTC). Default 1,000.
    pub per_day: u32,
}

impl Default for RobotLimits {
    fn default() -> Self {
        Self { per_minute: 60, per_day: 1_000 }
    }
}

/// Returns whether an action of this kind counts towards the rate.
fn counts(kind: EventKind) -> bool {
    match kind {
        EventKind::View
        | EventKind::Search
        | EventKind::AddToCart
        | EventKind::RemoveFromCart
        | EventKind::Like
        | EventKind::Own(_) => true,
        EventKind::Purchase
        | EventKind::Return
        | EventKind::Rate
        | EventKind::PurchaseClaim
        | EventKind::ReturnClaim => false,
    }
}

/// Minutes since 1970; moments before that all count as minute 0.
fn minute_of(at: Timestamp) -> u32 {
    u32::try_from(at.0.div_euclid(MINUTE_MICROS)).unwrap_or(0)
}

/// Period over which a rate is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Sixty seconds.
    Minute,
    /// A day (UTC).
    Day,
}

/// A rate that no person has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Actions within the span.
    pub count: u32,
    /// Most that a person makes.
    pub limit: u32,
    /// The span.
    pub span: Span,
    /// Moment of the last of them.
    pub at: Timestamp,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = match self.span {
            Span::Minute => "minute",
            Span::Day => "day",
        };
        write!(f, "{} actions in a {span}, more than {}, until {}", self.count, self.limit, self.at)
    }
}

/// Minutes and days of the past that are counted at once; the least busy makes room.
const MAX_LATE: usize = 32;

/// One user's rate by the time at which things happened, for the user's actor: O(1), or O(32) for what comes late.
///
/// The rate of the last 60 seconds is estimated by two counters, the previous minute weighted by how much of it is still within
/// reach. What a phone that was offline sends later counts in its own minute and its own day, and not in those of its arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RobotMeter {
    minute: u32,
    in_minute: u16,
    in_previous: u16,
    in_day: u32,
    /// Earlier minutes, and days + 2^31, with their counts.
    late: Vec<(u32, u32)>,
}

impl RobotMeter {
    /// Counts one event that happened at `at`; the excess if it is one too many.
    pub fn note(&mut self, kind: EventKind, at: Timestamp, limits: &RobotLimits) -> Option<Excess> {
        if !counts(kind) {
            return None;
        }
        let minute = minute_of(at);
        let (in_minute, in_day) =
            if minute >= self.minute { self.now(minute, at) } else { self.earlier(minute) };
        let excess = |count, limit, span| (count > limit).then_some(Excess { count, limit, span, at });
        excess(in_minute, limits.per_minute, Span::Minute)
            .or_else(|| excess(in_day, limits.per_day, Span::Day))
    }

    /// Counts of the 60 seconds and of the day up to the latest event.
    fn now(&mut self, minute: u32, at: Timestamp) -> (u32, u32) {
        if minute > self.minute {
            self.in_previous = if minute == self.minute + 1 { self.in_minute } else { 0 };
            self.in_minute = 0;
            if day_of(minute) != day_of(self.minute) {
                self.in_day = 0;
            }
            self.minute = minute;
        }
        self.in_minute = self.in_minute.saturating_add(1);
        self.in_day = self.in_day.saturating_add(1);
        let elapsed = at.0.rem_euclid(MINUTE_MICROS) as f64 / MINUTE_MICROS as f64;
        let within = f64::from(self.in_previous) * (1.0 - elapsed) + f64::from(self.in_minute);
        (within.ceil() as u32, self.in_day)
    }

    /// Counts of a minute and a day before the latest event.
    fn earlier(&mut self, minute: u32) -> (u32, u32) {
        let in_minute = if minute + 1 == self.minute {
            self.in_previous = self.in_previous.saturating_add(1);
            u32::from(self.in_previous)
        } else {
            self.bump(minute)
        };
        let in_day = if day_of(minute) == day_of(self.minute) {
            self.in_day = self.in_day.saturating_add(1);
            self.in_day
        } else {
            self.bump(day_of(minute) + (1 << 31))
        };
        (in_minute, in_day)
    }

    fn bump(&mut self, bucket: u32) -> u32 {
        if let Some((_, count)) = self.late.iter_mut().find(|(known, _)| *known == bucket) {
            *count = count.saturating_add(1);
            return *count;
        }
        if self.late.len() >= MAX_LATE
            && let Some(place) =
                (0..self.late.len()).min_by_key(|place| self.late.get(*place).map(|(_, n)| *n))
        {
            self.late.swap_remove(place);
        }
        self.late.push((bucket, 1));
        1
    }
}

fn day_of(minute: u32) -> u32 {
    minute / MINUTES_PER_DAY
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    events: u64,
    robot: bool,
}

/// Rates of many users over events in any order, counted by calendar minute and day (UTC).
///
/// Memory: about 60 bytes a user, and at most `max_buckets` counters of a user's minute or day (16 bytes each).
/// When they are full, the smallest counts are forgotten: a slow robot may then be missed, a person is never
/// flagged for it.
#[derive(Debug)]
pub struct RobotCensus {
    limits: RobotLimits,
    max_buckets: usize,
    users: HashMap<ExternalId, u32>,
    tallies: Vec<Tally>,
    /// (user, minute) and (user, day + 2^31).
    buckets: HashMap<(u32, u32), u32>,
}

impl RobotCensus {
    /// No one counted yet.
    pub fn new(limits: RobotLimits, max_buckets: usize) -> Self {
        Self {
            limits,
            max_buckets: max_buckets.max(2),
            users: HashMap::new(),
            tallies: Vec::new(),
            buckets: HashMap::new(),
        }
    }

    /// Counts one event of a user. O(1) amortised.
    pub fn note(&mut self, user: &ExternalId, kind: EventKind, at: Timestamp) {
        let index = match self.users.get(user) {
            Some(index) => *index,
            None => {
                let index = u32::try_from(self.tallies.len()).unwrap_or(u32::MAX);
                self.users.insert(user.clone(), index);
                self.tallies.push(Tally::default());
                index
            }
        };
        let Some(tally) = self.tallies.get_mut(index as usize) else { return };
        tally.events += 1;
        if !counts(kind) || tally.robot {
            return;
        }
        let minute = minute_of(at);
        let day = minute / MINUTES_PER_DAY + (1 << 31);
        for (bucket, limit) in [(minute, self.limits.per_minute), (day, self.limits.per_day)] {
            let count = self.buckets.entry((index, bucket)).or_default();
            *count += 1;
            tally.robot |= *count > limit;
        }
        if self.buckets.len() > self.max_buckets {
            self.forget_smallest();
        }
    }

    fn forget_smallest(&mut self) {
        let mut least = 1;
        while self.buckets.len() > self.max_buckets / 2 {
            self.buckets.retain(|_, count| *count > least);
            least *= 2;
        }
    }

    /// Returns whether this user is flagged so far.
    pub fn is_robot(&self, user: &ExternalId) -> bool {
        self.users
            .get(user)
            .and_then(|index| self.tallies.get(*index as usize))
            .is_some_and(|tally| tally.robot)
    }

    /// Everyone flagged, in order of id.
    pub fn robots(&self) -> Vec<ExternalId> {
        let mut robots: Vec<ExternalId> =
            self.users.keys().filter(|user| self.is_robot(user)).cloned().collect();
        robots.sort();
        robots
    }

    /// Events of everyone flagged.
    pub fn events_of_robots(&self) -> u64 {
        self.tallies.iter().filter(|tally| tally.robot).map(|tally| tally.events).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_300_000_020; // a full minute
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(START + seconds)
    }

    #[test]
    fn sixty_a_minute_is_a_person_and_sixty_one_a_robot() {
        let mut census = RobotCensus::new(RobotLimits::default(), 1_000);
        let (person, robot) = (ExternalId::Integer(1), ExternalId::Integer(2));
        for n in 0..61 {
            if n < 60 {
                census.note(&person, EventKind::View, at(n % 60));
            }
            census.note(&robot, EventKind::View, at(n % 60));
        }
        assert_eq!(census.robots(), [robot]);
        assert_eq!(census.events_of_robots(), 61);
    }

    #[test]
    fn a_slow_robot_is_found_by_the_day_whatever_the_order() {
        let mut census = RobotCensus::new(RobotLimits { per_minute: 60, per_day: 100 }, 1_000);
        let user = ExternalId::Integer(1);
        for n in (0..101).rev() {
            census.note(&user, EventKind::Search, at(n * 60));
        }
        assert!(census.is_robot(&user));
    }

    #[test]
    fn a_large_invoice_and_an_evening_of_ratings_are_a_person() {
        let mut census = RobotCensus::new(RobotLimits::default(), 1_000);
        let mut meter = RobotMeter::default();
        for kind in [EventKind::Purchase, EventKind::Return, EventKind::Rate] {
            for _ in 0..2_000 {
                census.note(&ExternalId::Integer(1), kind, at(0));
                meter.note(kind, at(0), &RobotLimits::default());
            }
        }
        assert_eq!(census.robots(), []);
        assert_eq!(meter, RobotMeter::default());
    }

    #[test]
    fn memory_stays_bounded_and_a_fast_robot_is_still_found() {
        let mut census = RobotCensus::new(RobotLimits::default(), 100);
        for n in 0..10_000i64 {
            census.note(&ExternalId::Integer(n), EventKind::View, at(n));
            census.note(&ExternalId::Integer(-1), EventKind::View, at(n / 100));
            assert!(census.buckets.len() <= 101);
        }
        assert_eq!(census.robots(), [ExternalId::Integer(-1)]);
    }

    #[test]
    fn the_live_meter_slides_over_the_minute() {
        let limits = RobotLimits::default();
        let mut meter = RobotMeter::default();
        // 50 at the end of one minute and 20 at the start of the next are 70 within 60 seconds.
        for n in 0..50 {
            assert_eq!(meter.note(EventKind::View, at(40 + n / 3), &limits), None);
        }
        let flagged = (0..20).find_map(|_| meter.note(EventKind::View, at(61), &limits)).unwrap();
        assert_eq!((flagged.count, flagged.limit, flagged.span), (61, 60, Span::Minute));
        assert_eq!(flagged.to_string(), "61 actions in a minute, more than 60, until 2011-03-13T07:08:01Z");
        // The same 70, minutes apart, are a person.
        let mut calm = RobotMeter::default();
        for n in 0..50 {
            assert_eq!(calm.note(EventKind::View, at(n), &limits), None);
        }
        for n in 0..20 {
            assert_eq!(calm.note(EventKind::View, at(600 + n), &limits), None);
        }
    }

    #[test]
    fn the_live_meter_is_small_and_counts_days() {
        assert!(size_of::<RobotMeter>() <= 40);
        let limits = RobotLimits { per_minute: 60, per_day: 100 };
        let mut meter = RobotMeter::default();
        let midnight = 1_300_060_800 - START;
        for n in 0..100 {
            assert_eq!(meter.note(EventKind::View, at(midnight + n * 60), &limits), None);
        }
        let mut next_day = meter.clone();
        assert_eq!(next_day.note(EventKind::View, at(midnight + 86_400), &limits), None);
        assert_eq!(meter.note(EventKind::View, at(midnight + 7_000), &limits).unwrap().span, Span::Day);
    }

    #[test]
    fn what_comes_late_counts_when_it_happened() {
        let limits = RobotLimits { per_minute: 10, per_day: 40 };
        let day = 86_400;
        for order in [1, -1] {
            let mut meter = RobotMeter::default();
            // 200 views of 200 days, posted at once.
            let flagged =
                (1..=200).any(|n| meter.note(EventKind::View, at(order * n * day), &limits).is_some());
            assert!(!flagged && meter.late.len() <= MAX_LATE);
        }
        // A robot that says that it acted yesterday, between events of now.
        let mut meter = RobotMeter::default();
        let mut late = |n: i64| {
            meter.note(EventKind::View, at(n * 60), &limits);
            meter.note(EventKind::View, at(-day + n), &limits)
        };
        assert_eq!((0..10).find_map(&mut late), None);
        assert_eq!(late(10).map(|excess| (excess.count, excess.span)), Some((11, Span::Minute)));
        // The same over many minutes of that day.
        let mut meter = RobotMeter::default();
        meter.note(EventKind::View, at(0), &limits);
        let mut slow = |n: i64| meter.note(EventKind::View, at(-day - n * 61), &limits);
        assert_eq!((0..40).find_map(&mut slow), None);
        assert_eq!(slow(40).map(|excess| excess.span), Some(Span::Day));
    }
}
