//! The Qini curve: what treating the best share of rows gains over treating nobody, by doubly robust scores of the effect, and
//! the area between it and the line of treating at random. Radcliffe 2007; with doubly robust scores, so that it holds with any
//! known probability of treatment and for confounded logs, Yadlowsky et al. 2021.

use rand::RngExt;
use serde::Serialize;

use crate::base::random;
use crate::ml::estimate::Estimate;

/// Draws of the bootstrap.
const DRAWS: usize = 200;
/// Points of the curve beside its beginning.
const POINTS: usize = 20;

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Share of rows treated, best first, 0…1.
    pub share: f64,
    /// Outcome gained over treating nobody, a row of all.
    pub gain: f64,
    /// The same if as many were treated at random.
    pub random: f64,
}

/// Rows in the order of their predicted effects; rows of the same prediction are one step.
pub(super) struct Ranked<'a> {
    /// Row numbers, greatest prediction first, by steps.
    steps: Vec<Vec<usize>>,
    scores: &'a [f64],
}

impl<'a> Ranked<'a> {
    /// `scores`: of the effect of each row, right in expectation. Both of one length.
    pub(super) fn new(predicted: &[f64], scores: &'a [f64]) -> Self {
        let mut rows: Vec<(usize, f64)> = predicted.iter().copied().enumerate().take(scores.len()).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let steps = rows.chunk_by(|a, b| a.1 == b.1).map(|step| step.iter().map(|(row, _)| *row).collect());
        Self { steps: steps.collect(), scores }
    }

    /// Steps: 1 when all predictions are the same.
    pub(super) fn n_steps(&self) -> usize {
        self.steps.len()
    }

    /// Row numbers, greatest prediction first, ties in the order of the rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().flatten().copied()
    }

    /// Corners of the curve from (0, 0) on: rows treated and their summed scores, each row counted by its weight.
    fn corners(&self, weight: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
        let (mut treated, mut gain) = (0.0, 0.0);
        let mut corners = vec![(0.0, 0.0)];
        for step in &self.steps {
            for row in step {
                let weight = weight(*row);
                treated += weight;
                gain += weight * self.scores.get(*row).copied().unwrap_or(0.0);
            }
            corners.push((treated, gain));
        }
        corners
    }

    /// The coefficient: area between the curve and the line of random treatment, in units of the outcome a row. 0 without rows.
    pub(super) fn coefficient(&self, weight: impl Fn(usize) -> f64) -> f64 {
        let corners = self.corners(weight);
        let (all, gain) = corners.last().copied().unwrap_or_default();
        if all <= 0.0 {
            return 0.0;
        }
        let area: f64 = corners
            .windows(2)
            .map(|pair| match pair {
                [(from, before), (to, after)] => (to - from) * (before + after) / 2.0,
                _ => 0.0,
            })
            .sum();
        area / (all * all) - gain / all / 2.0
    }

    /// The coefficient with a 95 % interval by the bootstrap over users, the ranking as it is. O(rows · draws).
    pub(super) fn estimate(&self, users: &[u32], n_users: usize, seed: u64) -> Estimate {
        let mut rng = random::rng(seed, "qini bootstrap");
        let mut counts = vec![0u32; n_users];
        let draws: Vec<f64> = (0..DRAWS)
            .map(|_| {
                counts.fill(0);
                for _ in 0..n_users {
                    if let Some(count) = counts.get_mut(rng.random_range(0..n_users)) {
                        *count += 1;
                    }
                }
                let weight = |row: usize| {
                    users
                        .get(row)
                        .and_then(|user| counts.get(*user as usize))
                        .map_or(0.0, |count| f64::from(*count))
                };
                self.coefficient(weight)
            })
            .collect();
        let mean = draws.iter().sum::<f64>() / DRAWS as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
        Estimate::around(self.coefficient(|_| 1.0), variance.sqrt())
    }

    /// The curve at equal distances, (0, 0) first.
    pub(super) fn curve(&self) -> Vec<Point> {
        let corners = self.corners(|_| 1.0);
        let (all, gain) = corners.last().copied().unwrap_or_default();
        let all = all.max(1.0);
        let point = |index: usize| {
            let share = index as f64 / POINTS as f64;
            let at = share * all;
            let after = corners.partition_point(|(treated, _)| *treated < at);
            let (to, above) = corners.get(after).copied().unwrap_or((all, gain));
            let (from, below) =
                after.checked_sub(1).and_then(|at| corners.get(at)).copied().unwrap_or_default();
            let within = if to > from { (at - from) / (to - from) } else { 1.0 };
            Point { share, gain: (below + within * (above - below)) / all, random: share * gain / all }
        };
        (0..=POINTS).map(point).collect()
    }
}

