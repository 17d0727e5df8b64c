//! Prediction of the next click from the clicks of the running visit: one order of all that a [`SessionModel`] says, by a
//! [`SessionRanker`] learnt on the newest visits from the others. Items that the visit has seen already are ranked as well: how likely
//! somebody is to return is learnt with the rest. A shop with too few visits to learn from gets V-SKNN over the newest sessions and
//! a Markov chain over the last click, each scaled to its best, in equal parts. The user's own clicks count as they happen; other
//! people's from the next training on.
//!
//! In: events, then the recent items of a profile. Out: scores 0…1 by item. Memory: that of a [`SessionModel`] of [`BOUNDS`].
//! Time of an answer: about a millisecond.

use std::cell::RefCell;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::{ItemId, UserId};
use crate::event::{Event, EventKind};
use crate::ml::threads::Threads;
use crate::profile::Profile;
use crate::recommend::models::interactions::Groups;

use super::learning::{Examples, sample};
use super::memory::{Bounds, Click, SessionMemory};
use super::model::{SessionModel, SessionParameters, SessionScorer};
use super::overlaps::SessionScratch;
use super::ranking::{SessionRanker, Workspace};
use super::sparse_scores::SparseScores;

/// Bounds of the memory: the newest sessions, and the newest clicks of each.
pub const BOUNDS: Bounds = Bounds { sessions: 100_000, clicks: 30 };
/// A pause longer than this ends a session.
const PAUSE_SECONDS: i64 = 1_800;
/// Newest clicks of the running visit that are looked at: older ones count little, and each costs as much as the last.
const CLICKS: usize = 10;
/// Longer rows of one visitor are robots or shared accounts: their newest events count.
const MOST_EVENTS: usize = 5_000;
/// Guesses that the order is learnt on, at most, and the clicks of remembered sessions that go with them: long sessions make each
/// guess dear, and of a shop that has them fewer do.
const TO_LEARN: usize = 2_500;
const CLICKS_TO_LEARN: usize = 10_000;
/// One of so many visits, the newest, teaches the order.
const LATE: usize = 20;
/// Candidates of a ranking that count.
const RANKED: usize = 200;
/// Odds against the best candidate at which one begins to say something: scores are ln(1 + odds / KNEE), scaled to 0…1.
const KNEE: f32 = 0.01;

thread_local! {
    /// As wide as the catalogue and the memory: made once a thread.
    static ROOM: RefCell<Workspace> = RefCell::default();
}

/// Predictor of the next click of a running visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextItem {
    model: SessionModel,
    /// Untaught where there are too few visits to learn from.
    ranker: SessionRanker,
}

impl Default for NextItem {
    fn default() -> Self {
        Self { model: SessionModel::empty(parameters()), ranker: SessionRanker::default() }
    }
}

fn parameters() -> SessionParameters {
    SessionParameters { bounds: BOUNDS, ..SessionParameters::default() }
}

impl NextItem {
    /// From events in order of time. `progress` hears 0…1 and may break, then `None` comes back. O(events log events), and the
    /// learning: at most [`TO_LEARN`] guesses.
    pub fn fit(
        events: &[Event],
        n_users: usize,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let sessions = newest(events, n_users);
        let late = sessions.len() - sessions.len() / LATE;
        let (early, late) = sessions.split_at_checked(late).unwrap_or((&sessions, &[]));
        let before = SessionModel::fit(early, parameters(), threads, |done| progress(0.2 * done))?;
        let guesses: Vec<(Vec<Click>, Click)> = sample(late, guesses(&sessions))
            .into_iter()
            .map(|(clicks, right)| (visible(clicks), right))
            .collect();
        let examples = Examples::new(&before, &guesses, threads);
        drop((before, guesses));
        let ranker = examples.learn(&[0.0], threads, &mut |done| progress(0.25 + 0.45 * done))?;
        let model = SessionModel::fit(sessions, parameters(), threads, |done| progress(0.7 + 0.3 * done))?;
        Some(Self { model, ranker })
    }

    /// Memory of the sessions in events in order of time, within the same bounds.
    pub fn remembered(events: &[Event], n_users: usize) -> SessionMemory {
        SessionMemory::fit(newest(events, n_users).iter().map(Vec::as_slice), BOUNDS)
    }

