//! Items clicked by visitors of similar sessions: session neighbours from memory. One engine, three published settings:
//! S-KNN (Jannach & Ludewig 2017), V-SKNN (Ludewig & Jannach 2018) and STAN (Garg et al. 2019).
//!
//! In: the clicks of a running session, oldest first, and a [`SessionMemory`]. Out: scores ≥ 0 by item. A session's
//! similarity to the running one is Σ over the items they share of how much that click counts, divided by a norm and
//! faded by the session's age; an item's score is Σ over the neighbours it occurs in of similarity · how close to the
//! click they share it stands. Time: O(clicks · sample + neighbours · length), about 0.2 ms at 20,000 sessions.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::memory::{Click, SessionMemory, SessionNumber};
use super::sparse_scores::SparseScores;

/// Newest clicks of the running session that are looked at.
const MOST_CLICKS: usize = 50;
/// Seconds of a day.
const DAY_SECONDS: f32 = 86_400.0;

/// Weight of a click of the running session, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClickWeight {
    /// 1.
    Even,
    /// (Place from the start / length) to a power: V-SKNN, 1 is linear, 2 quadratic.
    Place(f32),
    /// exp(−steps back / λ): STAN's λ1.
    Exponential(f32),
}

/// Divisor of the similarity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Norm {
    /// Nothing that orders neighbours: V-SKNN.
    Running,
    /// √length of the neighbour as well: the cosine of S-KNN and STAN.
    Cosine,
}

/// Weight of a neighbour's item, by its place in the session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Proximity {
    /// All alike: S-KNN.
    Even,
    /// All alike, by how many steps back the newest shared click is: 1 / (1 + steps), V-SKNN.
    LastShared,
    /// exp(−distance / λ) from the newest shared click, one λ for items before it and one for items after it; the
    /// shared click itself counts `itself`. STAN: both λ3, itself 1.
    Around {
        /// λ of items before.
        before: f32,
        /// λ of items after.
        after: f32,
        /// The shared click.
        itself: f32,
    },
}

/// Parameters of the search for neighbours and of their scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionKnnParameters {
    /// Most similar sessions that count.
    pub neighbours: usize,
    /// Newest sessions looked at, of those that share an item.
    pub sample: usize,
    /// Clicks of the running session.
    pub click_weight: ClickWeight,
    /// Of similarity.
    pub norm: Norm,
    /// Items of the neighbour.
    pub proximity: Proximity,
    /// A neighbour fades by exp(−days / λ): STAN's λ2; infinite = never.
    pub fade_days: f32,
    /// Exponent of ln(1 + sessions / sessions with the item), of shared items; 0 = all alike.
    pub rarity: f32,
}

impl SessionKnnParameters {
    /// Binary cosine, no order.
    pub fn s_knn(neighbours: usize, sample: usize) -> Self {
        Self {
            neighbours,
            sample,
            click_weight: ClickWeight::Even,
            norm: Norm::Cosine,
            proximity: Proximity::Even,
            fade_days: f32::INFINITY,
            rarity: 0.0,
        }
    }

    /// Later clicks count more, linearly.
    pub fn v_sknn(neighbours: usize, sample: usize) -> Self {
        Self {
            click_weight: ClickWeight::Place(1.0),
            norm: Norm::Running,
            proximity: Proximity::LastShared,
            ..Self::s_knn(neighbours, sample)
        }
    }

    /// λ1 in clicks, λ2 in days, λ3 in clicks.
    pub fn stan(neighbours: usize, sample: usize, clicks: f32, days: f32, distance: f32) -> Self {
        Self {
            click_weight: ClickWeight::Exponential(clicks),
            proximity: Proximity::Around { before: distance, after: distance, itself: 1.0 },
            fade_days: days,
            ..Self::s_knn(neighbours, sample)
        }
    }
}

/// One similar session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionNeighbour {
    /// Number of the neighbour's session.
    pub session: SessionNumber,
    /// > 0.
    pub similarity: f32,
}

/// Room for one query after another over the same memory; what one thread needs.
#[derive(Clone, Debug, Default)]
pub struct SessionScratch {
    sums: Vec<f32>,
    touched: Vec<SessionNumber>,
}

/// The running session's distinct items: how much each counts and how many steps back its newest click is.
struct Running {
    items: Vec<(u32, f32, usize)>,
    norm: f32,
}

impl Running {
    fn new(clicks: &[Click], weight: ClickWeight) -> Self {
        let clicks = clicks.get(clicks.len().saturating_sub(MOST_CLICKS)..).unwrap_or_default();
        let mut items: Vec<(u32, f32, usize)> = Vec::with_capacity(clicks.len());
        for (steps, click) in clicks.iter().rev().enumerate() {
            if items.iter().any(|(known, ..)| *known == click.item.0) {
                continue;
            }
            let weight = match weight {
                ClickWeight::Even => 1.0,
                ClickWeight::Place(power) => {
                    ((clicks.len() - steps) as f32 / clicks.len() as f32).powf(power)
                }
                ClickWeight::Exponential(lambda) => decay(steps as f32, lambda),
            };
            items.push((click.item.0, weight, steps));
        }
        let norm = (items.len() as f32).sqrt();
        Self { items, norm }
    }
}

