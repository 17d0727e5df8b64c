//! Event counts since the model was trained, updated at every commit: interest by item, and items that the same people deal with.
//! The model covers the events before; these tables cover those since, so that what others do now changes the next recommendation
//! of everybody.
//!
//! The tables are a fold over commits in their order, the events of one commit in an order of their own, so that counting
//! live and counting again from the stored events give the same bits. Every bound counts from the fold's beginning; what is
//! beyond it is not counted until the next training. Memory: 150 bytes · visitors + 30 · pairs + 70 · items, at most 100 MB, and
//! as much again while a training runs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use crate::base::{ItemId, Timestamp};
use crate::event::Event;
use crate::profile::interest;
use crate::recommend::models::item_weights::keep_largest;

/// Distinct items that a visitor dealt with last, and that a new one is paired with.
const WINDOW: usize = 8;
/// Events of one visitor that count: one robot is not what everybody likes.
const MAX_EVENTS_A_VISITOR: u16 = 300;
const MAX_VISITORS: usize = 200_000;
const MAX_PAIRS: usize = 1_000_000;
const MAX_ITEMS: usize = 500_000;
/// Pairs looked at for one item.
const MAX_NEAR: usize = 2_000;

/// Originator of an event: a user, or the unknown owner of an anonymous basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    User(u32),
    Basket(i64),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Visitor {
    /// The items dealt with last and the interest in each, the newest last.
    window: Vec<(ItemId, f32)>,
    counted: u16,
}

/// Event counts since the model was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveCounts {
    since: Timestamp,
    half_life_days: f64,
    n_events: u64,
    /// Latest `occurred_at`.
    newest: Option<Timestamp>,
    /// As of `since`: what comes later weighs more, so that nothing needs to be touched as time passes.
    interest: HashMap<ItemId, f64>,
    visitors: HashMap<Who, Visitor>,
    /// The smaller item first.
    pairs: HashMap<(ItemId, ItemId), u32>,
    near: HashMap<ItemId, Vec<ItemId>>,
}

/// Input of a recommendation from the tables; empty by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Items by interest since the training, largest first.
    pub popular: &'a [(ItemId, f32)],
    /// Items that the same people dealt with as with the seed, and how often, most often first.
    pub near: &'a [(ItemId, u32)],
    /// Moment of the newest event; `None` without any.
    pub newest: Option<Timestamp>,
}

impl Evidence<'_> {
    /// Returns whether anybody has shown interest in `item` since the training.
    pub(super) fn has(&self, item: ItemId) -> bool {
        self.popular.iter().any(|(known, _)| *known == item)
    }
}

/// Owned input of one recommendation from the tables.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Items by interest since the training, largest first.
    pub popular: Arc<[(ItemId, f32)]>,
    /// Items beside the seed.
    pub near: Vec<(ItemId, u32)>,
    /// Moment of the newest event; `None` without any.
    pub newest: Option<Timestamp>,
}

impl Found {
    /// As a request carries it.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence { popular: &self.popular, near: &self.near, newest: self.newest }
    }
}

/// Counts of events since the model was trained.
pub trait RecentCounts {
    /// Counts that matter to a recommendation at `now`, beside `seed` if there is one.
    fn look_up(&self, seed: Option<ItemId>, now: Timestamp) -> Found;

    /// Moment of the newest event; `None` without any.
    fn newest(&self) -> Option<Timestamp>;
}

/// No event since the model was trained.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingRecent;

impl RecentCounts for NothingRecent {
    fn look_up(&self, _: Option<ItemId>, _: Timestamp) -> Found {
        Found::default()
    }

    fn newest(&self) -> Option<Timestamp> {
        None
    }
}

impl LiveCounts {
    /// Nothing yet. Interest halves in `half_life_days`; not positive or not finite = never.
    pub fn new(since: Timestamp, half_life_days: f64) -> Self {
        Self {
            since,
            half_life_days,
            n_events: 0,
            newest: None,
            interest: HashMap::new(),
            visitors: HashMap::new(),
            pairs: HashMap::new(),
            near: HashMap::new(),
        }
    }

    /// Counts the events of one commit, in whatever order they are given. O(events · (window + log events)).
    pub fn note(&mut self, commit: &[Event]) {
        let mut ordered: Vec<&Event> = commit.iter().collect();
        ordered.sort_by_key(|event| {
            let value = event.value.map(f64::to_bits);
            let what = (event.item, event.kind.code(), event.basket, event.dwell_ms);
            (event.occurred_at, event.user, what, value, event.quantity.to_bits())
        });
        for event in ordered {
            self.count(event);
        }
    }

