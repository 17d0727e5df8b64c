//! Counts again what happened since the training, from the tables: after a start, and when another version is brought back.

use std::sync::Arc;

use super::AppState;
use tidings_core::base::{ModelVersion, Timestamp};
use tidings_core::recommend::serve::live::LiveCounts;
use tidings_store::{Connection, StoreError, events};

/// Events read again after a start, the newest: some 100 MB while it lasts.
const MAX_REPLAYED: usize = 500_000;

impl AppState {
    /// From now on what is committed is put aside: [`Self::recount`] reads what was before. Blocks.
    pub fn begin_recount(&self, connection: &mut Connection) -> Result<(), StoreError> {
        self.live.begin_recount(events::clock(connection)?);
        Ok(())
    }

    /// Counts anew what is stored since the model that serves was trained, the newest [`MAX_REPLAYED`] events: after a start, and
    /// when another version is brought back (of what is committed at that very moment some may be counted twice or not at
    /// all). Blocks.
    pub fn recount(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let Some(until) = self.live.recounted_until() else { return Ok(()) };
        let model = self.models.load();
        let (now, half_life) = (Timestamp::now(), model.parameters.popularity_half_life_days);
        let commits = events::commits_between(connection, model.trained_at, until, MAX_REPLAYED)?;
        // Before any training everything counts, as of its end: a history may end years ago.
        let newest = || commits.iter().flatten().map(|event| event.occurred_at).max().unwrap_or(now);
        let origin = if model.version == ModelVersion(0) { newest() } else { model.trained_at };
        let mut counts = LiveCounts::new(origin, half_life);
        commits.iter().for_each(|commit| counts.note(commit));
        log::info!("events since the training counted again events={}", counts.n_events());
        self.live.restart(counts);
        Ok(())
    }

    /// The same beside serving.
    pub async fn recount_beside(self: Arc<Self>) {
        let state = Arc::clone(&self);
        if let Err(error) = self.store.run_patiently(move |connection| state.recount(connection)).await {
            log::error!("events since the training not counted error={error}");
        }
    }
}
