//! Ranking metrics as pure functions over one ranked list and the set of items that would have been right; means
//! over users by [`Tally`]. Binary relevance; the ideal of NDCG is over min(k, relevant). Järvelin & Kekäläinen 2002.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};

use crate::ml::metrics::Metrics;

/// Share of the relevant items among the first k; 0 without relevant items.
pub fn recall(list: &[u32], relevant: &HashSet<u32>, k: usize) -> f64 {
    if relevant.is_empty() {
        return 0.0;
    }
    hits(list, relevant, k) as f64 / relevant.len() as f64
}

/// Normalised discounted cumulative gain at k: Σ 1 / log2(rank + 1) over hits, divided by its largest possible value.
pub fn ndcg(list: &[u32], relevant: &HashSet<u32>, k: usize) -> f64 {
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let ideal: f64 = (0..k.min(relevant.len())).map(gain).sum();
    if ideal <= 0.0 {
        return 0.0;
    }
    let found = list.iter().take(k).enumerate().filter(|(_, item)| relevant.contains(item));
    found.map(|(rank, _)| gain(rank)).sum::<f64>() / ideal
}

/// 1 if any of the first k is relevant, else 0.
pub fn hit_rate(list: &[u32], relevant: &HashSet<u32>, k: usize) -> f64 {
    if hits(list, relevant, k) > 0 { 1.0 } else { 0.0 }
}

/// 1 / rank of the first hit among the first k, ranks from 1; 0 without a hit.
pub fn reciprocal_rank(list: &[u32], relevant: &HashSet<u32>, k: usize) -> f64 {
    list.iter().take(k).position(|item| relevant.contains(item)).map_or(0.0, |rank| 1.0 / (rank + 1) as f64)
}

fn hits(list: &[u32], relevant: &HashSet<u32>, k: usize) -> usize {
    list.iter().take(k).filter(|item| relevant.contains(item)).count()
}

/// Mean −log2 of the share of users (`shares`, by item, 0…1) who have what the first k show; an item nobody has counts
/// 0, as does an empty list. How far from what everybody knows. Vargas & Castells 2011.
pub fn novelty(list: &[u32], shares: &[f64], k: usize) -> f64 {
    let shown = k.min(list.len());
    let share = |item: &u32| shares.get(*item as usize).copied().filter(|share| *share > 0.0).unwrap_or(1.0);
    list.iter().take(k).map(|item| -share(item).log2()).sum::<f64>() / shown.max(1) as f64
}

/// The `n` best of the items allowed, whatever the sign of their scores, best first, ties by id; a score that is no
/// number is never shown. O(items + n log n) where most items stay below the best ones.
pub fn top(scores: &[f32], n: usize, allowed: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
    // The worst of those kept is on top of the heap; among equals the one that came last.
    let mut kept: BinaryHeap<Reverse<Ranked>> = BinaryHeap::with_capacity(n.min(scores.len()) + 1);
    for (item, score) in (0u32..).zip(scores) {
        let full = kept.len() >= n;
        let beaten = kept.peek().is_some_and(|Reverse(worst)| *score <= worst.score);
        if !score.is_finite() || (full && (beaten || n == 0)) || !allowed(item) {
            continue;
        }
        if full {
            kept.pop();
        }
        // −0 and 0 are one score.
        kept.push(Reverse(Ranked { score: score + 0.0, item }));
    }
    kept.into_sorted_vec().into_iter().map(|Reverse(ranked)| (ranked.item, ranked.score)).collect()
}

#[derive(Clone, Copy, PartialEq)]
struct Ranked {
    score: f32,
    item: u32,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.item.cmp(&self.item))
    }
}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Eq for Ranked {}

/// Measures of a tally, in order.
const NAMES: [&str; 4] = ["ndcg", "recall", "hit_rate", "mrr"];

/// Sums over users, for means. Merging tallies in a fixed order gives the same means on any number of threads.
#[derive(Clone, Debug)]
pub struct Tally {
    ks: Vec<usize>,
    sums: Vec<[f64; 4]>,
    squares: Vec<[f64; 4]>,
    shown: Vec<HashSet<u32>>,
    users: usize,
}

impl Tally {
    /// For cut-offs such as 10 and 20.
    pub fn new(ks: &[usize]) -> Self {
        Self {
            ks: ks.to_vec(),
            sums: vec![[0.0; 4]; ks.len()],
            squares: vec![[0.0; 4]; ks.len()],
            shown: vec![HashSet::new(); ks.len()],
            users: 0,
        }
    }

    /// Adds one user's list, best first.
    pub fn add(&mut self, list: &[u32], relevant: &HashSet<u32>) {
        self.users += 1;
        let sums = self.sums.iter_mut().zip(&mut self.squares);
        for ((k, (sums, squares)), shown) in self.ks.iter().zip(sums).zip(&mut self.shown) {
            let values = [
                ndcg(list, relevant, *k),
                recall(list, relevant, *k),
                hit_rate(list, relevant, *k),
                reciprocal_rank(list, relevant, *k),
            ];
            for ((sum, square), value) in sums.iter_mut().zip(squares).zip(values) {
                *sum += value;
                *square += value * value;
            }
            shown.extend(list.iter().take(*k));
        }
    }

