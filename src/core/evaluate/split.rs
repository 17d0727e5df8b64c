//! Split at a cut in time. Everything before it trains; what users seen before it turned to after it, for the first time, is to
//! be predicted. No event after the cut is ever known to what is measured.

use std::collections::{BTreeMap, HashSet};

use rand::seq::SliceRandom;

use crate::base::{UserId, random};
use crate::event::Event;
use crate::profile::interest;

/// Test case: a user and the items that would be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// A user with events before the cut.
    pub user: UserId,
    /// Items of interest after the cut and never before; not empty for a case of [`Split::cases`].
    pub relevant: HashSet<u32>,
    /// Items of interest after the cut that the user had to do with before it.
    pub again: HashSet<u32>,
    /// Items the user had anything to do with before the cut; never recommended in the measurement.
    pub seen: HashSet<u32>,
}

/// Items that a user was seen with, up to which they count as cold.
const COLD: usize = 2;

impl Case {
    /// Returns whether next to nothing is known of the user: two items at most.
    pub fn is_cold(&self) -> bool {
        self.seen.len() <= COLD
    }

    /// All items of interest after the cut.
    pub fn turned_to(&self) -> HashSet<u32> {
        self.relevant.union(&self.again).copied().collect()
    }
}

/// A cut in time.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// `events[..cut]` train.
    pub cut: usize,
    /// Cases in order of user.
    pub cases: Vec<Case>,
    /// Users who turned to nothing after the cut but what they knew, in order.
    pub returning: Vec<Case>,
}

/// Number of `events` (in order of time) before a cut that leaves about `share` of those with an item after it; events of one moment,
/// such as a basket, stay together. `None` when nothing is left on either side.
pub fn cut(events: &[Event], share: f64) -> Option<usize> {
    let total = events.iter().filter(|event| event.item.is_some()).count();
    let share = if share.is_finite() { share.clamp(0.0, 0.5) } else { 0.0 };
    let before = (total as f64 * (1.0 - share)) as usize;
    if share == 0.0 || before == 0 || before >= total {
        return None;
    }
    let boundary = events.iter().filter(|event| event.item.is_some()).nth(before)?.occurred_at;
    Some(events.partition_point(|event| event.occurred_at < boundary)).filter(|cut| *cut > 0)
}

/// Cuts `events` (in order of time) as [`cut`] does. At most `max_cases` users of each sort, drawn with the seed. `None` when nothing
/// is left on either side, nobody comes back for anything new or nobody is wanted.
pub fn temporal(events: &[Event], share: f64, max_cases: usize, seed: u64) -> Option<Split> {
    let cut = cut(events, share).filter(|_| max_cases > 0)?;
    let (train, test) = events.split_at_checked(cut)?;

    let mut cases: BTreeMap<UserId, Case> = BTreeMap::new();
    for event in test.iter().filter(|event| interest(event) > 0.0) {
        if let (Some(user), Some(item)) = (event.user, event.item) {
            let case = cases.entry(user).or_insert_with(|| Case {
                user,
                relevant: HashSet::new(),
                again: HashSet::new(),
                seen: HashSet::new(),
            });
            case.relevant.insert(item.0);
        }
    }
    for event in train {
        if let (Some(user), Some(item)) = (event.user, event.item)
            && let Some(case) = cases.get_mut(&user)
        {
            case.seen.insert(item.0);
            if case.relevant.remove(&item.0) {
                case.again.insert(item.0);
            }
        }
    }
    let known = cases.into_values().filter(|case| !case.seen.is_empty());
    let (cases, returning): (Vec<Case>, Vec<Case>) = known.partition(|case| !case.relevant.is_empty());
    let split = Split {
        cut,
        cases: some(cases, max_cases, (seed, "hold-out")),
        returning: some(returning, max_cases, (seed, "returning")),
    };
    (!split.cases.is_empty()).then_some(split)
}

