//! Repeat purchases: for each item the share of its buyers who came back for it, and the median days between. A user is shown it
//! again when about that time has passed. Repeat customer probability and time gate: Bhagat et al. 2018 ("Buy It Again"); what
//! was consumed lately is wanted most and then fades: Anderson et al. 2014.
//!
//! In: purchases. Out: by user, items that are due with a score 0…1. Memory: 16 bytes a purchase while fitting, 12 a habit.

use serde::{Deserialize, Serialize};

use crate::base::{ItemId, Timestamp};
use crate::event::{Event, EventKind};
use crate::profile::{Bought, Profile};

/// Fewer people than this who came back are chance.
const FEWEST_REPEATERS: u32 = 5;
/// And fewer of the buyers than this make no habit.
const LEAST_PROBABILITY: f32 = 0.15;
/// Buyers who did not come back that every item starts with.
const PRIOR_BUYERS: f32 = 5.0;
/// In intervals: before `EARLY` it is not due; from `LATE` on interest fades, halving every interval; after `OVER` it is gone.
const EARLY: f32 = 0.7;
const LATE: f32 = 1.5;
const OVER: f32 = 5.0;

/// Repurchase statistics of an item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Habit {
    /// Item that is bought again.
    pub item: ItemId,
    /// Share of buyers who bought it again another day, cautious for few buyers; 0…1.
    pub probability: f32,
    /// Median days between two purchases of one user, ≥ 1.
    pub interval_days: f32,
}

/// Habits of the items that have one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// By item.
    habits: Vec<Habit>,
}

impl Repeat {
    /// From events in any order; several purchases on one day are one. O(purchases log purchases).
    pub fn fit(events: &[Event]) -> Self {
        let mut days: Vec<(u32, u32, i64)> = events
            .iter()
            .filter(|event| event.kind == EventKind::Purchase)
            .filter_map(|event| {
                let day = event.occurred_at.as_seconds().div_euclid(86_400);
                Some((event.item?.0, event.user?.0, day))
            })
            .collect();
        days.sort_unstable();
        days.dedup();
        Self { habits: days.chunk_by(|a, b| a.0 == b.0).filter_map(habit).collect() }
    }

    /// Repurchase statistics of an item; `None` for one that is not bought again.
    pub fn habit(&self, item: ItemId) -> Option<&Habit> {
        self.habits.binary_search_by_key(&item, |habit| habit.item).ok().and_then(|at| self.habits.get(at))
    }

    /// Returns whether what was bought may be shown again. `consumable` is what the shop says of the item: without a habit that decides
    /// alone.
    pub fn is_due(&self, bought: &Bought, consumable: bool, now: Timestamp) -> bool {
        match self.habit(bought.item) {
            Some(habit) => {
                let intervals = bought.days_since(now) / habit.interval_days;
                intervals >= EARLY && (consumable || intervals <= OVER)
            }
            None => consumable,
        }
    }

    /// Items that the user has bought and that are due, best first, ties by id: the probability of a repeat purchase, less the
    /// longer it is overdue. O(bought · log habits).
    pub fn due(&self, profile: &Profile, now: Timestamp) -> Vec<(ItemId, f32)> {
        let score = |bought: &Bought| {
            let habit = self.habit(bought.item)?;
            let intervals = bought.days_since(now) / habit.interval_days;
            let fresh = (LATE - intervals).min(0.0).exp2();
            let due = (EARLY..=OVER).contains(&intervals);
            // Who has done it before will do it again.
            let loyal = 1.0 - (1.0 - habit.probability) / f32::from(bought.times.max(1));
            due.then_some((bought.item, loyal * fresh))
        };
        let mut due: Vec<(ItemId, f32)> = profile.bought().iter().filter_map(score).collect();
        due.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        due
    }

    /// Number of items with a habit.
    pub fn len(&self) -> usize {
        self.habits.len()
    }

    /// Returns whether no item is bought again.
    pub fn is_empty(&self) -> bool {
        self.habits.is_empty()
    }

    /// Every number in its range? Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        self.habits.iter().all(|habit| (0.0..=1.0).contains(&habit.probability) && habit.interval_days >= 1.0)
    }
}

