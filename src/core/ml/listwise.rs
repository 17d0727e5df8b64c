//! List-wise softmax regression: of a group of candidates one (or a few) is right, and the probability of each is the softmax of a
//! linear score. Goes in: rows of features (n × n_features, row-major) in groups; comes out: a weight a feature.
//! Conditional logit (McFadden 1974), in ranking ListNet with one relevant item (Cao et al. 2007); by Newton's method.
//!
//! Time: rows · (n_features² / 2 + 3 · n_features) / threads an iteration, about ten of them; the squares, centred in their group,
//! are one product of matrices. Memory: the rows, and those of 128 groups a thread.

use std::ops::ControlFlow;

use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::product::product;
use super::threads::Threads;

/// Groups summed by one thread at a time; fixed, so that sums do not depend on the number of threads.
const GROUPS_AT_ONCE: usize = 128;
const MOST_ITERATIONS: usize = 25;
/// Improvement of the mean log-likelihood below which it ends.
const ENOUGH: f64 = 1e-7;

/// Candidates in groups, of each group the right one.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    n_features: usize,
    values: Vec<f32>,
    /// By feature, the sum of its values and of their squares.
    moments: Vec<(f64, f64)>,
    /// End of the group in rows, and the rows that are right.
    groups: Vec<(usize, Vec<usize>)>,
}

impl Lists {
    /// Without any group.
    pub fn new(n_features: usize) -> Self {
        Self { n_features, moments: vec![(0.0, 0.0); n_features], ..Self::default() }
    }

    /// Without any group, with room for `rows` rows: a vector that doubles takes up to three times its memory while it grows.
    pub fn with_room(n_features: usize, rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows.saturating_mul(n_features)), ..Self::new(n_features) }
    }

    /// Adds a group: rows one after the other, and which one is right. A group that is empty, does not fit or lacks the
    /// right row teaches nothing and is left out; numbers that are not finite count 0.
    pub fn push(&mut self, rows: &[f32], right: usize) {
        self.push_many(rows, &[right]);
    }

    /// As [`Lists::push`] where several rows are right, each with the same share.
    pub fn push_many(&mut self, rows: &[f32], right: &[usize]) {
        let n = rows.len() / self.n_features.max(1);
        let fits = !right.is_empty() && right.iter().all(|right| *right < n);
        if n < 2 || !fits || rows.len() != n * self.n_features {
            return;
        }
        let start = self.values.len() / self.n_features;
        self.values.extend(rows.iter().map(|value| if value.is_finite() { *value } else { 0.0 }));
        for row in self.values.chunks_exact(self.n_features).skip(start) {
            for ((sum, squares), value) in self.moments.iter_mut().zip(row) {
                *sum += f64::from(*value);
                *squares += f64::from(*value) * f64::from(*value);
            }
        }
        self.groups.push((start + n, right.iter().map(|right| start + right).collect()));
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Returns whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All rows, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// 1 for the right row of each group, 0 for the others.
    pub fn labels(&self) -> Vec<f32> {
        let mut labels = vec![0.0; self.groups.last().map_or(0, |(end, _)| *end)];
        for right in self.groups.iter().flat_map(|(_, right)| right) {
            if let Some(label) = labels.get_mut(*right) {
                *label = 1.0;
            }
        }
        labels
    }

    /// Rows of each group.
    pub fn sizes(&self) -> Vec<usize> {
        (0..self.len()).zip(&self.groups).map(|(group, (end, _))| end - self.start(group)).collect()
    }

    fn row(&self, row: usize) -> &[f32] {
        self.values.get(row * self.n_features..(row + 1) * self.n_features).unwrap_or_default()
    }

    /// 1 / standard deviation by feature, 0 for a constant one.
    fn scales(&self) -> Vec<f64> {
        let rows = (self.values.len() / self.n_features.max(1)).max(1) as f64;
        let scale = |(sum, squares): &(f64, f64)| {
            let variance = squares / rows - (sum / rows) * (sum / rows);
            if variance > 1e-10 { 1.0 / variance.sqrt() } else { 0.0 }
        };
        self.moments.iter().map(scale).collect()
    }

    fn start(&self, group: usize) -> usize {
        group.checked_sub(1).and_then(|before| self.groups.get(before)).map_or(0, |(end, _)| *end)
    }
}