    fn count(&mut self, event: &Event) {
        self.n_events += 1;
        self.newest = self.newest.max(Some(event.occurred_at));
        let who = match (event.user, event.basket) {
            (Some(user), _) => Who::User(user.0),
            (None, Some(basket)) => Who::Basket(basket),
            (None, None) => return,
        };
        let Some(item) = event.item else { return };
        let full = self.visitors.len() >= MAX_VISITORS;
        let visitor = match self.visitors.entry(who) {
            Slot::Vacant(_) if full => return,
            slot => slot.or_default(),
        };
        if visitor.counted >= MAX_EVENTS_A_VISITOR {
            return;
        }
        visitor.counted += 1;
        let place = visitor.window.iter().position(|(known, _)| *known == item);
        let before = place.map(|place| visitor.window.remove(place).1).unwrap_or_default();
        let after = (before + interest(event)).max(0.0);
        if place.is_none() && after > 0.0 {
            let others = visitor.window.iter().filter(|(_, interest)| *interest > 0.0);
            for (other, _) in others {
                note_pair(&mut self.pairs, &mut self.near, item, *other);
            }
        }
        visitor.window.push((item, after));
        if visitor.window.len() > WINDOW {
            visitor.window.remove(0);
        }
        // As the matrix of a training damps: a tenth purchase adds less than the first.
        let gain = f64::from((1.0 + after).log2()) - f64::from((1.0 + before).log2());
        let gain = gain * self.growth(event.occurred_at);
        let has_room = self.interest.len() < MAX_ITEMS || self.interest.contains_key(&item);
        if gain.is_finite() && has_room {
            *self.interest.entry(item).or_default() += gain;
        }
    }

    /// Factor by which an event at `at` weighs more than one at the beginning.
    fn growth(&self, at: Timestamp) -> f64 {
        if self.half_life_days.is_finite() && self.half_life_days > 0.0 {
            (at.days_since(self.since) / self.half_life_days).exp2()
        } else {
            1.0
        }
    }

    /// Moment of the newest event; `None` without any.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Events counted or looked at.
    pub fn n_events(&self) -> u64 {
        self.n_events
    }

    /// The items of most interest as of `now` or, if earlier, of the end of the data; largest first, ties by id. O(items).
    pub fn popular(&self, n: usize, now: Timestamp) -> Vec<(ItemId, f32)> {
        let end = self.newest.map_or(self.since, |newest| newest.max(self.since));
        let growth = self.growth(now.min(end));
        let mut items: Vec<(ItemId, f32)> = self
            .interest
            .iter()
            .map(|(item, interest)| (*item, (interest / growth) as f32))
            .filter(|(_, interest)| *interest > 1e-3 && interest.is_finite())
            .collect();
        keep_largest(&mut items, n);
        items
    }

    /// The items that most visitors dealt with beside this one, most first, ties by id. O(pairs of the item).
    pub fn near(&self, item: ItemId, n: usize) -> Vec<(ItemId, u32)> {
        let others = self.near.get(&item).map(Vec::as_slice).unwrap_or_default();
        let mut near: Vec<(ItemId, u32)> = others
            .iter()
            .filter_map(|other| Some((*other, *self.pairs.get(&ordered(item, *other))?)))
            .collect();
        near.sort_unstable_by_key(|(other, count)| (Reverse(*count), *other));
        near.truncate(n);
        near
    }
}

fn ordered(a: ItemId, b: ItemId) -> (ItemId, ItemId) {
    (a.min(b), a.max(b))
}