/// exp(−distance / λ); 1 for λ = ∞, 0 for λ ≤ 0 or NaN beyond distance 0.
fn decay(distance: f32, lambda: f32) -> f32 {
    if distance <= 0.0 {
        1.0
    } else if lambda > 0.0 {
        (-distance / lambda).exp()
    } else {
        0.0
    }
}

/// The most similar sessions, best first, ties to the newer one; never `own`, the running session itself if it is
/// remembered. Empty without clicks or when nobody clicked any of them.
pub fn neighbours(
    memory: &SessionMemory,
    clicks: &[Click],
    own: Option<SessionNumber>,
    parameters: &SessionKnnParameters,
    scratch: &mut SessionScratch,
) -> Vec<SessionNeighbour> {
    let running = Running::new(clicks, parameters.click_weight);
    let now = clicks.last().map_or(0, |click| click.at.as_seconds());
    scratch.sums.resize(memory.len(), 0.0);
    for (item, weight, _) in &running.items {
        let item = ItemId(*item);
        let weight = weight * rarity(memory, item, parameters.rarity);
        for session in memory.with_item(item).take(parameters.sample) {
            if let Some(sum) = scratch.sums.get_mut(memory.place(session)) {
                if *sum == 0.0 {
                    scratch.touched.push(session);
                }
                *sum += weight;
            }
        }
    }
    let mut touched = std::mem::take(&mut scratch.touched);
    if touched.len() > parameters.sample && parameters.sample > 0 {
        touched.select_nth_unstable_by(parameters.sample - 1, |a, b| b.cmp(a));
        for session in touched.drain(parameters.sample..) {
            if let Some(sum) = scratch.sums.get_mut(memory.place(session)) {
                *sum = 0.0;
            }
        }
    }
    let mut found = Vec::with_capacity(touched.len());
    for session in touched.drain(..) {
        let sum = scratch.sums.get_mut(memory.place(session)).map_or(0.0, std::mem::take);
        let Some(known) = memory.get(session).filter(|_| Some(session) != own) else { continue };
        let norm = match parameters.norm {
            Norm::Running => running.norm,
            Norm::Cosine => running.norm * (known.items().len() as f32).sqrt(),
        };
        let days = (now - known.ended()).max(0) as f32 / DAY_SECONDS;
        let similarity = sum / norm * decay(days, parameters.fade_days);
        if similarity.is_finite() && similarity > 0.0 {
            found.push(SessionNeighbour { session, similarity });
        }
    }
    scratch.touched = touched;
    let best_first = |a: &SessionNeighbour, b: &SessionNeighbour| {
        b.similarity.total_cmp(&a.similarity).then(b.session.cmp(&a.session))
    };
    if found.len() > parameters.neighbours {
        if parameters.neighbours == 0 {
            return Vec::new();
        }
        found.select_nth_unstable_by(parameters.neighbours - 1, best_first);
        found.truncate(parameters.neighbours);
    }
    found.sort_unstable_by(best_first);
    found
}

fn rarity(memory: &SessionMemory, item: ItemId, exponent: f32) -> f32 {
    if exponent == 0.0 {
        return 1.0;
    }
    let sessions = memory.len() as f32 / memory.n_with_item(item).max(1) as f32;
    sessions.ln_1p().powf(exponent)
}

/// Adds what neighbours say to `scores`. O(neighbours · length).
pub fn add_scores(
    memory: &SessionMemory,
    clicks: &[Click],
    neighbours: &[SessionNeighbour],
    parameters: &SessionKnnParameters,
    scores: &mut SparseScores,
) {
    let running = Running::new(clicks, parameters.click_weight);
    let mut said: Vec<(u32, f32)> = Vec::new();
    for neighbour in neighbours {
        let Some(known) = memory.get(neighbour.session) else { continue };
        said.clear();
        say(&running, known.items(), parameters.proximity, &mut said);
        for (item, weight) in &said {
            scores.add(*item, neighbour.similarity * weight);
        }
    }
}