/// A weight a feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listwise {
    weights: Vec<f32>,
}

/// Log-likelihood, its gradient and the negative of its second derivative (symmetric, row-major).
struct Slope {
    likelihood: f64,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

impl Slope {
    fn zero(n: usize) -> Self {
        Self { likelihood: 0.0, gradient: vec![0.0; n], curvature: vec![0.0; n * n] }
    }

    fn add(mut self, other: &Self) -> Self {
        self.likelihood += other.likelihood;
        for (sum, value) in self.gradient.iter_mut().zip(&other.gradient) {
            *sum += value;
        }
        for (sum, value) in self.curvature.iter_mut().zip(&other.curvature) {
            *sum += value;
        }
        self
    }
}

impl Listwise {
    /// Fits with an L2 penalty on the weights of standardised features. `progress` hears 0…1 and may break, then `None`
    /// comes back. Constant features get weight 0; no groups give no weights, and all scores are 0.
    pub fn fit(
        lists: &Lists,
        l2: f64,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        Self::default().refit(lists, l2, threads, progress)
    }

    /// As [`Listwise::fit`], beginning from these weights, those of another penalty say: fewer steps for the same optimum.
    pub fn refit(
        &self,
        lists: &Lists,
        l2: f64,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let n = lists.n_features;
        if lists.is_empty() || n == 0 {
            return Some(Self::default());
        }
        let scales = lists.scales();
        let own = self.weights.iter().copied().chain(std::iter::repeat(0.0));
        let begin = |(weight, scale): (f32, &f64)| if *scale > 0.0 { f64::from(weight) / scale } else { 0.0 };
        let mut weights: Vec<f64> = own.zip(&scales).map(begin).collect();
        let mut slope = slope(lists, &weights, &scales, l2, threads);
        for iteration in 0..MOST_ITERATIONS {
            if progress(iteration as f32 / MOST_ITERATIONS as f32).is_break() {
                return None;
            }
            let Some(step) = solve(&slope.curvature, &slope.gradient) else { break };
            let mut size = 1.0;
            // Newton's step may overshoot far from the optimum: halve until it helps.
            let better = loop {
                let tried: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w + size * s).collect();
                let next = self::slope(lists, &tried, &scales, l2, threads);
                if next.likelihood > slope.likelihood {
                    break Some((tried, next));
                }
                size /= 2.0;
                if size < 1e-3 {
                    break None;
                }
            };
            let Some((tried, next)) = better else { break };
            let gained = next.likelihood - slope.likelihood;
            (weights, slope) = (tried, next);
            if gained < ENOUGH * lists.len() as f64 {
                break;
            }
        }
        let weights = weights.iter().zip(&scales).map(|(weight, scale)| (weight * scale) as f32).collect();
        Some(Self { weights })
    }

    /// The linear score of a row; 0 without weights.
    pub fn score(&self, row: &[f32]) -> f32 {
        self.weights.iter().zip(row).map(|(weight, value)| weight * value).sum()
    }

    /// One a feature; empty when nothing was learnt.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
}

fn slope(lists: &Lists, weights: &[f64], scales: &[f64], l2: f64, threads: &Threads) -> Slope {
    let n = lists.n_features;
    // Rows stay as they are; what comes of them is scaled.
    let plain: Vec<f64> = weights.iter().zip(scales).map(|(weight, scale)| weight * scale).collect();
    let chunks: Vec<usize> = (0..lists.len()).step_by(GROUPS_AT_ONCE).collect();
    let of = |first: &usize| chunk(lists, *first..(first + GROUPS_AT_ONCE).min(lists.len()), &plain);
    let parts: Vec<Slope> = threads.run(|| chunks.par_iter().map(of).collect());
    let mut total = parts.iter().fold(Slope::zero(n), Slope::add);
    total.gradient.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
    for (row, left) in total.curvature.chunks_exact_mut(n.max(1)).zip(scales) {
        row.iter_mut().zip(scales).for_each(|(value, right)| *value *= left * right);
    }
    for (place, weight) in weights.iter().enumerate() {
        total.likelihood -= l2 / 2.0 * weight * weight;
        if let Some(value) = total.gradient.get_mut(place) {
            *value -= l2 * weight;
        }
        if let Some(value) = total.curvature.get_mut(place * n + place) {
            // A little more than the penalty: constant features have no curvature of their own.
            *value += l2 + 1e-9;
        }
    }
    total
}

