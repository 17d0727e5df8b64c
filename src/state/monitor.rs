//! Watches the model that serves: how far the world has moved since it was trained, and how another version would have
//! answered. Counted where things happen, without a lock; read once in a while for metrics and the dashboard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;

use tidings_core::evaluate::agreement;
use tidings_core::event::Event;
use tidings_core::profile::Features;
use tidings_core::recommend::train::baseline::Baseline;
use tidings_core::recommend::{ModelSet, Recommendation, Request};

/// Length of the lists compared.
const SHADOW_AT: usize = 10;

/// Counts since the model began to serve in this process.
struct Seen {
    baseline: Baseline,
    items: Vec<AtomicU64>,
    features: Vec<Vec<AtomicU64>>,
    events: AtomicU64,
}

impl Seen {
    fn new(baseline: Baseline) -> Self {
        let zeros = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        Self {
            items: zeros(baseline.items.counts.len()),
            features: baseline.features.iter().map(|feature| zeros(feature.spread.counts.len())).collect(),
            events: AtomicU64::new(0),
            baseline,
        }
    }
}

/// Another version, scored beside the one that serves.
struct Shadow {
    model: ModelSet,
    decisions: AtomicU64,
    /// Sum of overlaps, in millionths.
    overlap: AtomicU64,
    compared: AtomicU64,
    /// Sum of 1 + τ, in millionths.
    agreement: AtomicU64,
}

/// Drift since training.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DriftReport {
    /// Population stability index of events over items; `None` = too few events yet.
    pub items: Option<f64>,
    /// The same of each feature over users who log in, by name.
    #[schema(value_type = Vec<Vec<Option<serde_json::Value>>>)]
    pub features: Vec<(&'static str, Option<f64>)>,
    /// Events stored since the model began to serve in this process.
    pub events_since: u64,
}

/// Comparison of the answers of another version with those of the one that serves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ShadowReport {
    /// The other version.
    pub version: i32,
    /// Decisions it was asked about.
    pub decisions: u64,
    /// Mean share of the first ten that both would show; `None` before the first decision.
    pub overlap_at_10: Option<f64>,
    /// Mean Kendall's τ over what both show.
    pub rank_agreement: Option<f64>,
}

/// Counters of drift and of agreement between the model that serves and another version.
pub struct Monitor {
    seen: ArcSwap<Seen>,
    shadow: ArcSwapOption<Shadow>,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { seen: ArcSwap::from_pointee(Seen::new(Baseline::default())), shadow: ArcSwapOption::empty() }
    }
}

impl Monitor {
    /// Another model serves: everything counts from here.
    pub fn begin(&self, baseline: &Baseline) {
        self.seen.store(Arc::new(Seen::new(baseline.clone())));
    }

    /// Events that were stored.
    pub fn note_events(&self, events: &[Event]) {
        let seen = self.seen.load();
        for event in events {
            seen.events.fetch_add(1, Ordering::Relaxed);
            if let Some(count) = event.item.and_then(|item| seen.items.get(seen.baseline.item_bin(item))) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Features of a user who is here.
    pub fn note_features(&self, features: &Features) {
        let seen = self.seen.load();
        let values = Baseline::values(features);
        for ((spread, counts), value) in seen.baseline.features.iter().zip(&seen.features).zip(values) {
            if let Some(count) = counts.get(spread.bin(value)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Measures the drift since training.
    pub fn drift(&self) -> DriftReport {
        let seen = self.seen.load();
        let counts = |atomics: &[AtomicU64]| {
            atomics.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>()
        };
        let features = Baseline::FEATURES
            .iter()
            .zip(seen.baseline.features.iter().zip(&seen.features))
            .map(|(name, (then, now))| (*name, then.spread.stability(&counts(now))))
            .collect();
        DriftReport {
            items: seen.baseline.items.stability(&counts(&seen.items)),
            features,
            events_since: seen.events.load(Ordering::Relaxed),
        }
    }

    /// Scores this version beside the one that serves from now on; `None` ends it. It does not learn of items that come
    /// later: it is there for hours.
    pub fn shadow(&self, model: Option<ModelSet>) {
        self.shadow.store(model.map(|model| {
            Arc::new(Shadow {
                model,
                decisions: AtomicU64::new(0),
                overlap: AtomicU64::new(0),
                compared: AtomicU64::new(0),
                agreement: AtomicU64::new(0),
            })
        }));
    }

    /// Returns whether another version is scored beside the one that serves.
    pub fn has_shadow(&self) -> bool {
        self.shadow.load().is_some()
    }

    /// Asks the shadow what the model that serves was asked. Nothing but a load without one; with one, as long as one more
    /// recommendation takes.
    pub fn compare(&self, request: &Request<'_>, served: &[Recommendation]) {
        let Some(shadow) = self.shadow.load_full() else { return };
        let (observed, money) = (&shadow.model.observed, request.catalogue.money());
        let clock = observed.context(request.live.newest, request.now, money);
        let segment = shadow.model.segment(&request.profile.features(clock));
        let other = shadow.model.recommend(&Request { segment, ..*request });
        let ids =
            |list: &[Recommendation]| list.iter().map(|known| known.item).take(SHADOW_AT).collect::<Vec<_>>();
        let (served, other) = (ids(served), ids(&other));
        let millionths = |share: f64| (share * 1e6) as u64;
        shadow.decisions.fetch_add(1, Ordering::Relaxed);
        shadow
            .overlap
            .fetch_add(millionths(agreement::overlap(&served, &other, SHADOW_AT)), Ordering::Relaxed);
        if let Some(tau) = agreement::kendall_tau(&served, &other) {
            shadow.compared.fetch_add(1, Ordering::Relaxed);
            shadow.agreement.fetch_add(millionths(1.0 + tau), Ordering::Relaxed);
        }
    }

    /// Comparison with the shadow; `None` without one.
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        let shadow = self.shadow.load_full()?;
        let mean =
            |sum: &AtomicU64, n: u64| (n > 0).then(|| sum.load(Ordering::Relaxed) as f64 / 1e6 / n as f64);
        let decisions = shadow.decisions.load(Ordering::Relaxed);
        let compared = shadow.compared.load(Ordering::Relaxed);
        Some(ShadowReport {
            version: shadow.model.version.0,
            decisions,
            overlap_at_10: mean(&shadow.overlap, decisions),
            rank_agreement: mean(&shadow.agreement, compared).map(|mean| mean - 1.0),
        })
    }
}