/// Qini coefficient of a ranking of rows whose effects are known, in units of the effect a row; 0 without rows. O(n log n).
pub fn qini_coefficient(predicted: &[f64], effects: &[f64]) -> f64 {
    Ranked::new(predicted, effects).coefficient(|_| 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    #[test]
    fn four_rows_by_hand() {
        // In the order of prediction the scores are 2, 1, 0, −1; the curve is 0, 2, 3, 3, 2 over 4 rows.
        let scores = [0.0, 2.0, -1.0, 1.0];
        let ranked = Ranked::new(&[0.2, 0.9, 0.1, 0.5], &scores);
        assert_eq!(ranked.rows().collect::<Vec<_>>(), [1, 3, 0, 2]);
        // Area (1 + 2.5 + 3 + 2.5) / 16, less half of 2 / 4.
        near(ranked.coefficient(|_| 1.0), 9.0 / 16.0 - 0.25);
        let curve = ranked.curve();
        assert_eq!(curve.len(), POINTS + 1);
        near(curve[0].gain, 0.0);
        // A quarter: one row of gain 2; half: 3; all: 2.
        near(curve[5].gain, 2.0 / 4.0);
        near(curve[10].gain, 3.0 / 4.0);
        near(curve[20].gain, 2.0 / 4.0);
        near(curve[10].random, 1.0 / 4.0);
        // An eighth of the rows is half of the first one.
        near(curve[2].gain + 0.5 * (curve[3].gain - curve[2].gain), 0.25);
    }

    #[test]
    fn the_worst_order_is_as_far_below_the_line_as_the_best_above() {
        let scores = [2.0, 1.0, 0.0, -1.0];
        let best = Ranked::new(&[4.0, 3.0, 2.0, 1.0], &scores).coefficient(|_| 1.0);
        let worst = Ranked::new(&[1.0, 2.0, 3.0, 4.0], &scores).coefficient(|_| 1.0);
        near(best, -worst);
    }

    #[test]
    fn rows_of_one_prediction_are_in_no_order() {
        let scores = [5.0, -3.0, 1.0, 1.0];
        let tied = Ranked::new(&[0.3; 4], &scores);
        assert_eq!(tied.n_steps(), 1);
        near(tied.coefficient(|_| 1.0), 0.0);
        near(tied.curve()[10].gain, tied.curve()[10].random);
        assert_eq!(Ranked::new(&[], &[]).coefficient(|_| 1.0), 0.0);
    }

    #[test]
    fn a_weight_is_a_row_repeated() {
        let scores = [2.0, 0.0, -1.0];
        let weighted = Ranked::new(&[3.0, 2.0, 1.0], &scores).coefficient(|row| [2.0, 1.0, 0.0][row]);
        let repeated = Ranked::new(&[3.0, 3.0, 2.0], &[2.0, 2.0, 0.0]).coefficient(|_| 1.0);
        near(weighted, repeated);
    }

    #[test]
    fn the_interval_counts_users_and_no_rows() {
        let predicted: Vec<f64> = (0..400).map(|row| f64::from(row % 200)).collect();
        let scores: Vec<f64> = (0..400).map(|row| f64::from((row % 200) * 7 % 50)).collect();
        let alone: Vec<u32> = (0..400).collect();
        let pairs: Vec<u32> = (0..400).map(|row| row % 200).collect();
        let ranked = Ranked::new(&predicted, &scores);
        let (single, paired) = (ranked.estimate(&alone, 400, 1), ranked.estimate(&pairs, 200, 1));
        assert_eq!(single.value, paired.value);
        let ratio = paired.standard_error / single.standard_error;
        assert!((ratio - 2f64.sqrt()).abs() < 0.25, "{ratio}");
        assert_eq!(single, ranked.estimate(&alone, 400, 1));
    }
}
