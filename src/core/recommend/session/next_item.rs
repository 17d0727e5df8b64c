//! Prediction of the next click from the clicks of the running visit: V-SKNN over the newest sessions and a Markov chain over the
//! last click, each scaled to its best, in equal parts (the two that rank best alone on Yoochoose clicks; the rest of the family is
//! in `evaluate/offline/`). The user's own clicks count as they happen; other people's from the next training on.
//!
//! In: events, then the recent items of a profile. Out: scores 0…1 by item. Memory: [`BOUNDS`] sessions, and [`KEPT`] followers
//! an item. Time of an answer: about 0.2 ms.

use serde::{Deserialize, Serialize};

use crate::base::{ItemId, UserId};
use crate::event::{Event, EventKind};
use crate::profile::Profile;
use crate::recommend::models::interactions::Groups;
use crate::recommend::models::item_weights::keep_largest;

use super::knn::{self, SessionKnnParameters, SessionScratch};
use super::memory::{Bounds, Click, SessionMemory};
use super::sparse_scores::SparseScores;

/// Bounds of the memory: the newest sessions, and the newest clicks of each.
pub const BOUNDS: Bounds = Bounds { sessions: 30_000, clicks: 30 };
/// Followers kept an item.
pub const KEPT: usize = 50;
/// A pause longer than this ends a session.
const PAUSE_SECONDS: i64 = 1_800;
/// Newest clicks of the running visit that are looked at: older ones count little, and each costs as much as the last.
const CLICKS: usize = 10;
/// Longer rows of one visitor are robots or shared accounts: their newest events count.
const MOST_EVENTS: usize = 5_000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NextItem {
    memory: SessionMemory,
    /// By item: what was clicked right after it, most often first; shares of all its followers.
    after: Vec<Vec<(ItemId, f32)>>,
}

impl NextItem {
    /// From events in order of time. O(events log events).
    pub fn fit(events: &[Event], n_users: usize) -> Self {
        let sessions: Vec<Vec<Click>> =
            visits(events, n_users).into_iter().map(|visit| visit.clicks).collect();
        let mut pairs: Vec<(u32, u32)> = sessions
            .iter()
            .flat_map(|session| session.windows(2))
            .filter_map(|pair| match pair {
                [earlier, later] => Some((earlier.item.0, later.item.0)),
                _ => None,
            })
            .collect();
        pairs.sort_unstable();
        let mut after: Vec<Vec<(ItemId, f32)>> = Vec::new();
        for own in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Some((item, _)) = own.first() else { continue };
            let share = |same: &[(u32, u32)]| {
                same.first().map(|(_, next)| (ItemId(*next), same.len() as f32 / own.len() as f32))
            };
            let mut followers: Vec<(ItemId, f32)> =
                own.chunk_by(|a, b| a.1 == b.1).filter_map(share).collect();
            keep_largest(&mut followers, KEPT);
            after.resize(after.len().max(*item as usize + 1), Vec::new());
            if let Some(slot) = after.get_mut(*item as usize) {
                *slot = followers;
            }
        }
        Self { memory: SessionMemory::fit(sessions.iter().map(Vec::as_slice), BOUNDS), after }
    }

    /// Scores of the likely continuations of the visit that ends with `seed`, added to nothing: scores 0…1 by item of `width`.
    /// All zero when nobody ever went on from there.
    pub fn scores(&self, profile: &Profile, seed: ItemId, width: usize) -> Vec<f32> {
        let clicks = running(profile, seed);
        let parameters = SessionKnnParameters { rarity: 1.0, ..SessionKnnParameters::v_sknn(100, 1_000) };
        let mut found = SparseScores::new(width);
        let near = knn::neighbours(&self.memory, &clicks, None, &parameters, &mut SessionScratch::default());
        knn::add_scores(&self.memory, &clicks, &near, &parameters, &mut found);
        let followers = self.after.get(seed.index()).map_or(&[][..], Vec::as_slice);
        let others = || found.items().iter().map(|item| ItemId(*item)).filter(|item| *item != seed);
        let best_near = others().map(|item| found.get(item)).fold(0.0, f32::max);
        let next = || followers.iter().filter(|(item, _)| *item != seed);
        let best_next = next().map(|(_, share)| *share).fold(0.0, f32::max);
        let parts = f32::from(best_near > 0.0) + f32::from(best_next > 0.0);
        let mut scores = vec![0f32; width];
        for item in others() {
            if let Some(score) = scores.get_mut(item.index()) {
                *score += found.get(item) / (best_near * parts);
            }
        }
        for (item, share) in next() {
            if let Some(score) = scores.get_mut(item.index()) {
                *score += share / (best_next * parts);
            }
        }
        scores
    }

    /// The same without the remembered sessions of `other`; shares of followers, which are of all together, stay.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self { memory: self.memory.without(&other.memory), after: self.after.clone() }
    }

    /// Whether a remembered session is one of `other`.
    pub fn remembers_any(&self, other: &Self) -> bool {
        self.memory.without(&other.memory).len() < self.memory.len()
    }

    /// Number of sessions remembered.
    #[cfg(test)]
    fn n_sessions(&self) -> usize {
        self.memory.len()
    }

    /// Every share a number? Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        self.after.iter().flatten().all(|(_, share)| share.is_finite())
    }
}

