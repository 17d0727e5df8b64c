//! Requests to push services, by service. A stranger can name any number of services: only those that have accepted a message get
//! a label of their own, at most [`MAX_NAMES`]; the others are `other`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Names of the metrics: requests that ended, requests under way, breakers that are not closed.
pub const NAMES: [&str; 3] =
    ["tidings_webpush_requests", "tidings_webpush_in_flight", "tidings_webpush_breakers_open"];
/// Labels besides `other`; there are about five services in the world.
pub const MAX_NAMES: usize = 16;
const OTHER: &str = "other";

type Labels = Vec<(&'static str, String)>;

/// Outcome of a request to a push service, as counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The service took the message.
    Accepted,
    /// 404 or 410: the subscription has ended.
    Gone,
    /// 400, 401, 403, 413 and the like.
    Refused,
    /// The service asked to come later (429, or with `Retry-After`).
    Busy,
    /// 5xx, no connection or no answer.
    Failed,
}

impl PushOutcome {
    /// Value of the label `outcome`.
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

/// Metrics with the label `service`.
pub struct PushServiceMetrics {
    names: Mutex<BTreeSet<String>>,
    requests: Family<Labels, Counter<u64, AtomicU64>>,
    in_flight: Family<Labels, Gauge>,
    open: Family<Labels, Gauge>,
}

impl PushServiceMetrics {
    /// Registers them.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new = Self {
            names: Mutex::default(),
            requests: Family::default(),
            in_flight: Family::default(),
            open: Family::default(),
        };
        let [requests, in_flight, open] = NAMES;
        registry.register(requests, "Requests to push services that ended", new.requests.clone());
        registry.register(in_flight, "Requests to push services under way", new.in_flight.clone());
        registry.register(open, "Push services whose circuit breaker is not closed", new.open.clone());
        new
    }

    /// Counts a request that ended.
    pub fn note(&self, service: &str, outcome: PushOutcome) {
        let mut names = self.names.lock();
        if outcome == PushOutcome::Accepted && names.len() < MAX_NAMES && !names.contains(service) {
            names.insert(service.to_owned());
        }
        let mut labels = labels(&names, service);
        labels.push(("outcome", outcome.name().to_owned()));
        self.requests.get_or_create(&labels).inc();
    }

    /// Sets the gauges: of each service requests under way, and whether its breaker is not closed.
    pub fn set<'a>(&self, services: impl IntoIterator<Item = (&'a str, usize, bool)>) {
        let names = self.names.lock();
        let known = names.iter().map(|name| labels(&names, name)).chain([labels(&names, OTHER)]);
        let mut sums: BTreeMap<Labels, (i64, i64)> = known.map(|labels| (labels, (0, 0))).collect();
        for (service, in_flight, is_open) in services {
            let (requests, breakers) = sums.entry(labels(&names, service)).or_default();
            *requests += i64::try_from(in_flight).unwrap_or(i64::MAX);
            *breakers += i64::from(is_open);
        }
        for (labels, (requests, breakers)) in sums {
            self.in_flight.get_or_create(&labels).set(requests);
            self.open.get_or_create(&labels).set(breakers);
        }
    }
}

fn labels(names: &BTreeSet<String>, service: &str) -> Labels {
    let name = if names.contains(service) { service } else { OTHER };
    vec![("service", name.to_owned())]
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn only_services_that_accept_have_a_label_and_not_many() {
        let mut registry = Registry::default();
        let metrics = PushServiceMetrics::new(&mut registry);
        metrics.note("https://a.example", PushOutcome::Failed);
        metrics.note("https://a.example", PushOutcome::Accepted);
        for n in 0..100 {
            metrics.note(&format!("https://{n}.example"), PushOutcome::Accepted);
        }
        metrics.set([
            ("https://a.example", 3, true),
            ("https://x.example", 1, true),
            ("https://y.example", 1, false),
        ]);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "tidings_webpush_requests_total{service=\"https://a.example\",outcome=\"accepted\"} 1",
            "tidings_webpush_requests_total{service=\"other\",outcome=\"failed\"} 1",
            "tidings_webpush_requests_total{service=\"other\",outcome=\"accepted\"} 85",
            "tidings_webpush_in_flight{service=\"https://a.example\"} 3",
            "tidings_webpush_in_flight{service=\"other\"} 2",
            "tidings_webpush_breakers_open{service=\"other\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert_eq!(text.matches("tidings_webpush_in_flight{").count(), MAX_NAMES + 1);
    }
}
