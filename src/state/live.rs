//! The tables of what happened since the training ([`LiveCounts`]), one for the server: the ingest actor counts what it has
//! committed, recommendations read the few items that matter. A training that begins starts a second table, which takes over
//! with its model: what was committed while it trained is in it.
//!
//! After a start the tables are made again from what is stored, beside serving: what is committed meanwhile is put aside and
//! counted after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tidings_core::base::{ItemId, Timestamp};
use tidings_core::event::Event;
use tidings_core::recommend::serve::live::{Found, LiveCounts, RecentCounts};

/// Popular items a recommendation looks at.
const POPULAR: usize = 200;
/// Items beside a seed that it looks at.
const NEAR: usize = 100;
/// Interval between lookups of the popular items.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// Events put aside meanwhile; what is beyond is not counted.
const MAX_ASIDE: usize = 500_000;

/// Moment that stands for none.
const NO_EVENT: i64 = i64::MIN;

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

/// Event counts since the training, and those of a training under way. Locked for as long as a commit takes to count, or what is popular to be found: milliseconds at most.
pub struct Live {
    state: Mutex<State>,
    /// Newest event of the counts, µs since 1970; the least value = none. Read at every event and decision.
    newest: AtomicI64,
}

impl Default for Live {
    fn default() -> Self {
        let state = State {
            counts: LiveCounts::new(Timestamp(0), 0.0),
            recount: None,
            next: None,
            popular: Arc::default(),
            looked_up: None,
            is_stale: false,
        };
        Self { state: Mutex::new(state), newest: AtomicI64::new(NO_EVENT) }
    }
}

impl Live {
    /// The events of one commit.
    pub fn note(&self, commit: &[Event]) {
        if commit.is_empty() {
            return;
        }
        let mut state = self.state.lock();
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
        self.note_newest(&state.counts);
    }

    fn note_newest(&self, counts: &LiveCounts) {
        self.newest.store(counts.newest().map_or(NO_EVENT, |newest| newest.0), Ordering::Release);
    }

    /// A training begins: what comes from now on is not in its data.
    pub fn prepare(&self, half_life_days: f64) {
        self.state.lock().next = Some(LiveCounts::new(Timestamp::now(), half_life_days));
    }

    /// The model of the training that was prepared for serves.
    pub fn take_over(&self) {
        let mut state = self.state.lock();
        if let Some(next) = state.next.take() {
            state.counts = next;
            state.recount = None;
            state.looked_up = None;
            state.is_stale = true;
            self.note_newest(&state.counts);
        }
    }

    /// The training that was prepared for has ended without a model.
    pub fn give_up(&self) {
        self.state.lock().next = None;
    }

    /// Puts events received after `until` aside until [`super::AppState::recount`] has read the rest.
    pub(super) fn begin_recount(&self, until: Timestamp) {
        self.state.lock().recount = Some(Recount { until, aside: Vec::new(), n_aside: 0 });
    }

    pub(super) fn recounted_until(&self) -> Option<Timestamp> {
        self.state.lock().recount.as_ref().map(|recount| recount.until)
    }

    /// These are the tables up to where the recount began; what was put aside comes after it.
    pub(super) fn restart(&self, mut counts: LiveCounts) {
        let mut state = self.state.lock();
        // A training has taken over meanwhile.
        let Some(recount) = state.recount.take() else { return };
        recount.aside.iter().for_each(|commit| counts.note(commit));
        state.counts = counts;
        state.looked_up = None;
        state.is_stale = true;
        self.note_newest(&state.counts);
    }

    /// Looks at the tables. Nothing is counted meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&LiveCounts) -> R) -> R {
        look(&self.state.lock().counts)
    }
}

impl RecentCounts for Live {
    /// Others' clicks are in it within half a second.
    fn look_up(&self, seed: Option<ItemId>, now: Timestamp) -> Found {
        let mut state = self.state.lock();
        let is_old = state.looked_up.is_none_or(|at| at.elapsed() >= FRESH_FOR);
        if state.is_stale && is_old {
            state.popular = state.counts.popular(POPULAR, now).into();
            state.looked_up = Some(Instant::now());
            state.is_stale = false;
        }
        let near = seed.map(|seed| state.counts.near(seed, NEAR)).unwrap_or_default();
        Found { popular: Arc::clone(&state.popular), near, newest: state.counts.newest() }
    }

    fn newest(&self) -> Option<Timestamp> {
        let newest = self.newest.load(Ordering::Acquire);
        (newest != NO_EVENT).then_some(Timestamp(newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::event::EventKind;

    fn event(second: i64) -> Event {
        Event {
            occurred_at: Timestamp::from_seconds(second),
            user: None,
            item: None,
            kind: EventKind::View,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        }
    }

    #[test]
    fn the_newest_event_is_that_of_the_counts_in_force() {
        let live = Live::default();
        let newest = || live.newest().map(|at| at.as_seconds());
        assert_eq!(newest(), None);
        live.note(&[event(20), event(10)]);
        assert_eq!(newest(), Some(20));
        live.note(&[event(5)]);
        assert_eq!(newest(), Some(20));
        live.prepare(1.0);
        live.note(&[event(15)]);
        live.take_over();
        assert_eq!(newest(), Some(15), "what came before is in the model");
        live.begin_recount(Timestamp::from_seconds(100));
        live.note(&[event(17)]);
        live.restart(LiveCounts::new(Timestamp(0), 0.0));
        assert_eq!(newest(), Some(17));
        let found = live.look_up(None, Timestamp::from_seconds(200));
        assert_eq!(found.newest, live.newest());
    }
}
