//! The tables of what happened since the training ([`LiveCounts`]), one for the server: the ingest actor counts what it has
//! committed, recommendations read the few items that matter. A training that begins starts a second table, which takes over
//! with its model: what was committed while it trained is in it.
//!
//! After a start the tables are made again from what is stored, beside serving: what is committed meanwhile is put aside and
//! counted after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::{ItemId, Timestamp};
use crate::event::Event;
use crate::recommend::serve::live::{Found, LiveCounts, RecentCounts};

/// Popular items a recommendation looks at.
const POPULAR: usize = 200;
/// Items beside a seed that it looks at.
const NEAR: usize = 100;
/// Interval between lookups of the popular items.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// Events put aside meanwhile; what is beyond is not counted.
const MAX_ASIDE: usize = 500_000;

type Popular = Arc<[(ItemId, f32)]>;

/// A recount from the tables.
struct Recount {
    /// Time of receipt up to which events are read.
    until: Timestamp,
    /// Events committed later.
    aside: Vec<Vec<Event>>,
    n_aside: usize,
}

struct State {
    counts: LiveCounts,
    recount: Option<Recount>,
    /// Of the training that runs.
    next: Option<LiveCounts>,
    popular: Popular,
    /// Moment of the last lookup; `None` = never.
    looked_up: Option<Instant>,
    /// Something was counted since.
    is_stale: bool,
}

/// See the module. Locked for as long as a commit takes to count, or what is popular to be found: milliseconds at most.
pub struct Live(Mutex<State>);

impl Default for Live {
    fn default() -> Self {
        Self(Mutex::new(State {
            counts: LiveCounts::new(Timestamp(0), 0.0),
            recount: None,
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
        if let Some(recount) = &mut state.recount
            && recount.n_aside + commit.len() <= MAX_ASIDE
        {
            recount.n_aside += commit.len();
            recount.aside.push(commit.to_vec());
        }
        state.is_stale = true;
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
            state.recount = None;
            state.looked_up = None;
            state.is_stale = true;
        }
    }

    /// The training that was prepared for has ended without a model.
    pub fn give_up(&self) {
        self.0.lock().next = None;
    }

    /// Puts events received after `until` aside until [`super::AppState::recount`] has read the rest.
    pub(super) fn begin_recount(&self, until: Timestamp) {
        self.0.lock().recount = Some(Recount { until, aside: Vec::new(), n_aside: 0 });
    }

    pub(super) fn recounted_until(&self) -> Option<Timestamp> {
        self.0.lock().recount.as_ref().map(|recount| recount.until)
    }

    /// These are the tables up to where the recount began; what was put aside comes after it.
    pub(super) fn restart(&self, mut counts: LiveCounts) {
        let mut state = self.0.lock();
        // A training has taken over meanwhile.
        let Some(recount) = state.recount.take() else { return };
        recount.aside.iter().for_each(|commit| counts.note(commit));
        state.counts = counts;
        state.looked_up = None;
        state.is_stale = true;
    }

    /// Looks at the tables. Nothing is counted meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&LiveCounts) -> R) -> R {
        look(&self.0.lock().counts)
    }
}

impl RecentCounts for Live {
    /// Others' clicks are in it within half a second.
    fn look_up(&self, seed: Option<ItemId>, now: Timestamp) -> Found {
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

    fn newest(&self) -> Option<Timestamp> {
        self.0.lock().counts.newest()
    }
}
