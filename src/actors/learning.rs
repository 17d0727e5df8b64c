//! What was learned of messages: lessons come in behind a mutex held for microseconds, decisions read a copy that is renewed
//! several times a second. Read from the store at the start, relearned and saved every minute and at the end: a crash loses a
//! minute of learning and no message.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use super::shared::Shared;
use crate::base::{Millis, Timestamp};
use crate::decide::DriftNote;
use crate::feedback::learner::{Learner, Lesson, VERSION};
use crate::recommend::propensity::{Corrections, Drift};
use crate::store::{Connection, StoreError, learner};

const EVERY: Duration = Duration::from_secs(60);
const DAY_US: f64 = 86_400e6;
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

    /// What decisions read of the learner.
    pub fn learner(&self) -> Guard<Arc<Learner>> {
        self.learner_copy.load()
    }

    /// What decisions read of the drift.
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

    /// Replaces the learner.
    fn restore(&self, learner: Learner) {
        self.learner_copy.store(Arc::new(learner.clone()));
        *self.learner.lock() = learner;
    }

    /// Another model serves: its drift begins anew.
    pub fn reset_drift(&self) {
        self.drift.lock().reset();
        self.corrections.store(Arc::default());
    }
}

impl Shared {
    /// Reads what was saved last, faded by the time since. One that can't be read counts as nothing learned. Blocks.
    pub fn read_learner(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let Some((saved, at)) = learner::load(connection, VERSION)? else { return Ok(()) };
        match serde_json::from_value::<Learner>(saved) {
            Ok(mut learned) => {
                learned.refresh((Timestamp::now().0 - at.0) as f64 / DAY_US);
                self.learned.restore(learned);
            }
            Err(error) => log::error!("what was learned can't be read, starting anew error={error}"),
        }
        Ok(())
    }

    /// Saves what was learned.
    pub async fn save_learner(&self) {
        let learned = serde_json::to_value(&*self.learned.learner.lock());
        let saved = match learned {
            Ok(learned) => {
                let now = Timestamp::now();
                self.store.run(move |connection| learner::save(connection, VERSION, &learned, now)).await
            }
            Err(error) => return log::error!("what was learned can't be written error={error}"),
        };
        if let Err(error) = saved {
            log::warn!("what was learned is not saved error={error}");
        }
    }
}

/// Runs until the server goes down.
pub async fn keep(shared: Arc<Shared>) {
    let mut minute = tokio::time::interval(EVERY);
    minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    minute.tick().await;
    while !shared.draining.load(Ordering::Acquire) {
        minute.tick().await;
        shared.learned.learner.lock().refresh(EVERY.as_secs_f64() / 86_400.0);
        shared.save_learner().await;
    }
}
