//! Rate limits of many keys in bounded memory: token buckets in the form of the generic cell rate algorithm (ITU-T I.371), whose whole
//! state is one moment. Keys and moments in, a [`Verdict`] out; pure.

/// A sustained rate with its burst: `quota` requests in each window, all of which may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a window, at least 1.
    pub quota: u32,
    /// Length of the window, seconds.
    pub window_s: u32,
}

/// Result of one request against its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// True if the request is within the rate. One that is not takes nothing.
    pub allowed: bool,
    /// Requests that may come now.
    pub remaining: u32,
    /// Microseconds until the next request is allowed if none is left, else until the bucket is full.
    pub reset_us: u64,
}

/// Slots that one key may be in.
const WAYS: usize = 8;

/// State of one key: 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    /// Moment at which the bucket is full again, microseconds; 0 = unused.
    full_at: u64,
}

/// Buckets of many keys. Memory is constant: where a set of slots is full, the bucket nearest to full gives way, whose loss forgives
/// least.
#[derive(Debug)]
pub struct RateTable {
    slots: Vec<[Slot; WAYS]>,
}

impl RateTable {
    /// Room for `sets` × 8 keys, 128 bytes each set; at least one.
    pub fn new(sets: usize) -> Self {
        Self { slots: vec![[Slot::default(); WAYS]; sets.max(1)] }
    }

    /// Takes `cost` requests of a key at `now_us`. `key` is a keyed hash, so that nobody can choose its place. O(1).
    pub fn take(&mut self, key: u64, rate: Rate, cost: u32, now_us: u64) -> Verdict {
        let (interval, window) = rate.micros();
        let Some(slot) = self.slot(key) else { return Verdict::OPEN };
        let full_at = slot.full_at.max(now_us);
        let after = full_at.saturating_add(interval.saturating_mul(cost.into()));
        let allowed = after.saturating_sub(now_us) <= window;
        if allowed {
            *slot = Slot { key, full_at: after };
        }
        let owed = if allowed { after } else { full_at }.saturating_sub(now_us);
        let remaining = u32::try_from(window.saturating_sub(owed) / interval).unwrap_or(u32::MAX);
        let reset_us = match (allowed, remaining) {
            (false, _) => after.saturating_sub(now_us).saturating_sub(window),
            (true, 0) => (owed + interval).saturating_sub(window),
            (true, _) => owed,
        };
        Verdict { allowed, remaining, reset_us }
    }

    /// Gives back one request that was taken. O(1).
    pub fn give_back(&mut self, key: u64, rate: Rate) {
        let (interval, _) = rate.micros();
        let sets = self.slots.len() as u64;
        let set = self.slots.get_mut(usize::try_from(key % sets).unwrap_or(0));
        if let Some(slot) =
            set.and_then(|set| set.iter_mut().find(|slot| slot.key == key && slot.full_at > 0))
        {
            // Never 0, which means an unused slot.
            slot.full_at = slot.full_at.saturating_sub(interval).max(1);
        }
    }

    /// Requests of a key that may come at `now_us`. Takes nothing. O(1).
    pub fn remaining(&self, key: u64, rate: Rate, now_us: u64) -> u32 {
        let (interval, window) = rate.micros();
        let set = self.slots.get(usize::try_from(key % self.slots.len() as u64).unwrap_or(0));
        let slot = set.and_then(|set| set.iter().find(|slot| slot.key == key && slot.full_at > 0));
        let owed = slot.map_or(0, |slot| slot.full_at.saturating_sub(now_us));
        u32::try_from(window.saturating_sub(owed) / interval).unwrap_or(u32::MAX)
    }

    /// The key's slot, or the one that gives way.
    fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        let sets = self.slots.len() as u64;
        let set = self.slots.get_mut(usize::try_from(key % sets).unwrap_or(0))?;
        let place = match set.iter().position(|slot| slot.key == key && slot.full_at > 0) {
            Some(place) => place,
            None => {
                let (place, oldest) = set.iter_mut().enumerate().min_by_key(|(_, slot)| slot.full_at)?;
                *oldest = Slot::default();
                place
            }
        };
        set.get_mut(place)
    }
}