/// Adds up the scores that one neighbour gives to its distinct items.
fn say(running: &Running, items: &[u32], proximity: Proximity, said: &mut Vec<(u32, f32)>) {
    let shared = running.items.iter().find(|(item, ..)| items.contains(item));
    let Some((shared, _, steps)) = shared else { return };
    for (place, item) in items.iter().enumerate() {
        let weight = match proximity {
            Proximity::Even => 1.0,
            Proximity::LastShared => 1.0 / (1.0 + *steps as f32),
            Proximity::Around { before, after, itself } => {
                let near =
                    items.iter().enumerate().filter(|(_, other)| *other == shared).map(|(at, _)| match place
                        .cmp(&at)
                    {
                        std::cmp::Ordering::Less => decay((at - place) as f32, before),
                        std::cmp::Ordering::Equal => itself,
                        std::cmp::Ordering::Greater => decay((place - at) as f32, after),
                    });
                near.fold(0.0, f32::max)
            }
        };
        match said.iter_mut().find(|(known, _)| known == item) {
            Some((_, known)) => *known = known.max(weight),
            None => said.push((*item, weight)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::session::memory::tests::{clicks, memory};

    fn scores(memory: &SessionMemory, running: &[Click], parameters: &SessionKnnParameters) -> Vec<f32> {
        let near = neighbours(memory, running, None, parameters, &mut SessionScratch::default());
        let mut scores = SparseScores::new(memory.n_items());
        add_scores(memory, running, &near, parameters, &mut scores);
        (0..memory.n_items() as u32).map(|item| scores.get(ItemId(item))).collect()
    }

    fn near(found: &[f32], expected: &[f32]) {
        let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(same && found.len() == expected.len(), "{found:?} is not {expected:?}");
    }

    /// A day before the running session 0, 1 and a day before that 1, 2, 3.
    fn two() -> (SessionMemory, Vec<Click>) {
        (memory(&[clicks(-1_441, &[0, 3]), clicks(-2_882, &[1, 2, 3])]), clicks(-1, &[0, 1]))
    }

    #[test]
    fn s_knn_agrees_with_values_computed_by_hand() {
        let (memory, running) = two();
        // Cosines: 1 / √(2 · 2) and 1 / √(2 · 3).
        let (a, b) = (0.5, 1.0 / 6f32.sqrt());
        near(&scores(&memory, &running, &SessionKnnParameters::s_knn(10, 10)), &[a, b, b, a + b]);
        near(&scores(&memory, &running, &SessionKnnParameters::s_knn(1, 10)), &[a, 0.0, 0.0, a]);
    }

    #[test]
    fn v_sknn_agrees_with_values_computed_by_hand() {
        let (memory, running) = two();
        // Clicks count 1/2 and 2/2, over √2; the first neighbour's newest shared click is one step back: half.
        let (a, b) = (0.5 / 2f32.sqrt() / 2.0, 1.0 / 2f32.sqrt());
        near(&scores(&memory, &running, &SessionKnnParameters::v_sknn(10, 10)), &[a, b, b, a + b]);
    }

    #[test]
    fn stan_agrees_with_values_computed_by_hand() {
        let (memory, running) = two();
        let stan = SessionKnnParameters::stan(10, 10, 2.0, 4.0, 3.0);
        let e = |x: f32| (-x).exp();
        // Similarities: e^(−1/2) / √(2 · 2) a day old, and 1 / √(2 · 3) two days old.
        let a = e(0.5) / 2.0 * e(1.0 / 4.0);
        let b = 1.0 / 6f32.sqrt() * e(2.0 / 4.0);
        let expected = [a, b, b * e(1.0 / 3.0), a * e(1.0 / 3.0) + b * e(2.0 / 3.0)];
        let found = scores(&memory, &running, &stan);
        // Sessions end to the minute, not to the day.
        let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-4);
        assert!(same, "{found:?} is not {expected:?}");
    }

    #[test]
    fn only_what_came_after_counts_where_that_is_asked() {
        let memory = memory(&[clicks(0, &[5, 1, 1, 2, 3])]);
        let parameters = SessionKnnParameters {
            proximity: Proximity::Around { before: 0.0, after: 1.0, itself: 0.0 },
            ..SessionKnnParameters::s_knn(10, 10)
        };
        let one = 1.0 / 5f32.sqrt();
        let e = |x: f32| one * (-x).exp();
        // The second click on 1 came one step after the first: a repetition.
        near(&scores(&memory, &clicks(9, &[1]), &parameters), &[0.0, e(1.0), e(1.0), e(2.0), 0.0, 0.0]);
    }

    #[test]
    fn the_running_session_is_no_neighbour_of_its_own_and_the_newest_are_looked_at() {
        let mut memory = memory(&[clicks(0, &[1, 2]), clicks(10, &[1, 3])]);
        let running = clicks(20, &[1, 4]);
        let own = memory.observe(&running);
        let mut scratch = SessionScratch::default();
        let parameters = SessionKnnParameters::s_knn(10, 2);
        let found = neighbours(&memory, &running, own, &parameters, &mut scratch);
        assert_eq!(found.len(), 1, "two looked at, one of them its own");
        assert_eq!(memory.get(found[0].session).unwrap().items(), [1, 3]);
        // The room is clean for the next query.
        assert_eq!(neighbours(&memory, &running, None, &parameters, &mut scratch).len(), 2);
        assert!(neighbours(&memory, &[], None, &parameters, &mut scratch).is_empty());
        let none = SessionKnnParameters { neighbours: 0, ..parameters };
        assert!(neighbours(&memory, &running, None, &none, &mut scratch).is_empty());
        let nonsense = SessionKnnParameters::stan(10, 0, f32::NAN, -1.0, 0.0);
        assert!(neighbours(&memory, &running, None, &nonsense, &mut scratch).is_empty());
    }
}
