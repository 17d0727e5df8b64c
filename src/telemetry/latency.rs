//! Percentiles of the last minute: a ring of one-second histograms of hdrhistogram, 16 buckets an octave, so that a percentile is
//! too high by at most a sixteenth.

use hdrhistogram::Histogram;
use serde::Serialize;

const SLOTS: usize = 60;
/// Highest value told apart, microseconds: 134 s; slower is counted as that.
const MAX_MICROS: u64 = (1 << 27) - 1;
/// Significant decimal digits of a percentile: 16 buckets an octave, the fewest there are.
const DIGITS: u8 = 1;

/// Percentiles in milliseconds; `None` when nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Percentiles {
    /// Half were faster.
    pub p50: Option<f64>,
    /// Nine in ten were faster.
    pub p90: Option<f64>,
    /// 99 in a hundred were faster.
    pub p99: Option<f64>,
    /// The slowest.
    pub max: Option<f64>,
    /// Number of samples.
    pub count: u64,
}

#[derive(Clone)]
struct Slot {
    second: i64,
    counts: Histogram<u32>,
    /// Exact; a histogram knows only the bucket.
    max_micros: u64,
}

/// Measurements of the last minute. About 90 KB.
pub struct LatencyWindow {
    slots: Vec<Slot>,
}

impl Default for LatencyWindow {
    fn default() -> Self {
        let slots = histogram()
            .map(|counts| vec![Slot { second: i64::MIN, counts, max_micros: 0 }; SLOTS])
            .unwrap_or_default();
        Self { slots }
    }
}

/// An empty histogram; always there, since its bounds are constants that fit.
fn histogram() -> Option<Histogram<u32>> {
    Histogram::new_with_bounds(1, MAX_MICROS, DIGITS).ok()
}

impl LatencyWindow {
    /// Counts one measurement taken in the given second (any monotone clock).
    pub fn record(&mut self, second: i64, micros: u64) {
        let index = usize::try_from(second.rem_euclid(SLOTS as i64)).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.second != second {
            slot.second = second;
            slot.counts.reset();
            slot.max_micros = 0;
        }
        slot.counts.saturating_record(micros);
        slot.max_micros = slot.max_micros.max(micros);
    }

    /// Over the `seconds` (at most 60) up to and including `second`.
    pub fn percentiles(&self, second: i64, seconds: i64) -> Percentiles {
        let Some(mut sum) = histogram() else { return Percentiles::default() };
        let mut max = 0;
        for slot in self.slots.iter().filter(|slot| slot.second > second - seconds && slot.second <= second) {
            // Never fails: all have the same bounds.
            let _ = sum.add(&slot.counts);
            max = max.max(slot.max_micros);
        }
        if sum.is_empty() {
            return Percentiles::default();
        }
        // Never above the true maximum, which is known exactly.
        let at = |share: f64| Some(sum.value_at_quantile(share).min(max) as f64 / 1_000.0);
        let max = Some(max as f64 / 1_000.0);
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max, count: sum.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_few_percent_and_forget_after_a_minute() {
        let mut window = LatencyWindow::default();
        for millis in 1..=1_000u64 {
            window.record(100, millis * 1_000);
        }
        let percentiles = window.percentiles(100, 60);
        for (got, expected) in [(percentiles.p50, 500.0), (percentiles.p90, 900.0), (percentiles.p99, 990.0)]
        {
            let got = got.unwrap();
            assert!((0.0..1.0 / 16.0).contains(&(got / expected - 1.0)), "{got} instead of {expected}");
        }
        assert_eq!(percentiles.max, Some(1_000.0));
        assert_eq!(window.percentiles(159, 60).count, 1_000);
        assert_eq!(window.percentiles(160, 60), Percentiles::default());
    }

    #[test]
    fn what_is_slower_than_the_highest_bucket_is_counted_there_and_its_maximum_is_exact() {
        let mut window = LatencyWindow::default();
        for micros in [0, 1, u64::MAX, u64::MAX, u64::MAX] {
            window.record(7, micros);
        }
        let percentiles = window.percentiles(7, 1);
        assert_eq!((percentiles.count, percentiles.max), (5, Some(u64::MAX as f64 / 1_000.0)));
        let p50 = percentiles.p50.unwrap();
        assert!((134_000.0..134_300.0).contains(&p50), "{p50}");
        // A second is counted anew when its place in the ring comes round.
        window.record(67, 3);
        let percentiles = window.percentiles(67, 60);
        assert_eq!((percentiles.count, percentiles.p50, percentiles.max), (1, Some(0.003), Some(0.003)));
    }
}