fn note_pair(
    pairs: &mut HashMap<(ItemId, ItemId), u32>,
    near: &mut HashMap<ItemId, Vec<ItemId>>,
    a: ItemId,
    b: ItemId,
) {
    let is_full = pairs.len() >= MAX_PAIRS;
    match pairs.entry(ordered(a, b)) {
        Slot::Occupied(mut count) => *count.get_mut() = count.get().saturating_add(1),
        Slot::Vacant(_) if is_full => {}
        Slot::Vacant(slot) => {
            let room = |item| near.get(&item).is_none_or(|others| others.len() < MAX_NEAR);
            if room(a) && room(b) {
                slot.insert(1);
                near.entry(a).or_default().push(b);
                near.entry(b).or_default().push(a);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::UserId;
    use crate::event::EventKind;
    use crate::recommend::fixtures::{START, event};

    fn since() -> Timestamp {
        Timestamp::from_seconds(START)
    }

    fn counted(commits: &[&[Event]]) -> LiveCounts {
        let mut counts = LiveCounts::new(since(), 30.0);
        commits.iter().for_each(|commit| counts.note(commit));
        counts
    }

    fn view(user: u32, item: u32, day: f64) -> Event {
        event(user, EventKind::View, item, day)
    }

    #[test]
    fn pairs_are_those_that_the_same_people_deal_with() {
        let counts = counted(&[
            &[view(1, 10, 0.0)],
            &[view(2, 10, 0.1), view(2, 11, 0.2)],
            &[view(1, 11, 0.3)],
            &[view(3, 10, 0.4), view(3, 12, 0.5)],
            &[view(1, 11, 0.6)],
        ]);
        assert_eq!(counts.near(ItemId(10), 9), [(ItemId(11), 2), (ItemId(12), 1)]);
        assert_eq!(counts.near(ItemId(11), 9), [(ItemId(10), 2)]);
        assert_eq!(counts.near(ItemId(99), 9), []);
        let popular: Vec<ItemId> = counts.popular(2, since()).into_iter().map(|(item, _)| item).collect();
        assert_eq!(popular, [ItemId(10), ItemId(11)]);
    }

    #[test]
    fn a_window_forgets_and_a_robot_counts_as_somebody_with_much_time() {
        let many: Vec<Event> = (0..20).map(|n| view(1, n, f64::from(n))).collect();
        let counts = counted(&[&many]);
        assert!(counts.near(ItemId(0), 99).iter().all(|(other, _)| other.0 <= WINDOW as u32));
        assert_eq!(counts.near(ItemId(0), 99).len(), WINDOW);
        let robot: Vec<Event> = (0..10_000).map(|n| view(1, 5, f64::from(n) * 1e-4)).collect();
        let people: Vec<Event> = (2..40).map(|user| view(user, 6, 0.5)).collect();
        assert_eq!(counted(&[&robot, &people]).popular(1, since())[0].0, ItemId(6));
    }

    #[test]
    fn interest_halves_with_age() {
        let mut counts = LiveCounts::new(since(), 10.0);
        counts.note(&[view(1, 1, 0.0)]);
        counts.note(&[view(2, 2, 10.0)]);
        let popular = counts.popular(2, since().plus_days(10.0));
        assert_eq!((popular[0].0, popular[1].0), (ItemId(2), ItemId(1)));
        assert!((popular[0].1 / popular[1].1 - 2.0).abs() < 1e-5, "{popular:?}");
    }

    #[test]
    fn what_is_popular_in_a_history_does_not_fade_with_the_wall_clock() {
        let mut counts = LiveCounts::new(since().plus_days(10.0), 10.0);
        counts.note(&[view(1, 1, 0.0), view(2, 2, 10.0)]);
        let popular = counts.popular(2, since().plus_days(3_000.0));
        assert_eq!((popular[0].0, popular[1].0), (ItemId(2), ItemId(1)));
        assert_eq!(counts.newest(), Some(since().plus_days(10.0)));
        // Somebody's event of today is the new end.
        counts.note(&[view(3, 3, 3_000.0)]);
        assert_eq!(counts.popular(2, since().plus_days(3_000.0)).len(), 1);
    }

    proptest! {
        /// However the events of a commit arrive, and whether they are counted as they come or again from what is stored.
        #[test]
        fn counting_live_and_from_scratch_is_the_same(
            raw in prop::collection::vec((0u32..6, 0u32..12, 0usize..4, 0f64..40.0), 0..120),
            cuts in prop::collection::vec(0usize..120, 0..12),
            turn in 0usize..50,
        ) {
            let kinds = [EventKind::View, EventKind::AddToCart, EventKind::Purchase, EventKind::Return];
            let events: Vec<Event> = raw.iter()
                .map(|(user, item, kind, day)| Event { user: (*user > 0).then_some(UserId(*user)),
                    basket: (*user == 0).then_some(7), ..event(*user, kinds[*kind], *item, *day) })
                .collect();
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).chain([events.len()]).collect();
            ends.sort_unstable();
            let mut live = LiveCounts::new(since(), 30.0);
            let mut stored: Vec<Vec<Event>> = Vec::new();
            let mut from = 0;
            for end in ends {
                live.note(&events[from..end]);
                let mut commit = events[from..end].to_vec();
                if !commit.is_empty() {
                    let middle = turn % commit.len();
                    commit.rotate_left(middle);
                }
                stored.push(commit);
                from = end;
            }
            let mut again = LiveCounts::new(since(), 30.0);
            stored.iter().for_each(|commit| again.note(commit));
            prop_assert_eq!(live, again);
        }
    }
}