impl Rate {
    /// Time for one request, and the window, microseconds.
    fn micros(self) -> (u64, u64) {
        let interval = (u64::from(self.window_s.max(1)) * 1_000_000 / u64::from(self.quota.max(1))).max(1);
        (interval, interval.saturating_mul(self.quota.max(1).into()))
    }
}

impl Verdict {
    /// Verdict without a limit.
    const OPEN: Self = Self { allowed: true, remaining: u32::MAX, reset_us: 0 };

    /// Seconds that a client waits, rounded up.
    pub fn reset_s(self) -> u64 {
        self.reset_us.div_ceil(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    const RATE: Rate = Rate { quota: 20, window_s: 10 };
    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_window_may_come_at_once_and_then_as_many_as_time_allows() {
        let mut table = RateTable::new(4);
        let now = 5 * SECOND;
        for left in (0..20).rev() {
            let verdict = table.take(7, RATE, 1, now);
            assert_eq!((verdict.allowed, verdict.remaining), (true, left));
        }
        let refused = table.take(7, RATE, 1, now);
        assert_eq!(refused, Verdict { allowed: false, remaining: 0, reset_us: SECOND / 2 });
        assert_eq!(refused.reset_s(), 1);
        // A refusal takes nothing; half a second earns one.
        assert!(table.take(7, RATE, 1, now + SECOND / 2).allowed);
        assert!(!table.take(7, RATE, 1, now + SECOND / 2).allowed);
        assert!(table.take(7, RATE, 4, now + 5 * SECOND / 2).allowed);
        // No more than a window is saved up.
        assert_eq!(table.remaining(7, RATE, now + 1_000 * SECOND), 20);
        assert_eq!(table.take(7, RATE, 1, now + 1_000 * SECOND).remaining, 19);
        assert_eq!((table.remaining(7, RATE, now + 1_000 * SECOND), table.remaining(8, RATE, now)), (19, 20));
    }

    #[test]
    fn what_is_given_back_may_be_taken_again_and_no_more_than_that() {
        let mut table = RateTable::new(4);
        for _ in 0..1_000 {
            assert!(table.take(7, RATE, 1, SECOND).allowed);
            table.give_back(7, RATE);
        }
        table.give_back(8, RATE);
        assert!(table.take(7, RATE, 20, SECOND).allowed);
        assert!(!table.take(7, RATE, 1, SECOND).allowed);
    }

    #[test]
    fn keys_do_not_share_and_a_costly_request_takes_more() {
        let mut table = RateTable::new(4);
        assert_eq!(table.take(1, RATE, 20, SECOND).remaining, 0);
        assert!(!table.take(1, RATE, 1, SECOND).allowed);
        assert!(table.take(2, RATE, 1, SECOND).allowed);
        assert!(!table.take(3, RATE, 21, SECOND).allowed, "never more than a window");
    }

    #[test]
    fn memory_is_constant_and_what_gives_way_forgives_least() {
        let mut table = RateTable::new(1);
        assert!(table.take(1, RATE, 20, SECOND).allowed);
        // Many keys of one request each: none of them pushes out the one that is spent.
        for key in 2..10_000 {
            assert!(table.take(key, RATE, 1, SECOND).allowed);
        }
        assert!(!table.take(1, RATE, 1, SECOND).allowed);
        assert_eq!(table.slots.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(371), ..ProptestConfig::default() })]

        /// For any sequence of requests, no window of time has more than the quota and what it earned meanwhile.
        #[test]
        fn the_rate_is_never_exceeded(steps in proptest::collection::vec((0u64..2_000_000, 1u32..4), 1..300)) {
            let mut table = RateTable::new(2);
            let (mut now, mut taken) = (SECOND, Vec::new());
            for (wait, cost) in steps {
                now += wait;
                let verdict = table.take(9, RATE, cost, now);
                if verdict.allowed {
                    taken.push((now, u64::from(cost)));
                } else {
                    prop_assert!(verdict.reset_us > 0);
                    prop_assert!(RateTable::take(&mut table, 9, RATE, cost, now + verdict.reset_us).allowed);
                    now += verdict.reset_us;
                    taken.push((now, u64::from(cost)));
                }
            }
            for (from, (begin, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (at, cost) in &taken[from..] {
                    sum += cost;
                    let earned = (at - begin) / (SECOND / 2);
                    prop_assert!(sum <= 20 + earned, "{sum} within {} us", at - begin);
                }
            }
        }
    }
}
