//! Waiting times between tries.

use std::time::Duration;

/// Shortest and longest wait, milliseconds.
const FIRST_MS: u64 = 100;
const LONGEST_MS: u64 = 15_000;

/// Doubling waits with half of jitter.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait: 100 ms, doubling to 15 s, each shortened by up to a half.
    pub fn next(&mut self) -> Duration {
        let whole = FIRST_MS.saturating_mul(1 << self.tries.min(10)).min(LONGEST_MS);
        self.tries = self.tries.saturating_add(1);
        // The clock's nanoseconds spread pullers well enough.
        let noise = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::from(since.subsec_nanos()));
        Duration::from_millis(whole - noise % (whole / 2 + 1))
    }

    /// Returns whether something has failed.
    pub fn is_waiting(&self) -> bool {
        self.tries > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..20).map(|_| backoff.next().as_millis()).collect();
        assert!((50..=100).contains(&waits[0]) && (7_500..=15_000).contains(&waits[19]), "{waits:?}");
        assert!(backoff.is_waiting() && !Backoff::default().is_waiting());
    }
}