/// At most `most` of the cases, drawn, in order of user.
pub(super) fn some(mut cases: Vec<Case>, most: usize, (seed, purpose): (u64, &str)) -> Vec<Case> {
    if cases.len() > most {
        cases = cases.partial_shuffle(&mut random::rng(seed, purpose), most).0.to_vec();
        cases.sort_by_key(|case| case.user);
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ItemId, Timestamp};
    use crate::event::EventKind;

    fn bought(user: u32, item: u32, second: i64) -> Event {
        Event {
            occurred_at: Timestamp::from_seconds(second),
            user: Some(UserId(user)),
            item: Some(ItemId(item)),
            kind: EventKind::Purchase,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        }
    }

    #[test]
    fn the_latest_part_is_predicted_from_what_came_before() {
        let mut events: Vec<_> = (0..8).map(|at| bought(0, at as u32, at)).collect();
        // One basket of three at second 8, across the cut at 80 %: it stays together, after the cut.
        events.extend([bought(0, 3, 8), bought(0, 50, 8), bought(1, 51, 8)]);
        let split = temporal(&events, 0.2, 10, 1).unwrap();
        assert_eq!(split.cut, 8);
        // User 1 was not seen before, and item 3 was already known to user 0.
        assert_eq!(split.cases.len(), 1);
        assert_eq!(split.cases[0].user, UserId(0));
        assert_eq!(split.cases[0].relevant, HashSet::from([50]));
        assert_eq!(split.cases[0].again, HashSet::from([3]));
        assert_eq!(split.cases[0].turned_to(), HashSet::from([3, 50]));
        assert!(split.returning.is_empty());
        assert_eq!(split.cases[0].seen, (0..8).collect());
    }

    #[test]
    fn who_comes_back_for_nothing_new_is_held_out_apart() {
        let mut events: Vec<_> = (0..8).map(|at| bought(at as u32 % 2, at as u32, at)).collect();
        events.extend([bought(0, 90, 8), bought(1, 1, 8)]);
        let split = temporal(&events, 0.2, 10, 1).unwrap();
        let users = |cases: &[Case]| cases.iter().map(|case| case.user.0).collect::<Vec<_>>();
        assert_eq!((users(&split.cases), users(&split.returning)), (vec![0], vec![1]));
        assert_eq!(split.returning[0].again, HashSet::from([1]));
        // A cut needs no user at all.
        let anonymous: Vec<Event> = events.iter().map(|event| Event { user: None, ..*event }).collect();
        assert_eq!((cut(&anonymous, 0.2), temporal(&anonymous, 0.2, 10, 1)), (Some(8), None));
    }

    #[test]
    fn without_enough_nothing_is_held_out() {
        let events: Vec<_> = (0..10).map(|at| bought(0, at as u32, at)).collect();
        assert_eq!(temporal(&[], 0.1, 10, 1), None);
        assert_eq!(temporal(&events[..1], 0.1, 10, 1), None);
        assert_eq!(temporal(&events, 0.0, 10, 1), None);
        assert_eq!(temporal(&events, f64::NAN, 10, 1), None);
        assert_eq!(temporal(&events, 0.1, 0, 1), None);
        let at_once: Vec<_> = (0..10).map(|item| bought(0, item, 5)).collect();
        assert_eq!(temporal(&at_once, 0.1, 10, 1), None);
    }

    #[test]
    fn at_most_the_wanted_number_of_users_the_same_for_the_same_seed() {
        let mut events = Vec::new();
        for round in 0..10 {
            events.extend((0..100).map(|user| bought(user, round, i64::from(round))));
        }
        let cases = |seed| temporal(&events, 0.1, 20, seed).unwrap().cases;
        assert_eq!(cases(1).len(), 20);
        assert_eq!(cases(1), cases(1));
        assert_ne!(cases(1), cases(2));
        assert!(cases(1).is_sorted_by_key(|case| case.user));
    }
}
