//! A place now and then for what nobody has touched: or a new item would never be shown, and never learnt of.
//!
//! Each place but the first is given away with probability `share`; to whom, is drawn evenly from a pool. Both draws are
//! seeded by user and hour, so that a list read twice is the same and differs tomorrow. The probability with which each item
//! got its place is known exactly, as off-policy estimates need it (Li et al. 2010).

use rand::RngExt;

use crate::base::{ItemId, Timestamp, UserId, random};

/// A smaller pool is not drawn from: in a shop of a few items the newest are shown anyway.
pub(super) const FEWEST: usize = 20;
/// Largest pool.
pub(super) const MOST: usize = 200;
const MICROS_AN_HOUR: i64 = 3_600_000_000;

/// A place given away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Explored {
    /// From 1; the first place is never given away.
    pub(super) place: usize,
    /// Item explored at this place.
    pub(super) item: ItemId,
    /// With what probability this item was to stand there.
    pub(super) propensity: f32,
}

/// The places among `n` that are given away. `pool` is asked only when there is one, for items of which none is in the list;
/// the same item is never drawn twice.
pub(super) fn explore(
    user: UserId,
    now: Timestamp,
    n: usize,
    share: f64,
    pool: impl FnOnce() -> Vec<ItemId>,
) -> Vec<Explored> {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    if share == 0.0 || n < 2 {
        return Vec::new();
    }
    let hour = now.0.div_euclid(MICROS_AN_HOUR).unsigned_abs();
    let mut rng = random::rng((hour << 32) ^ u64::from(user.0), "exploration");
    let places: Vec<usize> = (1..n).filter(|_| rng.random::<f64>() < share).collect();
    let mut pool = if places.is_empty() { Vec::new() } else { pool() };
    if pool.len() < FEWEST {
        return Vec::new();
    }
    places
        .into_iter()
        .map_while(|place| {
            let propensity = (share / pool.len() as f64) as f32;
            let drawn = rng.random_range(0..pool.len().max(1));
            (drawn < pool.len()).then(|| Explored { place, item: pool.swap_remove(drawn), propensity })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(n: u32) -> Vec<ItemId> {
        (0..n).map(ItemId).collect()
    }

    fn at(user: u32, hour: i64, share: f64) -> Vec<Explored> {
        explore(UserId(user), Timestamp(hour * MICROS_AN_HOUR + 5), 10, share, || pool(50))
    }

    #[test]
    fn the_share_of_places_is_the_one_asked_for_and_every_item_has_the_same_chance() {
        let mut shown = [0u32; 50];
        for user in 0..20_000 {
            for explored in at(user, 480_000, 0.05) {
                assert!((1..10).contains(&explored.place));
                shown[explored.item.index()] += 1;
            }
        }
        let share = f64::from(shown.iter().sum::<u32>()) / (20_000.0 * 9.0);
        assert!((share - 0.05).abs() < 0.003, "{share}");
        // 9,000 showings over 50 items: 180 each, give or take 5 standard deviations.
        assert!(shown.iter().all(|count| (110..250).contains(count)), "{shown:?}");
        let explored = (0..100).flat_map(|user| at(user, 1, 0.05)).next().unwrap();
        assert!((explored.propensity - 0.05 / 50.0).abs() < 1e-7);
    }

    #[test]
    fn a_list_is_the_same_within_the_hour_and_small_shops_do_not_explore() {
        let first: Vec<_> = (0..50).map(|user| at(user, 7, 0.5)).collect();
        assert_eq!(first, (0..50).map(|user| at(user, 7, 0.5)).collect::<Vec<_>>());
        assert_ne!(first, (0..50).map(|user| at(user, 8, 0.5)).collect::<Vec<_>>());
        assert!(explore(UserId(1), Timestamp(0), 10, 1.0, || pool(19)).is_empty());
        assert!(explore(UserId(1), Timestamp(0), 1, 1.0, || pool(99)).is_empty());
        assert!(explore(UserId(1), Timestamp(0), 10, f64::NAN, || pool(99)).is_empty());
        let all = explore(UserId(1), Timestamp(-1), 30, 1.0, || pool(20));
        assert_eq!(all.len(), 20, "the pool is used up");
    }
}
