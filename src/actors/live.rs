//! The tables of what happened since the training ([`LiveCounts`]), one for the server: the ingest actor counts what it has
//! committed, recommendations read the few items that matter. A training that begins starts a second table, which takes over
//! with its model: what was committed while it trained is in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::shared::Shared;
use crate::base::{ItemId, ModelVersion, Timestamp};
use crate::event::Event;
use crate::recommend::live::{Evidence, LiveCounts};
use crate::store::{Connection, StoreError, events};

/// Popular items a recommendation looks at.
const POPULAR: usize = 200;
/// Items beside a seed that it looks at.
const NEAR: usize = 100;
/// What is popular is looked up this often.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// Events read again after a start.
const MAX_REPLAYED: usize = 1_000_000;

type Popular = Arc<[(ItemId, f32)]>;

struct State {
    counts: LiveCounts,
    /// Of the training that runs.
    next: Option<LiveCounts>,
    popular: Popular,
    /// When it was looked up; `None` = never.
    looked_up: Option<Instant>,
    /// Something was counted since.
    is_stale: bool,
}

/// See the module. Locked for as long as a commit takes to count, or what is popular to be found: milliseconds at most.
pub struct Live(Mutex<State>);

/// What one recommendation takes from the tables.
pub struct Found {
    popular: Popular,
    near: Vec<(ItemId, u32)>,
}

impl Found {
    /// As a request carries it.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence { popular: &self.popular, near: &self.near }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self(Mutex::new(State {
            counts: LiveCounts::new(Timestamp(0), 0.0),
            next: None,
            popular: Arc::default(),
            looked_up: None,
            is_stale: false,
        }))
    }
}

impl Live {
    /// The events of one commit.
    pub fn note(&self, commit: &[Event]) {
        if commit.is_empty() {
            return;
        }
        let mut state = self.0.lock();
        state.counts.note(commit);
        if let Some(next) = &mut state.next {
            next.note(commit);
        }
        state.is_stale = true;
    }

    /// What matters to a recommendation, beside `seed` if there is one. Others' clicks are in it within half a second.
    pub fn look_up(&self, seed: Option<ItemId>, now: Timestamp) -> Found {
        let mut state = self.0.lock();
        let is_old = state.looked_up.is_none_or(|at| at.elapsed() >= FRESH_FOR);
        if state.is_stale && is_old {
            state.popular = state.counts.popular(POPULAR, now).into();
            state.looked_up = Some(Instant::now());
            state.is_stale = false;
        }
        let near = seed.map(|seed| state.counts.near(seed, NEAR)).unwrap_or_default();
        Found { popular: Arc::clone(&state.popular), near }
    }

    /// A training begins: what comes from now on is not in its data.
    pub fn prepare(&self, half_life_days: f64) {
        self.0.lock().next = Some(LiveCounts::new(Timestamp::now(), half_life_days));
    }

    /// The model of the training that was prepared for serves.
    pub fn take_over(&self) {
        let mut state = self.0.lock();
        if let Some(next) = state.next.take() {
            state.counts = next;
            state.looked_up = None;
            state.is_stale = true;
        }
    }

    /// The training that was prepared for has ended without a model.
    pub fn give_up(&self) {
        self.0.lock().next = None;
    }

    /// Another model serves: these are the tables since its training.
    fn restart(&self, counts: LiveCounts) {
        let mut state = self.0.lock();
        state.counts = counts;
        state.looked_up = None;
        state.is_stale = true;
    }

    /// Looks at the tables. Nothing is counted meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&LiveCounts) -> R) -> R {
        look(&self.0.lock().counts)
    }
}

impl Shared {
    /// Counts anew what is stored since the model that serves was trained, at most [`MAX_REPLAYED`] events: after a start, and
    /// when another version is brought back (what is committed at that very moment may be missed). Blocks.
    pub fn recount(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let model = self.models.load();
        let (now, half_life) = (Timestamp::now(), model.parameters.popularity_half_life_days);
        // Before any training everything counts, as of now.
        let origin = if model.version == ModelVersion(0) { now } else { model.trained_at };
        let mut counts = LiveCounts::new(origin, half_life);
        for commit in events::commits_since(connection, model.trained_at, MAX_REPLAYED)? {
            counts.note(&commit);
        }
        log::info!("events since the training counted again events={}", counts.n_events());
        self.live.restart(counts);
        Ok(())
    }
}
