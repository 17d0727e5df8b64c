//! A running session and what is found for it: each search is made once, whichever scorers need it.

use super::knn::{Proximity, SessionKnnParameters};
use super::memory::{Click, SessionMemory, SessionNumber};
use super::overlaps::{Overlaps, SessionNeighbour, SessionScratch};
use super::sparse_scores::SparseScores;

/// A running session, and what was found for it in the memories that are asked.
pub struct Query<'a> {
    /// Oldest first.
    pub clicks: &'a [Click],
    memories: [Option<(&'a SessionMemory, Option<SessionNumber>)>; 2],
    scratch: &'a mut SessionScratch,
    /// By memory, and by `sample`.
    overlaps: Vec<(usize, usize, Overlaps<'a>)>,
    /// Neighbours by place of the overlaps and parameters but for the proximity.
    found: Vec<(usize, SessionKnnParameters, Vec<SessionNeighbour>)>,
}

impl<'a> Query<'a> {
    /// Of a memory, and perhaps of a newer one in which the running session may be.
    pub fn new(
        clicks: &'a [Click],
        memory: &'a SessionMemory,
        live: Option<(&'a SessionMemory, Option<SessionNumber>)>,
        scratch: &'a mut SessionScratch,
    ) -> Self {
        let memories = [Some((memory, None)), live];
        Self { clicks, memories, scratch, overlaps: Vec::new(), found: Vec::new() }
    }

    /// One more than the largest item of the newer memory.
    pub fn n_live_items(&self) -> usize {
        let [_, live] = self.memories;
        live.map_or(0, |(memory, _)| memory.n_items())
    }

    /// Adds the scores by the neighbours of all memories.
    pub fn add_scores(&mut self, parameters: &SessionKnnParameters, scores: &mut SparseScores) {
        for number in 0..self.memories.len() {
            let Some(place) = self.overlaps(number, parameters.sample) else { continue };
            let Some((.., overlaps)) = self.overlaps.get_mut(place) else { continue };
            let search = SessionKnnParameters { proximity: Proximity::Even, ..*parameters };
            let known = self.found.iter().position(|(of, known, _)| *of == place && *known == search);
            let known = known.unwrap_or_else(|| {
                self.found.push((place, search, overlaps.neighbours(&search, self.scratch)));
                self.found.len() - 1
            });
            let neighbours = self.found.get(known).map_or(&[][..], |(.., neighbours)| neighbours);
            overlaps.add_scores(neighbours, parameters.proximity, scores);
        }
    }

    fn overlaps(&mut self, memory: usize, sample: usize) -> Option<usize> {
        let known = self.overlaps.iter().position(|(of, known, _)| (*of, *known) == (memory, sample));
        if known.is_some() {
            return known;
        }
        let (asked, own) = self.memories.get(memory).copied().flatten()?;
        let overlaps = Overlaps::new(asked, self.clicks, own, sample, self.scratch);
        self.overlaps.push((memory, sample, overlaps));
        Some(self.overlaps.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::ItemId;
    use crate::recommend::session::memory::tests::{clicks, memory};

    fn scores(memory: &SessionMemory, running: &[Click], parameters: &SessionKnnParameters) -> Vec<f32> {
        let mut scratch = SessionScratch::default();
        let mut scores = SparseScores::new(memory.n_items());
        Query::new(running, memory, None, &mut scratch).add_scores(parameters, &mut scores);
        (0..memory.n_items() as u32).map(|item| scores.get(ItemId(item))).collect()
    }

    fn neighbours(
        memory: &SessionMemory,
        clicks: &[Click],
        own: Option<SessionNumber>,
        parameters: &SessionKnnParameters,
        scratch: &mut SessionScratch,
    ) -> Vec<SessionNeighbour> {
        Overlaps::new(memory, clicks, own, parameters.sample, scratch).neighbours(parameters, scratch)
    }

    fn near(found: &[f32], expected: &[f32]) {
        let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(same && found.len() == expected.len(), "{found:?} is not {expected:?}");
    }

    /// A day before the running session 0, 1 and a day before that 1, 2, 3.
    fn two() -> (SessionMemory, Vec<Click>) {
        (memory(&[clicks(-1_441, &[0, 3]), clicks(-2_882, &[1, 2, 3])]), clicks(-1, &[0, 1]))
    }

    proptest! {
        #[test]
        fn a_query_says_the_same_for_each_scorer_whichever_was_asked_before(
            sessions in prop::collection::vec(prop::collection::vec(0u32..12, 1..7), 1..40),
            running in prop::collection::vec(0u32..12, 1..6),
            sample in 1usize..12,
        ) {
            let minutes = |n: usize| 97 * n as i64;
            let sessions: Vec<Vec<Click>> =
                sessions.iter().enumerate().map(|(n, items)| clicks(minutes(n), items)).collect();
            let memory = memory(&sessions);
            let running = clicks(minutes(sessions.len()), &running);
            let stan = SessionKnnParameters::stan(5, sample, 0.5, 3.0, 2.0);
            let after = Proximity::Around { before: 0.0, after: 0.3, itself: 0.0 };
            let asked = [
                stan,
                SessionKnnParameters { proximity: after, ..stan },
                SessionKnnParameters { rarity: 1.0, ..SessionKnnParameters::v_sknn(4, sample / 2) },
                SessionKnnParameters::s_knn(6, sample),
                SessionKnnParameters { proximity: after, ..stan },
                stan,
            ];
            let mut scratch = SessionScratch::default();
            let mut query = Query::new(&running, &memory, Some((&memory, None)), &mut scratch);
            let together: Vec<Vec<f32>> = asked.iter().map(|parameters| {
                let mut scores = SparseScores::new(12);
                query.add_scores(parameters, &mut scores);
                (0..12).map(|item| scores.get(ItemId(item))).collect()
            }).collect();
            for (parameters, together) in asked.iter().zip(together) {
                let mut alone = SparseScores::new(12);
                let mut scratch = SessionScratch::default();
                Query::new(&running, &memory, Some((&memory, None)), &mut scratch).add_scores(parameters, &mut alone);
                prop_assert_eq!(together, (0..12).map(|item| alone.get(ItemId(item))).collect::<Vec<_>>());
            }
        }

        #[test]
        fn scores_are_those_of_the_definition(
            sessions in prop::collection::vec(prop::collection::vec(0u32..9, 1..7), 1..20),
            running in prop::collection::vec(0u32..9, 1..6),
        ) {
            let sessions: Vec<Vec<Click>> =
                sessions.iter().enumerate().map(|(n, items)| clicks(97 * n as i64, items)).collect();
            let memory = memory(&sessions);
            let running = clicks(97 * sessions.len() as i64, &running);
            let stan = SessionKnnParameters::stan(100, 100, 0.5, 3.0, 2.0);
            let e = |x: f32| (-x).exp();
            let mut expected = [0f32; 9];
            for session in &sessions {
                let items: Vec<u32> = session.iter().map(|click| click.item.0).collect();
                let back = |item: u32| running.iter().rev().position(|click| click.item.0 == item);
                let mut shared: Vec<usize> = items.iter().filter_map(|item| back(*item)).collect();
                shared.sort_unstable();
                shared.dedup();
                let Some(newest) = shared.first() else { continue };
                let distinct = (0..9).filter(|item| back(*item).is_some()).count() as f32;
                let days = (running.last().unwrap().at.as_seconds() - session.last().unwrap().at.as_seconds()) as f32 / 86_400.0;
                let sum: f32 = shared.iter().map(|steps| e(*steps as f32 / 0.5)).sum();
                let similarity = sum / (distinct * items.len() as f32).sqrt() * e(days / 3.0);
                for item in 0..9u32 {
                    let places = |wanted: &dyn Fn(u32) -> bool| -> Vec<i64> {
                        (0..).zip(&items).filter(|(_, item)| wanted(**item)).map(|(place, _)| place).collect()
                    };
                    let (own, anchors) = (places(&|other| other == item), places(&|other| back(other) == Some(*newest)));
                    let near = own.iter().flat_map(|a| anchors.iter().map(move |b| (a - b).abs())).min();
                    expected[item as usize] += near.map_or(0.0, |near| similarity * e(near as f32 / 2.0));
                }
            }
            near(&scores(&memory, &running, &stan), &expected[..memory.n_items()]);
        }
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