/// Of the purchases (item, user, day) of one item, by user and day.
fn habit(purchases: &[(u32, u32, i64)]) -> Option<Habit> {
    let (item, ..) = purchases.first()?;
    let (mut buyers, mut repeaters) = (0u32, 0u32);
    let mut intervals: Vec<i64> = Vec::new();
    for own in purchases.chunk_by(|a, b| a.1 == b.1) {
        buyers += 1;
        repeaters += u32::from(own.len() > 1);
        intervals.extend(own.windows(2).filter_map(|pair| match pair {
            [earlier, later] => Some(later.2 - earlier.2),
            _ => None,
        }));
    }
    let probability = repeaters as f32 / (buyers as f32 + PRIOR_BUYERS);
    if repeaters < FEWEST_REPEATERS || probability < LEAST_PROBABILITY {
        return None;
    }
    let middle = intervals.len() / 2;
    let (_, median, _) = intervals.select_nth_unstable(middle);
    Some(Habit { item: ItemId(*item), probability, interval_days: (*median).max(1) as f32 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::fixtures::{START, event, profile, shop};

    fn bought(user: u32, item: u32, day: f64) -> Event {
        event(user, EventKind::Purchase, item, day)
    }

    /// Ten users buy item 3 every ten days, twice; item 4 is bought once by each, and twice on one day by one.
    fn coffee() -> Vec<Event> {
        let mut events: Vec<Event> = (0..10)
            .flat_map(|user| {
                [bought(user, 3, 0.0), bought(user, 3, 10.0), bought(user, 3, 10.1), bought(user, 4, 1.0)]
            })
            .collect();
        events.extend([bought(0, 4, 1.0), event(1, EventKind::View, 4, 9.0)]);
        events
    }

    fn now(day: f64) -> Timestamp {
        Timestamp::from_seconds(START).plus_days(day)
    }

    #[test]
    fn a_habit_has_the_probability_and_the_interval_counted_by_hand() {
        let repeat = Repeat::fit(&coffee());
        assert_eq!(repeat.len(), 1);
        let habit = repeat.habit(ItemId(3)).unwrap();
        // Ten of ten buyers, and five more who did not come back.
        assert!((habit.probability - 10.0 / 15.0).abs() < 1e-6);
        assert_eq!(habit.interval_days, 10.0);
        assert!(repeat.habit(ItemId(4)).is_none() && repeat.is_sound());
        assert!(Repeat::fit(&[]).is_empty());
        // Four who come back are chance.
        let few: Vec<Event> = (0..4).flat_map(|user| [bought(user, 3, 0.0), bought(user, 3, 5.0)]).collect();
        assert!(Repeat::fit(&few).is_empty());
    }

    #[test]
    fn it_is_due_when_about_an_interval_has_passed_and_forgotten_long_after() {
        let repeat = Repeat::fit(&coffee());
        let user = profile(&[bought(20, 3, 50.0), bought(20, 4, 50.0)], &shop());
        let due = |day| repeat.due(&user, now(day));
        assert!(due(53.0).is_empty(), "just bought");
        let right = due(61.0);
        assert_eq!(right.iter().map(|(item, _)| item.0).collect::<Vec<_>>(), [3]);
        assert!(due(80.0)[0].1 < right[0].1, "overdue");
        assert!(due(150.0).is_empty());
        let coffee = &user.bought()[0];
        assert!(!repeat.is_due(coffee, true, now(53.0)) && repeat.is_due(coffee, false, now(60.0)));
        assert!(!repeat.is_due(coffee, false, now(500.0)) && repeat.is_due(coffee, true, now(500.0)));
        // Of what has no habit the shop's word counts.
        let other = &user.bought()[1];
        assert!(!repeat.is_due(other, false, now(90.0)) && repeat.is_due(other, true, now(51.0)));
        // Who bought it twice is likelier to.
        let loyal = profile(&[bought(20, 3, 40.0), bought(20, 3, 50.0)], &shop());
        assert!(repeat.due(&loyal, now(61.0))[0].1 > right[0].1);
    }
}