/// A visit of more than one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// `None` for an anonymous one.
    pub user: Option<UserId>,
    /// Oldest first; what is clicked several times in a row is one click.
    pub clicks: Vec<Click>,
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
        let several = newest.chunk_by(same).map(distinct).filter(|clicks| clicks.len() > 1);
        visits.extend(several.map(|clicks| Visit { user, clicks }));
    }
    visits
}

/// Click of an event that shows an item from which somebody may go on; `None` for other events.
fn click(event: &Event) -> Option<Click> {
    let goes_on = matches!(event.kind, EventKind::View | EventKind::AddToCart | EventKind::Purchase);
    Some(Click { item: event.item.filter(|_| goes_on)?, at: event.occurred_at })
}

/// A view, its cart and its purchase in a row are one click.
fn distinct(session: &[Click]) -> Vec<Click> {
    let mut clicks = session.to_vec();
    clicks.dedup_by_key(|click| click.item);
    clicks
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
    use crate::base::UserId;
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

    fn best(scores: &[f32]) -> usize {
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn what_came_before_the_last_click_decides_what_comes_next() {
        let next = NextItem::fit(&visits(), 11);
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

    #[test]
    fn sessions_of_one_visitor_are_taken_out() {
        let all = NextItem::fit(&visits(), 11);
        let own: Vec<Event> = visits().into_iter().filter(|event| event.user == Some(UserId(7))).collect();
        let own = NextItem::fit(&own, 11);
        assert!(all.remembers_any(&own) && own.n_sessions() == 1);
        let rest = all.without(&own);
        // Visits of one moment with the same items are one another's.
        assert_eq!(rest.n_sessions(), 6);
        assert!(!rest.remembers_any(&own));
    }

    #[test]
    fn nothing_is_said_of_what_nobody_went_on_from() {
        let next = NextItem::fit(&visits(), 11);
        assert!(next.scores(&Profile::default(), ItemId(77), 6).iter().all(|score| *score == 0.0));
        let nothing = NextItem::fit(&[], 0);
        assert!(nothing.is_sound() && nothing.scores(&Profile::default(), ItemId(0), 2) == [0.0, 0.0]);
        // Hours apart are two visits of one click each: no session.
        assert_eq!(NextItem::fit(&[view(0, 1, 0.0), view(0, 2, 0.5)], 1).n_sessions(), 0);
        // A view and the purchase right after it are one click.
        let bought = [view(0, 1, 0.0), event(0, EventKind::Purchase, 1, MINUTE), view(0, 2, 2.0 * MINUTE)];
        let next = NextItem::fit(&bought, 1);
        assert_eq!(next.memory.iter().next().unwrap().items(), [1, 2]);
    }
}
