//! The best of a column of scores.

use std::cmp::{Ordering, Reverse};
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

/// The n best items with a score > 0 that may be shown, best first, ties by id. `allowed` is asked only for those that are
/// better than the worst of the n best so far: O(width + improvements · log n).
pub fn best(scores: &[f32], n: usize, allowed: impl Fn(ItemId) -> bool) -> Vec<(ItemId, f32)> {
    let mut heap: BinaryHeap<Reverse<Candidate>> = BinaryHeap::with_capacity(n.min(scores.len()) + 1);
    // Of equal scores the first stays: items come in order of id.
    let mut least = 0.0;
    for (item, score) in (0u32..).map(ItemId).zip(scores) {
        if *score > least && n > 0 && allowed(item) {
            if heap.len() == n {
                heap.pop();
            }
            heap.push(Reverse(Candidate(*score, item)));
            if heap.len() == n {
                least = heap.peek().map_or(0.0, |worst| worst.0.0);
            }
        }
    }
    heap.into_sorted_vec().into_iter().map(|Reverse(Candidate(score, item))| (item, score)).collect()
}

/// Places that are compared at once.
const LANES: usize = 16;

/// The largest finite score, at least 0. O(width), many places at a time.
pub fn largest(scores: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a && b < f32::INFINITY { b } else { a };
    let (chunks, rest) = scores.as_chunks::<LANES>();
    let mut most = [0f32; LANES];
    for scores in chunks {
        most.iter_mut().zip(scores).for_each(|(most, score)| *most = larger(*most, *score));
    }
    rest.iter().copied().chain(most).fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_of_equals_the_lower_id() {
        let scores = [0.5, 0.0, 0.9, 0.5, f32::NAN, 0.9, -1.0, 0.1];
        let ids = |n: usize| -> Vec<u32> {
            best(&scores, n, |item| item.0 != 3).into_iter().map(|(item, _)| item.0).collect()
        };
        assert_eq!(ids(2), [2, 5]);
        assert_eq!(ids(3), [2, 5, 0]);
        assert_eq!(ids(9), [2, 5, 0, 7]);
        assert_eq!(ids(0), Vec::<u32>::new());
    }

    #[test]
    fn the_largest_is_a_number() {
        let mut scores = vec![-1.0; 40];
        assert_eq!((largest(&scores), largest(&[])), (0.0, 0.0));
        (scores[3], scores[17], scores[20], scores[38]) = (0.5, f32::NAN, f32::INFINITY, 0.7);
        assert_eq!((largest(&scores), largest(&scores[..38])), (0.7, 0.5));
    }
}
