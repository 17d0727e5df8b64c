//! Log lines, metric names, Prometheus.
