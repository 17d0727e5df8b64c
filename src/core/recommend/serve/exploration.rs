//! A place now and then for what nobody has touched: or a new item would never be shown, and never learnt of.
//!
//! Each open place is given away with probability `share`; to whom, is drawn evenly from a pool. Both draws are seeded by user
//! and hour, so that a list read twice is the same and differs tomorrow. The probability with which each item got its place is
//! known exactly, as off-policy estimates need it (Li et al. 2010): it is over all draws of a list, those for the places before
//! it too, and so the same for every place.

use rand::RngExt;

use crate::base::random::{self, ChaCha8Rng};
use crate::base::{ItemId, Timestamp, UserId};

/// A smaller pool is not drawn from: in a shop of a few items the newest are shown anyway.
const FEWEST: usize = 20;
/// Largest pool.
pub(super) const MOST: usize = 200;
const MICROS_AN_HOUR: i64 = 3_600_000_000;

/// A place given away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Explored {
    /// One of the open places.
    pub(super) place: usize,
    /// Item explored at this place.
    pub(super) item: ItemId,
    /// With what probability this item was to be drawn for this place.
    pub(super) propensity: f32,
}

/// Items of the pool of which only so many may be in the list together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) items: Vec<ItemId>,
    pub(super) most: usize,
}

impl Group {
    /// Those of them that take part in the draws, evenly drawn themselves, each with the probability of that.
    fn drawn(mut self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = (ItemId, f64)> {
        let (all, most) = (self.items.len(), self.most.min(self.items.len()));
        if most < all {
            (0..most).for_each(|place| self.items.swap(place, rng.random_range(place..all)));
            self.items.truncate(most);
        }
        let probability = most as f64 / all.max(1) as f64;
        self.items.into_iter().map(move |item| (item, probability))
    }
}

/// Those of the open `places` that are given away. `pool` is asked only when there is one, for items of which none is in the
/// list; the same item is never drawn twice.
pub(super) fn explore(
    user: UserId,
    now: Timestamp,
    places: &[usize],
    share: f64,
    pool: impl FnOnce() -> Vec<Group>,
) -> Vec<Explored> {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    if share == 0.0 {
        return Vec::new();
    }
    let hour = now.0.div_euclid(MICROS_AN_HOUR).unsigned_abs();
    let mut rng = random::rng((hour << 32) ^ u64::from(user.0), "exploration");
    let given: Vec<usize> = places.iter().copied().filter(|_| rng.random::<f64>() < share).collect();
    let groups = if given.is_empty() { Vec::new() } else { pool() };
    if groups.iter().map(|group| group.items.len()).sum::<usize>() < FEWEST {
        return Vec::new();
    }
    let mut slots = Vec::new();
    for group in groups {
        slots.extend(group.drawn(&mut rng).map(Some));
    }
    // Whoever draws nobody keeps the place: so the chance is the same at every place, however many there are.
    slots.resize(slots.len().max(places.len()), None);
    let even = share / slots.len() as f64;
    let draw = |place| {
        let (item, probability) = slots.swap_remove(rng.random_range(0..slots.len()))?;
        Some(Explored { place, item, propensity: (even * probability) as f32 })
    };
    given.into_iter().filter_map(draw).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const USERS: u32 = 20_000;

    fn pool(n: u32) -> Vec<Group> {
        vec![Group { items: (0..n).map(ItemId).collect(), most: usize::MAX }]
    }

    fn places(n: usize) -> Vec<usize> {
        (1..n).collect()
    }

    fn at(user: u32, hour: i64, share: f64) -> Vec<Explored> {
        explore(UserId(user), Timestamp(hour * MICROS_AN_HOUR + 5), &places(10), share, || pool(50))
    }

    /// Compares how often each item got each place with the probability that was told, over many users: each within five
    /// standard deviations, and all together (χ² of as many degrees of freedom, of which the standard deviation is √(2 ·
    /// degrees)).
    fn check(places: &[usize], share: f64, pool: &[Group]) {
        let mut shown: HashMap<(ItemId, usize), (f64, f64)> = HashMap::new();
        for user in 0..USERS {
            for explored in explore(UserId(user), Timestamp(0), places, share, || pool.to_vec()) {
                let (count, told) = shown.entry((explored.item, explored.place)).or_default();
                *count += 1.0;
                *told = f64::from(explored.propensity);
            }
        }
        let users = f64::from(USERS);
        let squares = shown.values().map(|(count, told)| {
            let variance = users * told * (1.0 - told);
            (count - users * told).powi(2) / variance
        });
        let squares: Vec<f64> = squares.collect();
        let worst = squares.iter().copied().fold(0.0, f64::max).sqrt();
        let (sum, n) = (squares.iter().sum::<f64>(), squares.len() as f64);
        assert!(worst < 5.0, "{worst} standard deviations");
        assert!((sum - n).abs() < 5.0 * (2.0 * n).sqrt(), "χ² {sum} of {n} cells");
    }

    #[test]
    fn every_item_gets_every_place_as_often_as_its_propensity_says() {
        check(&places(10), 0.5, &pool(25));
        // Nearly as many places as items, more than items, and all places given away.
        check(&places(25), 0.9, &pool(25));
        check(&places(40), 0.5, &pool(20));
        check(&places(40), 1.0, &pool(20));
        let group = |from: u32, to: u32, most: usize| Group { items: (from..to).map(ItemId).collect(), most };
        check(&[1, 2, 4, 5, 7], 0.7, &[group(0, 20, 2), group(20, 24, 9), group(24, 31, 1)]);
    }

    #[test]
    fn no_more_of_a_group_are_drawn_than_there_may_be() {
        let items = |from: u32, to: u32| (from..to).map(ItemId).collect();
        let pool = [Group { items: items(0, 30), most: 2 }, Group { items: items(30, 60), most: 3 }];
        for user in 0..500 {
            let drawn = explore(UserId(user), Timestamp(0), &places(30), 0.8, || pool.to_vec());
            let of_first = drawn.iter().filter(|explored| explored.item.0 < 30).count();
            assert!(of_first <= 2 && drawn.len() - of_first <= 3, "{drawn:?}");
        }
    }

    #[test]
    fn the_share_of_places_is_the_one_asked_for_and_every_item_has_the_same_chance() {
        let mut shown = [0u32; 50];
        for user in 0..USERS {
            for explored in at(user, 480_000, 0.05) {
                assert!((1..10).contains(&explored.place));
                assert!((explored.propensity - 0.05 / 50.0).abs() < 1e-7);
                shown[explored.item.index()] += 1;
            }
        }
        let share = f64::from(shown.iter().sum::<u32>()) / (f64::from(USERS) * 9.0);
        assert!((share - 0.05).abs() < 0.003, "{share}");
        // 9,000 showings over 50 items: 180 each, give or take 5 standard deviations.
        assert!(shown.iter().all(|count| (110..250).contains(count)), "{shown:?}");
    }

    #[test]
    fn a_list_is_the_same_within_the_hour_and_small_shops_do_not_explore() {
        let first: Vec<_> = (0..50).map(|user| at(user, 7, 0.5)).collect();
        assert_eq!(first, (0..50).map(|user| at(user, 7, 0.5)).collect::<Vec<_>>());
        assert_ne!(first, (0..50).map(|user| at(user, 8, 0.5)).collect::<Vec<_>>());
        let of = |n: usize, share: f64, items: u32| {
            explore(UserId(1), Timestamp(-1), &places(n), share, || pool(items))
        };
        assert!(of(10, 1.0, 19).is_empty() && of(1, 1.0, 99).is_empty() && of(10, f64::NAN, 99).is_empty());
        assert_eq!(of(30, 1.0, 20).len(), 20, "the pool is used up");
    }
}
