//! Rate of a message to many: how many users may be handed on by a moment. A token bucket whose whole state is one moment, up to
//! which the rate is used, so that it survives a restart as one stored value. No clock.

use tidings_core::base::{Millis, Timestamp};

/// Highest rate, users a minute.
pub const MAX_PER_MINUTE: u32 = 1_000_000;
/// Tokens that were not used within this time are lost: a server that was down does not catch up in one burst.
const MAX_CREDIT_MICROS: i64 = 1_000_000;
/// Shortest time between two looks.
const TICK: Millis = Millis(100);
const MINUTE_MICROS: i64 = 60_000_000;

/// Most users a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace(u32);

impl Pace {
    /// `per_minute` users a minute; `None` outside 1…[`MAX_PER_MINUTE`].
    pub fn new(per_minute: u32) -> Option<Self> {
        (1..=MAX_PER_MINUTE).contains(&per_minute).then_some(Self(per_minute))
    }

    /// Users a minute.
    pub fn per_minute(self) -> u32 {
        self.0
    }

    /// Users that may be handed on at `now` when the rate is used up to `used_until`.
    pub fn allowance(self, used_until: Timestamp, now: Timestamp) -> usize {
        let since = Self::from(used_until, now);
        // The one that is due at the start of the credit counts: a rate of one a minute begins at once.
        let elapsed = i128::from(now.0 - since.0);
        if elapsed < 0 {
            return 0;
        }
        let n = elapsed * i128::from(self.0) / i128::from(MINUTE_MICROS) + 1;
        usize::try_from(n).unwrap_or(usize::MAX)
    }

    /// Moment up to which the rate is used after `users` were handed on at `now`.
    pub fn used(self, used_until: Timestamp, now: Timestamp, users: usize) -> Timestamp {
        let micros = i128::try_from(users).unwrap_or(i128::MAX / 2).saturating_mul(i128::from(MINUTE_MICROS));
        // Rounded up: never faster than the rate.
        let micros = (micros + i128::from(self.0) - 1) / i128::from(self.0);
        Timestamp(Self::from(used_until, now).0.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    /// Moment of the next look: when another user is due, and not before a tenth of a second.
    pub fn next_look(used_until: Timestamp, now: Timestamp) -> Timestamp {
        used_until.max(now + TICK)
    }

    fn from(used_until: Timestamp, now: Timestamp) -> Timestamp {
        used_until.max(Timestamp(now.0.saturating_sub(MAX_CREDIT_MICROS)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000_000);

    #[test]
    fn a_rate_is_between_one_and_a_million() {
        assert_eq!(Pace::new(0), None);
        assert_eq!(Pace::new(MAX_PER_MINUTE + 1), None);
        assert_eq!(Pace::new(MAX_PER_MINUTE).map(Pace::per_minute), Some(MAX_PER_MINUTE));
    }

    #[test]
    fn one_a_minute_begins_at_once_and_then_waits_a_minute() {
        let pace = Pace::new(1).unwrap();
        assert_eq!(pace.allowance(START, START), 1);
        let used = pace.used(START, START, 1);
        assert_eq!(used, START + Millis(60_000));
        assert_eq!(pace.allowance(used, START + Millis(59_999)), 0);
        assert_eq!(pace.allowance(used, START + Millis(60_000)), 1);
    }

    #[test]
    fn an_hour_of_standstill_gives_a_second_of_credit() {
        let pace = Pace::new(6_000).unwrap();
        assert_eq!(pace.allowance(START, START + Millis::hours(1)), 101);
    }

    /// Handed on at each look, in virtual time; a restart keeps nothing but the stored moment.
    fn run(pace: Pace, waits_ms: &[u64]) -> Vec<(Timestamp, usize)> {
        let (mut now, mut used, mut handed_on) = (START, START, Vec::new());
        for wait in waits_ms {
            let n = pace.allowance(used, now);
            if n > 0 {
                used = pace.used(used, now, n);
                handed_on.push((now, n));
            }
            now = now + Millis(*wait);
        }
        handed_on
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_the_rate_and_a_second_of_credit(
            rate in 1..=MAX_PER_MINUTE,
            waits in prop::collection::vec(prop_oneof![1..200_u64, 500..5_000_u64, Just(300_000)], 1..400),
        ) {
            let handed_on = run(Pace::new(rate).unwrap(), &waits);
            let most = rate as usize + rate as usize / 60 + 2;
            for (start, _) in &handed_on {
                let within = |(at, _): &&(Timestamp, usize)| *at >= *start && *at < *start + Millis(60_000);
                let n: usize = handed_on.iter().filter(within).map(|(_, n)| n).sum();
                prop_assert!(n <= most, "{n} of {most} within a minute of {start}");
            }
        }

        #[test]
        fn looks_that_are_in_time_lose_nothing_of_the_rate(rate in 60..=MAX_PER_MINUTE) {
            let handed_on = run(Pace::new(rate).unwrap(), &[100; 601]);
            let n: usize = handed_on.iter().map(|(_, n)| n).sum();
            let least = rate as usize * 99 / 100;
            prop_assert!(n >= least && n <= rate as usize + rate as usize / 60 + 2, "{n} of {rate}");
        }
    }
}
