//! Counters, gauges and timings, for Prometheus and for the dashboard's last two minutes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge as PrometheusGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde::Serialize;

use super::latency::{LatencyWindow, Percentiles};
use super::metric_name::{Count, Gauge, Ratio, Timing};
use super::push_services::PushServiceMetrics;
use tidings_core::base::Timestamp;

/// Samples kept for the dashboard, one a second.
const HISTORY: usize = 120;

/// One second of the recent past.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MetricSample)]
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

/// The label `outcome` of a counter.
type Outcome = [(&'static str, &'static str); 1];

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
    ratios: Vec<PrometheusGauge<f64, AtomicU64>>,
    timers: Vec<Timer>,
    /// Requests to push services.
    pub push_services: PushServiceMetrics,
    started: Instant,
    history: Mutex<History>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let counters = counters(&mut registry);
        let gauges = Gauge::ALL
            .iter()
            .map(|gauge| {
                let (name, help) = gauge.describe();
                let metric: PrometheusGauge = PrometheusGauge::default();
                registry.register(name, help, metric.clone());
                metric
            })
            .collect();
        let ratios = Ratio::ALL
            .iter()
            .map(|ratio| {
                let (name, help) = ratio.describe();
                let metric = PrometheusGauge::<f64, AtomicU64>::default();
                metric.set(f64::NAN);
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
        let push_services = PushServiceMetrics::new(&mut registry);
        let (started, history) = (Instant::now(), Mutex::default());
        Self { registry, counters, gauges, ratios, timers, push_services, started, history }
    }
}

/// Every counter in the order of [`Count::ALL`]; those of one name are one metric with a label `outcome`.
fn counters(registry: &mut Registry) -> Vec<Counter<u64, AtomicU64>> {
    let mut families: BTreeMap<&str, Family<Outcome, Counter<u64, AtomicU64>>> = BTreeMap::new();
    let counter = |count: &Count| {
        let (name, help) = count.describe();
        let Some(outcome) = count.outcome() else {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            return counter;
        };
        let family = families.entry(name).or_insert_with(|| {
            let family = Family::default();
            registry.register(name, help, family.clone());
            family
        });
        family.get_or_create_owned(&[("outcome", outcome)])
    };
    Count::ALL.iter().map(counter).collect()
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

    /// Sets a ratio; `None` = there is nothing to measure.
    pub fn set_ratio(&self, ratio: Ratio, value: Option<f64>) {
        if let Some(metric) = self.ratios.get(ratio as usize) {
            metric.set(value.unwrap_or(f64::NAN));
        }
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

    /// The OpenMetrics text format.
    pub fn open_metrics(&self) -> String {
        let mut text = String::new();
        // Writing into a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The Prometheus text format 0.0.4, for those who ask for no other. A counter's type and help stand under its name with `_total`
    /// there, under the name without it in OpenMetrics.
    pub fn prometheus(&self) -> String {
        let open = self.open_metrics();
        let is_counter = |name: &str| Count::ALL.iter().any(|count| count.describe().0 == name);
        let mut text = String::with_capacity(open.len());
        for line in open.lines().filter(|line| *line != "# EOF") {
            let named = ["# HELP ", "# TYPE "].into_iter().find_map(|kind| {
                let (name, rest) = line.strip_prefix(kind)?.split_once(' ')?;
                is_counter(name).then(|| format!("{kind}{name}_total {rest}"))
            });
            text.push_str(named.as_deref().unwrap_or(line));
            text.push('\n');
        }
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
        metrics.add(Count::Drops, 2);
        metrics.set(Gauge::Items, 7);
        metrics.set_ratio(Ratio::ShadowOverlap, Some(0.25));
        metrics.time(Timing::Commit, Duration::from_millis(2));
        let text = metrics.open_metrics();
        for line in [
            "# TYPE tidings_events counter",
            "tidings_events_total{outcome=\"stored\"} 3",
            "tidings_decisions_total{outcome=\"drop\"} 2",
            "tidings_decisions_total{outcome=\"send\"} 0",
            "tidings_items 7",
            "tidings_shadow_overlap_ratio 0.25",
            "tidings_drift_items NaN",
            "tidings_commit_seconds_count 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        for (index, count) in Count::ALL.iter().enumerate() {
            assert_eq!(*count as usize, index);
            assert!(text.contains(count.describe().0));
        }
        assert!(Gauge::ALL.iter().enumerate().all(|(index, gauge)| *gauge as usize == index));
        assert!(Ratio::ALL.iter().enumerate().all(|(index, ratio)| *ratio as usize == index));
        assert!(Timing::ALL.iter().enumerate().all(|(index, timing)| *timing as usize == index));
    }

    /// The rules of `promtool check metrics`: help and type before the samples, `_total` on counters and on nothing else, base units,
    /// no type in a name.
    #[test]
    fn every_metric_keeps_to_the_conventions_of_prometheus() {
        let text = Metrics::default().prometheus();
        let (mut helped, mut types) = (Vec::new(), BTreeMap::new());
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] if !help.is_empty() => helped.push(name),
                ["#", "TYPE", name, kind] => assert!(types.insert(name, kind).is_none(), "{name} twice"),
                ["#", ..] => panic!("{line}"),
                _ => {
                    let sample = line.split(['{', ' ']).next().unwrap();
                    let parts = ["_bucket", "_sum", "_count"];
                    let base = parts.iter().find_map(|part| sample.strip_suffix(part)).unwrap_or(sample);
                    let name = if types.contains_key(sample) { sample } else { base };
                    assert!(helped.contains(&name) && types.contains_key(name), "{line} has no help or type");
                }
            }
        }
        assert_eq!(types.len(), helped.len());
        for (name, kind) in types {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert!(name.starts_with("tidings_") && !name.contains("__"), "{name}");
            let parts: Vec<&str> = name.split('_').collect();
            for wrong in [
                "permille",
                "percent",
                "ms",
                "millis",
                "milliseconds",
                "minutes",
                "bucket",
                "gauge",
                "counter",
            ] {
                assert!(!parts.contains(&wrong), "{name} has {wrong}");
            }
        }
    }
}