    /// Scores of the likely continuations of the visit that ends with `seed`: 0…1 by item of `width`, comparable within one answer,
    /// also of items that the visit has seen, 0 of the seed itself. All zero when nobody ever went on from there.
    pub fn scores(&self, profile: &Profile, seed: ItemId, width: usize) -> Vec<f32> {
        let clicks = running(profile, seed);
        if !self.ranker.is_taught() {
            return self.in_equal_parts(&clicks, seed, width);
        }
        let mut scores = vec![0f32; width];
        let is_unknown = |click: &Click| self.model.clicks(click.item).iter().all(|count| *count == 0.0);
        if clicks.iter().all(is_unknown) {
            // What is popular would fill up: it goes with nothing.
            return scores;
        }
        let ranked = ROOM.with_borrow_mut(|room| self.ranker.rank(&self.model, &clicks, None, RANKED, room));
        let others = || ranked.iter().filter(|(item, _)| *item != seed);
        let best = others().map(|(_, share)| *share).fold(f32::MIN_POSITIVE, f32::max);
        for (item, share) in others() {
            if let Some(score) = scores.get_mut(item.index()) {
                *score = (share / best / KNEE).ln_1p() / (1.0 / KNEE).ln_1p();
            }
        }
        scores
    }

    /// V-SKNN and what followed the last click, each scaled to its best.
    fn in_equal_parts(&self, clicks: &[Click], seed: ItemId, width: usize) -> Vec<f32> {
        let (mut scratch, mut found) = (SessionScratch::default(), SparseScores::default());
        let mut parts: Vec<Vec<(ItemId, f32)>> = Vec::new();
        let mut query = self.model.query(clicks, None, &mut scratch);
        for scorer in [SessionScorer::Vsknn, SessionScorer::Markov] {
            self.model.score(scorer, &mut query, &mut found);
            let others = found.items().iter().map(|item| ItemId(*item)).filter(|item| *item != seed);
            let part: Vec<(ItemId, f32)> = others.map(|item| (item, found.get(item))).collect();
            if !part.is_empty() {
                parts.push(part);
            }
        }
        let mut scores = vec![0f32; width];
        for part in &parts {
            let best = part.iter().map(|(_, score)| *score).fold(0.0, f32::max);
            for (item, own) in part {
                if let Some(score) = scores.get_mut(item.index()) {
                    *score += own / (best * parts.len() as f32);
                }
            }
        }
        scores
    }

    /// Returns whether the order is a learnt one.
    pub fn is_taught(&self) -> bool {
        self.ranker.is_taught()
    }

    /// The same without remembered sessions of `other`. What was counted over all sessions together stays.
    #[must_use]
    pub fn without(&self, other: &SessionMemory) -> Self {
        let mut rest = self.clone();
        rest.model.memory = self.model.memory.without(other);
        rest
    }

    /// Returns whether a remembered session is one of `other`.
    pub fn remembers_any(&self, other: &SessionMemory) -> bool {
        self.model.memory.without(other).len() < self.model.memory.len()
    }

    /// Number of sessions remembered.
    #[cfg(test)]
    fn n_sessions(&self) -> usize {
        self.model.memory.len()
    }

    /// Every number finite? Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        self.model.is_sound() && self.ranker.is_sound()
    }
}

/// Guesses to learn on.
fn guesses(sessions: &[Vec<Click>]) -> usize {
    let clicks: usize = sessions.iter().map(Vec::len).sum();
    (CLICKS_TO_LEARN * sessions.len() / clicks.max(1)).min(TO_LEARN)
}

/// The newest sessions within [`BOUNDS`], by their last click.
fn newest(events: &[Event], n_users: usize) -> Vec<Vec<Click>> {
    let mut sessions: Vec<Vec<Click>> =
        visits(events, n_users).into_iter().map(|visit| visit.clicks).collect();
    for clicks in &mut sessions {
        clicks.drain(..clicks.len().saturating_sub(BOUNDS.clicks));
    }
    sessions.sort_by_key(|clicks| clicks.last().map(|click| click.at));
    sessions.drain(..sessions.len().saturating_sub(BOUNDS.sessions));
    sessions
}

