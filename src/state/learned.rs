//! State learned from messages: lessons come in behind a mutex held for microseconds, decisions read a copy that is renewed
//! several times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use tidings_core::base::{Millis, Timestamp};
use tidings_core::response::{Corrections, Drift};
use tidings_decision::decide::DriftNote;
use tidings_decision::feedback::learner::{Learner, Lesson};

/// Decisions read what was learned up to so long ago.
const FRESH_FOR: Millis = Millis(200);

/// The learner and the drift of the model, with the copies that decisions read.
#[derive(Default)]
pub struct Learned {
    learner: Mutex<Learner>,
    drift: Mutex<Drift>,
    learner_copy: ArcSwap<Learner>,
    corrections: ArcSwap<Corrections>,
    /// Moment of the copies, microseconds.
    copied_at: AtomicI64,
}

impl Learned {
    /// Takes a lesson.
    pub fn learn(&self, lesson: &Lesson) {
        self.learner.lock().learn(lesson);
    }

    /// Takes a prediction or a response.
    pub fn note(&self, note: &DriftNote) {
        let mut drift = self.drift.lock();
        match note {
            DriftNote::Sent { id, at, trigger, predicted } => drift.note_sent(*id, *at, trigger, *predicted),
            DriftNote::Response(id, response) => drift.note_response(*id, *response),
        }
    }

    /// Copy of the learner that decisions read.
    pub fn learner(&self) -> Guard<Arc<Learner>> {
        self.learner_copy.load()
    }

    /// Drift corrections that decisions read.
    pub fn corrections(&self) -> Guard<Arc<Corrections>> {
        self.corrections.load()
    }

    /// Renews the copies if they are old. `patience`: how long a message may take to be answered.
    pub fn publish(&self, now: Timestamp, patience: Millis) {
        let copied_at = self.copied_at.load(Ordering::Relaxed);
        let due = (now - FRESH_FOR).0 >= copied_at;
        let exchanged =
            || self.copied_at.compare_exchange(copied_at, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if !due || exchanged().is_err() {
            return;
        }
        let learner = self.learner.lock();
        if learner.version() != self.learner_copy.load().version() {
            self.learner_copy.store(Arc::new(learner.clone()));
        }
        drop(learner);
        let mut drift = self.drift.lock();
        drift.settle(now, patience);
        self.corrections.store(Arc::new(drift.corrections()));
    }

    /// Forgets a little; `days` since the last call.
    pub fn refresh(&self, days: f64) {
        self.learner.lock().refresh(days);
    }

    /// The learner as it is stored.
    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(&*self.learner.lock())
    }

    /// Replaces the learner.
    pub fn restore(&self, learner: Learner) {
        self.learner_copy.store(Arc::new(learner.clone()));
        *self.learner.lock() = learner;
    }

    /// Another model serves: its drift begins anew.
    pub fn reset_drift(&self) {
        self.drift.lock().reset();
        self.corrections.store(Arc::default());
    }
}
