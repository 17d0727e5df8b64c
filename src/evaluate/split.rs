//! What to predict from what: a cut in time. Everything before it trains; what users seen before it turned to after
//! it, for the first time, is to be predicted. No event after the cut is ever known to what is measured.

use std::collections::{BTreeMap, HashSet};

use rand::seq::SliceRandom;

use crate::base::{UserId, random};
use crate::event::Event;
use crate::profile::interest;

/// Who is asked about, and what would be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// A user with events before the cut.
    pub user: UserId,
    /// Items of interest after the cut and never before, not empty.
    pub relevant: HashSet<u32>,
    /// Items the user had anything to do with before the cut; never recommended in the measurement.
    pub seen: HashSet<u32>,
}

/// A cut in time.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// `events[..cut]` train.
    pub cut: usize,
    /// Cases in order of user.
    pub cases: Vec<Case>,
}

/// Cuts `events` (in order of time) so that about `share` of those with an item come after; events of one moment,
/// such as a basket, stay together. At most `max_cases` users, drawn with the seed. `None` when nothing is left on
/// either side or nobody comes back.
pub fn temporal(events: &[Event], share: f64, max_cases: usize, seed: u64) -> Option<Split> {
    let total = events.iter().filter(|event| event.item.is_some()).count();
    let share = if share.is_finite() { share.clamp(0.0, 0.5) } else { 0.0 };
    let before = (total as f64 * (1.0 - share)) as usize;
    if share == 0.0 || before == 0 || before >= total {
        return None;
    }
    let boundary = events.iter().filter(|event| event.item.is_some()).nth(before)?.occurred_at;
    let cut = events.partition_point(|event| event.occurred_at < boundary);
    let (train, test) = events.split_at_checked(cut)?;

    let mut cases: BTreeMap<UserId, Case> = BTreeMap::new();
    for event in test.iter().filter(|event| interest(event) > 0.0) {
        if let (Some(user), Some(item)) = (event.user, event.item) {
            let case = cases.entry(user).or_insert_with(|| Case {
                user,
                relevant: HashSet::new(),
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
            case.relevant.remove(&item.0);
        }
    }
    let mut cases: Vec<Case> =
        cases.into_values().filter(|case| !case.seen.is_empty() && !case.relevant.is_empty()).collect();
    if cases.is_empty() {
        return None;
    }
    if cases.len() > max_cases {
        cases = cases.partial_shuffle(&mut random::rng(seed, "hold-out"), max_cases).0.to_vec();
        cases.sort_by_key(|case| case.user);
    }
    Some(Split { cut, cases })
}
