//! Number of messages the server has sent in this hour (UTC), against the policy's budget. Shared by all users' actors, so
//! a few more than the budget may pass when many decide at once: it is a brake, no guarantee (caps are).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tidings_core::base::Timestamp;

const HOUR_MICROS: i64 = 3_600_000_000;

/// Counts; starts anew each hour.
#[derive(Debug, Default)]
pub struct Budget {
    hour: AtomicI64,
    used: AtomicU64,
}

impl Budget {
    /// Messages sent in this hour.
    pub fn used(&self, now: Timestamp) -> u64 {
        self.turn(now);
        self.used.load(Ordering::Relaxed)
    }

    /// One more was sent.
    pub fn spend(&self, now: Timestamp) {
        self.turn(now);
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    fn turn(&self, now: Timestamp) {
        let hour = now.0.div_euclid(HOUR_MICROS);
        // Read first: all users' decisions share this line of the cache.
        if self.hour.load(Ordering::Relaxed) != hour && self.hour.swap(hour, Ordering::Relaxed) != hour {
            self.used.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back_with_the_hour() {
        let budget = Budget::default();
        let now = Timestamp(HOUR_MICROS * 10);
        (0..3).for_each(|_| budget.spend(now));
        assert_eq!(budget.used(now), 3);
        assert_eq!(budget.used(Timestamp(HOUR_MICROS * 11)), 0);
    }
}