/// Sums over some groups, of features as they are.
fn chunk(lists: &Lists, groups: std::ops::Range<usize>, weights: &[f64]) -> Slope {
    let n = lists.n_features;
    let mut slope = Slope::zero(n);
    let (mut centred, mut shares) = (Vec::new(), Vec::new());
    groups.for_each(|group| add_group(lists, group, weights, &mut slope, &mut centred, &mut shares));
    // The curvature need not be exact to the last digit: it shapes steps, the gradient says where they end.
    let mut squares = vec![0f32; n * n];
    let rows = MatRef::from_column_major_slice(&centred, n, centred.len() / n.max(1));
    let target = MatMut::from_column_major_slice_mut(&mut squares, n, n);
    product(target, Accum::Replace, rows, rows.transpose(), 1.0);
    slope.curvature.iter_mut().zip(squares).for_each(|(sum, value)| *sum = f64::from(value));
    slope
}

/// One group: p = softmax(scores); gradient x_right − Σ p x; curvature Σ p (x − Σ p x)(x − Σ p x)ᵀ, of which √p (x − Σ p x) is added
/// to `centred`.
fn add_group(
    lists: &Lists,
    group: usize,
    weights: &[f64],
    slope: &mut Slope,
    centred: &mut Vec<f32>,
    shares: &mut Vec<f64>,
) {
    let Some((end, right)) = lists.groups.get(group) else { return };
    let part = 1.0 / right.len().max(1) as f64;
    let rows = lists.start(group)..*end;
    shares.clear();
    shares.extend(rows.clone().map(|row| dot(lists.row(row), weights)));
    let largest = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    shares.iter_mut().for_each(|score| *score -= largest);
    let sum: f64 = shares.iter().map(|score| score.exp()).sum();
    for row in right {
        let score = shares.get(row - rows.start).copied().unwrap_or(0.0);
        slope.likelihood += part * (score - sum.ln());
        let values = lists.row(*row).iter().map(|value| part * f64::from(*value));
        slope.gradient.iter_mut().zip(values).for_each(|(gradient, value)| *gradient += value);
    }
    let mut mean = vec![0.0; lists.n_features];
    for (share, row) in shares.iter_mut().zip(rows.clone()) {
        *share = share.exp() / sum;
        let values = lists.row(row).iter().map(|value| *share * f64::from(*value));
        mean.iter_mut().zip(values).for_each(|(mean, value)| *mean += value);
    }
    slope.gradient.iter_mut().zip(&mean).for_each(|(gradient, mean)| *gradient -= mean);
    // Candidates that stand no chance shape nothing.
    for (share, row) in shares.iter().zip(rows).filter(|(share, _)| **share > 1e-6) {
        let root = share.sqrt() as f32;
        let values = lists.row(row).iter().zip(&mean);
        centred.extend(values.map(|(value, mean)| root * (value - *mean as f32)));
    }
}

/// In four sums, which the compiler computes side by side.
fn dot(row: &[f32], weights: &[f64]) -> f64 {
    let mut sums = [0f64; 4];
    let (values, others) = (row.chunks_exact(4), weights.chunks_exact(4));
    let rest = values.remainder().iter().zip(others.remainder());
    let rest: f64 = rest.map(|(value, weight)| f64::from(*value) * weight).sum();
    for (values, weights) in values.zip(others) {
        for ((sum, value), weight) in sums.iter_mut().zip(values).zip(weights) {
            *sum += f64::from(*value) * weight;
        }
    }
    rest + sums.iter().sum::<f64>()
}

