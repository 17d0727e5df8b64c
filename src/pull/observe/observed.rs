//! Counters and gauges of one puller.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, AtomicU64};

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use serde_json::{Value, json};

use crate::deliver::Delivered;

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;
type Share = Gauge<f64, AtomicU64>;

/// Counters and gauges of one puller.
pub struct Observed {
    registry: Registry,
    records: Count,
    stored: Count,
    duplicates: Count,
    items: Count,
    refused: Count,
    skipped: Count,
    batches: Count,
    lag_records: Level,
    lag_seconds: Share,
    server_up: Level,
    source_up: Level,
    /// Kind of the source, what is read there, and the latest fault.
    texts: Mutex<Texts>,
}

#[derive(Default)]
struct Texts {
    from: &'static str,
    reads: String,
    fault: Option<String>,
    /// True if the source can tell how many records wait.
    knows_lag: bool,
}

/// A registry whose metrics name the puller.
fn labelled(name: &str, from: &'static str) -> Registry {
    let labels: [(Cow<'static, str>, Cow<'static, str>); 2] =
        [("puller".into(), name.to_owned().into()), ("from".into(), from.into())];
    Registry::with_prefix_and_labels("tidings_pull", labels.into_iter())
}

impl Observed {
    /// Nothing yet, of a puller of this name.
    pub fn new(name: &str, from: &'static str, reads: String) -> Self {
        let mut registry = labelled(name, from);
        let observed = Self {
            records: Count::default(),
            stored: Count::default(),
            duplicates: Count::default(),
            items: Count::default(),
            refused: Count::default(),
            skipped: Count::default(),
            batches: Count::default(),
            lag_records: Level::default(),
            lag_seconds: Share::default(),
            server_up: Level::default(),
            source_up: Level::default(),
            texts: Mutex::new(Texts { from, reads, ..Texts::default() }),
            registry: Registry::default(),
        };
        registry.register("records", "Records read", observed.records.clone());
        registry.register("events_stored", "Events stored by the server", observed.stored.clone());
        registry.register(
            "events_duplicate",
            "Events that the server had already",
            observed.duplicates.clone(),
        );
        registry.register("items", "Items put or deleted", observed.items.clone());
        registry.register(
            "records_refused",
            "Records refused, each in the rejects",
            observed.refused.clone(),
        );
        registry.register(
            "records_skipped",
            "Records that are neither event nor item",
            observed.skipped.clone(),
        );
        registry.register(
            "batches_acknowledged",
            "Batches acknowledged to the source",
            observed.batches.clone(),
        );
        registry.register("lag_records", "Records that wait in the source", observed.lag_records.clone());
        registry.register_with_unit(
            "lag",
            "Age of the latest acknowledged record, 0 at the end of the source",
            Unit::Seconds,
            observed.lag_seconds.clone(),
        );
        registry.register(
            "server_up",
            "1 if the server answered the last request",
            observed.server_up.clone(),
        );
        registry.register(
            "source_up",
            "1 if the source answered the last request",
            observed.source_up.clone(),
        );
        Self { registry, ..observed }
    }

    /// A batch is stored and acknowledged.
    pub fn delivered(&self, records: usize, skipped: usize, delivered: &Delivered) {
        self.records.inc_by(records as u64);
        self.skipped.inc_by(skipped as u64);
        self.stored.inc_by(delivered.stored);
        self.duplicates.inc_by(delivered.duplicates);
        self.items.inc_by(delivered.items);
        self.refused.inc_by(delivered.refused.len() as u64);
        self.batches.inc();
    }

    /// Age of what was acknowledged last.
    pub fn set_age(&self, seconds: f64) {
        self.lag_seconds.set(seconds);
    }

    /// Records that wait.
    pub fn set_behind(&self, records: Option<u64>) {
        self.texts.lock().knows_lag = records.is_some();
        self.lag_records.set(records.and_then(|records| i64::try_from(records).ok()).unwrap_or(0));
    }

    /// Returns whether the server answers.
    pub fn set_server_up(&self, up: bool) {
        self.server_up.set(i64::from(up));
    }

    /// Returns whether the source answers; the fault if not.
    pub fn set_source(&self, fault: Option<String>) {
        self.source_up.set(i64::from(fault.is_none()));
        self.texts.lock().fault = fault;
    }

    /// Counts so far: records, stored, duplicates, items, refused, skipped.
    pub fn counts(&self) -> [u64; 6] {
        [&self.records, &self.stored, &self.duplicates, &self.items, &self.refused, &self.skipped]
            .map(Counter::get)
    }

    /// The page for Prometheus.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut page, &self.registry);
        page
    }

    /// The report for the server.
    pub fn report(&self) -> Value {
        let [records, stored, duplicates, items, refused, skipped] = self.counts();
        let texts = self.texts.lock();
        json!({
            "from": texts.from,
            "reads": texts.reads,
            "records": records,
            "stored": stored,
            "duplicates": duplicates,
            "items": items,
            "refused": refused,
            "skipped": skipped,
            "lag_records": texts.knows_lag.then(|| self.lag_records.get()),
            "lag_s": self.lag_seconds.get(),
            "fault": texts.fault,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_is_on_the_page_and_in_the_report() {
        let observed = Observed::new("shop", "redis", "redis stream orders".to_owned());
        let delivered = Delivered { stored: 5, duplicates: 2, items: 0, refused: vec![(1, "no".to_owned())] };
        observed.delivered(9, 1, &delivered);
        observed.set_behind(Some(3));
        let page = observed.page();
        for line in [
            "tidings_pull_records_total{puller=\"shop\",from=\"redis\"} 9",
            "tidings_pull_events_duplicate_total{puller=\"shop\",from=\"redis\"} 2",
            "tidings_pull_lag_records{puller=\"shop\",from=\"redis\"} 3",
        ] {
            assert!(page.contains(line), "{page}");
        }
        let report = observed.report();
        assert_eq!(
            (&report["stored"], &report["refused"], &report["lag_records"]),
            (&5.into(), &1.into(), &3.into())
        );
    }
}