/// A visit of more than one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// `None` for an anonymous one.
    pub user: Option<UserId>,
    /// Oldest first; what is clicked several times in a row is one click.
    pub clicks: Vec<Click>,
}

impl Visit {
    /// From the clicks of one visit, oldest first; `None` where they are on one item only.
    pub fn of(user: Option<UserId>, clicks: &[Click]) -> Option<Self> {
        let mut clicks = clicks.to_vec();
        clicks.dedup_by_key(|click| click.item);
        (clicks.len() > 1).then_some(Self { user, clicks })
    }
}

/// The visits in events in order of time: a pause of half an hour ends one. O(events log events).
pub fn visits(events: &[Event], n_users: usize) -> Vec<Visit> {
    let groups = Groups::by_visitor(n_users, events);
    let mut visits = Vec::new();
    for row in 0..groups.n_rows() {
        let user = u32::try_from(row).ok().filter(|_| row < n_users).map(UserId);
        let clicks: Vec<Click> = groups.row(row, events).filter_map(click).collect();
        let newest = clicks.get(clicks.len().saturating_sub(MOST_EVENTS)..).unwrap_or_default();
        let same = |a: &Click, b: &Click| b.at.as_seconds() - a.at.as_seconds() <= PAUSE_SECONDS;
        visits.extend(newest.chunk_by(same).filter_map(|clicks| Visit::of(user, clicks)));
    }
    visits
}

/// Click of an event that shows an item from which somebody may go on; `None` for other events.
fn click(event: &Event) -> Option<Click> {
    let goes_on = matches!(event.kind, EventKind::View | EventKind::AddToCart | EventKind::Purchase);
    Some(Click { item: event.item.filter(|_| goes_on)?, at: event.occurred_at })
}

/// Clicks of a visit as a profile remembers them: each item at its last click, the newest ones.
fn visible(clicks: &[Click]) -> Vec<Click> {
    let mut known: Vec<Click> = Vec::with_capacity(CLICKS);
    for click in clicks.iter().rev() {
        if known.len() < CLICKS && !known.iter().any(|other| other.item == click.item) {
            known.push(*click);
        }
    }
    known.reverse();
    known
}

