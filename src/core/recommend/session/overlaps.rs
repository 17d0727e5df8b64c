//! Sessions of a memory that share an item with the running one, and the most similar of them by one setting after the other.

use crate::base::ItemId;

use super::knn::{Norm, Proximity, SessionKnnParameters, decay};
use super::memory::{Click, SessionMemory, SessionNumber};
use super::near::Near;
use super::sparse_scores::SparseScores;

/// Newest clicks of the running session that are looked at.
const MOST_CLICKS: usize = 50;
/// Seconds of a day.
const DAY_SECONDS: f32 = 86_400.0;

/// One similar session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionNeighbour {
    /// Number of the neighbour's session.
    pub session: SessionNumber,
    /// > 0.
    pub similarity: f32,
    /// Place among the [`Overlaps`] it was found in.
    place: usize,
}

/// Room for one query after another over the same memory; what one thread needs.
#[derive(Clone, Debug, Default)]
pub struct SessionScratch {
    /// By place in the memory, one more than the place among the overlaps; 0 = none. All 0 between two queries.
    slots: Vec<u32>,
    sums: Vec<f32>,
}

/// The running session's distinct items, newest first, each with the steps back to its newest click.
fn distinct(clicks: &[Click]) -> Vec<(ItemId, usize)> {
    let mut items: Vec<(ItemId, usize)> = Vec::with_capacity(clicks.len());
    for (steps, click) in clicks.iter().rev().enumerate() {
        if items.iter().all(|(known, _)| *known != click.item) {
            items.push((click.item, steps));
        }
    }
    items
}

/// Sessions of a memory that share an item with the running one, looked up once for all settings with one `sample`.
#[derive(Debug)]
pub struct Overlaps<'a> {
    memory: &'a SessionMemory,
    n_clicks: usize,
    items: Vec<(ItemId, usize)>,
    sessions: Vec<Overlap<'a>>,
    /// Place of a session and of an item that it shares, the running session's newest item first.
    shared: Vec<(u32, u32)>,
    /// λ of the fading that was asked for last, and what it leaves of each session.
    faded: (f32, Vec<f32>),
}

/// One session that shares an item.
#[derive(Debug)]
struct Overlap<'a> {
    session: SessionNumber,
    items: &'a [u32],
    /// √length.
    root: f32,
    /// Days since it ended.
    days: f32,
    /// Place of the newest item of the running session that it shares.
    newest: u32,
}

impl<'a> Overlaps<'a> {
    /// Of the newest `sample` sessions by item, the newest `sample`; never `own`, the running session itself if it is remembered.
    pub fn new(
        memory: &'a SessionMemory,
        clicks: &[Click],
        own: Option<SessionNumber>,
        sample: usize,
        scratch: &mut SessionScratch,
    ) -> Self {
        let now = clicks.last().map_or(0, |click| click.at.as_seconds());
        let clicks = clicks.get(clicks.len().saturating_sub(MOST_CLICKS)..).unwrap_or_default();
        let items = distinct(clicks);
        let slots = &mut scratch.slots;
        slots.resize(memory.len(), 0);
        let (mut found, mut shared): (Vec<(SessionNumber, u32)>, _) = (Vec::new(), Vec::new());
        for (number, (item, _)) in (0u32..).zip(&items) {
            for session in memory.with_item(*item).take(sample) {
                let Some(slot) = slots.get_mut(memory.place(session)) else { continue };
                if *slot == 0 {
                    found.push((session, number));
                    *slot = u32::try_from(found.len()).unwrap_or(0);
                }
                shared.push((slot.saturating_sub(1), number));
            }
        }
        for (session, _) in &found {
            slots.get_mut(memory.place(*session)).into_iter().for_each(|slot| *slot = 0);
        }
        let mut numbers: Vec<SessionNumber> = found.iter().map(|(session, _)| *session).collect();
        let last = sample.checked_sub(1).filter(|last| *last < numbers.len());
        let oldest = last.map(|last| *numbers.select_nth_unstable_by(last, |a, b| b.cmp(a)).1);
        let mut overlaps = Self {
            memory,
            n_clicks: clicks.len(),
            items,
            sessions: Vec::new(),
            shared,
            faded: (0.0, Vec::new()),
        };
        overlaps.sessions.reserve_exact(found.len());
        for (session, newest) in found {
            let is_in = Some(session) != own && oldest.is_none_or(|oldest| session >= oldest);
            let known = memory.get(session).filter(|_| is_in);
            // One that is not in shares nothing that counts.
            let items = known.map_or(&[][..], |known| known.items());
            let days = known.map_or(0.0, |known| (now - known.ended()).max(0) as f32 / DAY_SECONDS);
            let newest = overlaps.newest(items, newest, sample);
            let root = (items.len() as f32).sqrt();
            overlaps.sessions.push(Overlap { session, items, root, days, newest });
        }
        overlaps
    }

