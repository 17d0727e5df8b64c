//! Counters, gauges and timings, for Prometheus and for the dashboard's last two minutes.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge as PrometheusGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde::Serialize;

use super::latency::{LatencyWindow, Percentiles};
use super::metric_name::{Count, Gauge, Timing};
use crate::base::Timestamp;

/// Samples kept for the dashboard, one a second.
const HISTORY: usize = 120;

/// One second of the recent past.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Moment of the sample.
    pub t: Timestamp,
    /// Events stored in that second.
    pub events_per_s: f64,
    /// Messages pushed.
    pub pushes_per_s: f64,
    /// Decisions made.
    pub decisions_per_s: f64,
    /// Users online.
    pub connected_users: i64,
    /// Median event → push of that second, milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

struct Timer {
    histogram: Histogram,
    window: Mutex<LatencyWindow>,
}

#[derive(Default)]
struct History {
    samples: VecDeque<Sample>,
    last: Option<(Instant, u64, u64, u64)>,
}

/// All metrics of one server.
pub struct Metrics {
    registry: Registry,
    counters: Vec<Counter<u64, AtomicU64>>,
    gauges: Vec<PrometheusGauge>,
    timers: Vec<Timer>,
    started: Instant,
    history: Mutex<History>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let counters = Count::ALL
            .iter()
            .map(|count| {
                let (name, help) = count.describe();
                let counter = Counter::<u64, AtomicU64>::default();
                registry.register(name, help, counter.clone());
                counter
            })
            .collect();
        let gauges = Gauge::ALL
            .iter()
            .map(|gauge| {
                let (name, help) = gauge.describe();
                let metric: PrometheusGauge = PrometheusGauge::default();
                registry.register(name, help, metric.clone());
                metric
            })
            .collect();
        let timers = Timing::ALL
            .iter()
            .map(|timing| {
                let (name, help) = timing.describe();
                let histogram = Histogram::new(exponential_buckets(0.000_1, 2.0, 18));
                registry.register(name, help, histogram.clone());
                Timer { histogram, window: Mutex::default() }
            })
            .collect();
        Self { registry, counters, gauges, timers, started: Instant::now(), history: Mutex::default() }
    }
}

impl Metrics {
    /// Adds `n`.
    pub fn add(&self, count: Count, n: u64) {
        if let Some(counter) = self.counters.get(count as usize) {
            counter.inc_by(n);
        }
    }

    /// The count so far.
    pub fn count(&self, count: Count) -> u64 {
        self.counters.get(count as usize).map_or(0, Counter::get)
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Gauge, value: i64) {
        if let Some(metric) = self.gauges.get(gauge as usize) {
            metric.set(value);
        }
    }

    /// A gauge's value.
    pub fn gauge(&self, gauge: Gauge) -> i64 {
        self.gauges.get(gauge as usize).map_or(0, PrometheusGauge::get)
    }

    /// Adds to a gauge.
    pub fn shift(&self, gauge: Gauge, by: i64) {
        if let Some(metric) = self.gauges.get(gauge as usize) {
            metric.inc_by(by);
        }
    }

    /// Notes how long something took.
    pub fn time(&self, timing: Timing, took: Duration) {
        if let Some(timer) = self.timers.get(timing as usize) {
            timer.histogram.observe(took.as_secs_f64());
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            timer.window.lock().record(self.second(), micros);
        }
    }

    /// Percentiles over the last `seconds` (at most 60).
    pub fn percentiles(&self, timing: Timing, seconds: i64) -> Percentiles {
        let second = self.second();
        self.timers
            .get(timing as usize)
            .map_or_else(Percentiles::default, |timer| timer.window.lock().percentiles(second, seconds))
    }

    /// Since start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn second(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX)
    }

    fn decisions(&self) -> u64 {
        self.count(Count::Sends) + self.count(Count::Defers) + self.count(Count::Drops)
    }

    /// Takes the sample of the past second; called once a second.
    pub fn sample(&self, now: Timestamp) {
        let at = Instant::now();
        let totals = (self.count(Count::Events), self.count(Count::Pushes), self.decisions());
        let latency =
            self.timers.get(Timing::EventToPush as usize).map_or_else(Percentiles::default, |timer| {
                timer.window.lock().percentiles(self.second().saturating_sub(1), 1)
            });
        let mut history = self.history.lock();
        if let Some((then, events, pushes, decisions)) = history.last {
            let seconds = at.duration_since(then).as_secs_f64().max(0.001);
            let sample = Sample {
                t: now,
                events_per_s: (totals.0 - events) as f64 / seconds,
                pushes_per_s: (totals.1 - pushes) as f64 / seconds,
                decisions_per_s: (totals.2 - decisions) as f64 / seconds,
                connected_users: self.gauge(Gauge::ConnectedUsers),
                p50_ms: latency.p50,
                p99_ms: latency.p99,
            };
            if history.samples.len() >= HISTORY {
                history.samples.pop_front();
            }
            history.samples.push_back(sample);
        }
        history.last = Some((at, totals.0, totals.1, totals.2));
    }

    /// The last two minutes, oldest first.
    pub fn history(&self) -> Vec<Sample> {
        self.history.lock().samples.iter().copied().collect()
    }

    /// The Prometheus text format (OpenMetrics).
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        // Writing into a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_exposed_under_its_name() {
        let metrics = Metrics::default();
        metrics.add(Count::Events, 3);
        metrics.set(Gauge::Items, 7);
        metrics.time(Timing::Commit, Duration::from_millis(2));
        let text = metrics.prometheus();
        assert!(text.contains("tidings_events_total 3"));
        assert!(text.contains("tidings_items 7"));
        assert!(text.contains("tidings_commit_seconds_count 1"));
        for (index, count) in Count::ALL.iter().enumerate() {
            assert_eq!(*count as usize, index);
            assert!(text.contains(count.describe().0));
        }
        for (index, gauge) in Gauge::ALL.iter().enumerate() {
            assert_eq!(*gauge as usize, index);
        }
        for (index, timing) in Timing::ALL.iter().enumerate() {
            assert_eq!(*timing as usize, index);
        }
    }
}
