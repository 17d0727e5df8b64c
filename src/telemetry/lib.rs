//! Log lines, metric names, Prometheus, and the last minutes at a glance for the dashboard.

pub mod latency;
pub mod log_line;
pub mod metric_name;
pub mod metrics;
pub mod push_services;

pub use latency::{LatencyWindow, Percentiles};
pub use metric_name::{Count, Gauge, Ratio, Timing};
pub use metrics::{Metrics, Sample};
pub use push_services::{NAMES as PUSH_SERVICES, PushOutcome};