/// The clicks of the running visit, oldest first, the seed last whether or not the profile has heard of it yet.
fn running(profile: &Profile, seed: ItemId) -> Vec<Click> {
    let recent = profile.recent();
    let newest = recent.first().map(|known| known.at).unwrap_or_default();
    let mut last = newest.as_seconds();
    let mut clicks = vec![Click { item: seed, at: newest }];
    for known in recent {
        let at = known.at.as_seconds();
        if last - at > PAUSE_SECONDS || clicks.len() >= CLICKS {
            break;
        }
        last = at;
        if known.item != seed && known.weight > 0.0 {
            clicks.push(Click { item: known.item, at: known.at });
        }
    }
    clicks.reverse();
    clicks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Timestamp, UserId};
    use crate::recommend::fixtures::{event, profile, shop};

    const MINUTE: f64 = 1.0 / 1_440.0;

    fn view(user: u32, item: u32, day: f64) -> Event {
        event(user, EventKind::View, item, day)
    }

    /// Six visits 0 → 1 → 2, five 3 → 1 → 4.
    fn visits() -> Vec<Event> {
        let visit = |user: u32, items: [u32; 3]| {
            (0u8..).zip(items).map(move |(step, item)| view(user, item, f64::from(step) * MINUTE))
        };
        let mut events: Vec<Event> = (0..6).flat_map(|user| visit(user, [0, 1, 2])).collect();
        events.extend((6..11).flat_map(|user| visit(user, [3, 1, 4])));
        events.sort_by_key(|event| event.occurred_at);
        events
    }

    fn fit(events: &[Event], n_users: usize) -> NextItem {
        NextItem::fit(events, n_users, &Threads::new(1).unwrap(), |_| ControlFlow::Continue(())).unwrap()
    }

    fn best(scores: &[f32]) -> usize {
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn what_came_before_the_last_click_decides_what_comes_next() {
        let next = fit(&visits(), 11);
        assert_eq!(next.n_sessions(), 11);
        let stranger = Profile::default();
        let scores = next.scores(&stranger, ItemId(1), 6);
        assert_eq!(best(&scores), 2, "most went on to 2: {scores:?}");
        let came_from_3 = profile(&[view(20, 3, 50.0), view(20, 1, 50.0 + MINUTE)], &shop());
        let scores = next.scores(&came_from_3, ItemId(1), 6);
        assert_eq!(best(&scores), 4, "those who came from 3 went on to 4: {scores:?}");
        assert!(scores[1] == 0.0 && scores.iter().all(|score| (0.0..=1.0).contains(score)));
        // Yesterday's visit is over.
        let yesterday = profile(&[view(20, 3, 49.0), view(20, 1, 50.0)], &shop());
        assert_eq!(best(&next.scores(&yesterday, ItemId(1), 6)), 2);
    }

    /// Of ten chains of items everybody walks one; two of three click its first item again at the end.
    #[test]
    fn how_likely_a_return_is_is_learnt_with_the_rest() {
        let mut events = Vec::new();
        for user in 0..2_000u32 {
            let mut items: Vec<u32> = (0..4).map(|step| 4 * (user % 10) + step).collect();
            if user % 3 > 0 {
                items.push(4 * (user % 10));
            }
            let day = f64::from(user) / 100.0;
            events.extend(
                (0u8..).zip(items).map(|(step, item)| view(user, item, day + f64::from(step) * MINUTE)),
            );
        }
        events.sort_by_key(|event| event.occurred_at);
        let next = fit(&events, 2_000);
        assert!(next.is_taught() && next.is_sound());
        let walk = |items: &[u32]| {
            let at = |step: usize| 30.0 + step as f64 * MINUTE;
            let clicks: Vec<Event> =
                items.iter().enumerate().map(|(step, item)| view(9_000, *item, at(step))).collect();
            let known = profile(&clicks, &shop());
            next.scores(&known, ItemId(*items.last().unwrap()), 40)
        };
        assert_eq!(best(&walk(&[8, 9])), 10);
        let end = walk(&[8, 9, 10, 11]);
        assert_eq!(best(&end), 8, "most go back to the beginning: {end:?}");
        assert!(end[11] == 0.0 && end.iter().all(|score| (0.0..=1.0).contains(score)));
        let nothing = next.scores(&Profile::default(), ItemId(77), 80);
        assert!(nothing.iter().all(|score| *score == 0.0), "nobody ever clicked it: {nothing:?}");
        // In training as in serving, an item stands where it was clicked last.
        let at = |second: i64| Timestamp::from_seconds(second);
        let click = |item: u32, second: i64| Click { item: ItemId(item), at: at(second) };
        let seen = visible(&[click(1, 0), click(2, 1), click(1, 2)]);
        assert_eq!(seen, [click(2, 1), click(1, 2)]);
        let stopped = NextItem::fit(&events, 2_000, &Threads::new(1).unwrap(), |_| ControlFlow::Break(()));
        assert!(stopped.is_none());
    }

    #[test]
    fn sessions_of_one_visitor_are_taken_out() {
        let all = fit(&visits(), 11);
        let own: Vec<Event> = visits().into_iter().filter(|event| event.user == Some(UserId(7))).collect();
        let own = NextItem::remembered(&own, 11);
        assert!(all.remembers_any(&own) && own.len() == 1);
        let rest = all.without(&own);
        // Visits of one moment with the same items are one another's.
        assert_eq!(rest.n_sessions(), 6);
        assert!(!rest.remembers_any(&own));
    }

    #[test]
    fn nothing_is_said_of_what_nobody_went_on_from() {
        let next = fit(&visits(), 11);
        assert!(next.scores(&Profile::default(), ItemId(77), 6).iter().all(|score| *score == 0.0));
        let nothing = fit(&[], 0);
        assert!(nothing.is_sound() && nothing.scores(&Profile::default(), ItemId(0), 2) == [0.0, 0.0]);
        // Hours apart are two visits of one click each: no session.
        assert_eq!(fit(&[view(0, 1, 0.0), view(0, 2, 0.5)], 1).n_sessions(), 0);
        // A view and the purchase right after it are one click.
        let bought = [view(0, 1, 0.0), event(0, EventKind::Purchase, 1, MINUTE), view(0, 2, 2.0 * MINUTE)];
        let next = fit(&bought, 1);
        assert_eq!(next.model.memory.iter().next().unwrap().items(), [1, 2]);
    }
}