    /// Adds another tally over the same cut-offs.
    pub fn merge(&mut self, other: &Self) {
        self.users += other.users;
        let squares = self.squares.iter_mut().zip(&other.squares);
        for (sums, others) in self.sums.iter_mut().zip(&other.sums).chain(squares) {
            for (sum, value) in sums.iter_mut().zip(others) {
                *sum += value;
            }
        }
        for (shown, others) in self.shown.iter_mut().zip(&other.shown) {
            shown.extend(others);
        }
    }

    /// Means by name with a prefix (`""` or `"item_knn."`): `ndcg@k`, `recall@k`, `hit_rate@k`, `mrr@k`, `coverage@k`
    /// (share of `n_items` shown to anyone), and without a prefix `users`. All 0 without users.
    pub fn write(&self, prefix: &str, n_items: usize, metrics: &mut Metrics) {
        let users = self.users.max(1) as f64;
        for ((k, sums), shown) in self.ks.iter().zip(&self.sums).zip(&self.shown) {
            for (name, sum) in NAMES.iter().zip(sums) {
                metrics.insert(format!("{prefix}{name}@{k}"), sum / users);
            }
            metrics.insert(format!("{prefix}coverage@{k}"), shown.len() as f64 / n_items.max(1) as f64);
        }
        if prefix.is_empty() {
            metrics.insert("users".to_owned(), self.users as f64);
        }
    }

    /// Standard errors of the means over users: `ndcg@k.error`, `recall@k.error`, `hit_rate@k.error`, `mrr@k.error`. A mean ± 1.96
    /// errors is its 95 % interval by the normal approximation. 0 below two users.
    pub fn write_errors(&self, metrics: &mut Metrics) {
        let users = self.users as f64;
        let error = |sum: f64, square: f64| {
            let variance = (square - sum * sum / users) / (users - 1.0).max(1.0);
            if users < 2.0 { 0.0 } else { (variance.max(0.0) / users).sqrt() }
        };
        for ((k, sums), squares) in self.ks.iter().zip(&self.sums).zip(&self.squares) {
            for ((name, sum), square) in NAMES.iter().zip(sums).zip(squares) {
                metrics.insert(format!("{name}@{k}.error"), error(*sum, *square));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn metrics_agree_with_values_computed_by_hand() {
        let list = [5, 3, 9, 1];
        let relevant = HashSet::from([3, 1, 7]);
        close(recall(&list, &relevant, 2), 1.0 / 3.0);
        close(recall(&list, &relevant, 4), 2.0 / 3.0);
        // Hits at ranks 2 and 4; ideal ranks 1, 2, 3.
        let gained = 1.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        close(ndcg(&list, &relevant, 10), gained / ideal);
        close(ndcg(&list, &relevant, 1), 0.0);
        close(hit_rate(&list, &relevant, 1), 0.0);
        close(hit_rate(&list, &relevant, 2), 1.0);
        close(reciprocal_rank(&list, &relevant, 10), 0.5);
        close(reciprocal_rank(&list, &relevant, 1), 0.0);
    }

    #[test]
    fn a_perfect_list_scores_one_and_an_empty_one_zero() {
        let relevant = HashSet::from([1, 2]);
        close(ndcg(&[2, 1, 3], &relevant, 10), 1.0);
        close(ndcg(&[2], &relevant, 1), 1.0);
        close(ndcg(&[], &relevant, 10), 0.0);
        close(ndcg(&[1], &HashSet::new(), 10), 0.0);
        close(recall(&[1], &HashSet::new(), 10), 0.0);
    }

    #[test]
    fn the_best_come_first_whatever_their_sign_and_ties_go_by_id() {
        let scores = [0.0, -1.0, 2.0, f32::NAN, -0.0, 2.0, f32::INFINITY];
        assert_eq!(top(&scores, 9, |_| true), [(2, 2.0), (5, 2.0), (0, 0.0), (4, 0.0), (1, -1.0)]);
        assert_eq!(top(&scores, 3, |item| item != 2), [(5, 2.0), (0, 0.0), (4, 0.0)]);
        assert!(top(&scores, 0, |_| true).is_empty() && top(&[], 3, |_| true).is_empty());
    }

    #[test]
    fn novelty_is_the_surprise_of_what_is_shown() {
        close(novelty(&[0, 1, 2], &[0.5, 0.125, 1.0], 2), 2.0);
        close(novelty(&[9], &[0.5], 10), 0.0);
        close(novelty(&[], &[0.5], 10), 0.0);
    }

    #[test]
    fn tallies_give_means_and_coverage_whatever_the_grouping() {
        let mut whole = Tally::new(&[1, 2]);
        let mut first = Tally::new(&[1, 2]);
        let mut second = Tally::new(&[1, 2]);
        let relevant = HashSet::from([1]);
        for tally in [&mut whole, &mut first] {
            tally.add(&[1, 2], &relevant);
        }
        for tally in [&mut whole, &mut second] {
            tally.add(&[2, 1], &relevant);
        }
        first.merge(&second);
        let (mut a, mut b) = (Metrics::new(), Metrics::new());
        whole.write("", 4, &mut a);
        first.write("", 4, &mut b);
        assert_eq!(a, b);
        close(a["hit_rate@1"], 0.5);
        close(a["hit_rate@2"], 1.0);
        close(a["mrr@2"], 0.75);
        // 0 and 1: standard deviation √½, of the mean of two ½.
        let mut errors = Metrics::new();
        first.write_errors(&mut errors);
        close(errors["hit_rate@1.error"], 0.5);
        close(errors["hit_rate@2.error"], 0.0);
        close(a["coverage@1"], 0.5);
        close(a["users"], 2.0);
    }
}
