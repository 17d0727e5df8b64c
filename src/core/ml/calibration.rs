//! From a score to a probability that holds: a logistic curve through the outcomes of rows the model had not seen.
//! Platt 1999, with the smoothed targets of that paper, fitted by Newton's method (Lin, Lin & Weng 2007).

use serde::{Deserialize, Serialize};

/// Steps of Newton's method; it takes fewer than ten.
const MAX_STEPS: usize = 50;
/// Added to the second derivatives, so that rows with one score have an answer.
const RIDGE: f64 = 1e-9;

/// p = 1 / (1 + e^−(slope · score + intercept)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// Above 0 where a higher score means more likely.
    pub slope: f64,
    /// In log odds.
    pub intercept: f64,
}

impl Default for Platt {
    /// Leaves log odds as they are.
    fn default() -> Self {
        Self { slope: 1.0, intercept: 0.0 }
    }
}

impl Platt {
    /// Fits to scores (log odds) and outcomes of rows the scoring model was not trained on. Pairs whose score is not a
    /// number are left out. `None` with fewer than two rows or one outcome only. O(n) a step.
    pub fn fit(scores: &[f32], outcomes: &[bool]) -> Option<Self> {
        let pairs = || scores.iter().zip(outcomes).filter(|(score, _)| score.is_finite());
        let positive = pairs().filter(|(_, outcome)| **outcome).count() as f64;
        let negative = pairs().count() as f64 - positive;
        if positive == 0.0 || negative == 0.0 {
            return None;
        }
        let (high, low) = ((positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0));
        let rows: Vec<(f64, f64)> =
            pairs().map(|(score, outcome)| (f64::from(*score), if *outcome { high } else { low })).collect();
        let mut best = Self { slope: 0.0, intercept: (positive / negative).ln() };
        let mut loss = best.loss(&rows);
        for _ in 0..MAX_STEPS {
            let Some((slope, intercept)) = best.step(&rows) else { break };
            // Halved until it helps: Newton's step can be too long.
            let mut share = 1.0;
            let better = loop {
                let next =
                    Self { slope: best.slope + share * slope, intercept: best.intercept + share * intercept };
                let next_loss = next.loss(&rows);
                if next_loss < loss {
                    break Some((next, next_loss));
                }
                share /= 2.0;
                if share < 1e-6 {
                    break None;
                }
            };
            let Some((next, next_loss)) = better else { break };
            let gained = loss - next_loss;
            (best, loss) = (next, next_loss);
            if gained < 1e-12 * loss.abs() {
                break;
            }
        }
        best.is_sound().then_some(best)
    }

    fn loss(&self, rows: &[(f64, f64)]) -> f64 {
        let one = |(score, target): &(f64, f64)| {
            let z = self.slope * score + self.intercept;
            z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
        };
        rows.iter().map(one).sum()
    }

    fn step(&self, rows: &[(f64, f64)]) -> Option<(f64, f64)> {
        let (mut g_slope, mut g_intercept, mut h_slope, mut h_both, mut h_intercept) =
            (0.0, 0.0, RIDGE, 0.0, RIDGE);
        for (score, target) in rows {
            let p = sigmoid(self.slope * score + self.intercept);
            let weight = p * (1.0 - p);
            g_slope += score * (p - target);
            g_intercept += p - target;
            h_slope += score * score * weight;
            h_both += score * weight;
            h_intercept += weight;
        }
        let determinant = h_slope * h_intercept - h_both * h_both;
        let slope = -(h_intercept * g_slope - h_both * g_intercept) / determinant;
        let intercept = -(h_slope * g_intercept - h_both * g_slope) / determinant;
        (determinant > 0.0 && slope.is_finite() && intercept.is_finite()).then_some((slope, intercept))
    }

    /// The probability, 0…1; a score that is not a number counts as 0.
    pub fn probability(&self, score: f32) -> f64 {
        let score = if score.is_nan() { 0.0 } else { f64::from(score) };
        sigmoid(self.slope * score + self.intercept)
    }

    /// Returns whether both numbers are finite. Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.slope.is_finite() && self.intercept.is_finite()
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_scores_get_their_smoothed_rates() {
        // Score 1: 3 of 4, score −1: 1 of 4. Targets 5/6 and 1/6, so 0.75 · 5/6 + 0.25 · 1/6 = 2/3 and 1/3.
        let scores = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0];
        let outcomes = [true, true, true, false, true, false, false, false];
        let platt = Platt::fit(&scores, &outcomes).unwrap();
        assert!((platt.probability(1.0) - 2.0 / 3.0).abs() < 1e-6, "{platt:?}");
        assert!((platt.probability(-1.0) - 1.0 / 3.0).abs() < 1e-6);
        assert!((platt.slope - 2f64.ln()).abs() < 1e-5 && platt.intercept.abs() < 1e-6);
    }

    #[test]
    fn scores_that_separate_perfectly_or_not_at_all_give_numbers() {
        let platt = Platt::fit(&[-1.0, 1.0], &[false, true]).unwrap();
        assert!(platt.is_sound() && platt.probability(1.0) > 0.5);
        let platt = Platt::fit(&[2.0; 4], &[false, true, false, false]).unwrap();
        // Targets: 2/3 once, 1/5 three times.
        assert!((platt.probability(2.0) - (2.0 / 3.0 + 3.0 / 5.0) / 4.0).abs() < 1e-6);
        assert!(platt.probability(f32::NAN).is_finite() && platt.probability(f32::INFINITY).is_finite());
    }

    #[test]
    fn one_outcome_or_nothing_has_no_curve() {
        assert_eq!(Platt::fit(&[], &[]), None);
        assert_eq!(Platt::fit(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(Platt::fit(&[f32::NAN, 2.0], &[false, true]), None);
    }
}
