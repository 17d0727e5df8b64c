//! Items a user has bought, with the day of the last purchase.

use serde::Serialize;

use crate::base::{ItemId, Timestamp};

const MICROS_A_DAY: i64 = 86_400_000_000;

/// One item ever bought. 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bought {
    /// Item that was bought.
    pub item: ItemId,
    /// Days since 1970 of the last purchase.
    last_day: u16,
    /// Number of purchases, saturating.
    pub times: u16,
}

impl Bought {
    /// Bought for the first time.
    pub fn new(item: ItemId, at: Timestamp) -> Self {
        Self { item, last_day: day(at), times: 1 }
    }

    /// Bought once more, in any order of arrival.
    pub(super) fn again(&mut self, at: Timestamp) {
        self.last_day = self.last_day.max(day(at));
        self.times = self.times.saturating_add(1);
    }

    /// Days since 1970 of the last purchase.
    pub fn last_day(&self) -> u16 {
        self.last_day
    }

    /// Whole days from the last purchase to `now`, ≥ 0.
    pub fn days_since(&self, now: Timestamp) -> f32 {
        f32::from(day(now).saturating_sub(self.last_day))
    }
}

fn day(at: Timestamp) -> u16 {
    u16::try_from(at.0.div_euclid(MICROS_A_DAY).max(0)).unwrap_or(u16::MAX)
}
