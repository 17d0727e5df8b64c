//! Keeps what was learned: read from the store at the start, relearned and saved every minute and at the end. A crash loses
//! a minute of learning and no message.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::AppState;
use tidings_core::base::Timestamp;
use tidings_decision::feedback::learner::{Learner, VERSION};
use tidings_store::{Connection, StoreError, learner};

const EVERY: Duration = Duration::from_secs(60);
const DAY_US: f64 = 86_400e6;

impl AppState {
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
        let learned = self.learned.to_json();
        let saved = match learned {
            Ok(learned) => {
                let now = Timestamp::now();
                self.store
                    .run_patiently(move |connection| learner::save(connection, VERSION, &learned, now))
                    .await
            }
            Err(error) => return log::error!("what was learned can't be written error={error}"),
        };
        if let Err(error) = saved {
            log::warn!("what was learned is not saved error={error}");
        }
    }
}

/// Runs until the server goes down.
pub async fn keep(state: Arc<AppState>) {
    let mut minute = tokio::time::interval(EVERY);
    minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    minute.tick().await;
    while !state.draining.load(Ordering::Acquire) {
        minute.tick().await;
        state.learned.refresh(EVERY.as_secs_f64() / 86_400.0);
        state.save_learner().await;
    }
}