    /// The newest shared item, if the sample reached a session first by `found`: newer ones may be in too many sessions.
    fn newest(&self, items: &[u32], found: u32, sample: usize) -> u32 {
        let newer = (0u32..).zip(&self.items).take(found as usize);
        let mut unreached = newer.filter(|(_, (item, _))| self.memory.n_with_item(*item) > sample);
        unreached.find(|(_, (item, _))| items.contains(&item.0)).map_or(found, |(number, _)| number)
    }

    /// The most similar sessions, best first, ties to the newer one. Empty without clicks or when nobody clicked any of them.
    pub fn neighbours(
        &mut self,
        parameters: &SessionKnnParameters,
        scratch: &mut SessionScratch,
    ) -> Vec<SessionNeighbour> {
        let weight = |(item, steps): &(ItemId, usize)| {
            parameters.click_weight.of(*steps, self.n_clicks) * rarity(self.memory, *item, parameters.rarity)
        };
        let weights: Vec<f32> = self.items.iter().map(weight).collect();
        let sums = &mut scratch.sums;
        sums.clear();
        sums.resize(self.sessions.len(), 0.0);
        for (session, item) in &self.shared {
            if let (Some(sum), Some(weight)) = (sums.get_mut(*session as usize), weights.get(*item as usize))
            {
                *sum += weight;
            }
        }
        self.fade(parameters.fade_days);
        let norm = (self.items.len() as f32).sqrt();
        let mut found = Vec::with_capacity(self.sessions.len());
        let sessions = self.sessions.iter().zip(&self.faded.1).zip(sums.iter()).enumerate();
        for (place, ((overlap, faded), sum)) in
            sessions.filter(|(_, ((overlap, _), _))| !overlap.items.is_empty())
        {
            let norm = match parameters.norm {
                Norm::Running => norm,
                Norm::Cosine => norm * overlap.root,
            };
            let similarity = sum / norm * faded;
            if similarity.is_finite() && similarity > 0.0 {
                found.push(SessionNeighbour { session: overlap.session, similarity, place });
            }
        }
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

    fn fade(&mut self, lambda: f32) {
        let (known, faded) = &mut self.faded;
        if faded.len() != self.sessions.len() || known.to_bits() != lambda.to_bits() {
            *known = lambda;
            faded.clear();
            faded.extend(self.sessions.iter().map(|overlap| decay(overlap.days, lambda)));
        }
    }

    /// Adds what neighbours say to `scores`. O(neighbours · length).
    pub fn add_scores(
        &self,
        neighbours: &[SessionNeighbour],
        proximity: Proximity,
        scores: &mut SparseScores,
    ) {
        let mut said: Vec<(u32, f32)> = Vec::new();
        let mut near = Near::new(proximity);
        for neighbour in neighbours {
            let Some(overlap) = self.sessions.get(neighbour.place) else { continue };
            let Some((shared, steps)) = self.items.get(overlap.newest as usize) else { continue };
            said.clear();
            near.say(*shared, *steps, overlap.items, &mut said);
            for (item, weight) in &said {
                scores.add(*item, neighbour.similarity * weight);
            }
        }
    }
}

fn rarity(memory: &SessionMemory, item: ItemId, exponent: f32) -> f32 {
    if exponent == 0.0 {
        return 1.0;
    }
    let sessions = memory.len() as f32 / memory.n_with_item(item).max(1) as f32;
    sessions.ln_1p().powf(exponent)
}
