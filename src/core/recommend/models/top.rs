//! The best of a column of scores.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::base::ItemId;

struct Candidate(f32, ItemId);

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Candidate {}

/// The n best items with a score > 0 that may be shown, best first, ties by id. `allowed` is asked only for as many
/// as it takes: O(width + (n + refused) · log width).
pub fn best(scores: &[f32], n: usize, allowed: impl Fn(ItemId) -> bool) -> Vec<(ItemId, f32)> {
    let candidates = (0u32..).map(ItemId).zip(scores).filter(|(_, score)| **score > 0.0);
    let mut heap: BinaryHeap<Candidate> =
        candidates.map(|(item, score)| Candidate(*score, item)).collect::<Vec<_>>().into();
    let mut best = Vec::with_capacity(n.min(heap.len()));
    while best.len() < n {
        let Some(Candidate(score, item)) = heap.pop() else { break };
        if allowed(item) {
            best.push((item, score));
        }
    }
    best
}