/// x of A x = b for symmetric positive definite A (lower triangle, row-major) by Cholesky; `None` if it is not.
fn solve(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut lower: Vec<Vec<f64>> = Vec::with_capacity(n);
    for (i, row) in a.chunks_exact(n).enumerate() {
        let mut new: Vec<f64> = Vec::with_capacity(i + 1);
        for (j, value) in row.iter().take(i + 1).enumerate() {
            let known = lower.get(j).unwrap_or(&new);
            let rest = value - new.iter().zip(known).take(j).map(|(x, y)| x * y).sum::<f64>();
            if i == j {
                new.push(Some(rest.sqrt()).filter(|root| *root > 0.0 && root.is_finite())?);
            } else {
                new.push(rest / known.get(j)?);
            }
        }
        lower.push(new);
    }
    let mut x: Vec<f64> = Vec::with_capacity(n);
    for (row, value) in lower.iter().zip(b) {
        let known: f64 = row.iter().zip(&x).map(|(l, x)| l * x).sum();
        x.push((value - known) / row.last()?);
    }
    for i in (0..n).rev() {
        let value = *x.get(i)? / lower.get(i)?.get(i)?;
        *x.get_mut(i)? = value;
        for (j, l) in lower.get(i)?.iter().take(i).enumerate() {
            *x.get_mut(j)? -= l * value;
        }
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(lists: &Lists, l2: f64, threads: usize) -> Listwise {
        Listwise::fit(lists, l2, &Threads::new(threads).unwrap(), |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn the_weight_is_the_log_odds_where_it_can_be_worked_out_by_hand() {
        // Two candidates with features 1 and 0; the first is right 3 times of 4: weight ln 3. A constant feature: 0.
        let mut lists = Lists::new(2);
        for right in [0, 0, 0, 1] {
            lists.push(&[1.0, 5.0, 0.0, 5.0], right);
        }
        let model = fit(&lists, 0.0, 1);
        assert!((model.weights()[0] - 3f32.ln()).abs() < 1e-4, "{model:?}");
        assert_eq!(model.weights()[1], 0.0);
    }

    #[test]
    fn nothing_to_learn_and_what_can_not_be_learnt_from_give_finite_weights() {
        assert!(fit(&Lists::new(3), 1.0, 1).weights().is_empty());
        let mut lists = Lists::new(1);
        lists.push(&[], 0);
        lists.push(&[1.0, 2.0], 7);
        assert!(lists.is_empty());
        lists.push(&[f32::NAN, f32::INFINITY], 0);
        // Separable: only the penalty bounds the weight.
        lists.push(&[1.0, 0.0], 0);
        let model = fit(&lists, 1.0, 1);
        assert!(model.weights()[0].is_finite() && model.weights()[0] > 0.0);
        let cancelled = Listwise::fit(&lists, 1.0, &Threads::new(1).unwrap(), |_| ControlFlow::Break(()));
        assert!(cancelled.is_none());
    }

    #[test]
    fn another_start_ends_at_the_same_optimum() {
        let mut lists = Lists::new(2);
        for group in 0..200u32 {
            let rows: Vec<f32> = (0..10).map(|i| ((group * 31 + i * 17) % 13) as f32).collect();
            lists.push(&rows, (group * group % 5) as usize);
        }
        let threads = Threads::new(1).unwrap();
        let go_on = |_| ControlFlow::Continue(());
        let warm = fit(&lists, 50.0, 1).refit(&lists, 0.5, &threads, go_on).unwrap();
        for (a, b) in warm.weights().iter().zip(fit(&lists, 0.5, 1).weights()) {
            assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let mut lists = Lists::new(2);
        for group in 0..600u32 {
            let rows: Vec<f32> = (0..10).map(|i| ((group * 31 + i * 17) % 13) as f32).collect();
            lists.push(&rows, (group % 5) as usize);
        }
        assert_eq!(fit(&lists, 1.0, 1), fit(&lists, 1.0, 2));
    }
}
