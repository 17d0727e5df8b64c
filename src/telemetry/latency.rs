//! Percentiles of the last minute: a ring of one-second histograms with logarithmic buckets (16 an octave, so a
//! percentile is off by at most 3 %; the idea of HdrHistogram at a fixed size).

use serde::Serialize;

const SLOTS: usize = 60;
const SUB_BUCKETS: u64 = 16;
/// Up to 2^27 µs = 134 s; slower is counted as that.
const BUCKETS: usize = 24 * SUB_BUCKETS as usize;

/// Percentiles in milliseconds; `None` when nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
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
    counts: Box<[u32]>,
    max_micros: u64,
}

/// Measurements of the last minute. About 90 KB.
pub struct LatencyWindow {
    slots: Vec<Slot>,
}

impl Default for LatencyWindow {
    fn default() -> Self {
        let slot = Slot { second: i64::MIN, counts: vec![0; BUCKETS].into(), max_micros: 0 };
        Self { slots: vec![slot; SLOTS] }
    }
}

fn bucket(micros: u64) -> usize {
    // Below 16 µs one bucket a microsecond; above, 16 an octave.
    let index = if micros < SUB_BUCKETS {
        micros
    } else {
        let octave = u64::from(micros.ilog2()) - 4;
        SUB_BUCKETS * octave + SUB_BUCKETS + ((micros >> octave) - SUB_BUCKETS)
    };
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Upper end of a bucket, microseconds.
fn upper(index: usize) -> f64 {
    let index = index as u64;
    if index < SUB_BUCKETS {
        return (index + 1) as f64;
    }
    let octave = index / SUB_BUCKETS - 1;
    ((SUB_BUCKETS + index % SUB_BUCKETS + 1) << octave) as f64
}

impl LatencyWindow {
    /// Counts one measurement taken in the given second (any monotone clock).
    pub fn record(&mut self, second: i64, micros: u64) {
        let index = usize::try_from(second.rem_euclid(SLOTS as i64)).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.second != second {
            slot.second = second;
            slot.counts.fill(0);
            slot.max_micros = 0;
        }
        if let Some(count) = slot.counts.get_mut(bucket(micros)) {
            *count = count.saturating_add(1);
        }
        slot.max_micros = slot.max_micros.max(micros);
    }

    /// Over the `seconds` (at most 60) up to and including `second`.
    pub fn percentiles(&self, second: i64, seconds: i64) -> Percentiles {
        let mut counts = [0u64; BUCKETS];
        let mut max = 0;
        for slot in self.slots.iter().filter(|slot| slot.second > second - seconds && slot.second <= second) {
            for (sum, count) in counts.iter_mut().zip(slot.counts.iter()) {
                *sum += u64::from(*count);
            }
            max = max.max(slot.max_micros);
        }
        let count: u64 = counts.iter().sum();
        if count == 0 {
            return Percentiles::default();
        }
        let at = |share: f64| {
            let rank = (share * count as f64).ceil() as u64;
            let mut seen = 0;
            let index = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            // Never above the true maximum, which is known exactly.
            index.map(|index| upper(index).min(max as f64) / 1_000.0)
        };
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: Some(max as f64 / 1_000.0), count }
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
            assert!((got / expected - 1.0).abs() < 0.07, "{got} instead of {expected}");
        }
        assert_eq!(percentiles.max, Some(1_000.0));
        assert_eq!(window.percentiles(159, 60).count, 1_000);
        assert_eq!(window.percentiles(160, 60), Percentiles::default());
    }

    #[test]
    fn buckets_are_monotone_and_bounded() {
        let mut last = 0;
        for micros in [0, 1, 15, 16, 17, 31, 32, 63, 64, 1_000, 1_000_000, u64::MAX] {
            let index = bucket(micros);
            assert!(index >= last);
            last = index;
            assert!(upper(index) > micros as f64 || index == BUCKETS - 1);
        }
    }
}
