//! iALS: users and items as vectors whose products say who takes what, by alternating least squares over all cells, an
//! empty one counting 1, a full one α · weight. Hu, Koren & Volinsky 2008; each vector by a few steps of conjugate
//! gradients from where it was, Takács, Pilászy & Tikk 2011; penalties scaled by frequency, Rendle et al. 2021.
//!
//! Confidence is that of the library `implicit` (c = α · weight, so α there is 1 + α of the first paper). User vectors are
//! not kept: whoever asks is folded in from the history, so that what they did a second ago counts.
//!
//! Memory while fitting: 4 · factors · (users + items) bytes and two matrices, afterwards 4 · factors · items.
//! Time: iterations · (CG steps + 1) · (4 · cells · factors + (users + items) · factors²).

use std::ops::ControlFlow;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Follows, ItemId, random};
use crate::ml::elimination::Eliminated;
use crate::ml::least_squares::{BATCH, Others, Rows, Scratch, add_products, add_products_of, gram, solve};
use crate::ml::threads::Threads;
use crate::recommend::train::error::TrainError;

use super::interactions::Matrix;
use super::quantized::Quantized;
use super::transpose::Columns;

/// Steps of conjugate gradients a vector and iteration, as in `implicit`; they begin where the last iteration ended.
const CG_STEPS: usize = 3;
/// And for a vector that begins at zero: enough to be exact for all practical purposes.
const FOLD_IN_STEPS: usize = 12;
/// Largest entry of a vector before the first iteration.
const START: f32 = 0.01;
/// Multiplications between two looks at cancellation: a few milliseconds on two threads.
const COST_AT_ONCE: usize = 20_000_000;
/// More factors than this are refused.
const MOST_FACTORS: usize = 1_024;

/// Shape and trust.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlsParameters {
    /// Length of the vectors, 1…1,024.
    pub factors: usize,
    /// Penalty λ ≥ 0 on squared lengths.
    pub regularisation: f32,
    /// Confidence of a cell of weight 1 against an empty one, > 0.
    pub alpha: f32,
    /// Rounds over users and items.
    pub iterations: usize,
    /// Growth of penalties with the confidence a row has in all (exponent ν of Rendle et al., 0…1); 0 = all alike. Their mean
    /// stays `regularisation`.
    pub frequency_scaling: f32,
    /// Seed of the first vectors.
    pub seed: u64,
}

impl Default for AlsParameters {
    fn default() -> Self {
        Self {
            factors: 64,
            regularisation: 10.0,
            alpha: 8.0,
            iterations: 15,
            frequency_scaling: 0.0,
            seed: 1,
        }
    }
}

/// The item vectors and what folding in needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImplicitAls {
    factors: usize,
    alpha: f32,
    penalty: Penalty,
    /// Item after item.
    items: Vec<f32>,
    /// Σ of y · yᵀ over the items, factors × factors.
    gram: Vec<f32>,
    /// Item vectors in a byte a number.
    #[serde(skip)]
    rounded: Follows<Quantized>,
}

/// λ · ((confidence of the row + size) / mean)^ν.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Penalty {
    regularisation: f32,
    exponent: f32,
    size: f32,
    mean: f32,
}

impl Penalty {
    /// For rows of a side that faces `size` others, with `confidence` in all.
    fn new(parameters: &AlsParameters, rows: usize, size: usize, confidence: f32) -> Self {
        let mean = confidence / rows.max(1) as f32 + size as f32;
        let exponent = parameters.frequency_scaling.clamp(0.0, 1.0);
        Self { regularisation: parameters.regularisation, exponent, size: size as f32, mean: mean.max(1.0) }
    }

    fn of(&self, confidence: f32) -> f32 {
        if self.exponent == 0.0 {
            return self.regularisation;
        }
        self.regularisation * ((confidence + self.size) / self.mean).powf(self.exponent)
    }
}

impl ImplicitAls {
    /// Fits on all threads of the pool; users or items without cells get the vector 0. `progress` hears 0…1 every few
    /// milliseconds and may break ([`TrainError::Cancelled`]); [`TrainError::Parameter`] for one out of range. An empty
    /// matrix gives a model that says nothing.
    pub fn fit(
        matrix: &Matrix,
        parameters: &AlsParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        check(parameters)?;
        let (f, alpha) = (parameters.factors, parameters.alpha);
        let (n_users, n_items) = (matrix.n_rows(), matrix.n_items());
        let columns = Columns::new(matrix);
        let confidence = alpha * matrix.rows().flatten().map(|entry| entry.weight).sum::<f32>();
        let user_penalty = Penalty::new(parameters, n_users, n_items, confidence);
        let item_penalty = Penalty::new(parameters, n_items, n_users, confidence);
        let (mut users, mut items) = (vec![0f32; n_users * f], vec![0f32; n_items * f]);
        let mut rng = random::rng(parameters.seed, "implicit als");
        users.iter_mut().chain(&mut items).for_each(|value| *value = rng.random::<f32>() * START);

        let halves = 2 * parameters.iterations;
        for half in 0..halves {
            let done = |part: f32| (half as f32 + part) / halves as f32;
            let hear = |part| progress(done(part));
            let flow = if half % 2 == 0 {
                let push = |row: usize, rows: &mut Rows| {
                    let cells = matrix.row(row).iter().map(|entry| (entry.item, alpha * entry.weight));
                    rows.push(cells, |confidence| user_penalty.of(confidence));
                };
                half_step(&mut users, &items, f, push, threads, hear)
            } else {
                let push = |item: usize, rows: &mut Rows| {
                    let cells = columns.cells(item).map(|(row, weight)| (row, alpha * weight));
                    rows.push(cells, |confidence| item_penalty.of(confidence));
                };
                half_step(&mut items, &users, f, push, threads, hear)
            };
            if flow.is_break() {
                return Err(TrainError::Cancelled);
            }
        }
        let gram = gram(&items, f);
        Ok(Self { factors: f, alpha, penalty: user_penalty, items, gram, rounded: Follows::default() })
    }

    /// The vector of whoever has this history; weights multiply the confidence. O(history · factors · steps).
    pub fn fold_in(&self, history: &[(ItemId, f32)]) -> Vec<f32> {
        let n_items = self.n_items();
        let cells = history
            .iter()
            .filter(|(item, weight)| item.index() < n_items && weight.is_finite() && *weight > 0.0)
            .map(|(item, weight)| (item.0, self.alpha * weight));
        let mut rows = Rows::default();
        rows.push(cells, |confidence| self.penalty.of(confidence));
        let mut vector = vec![0f32; self.factors];
        let others = Others { vectors: &self.items, gram: &self.gram };
        solve(&mut vector, self.factors, &rows, &others, FOLD_IN_STEPS, &mut Scratch::new(self.factors));
        vector
    }

    /// Adds the product of the folded-in history with each item's vector to `scores` (indexed by item; about 0…1).
    /// O(items · factors).
    pub fn add_scores(&self, history: &[(ItemId, f32)], scores: &mut [f32]) {
        add_products(&self.fold_in(history), &self.items, scores);
    }

    /// The same for some items only, by their places; `None` = all. O(items · factors).
    pub fn add_scores_of(&self, history: &[(ItemId, f32)], items: Option<&[ItemId]>, scores: &mut [f32]) {
        let vector = self.fold_in(history);
        match items {
            None => add_products(&vector, &self.items, scores),
            Some(items) => add_products_of(&vector, &self.items, items.iter().map(|item| item.0), scores),
        }
    }

    /// Solves what the contributions of each item of a history to any score have in common: with A the normal equations of the
    /// folded-in vector, that of item i to the score of y is cᵢ · yᵢᵀ A⁻¹ y. Hu, Koren & Volinsky 2008, section 5. O(history ·
    /// factors² + factors³).
    pub fn explained<'a>(&'a self, history: &'a [(ItemId, f32)]) -> AlsParts<'a> {
        let f = self.factors;
        let confidence = |item: ItemId, weight: f32| {
            let counts = item.index() < self.n_items() && weight.is_finite() && weight > 0.0;
            if counts { self.alpha * weight } else { 0.0 }
        };
        let confidences: Vec<f32> = history.iter().map(|(item, weight)| confidence(*item, *weight)).collect();
        let all: f32 = confidences.iter().sum();
        let mut normal: Vec<f64> = self.gram.iter().map(|value| f64::from(*value)).collect();
        for ((known, _), confidence) in history.iter().zip(&confidences).filter(|(_, own)| **own > 0.0) {
            let vector = self.item(*known);
            for (row, own) in normal.chunks_mut(f).zip(vector) {
                let scale = f64::from(confidence - 1.0) * f64::from(*own);
                row.iter_mut().zip(vector).for_each(|(cell, value)| *cell += scale * f64::from(*value));
            }
        }
        let penalty = f64::from(self.penalty.of(all));
        normal.iter_mut().step_by(f + 1).for_each(|cell| *cell += penalty);
        AlsParts { als: self, history, confidences, solved: Eliminated::new(normal, f) }
    }

    /// An item's vector; empty for an unknown item. O(1).
    pub fn item(&self, item: ItemId) -> &[f32] {
        let from = item.index() * self.factors;
        self.items.get(from..from + self.factors).unwrap_or_default()
    }

    /// Product of a folded-in vector with that of an item; 0 for an unknown item. O(factors).
    pub fn score(&self, vector: &[f32], item: ItemId) -> f32 {
        let mut score = [0f32];
        add_products(vector, self.item(item), &mut score);
        score.first().copied().unwrap_or(0.0)
    }

    /// Writes about the product of a folded-in vector with those of these items, `None` = of all, into slots of 0, each right to
    /// [`ImplicitAls::error`]. O(slots · factors), a quarter of the memory that the vectors themselves take.
    pub fn about(&self, vector: &[f32], items: Option<&[ItemId]>, slots: &mut [f32]) {
        self.rounded().products(vector, items, slots);
    }

    /// The most by which the product of an item's vector, `None` = of any item's, with one of length 1 may differ from
    /// [`ImplicitAls::about`]. O(1).
    pub fn error(&self, item: Option<ItemId>) -> f32 {
        let rounded = self.rounded();
        item.map_or(rounded.largest_error(), |item| rounded.error(item))
    }

    /// O(items · factors) the first time.
    fn rounded(&self) -> &Quantized {
        self.rounded.get(|| Quantized::new(&self.items, self.factors))
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.items.len() / self.factors.max(1)
    }

    /// Returns whether it was fitted, on however little.
    pub fn is_fitted(&self) -> bool {
        self.factors > 0
    }

    /// Of the right sizes and all numbers? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.items.len() == self.n_items() * self.factors
            && self.gram.len() == self.factors * self.factors
            && self.items.iter().chain(&self.gram).all(|value| value.is_finite())
            && [self.alpha, self.penalty.of(1.0)].iter().all(|value| value.is_finite())
    }
}

/// Contributions of the items of one history to scores.
#[derive(Clone, Debug)]
pub struct AlsParts<'a> {
    als: &'a ImplicitAls,
    history: &'a [(ItemId, f32)],
    /// By place in the history; 0 = says nothing.
    confidences: Vec<f32>,
    solved: Eliminated,
}

impl AlsParts<'_> {
    /// Contribution of each item of the history to the score of `item`; they sum to it. O((history + factors) · factors).
    pub fn of(&self, item: ItemId) -> Vec<f32> {
        let target = self.als.item(item);
        if target.is_empty() || self.confidences.iter().sum::<f32>() <= 0.0 {
            return vec![0.0; self.history.len()];
        }
        let solved = self.solved.solve(target.iter().map(|value| f64::from(*value)).collect());
        let product =
            |vector: &[f32]| vector.iter().zip(&solved).map(|(a, b)| f64::from(*a) * b).sum::<f64>();
        let part = |((known, _), confidence): (&(ItemId, f32), &f32)| {
            (f64::from(*confidence) * product(self.als.item(*known))) as f32
        };
        self.history.iter().zip(&self.confidences).map(part).collect()
    }
}

fn check(parameters: &AlsParameters) -> Result<(), TrainError> {
    let AlsParameters { factors, regularisation, alpha, frequency_scaling, .. } = *parameters;
    let bad = |what: String| Err(TrainError::Parameter(format!("implicit ALS: {what}")));
    if !(1..=MOST_FACTORS).contains(&factors) {
        return bad(format!("factors are 1…{MOST_FACTORS}, not {factors}"));
    }
    if !(regularisation.is_finite() && regularisation >= 0.0) {
        return bad(format!("the regularisation is a number from 0, not {regularisation}"));
    }
    if !(alpha.is_finite() && alpha > 0.0) {
        return bad(format!("alpha is a number above 0, not {alpha}"));
    }
    if !frequency_scaling.is_finite() {
        return bad(format!("the frequency scaling is a number from 0 to 1, not {frequency_scaling}"));
    }
    Ok(())
}

/// Renews the vectors of one side from those of the other, chunk by chunk.
fn half_step(
    own: &mut [f32],
    vectors: &[f32],
    factors: usize,
    push: impl Fn(usize, &mut Rows) + Sync,
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let gram = gram(vectors, factors);
    let others = Others { vectors, gram: &gram };
    let batches_at_once = (COST_AT_ONCE / (factors * factors * (CG_STEPS + 1) * BATCH)).clamp(2, 64);
    let n_rows = own.len() / factors;
    for (chunk, own) in own.chunks_mut(factors * BATCH * batches_at_once).enumerate() {
        threads.run(|| {
            own.par_chunks_mut(factors * BATCH).enumerate().for_each_init(
                || (Rows::default(), Scratch::new(factors)),
                |(rows, scratch), (index, own)| {
                    let first = (chunk * batches_at_once + index) * BATCH;
                    rows.clear();
                    (first..first + own.len() / factors).for_each(|row| push(row, rows));
                    solve(own, factors, rows, &others, CG_STEPS, scratch);
                },
            );
        });
        let done = ((chunk + 1) * batches_at_once * BATCH).min(n_rows);
        progress(done as f32 / n_rows as f32)?;
    }
    // Nobody there: still a moment to stop.
    if own.is_empty() { progress(1.0) } else { ControlFlow::Continue(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tastes() -> Matrix {
        // Two tastes of six items each; every user has four of one.
        let rows: Vec<Vec<(u32, f32)>> = (0..60u32)
            .map(|user| (0..4).map(|k| ((user / 2 + k) % 6 + user % 2 * 6, 1.0)).collect())
            .collect();
        Matrix::from_rows(&rows, 13)
    }

    fn fit(matrix: &Matrix, parameters: &AlsParameters, n_threads: usize) -> ImplicitAls {
        let threads = Threads::new(n_threads).unwrap();
        ImplicitAls::fit(matrix, parameters, &threads, |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn the_parts_of_a_score_sum_to_it() {
        let model = fit(&tastes(), &AlsParameters { factors: 8, ..AlsParameters::default() }, 1);
        let history = [(ItemId(0), 1.0), (ItemId(2), 0.3), (ItemId(99), 1.0), (ItemId(7), 2.0)];
        let mut scores = vec![0f32; 13];
        model.add_scores(&history, &mut scores);
        for item in 0..12 {
            let parts = model.explained(&history).of(ItemId(item));
            let sum: f32 = parts.iter().sum();
            assert!(
                (sum - scores[item as usize]).abs() < 1e-3,
                "{item}: {parts:?} {}",
                scores[item as usize]
            );
            assert_eq!(parts[2], 0.0, "an unknown item says nothing");
        }
        assert_eq!(model.explained(&history).of(ItemId(50)), [0.0; 4]);
        assert_eq!(model.explained(&[]).of(ItemId(1)), [0f32; 0]);
    }

    #[test]
    fn one_factor_agrees_with_the_fixed_point_computed_by_hand() {
        // One user, one item, one factor: x = c y / (c y² + λ) and y = c x / (c x² + λ), so x = y = √((c − λ) / c).
        let matrix = Matrix::from_rows(&[vec![(0, 1.0)]], 1);
        let parameters = AlsParameters {
            factors: 1,
            regularisation: 1.0,
            alpha: 4.0,
            iterations: 60,
            ..Default::default()
        };
        let model = fit(&matrix, &parameters, 1);
        assert!((model.item(ItemId(0))[0] - 0.75f32.sqrt()).abs() < 1e-4, "{:?}", model.item(ItemId(0)));
        let mut scores = [0.0];
        model.add_scores(&[(ItemId(0), 1.0)], &mut scores);
        assert!((scores[0] - 0.75).abs() < 1e-4);
    }

    #[test]
    fn tastes_are_told_apart_the_same_on_any_number_of_threads() {
        // Two vectors for two tastes: there is no room to learn who is next to whom.
        let parameters = AlsParameters { factors: 2, regularisation: 0.5, alpha: 5.0, ..Default::default() };
        let model = fit(&tastes(), &parameters, 1);
        assert_eq!(model, fit(&tastes(), &parameters, 3));
        assert_ne!(model, fit(&tastes(), &AlsParameters { seed: 2, ..parameters }, 1));
        for scaling in [0.0, 0.5, 1.0] {
            let model = fit(&tastes(), &AlsParameters { frequency_scaling: scaling, ..parameters }, 2);
            let mut scores = [0.0; 13];
            model.add_scores(&[(ItemId(0), 1.0), (ItemId(1), 1.0), (ItemId(2), 1.0)], &mut scores);
            let (own, other) = (scores[3].min(scores[4]).min(scores[5]), scores[6..].iter().copied());
            assert!(other.fold(f32::MIN, f32::max) < own, "{scaling}: {scores:?}");
            assert_eq!(scores[12], 0.0, "nobody touched it");
            assert!(model.is_sound());
        }
    }

    #[test]
    fn bad_parameters_are_refused_and_little_data_is_not() {
        let threads = Threads::new(1).unwrap();
        let good = AlsParameters { factors: 4, ..Default::default() };
        for bad in [
            AlsParameters { factors: 0, ..good },
            AlsParameters { alpha: 0.0, ..good },
            AlsParameters { alpha: f32::NAN, ..good },
            AlsParameters { regularisation: -1.0, ..good },
            AlsParameters { frequency_scaling: f32::NAN, ..good },
        ] {
            let result = ImplicitAls::fit(&tastes(), &bad, &threads, |_| ControlFlow::Continue(()));
            assert!(matches!(result, Err(TrainError::Parameter(_))), "{bad:?}");
        }
        let empty = fit(&Matrix::default(), &good, 1);
        assert!(empty.is_sound() && empty.fold_in(&[(ItemId(0), 1.0)]).iter().all(|value| *value == 0.0));
        let nobody =
            fit(&Matrix::from_rows(&[vec![], vec![]], 3), &AlsParameters { regularisation: 0.0, ..good }, 1);
        let mut scores = [0.0; 3];
        nobody.add_scores(&[(ItemId(1), 1.0), (ItemId(1), f32::NAN)], &mut scores);
        assert_eq!(scores, [0.0; 3]);
    }

    #[test]
    fn it_can_be_cancelled_at_any_step() {
        let threads = Threads::new(1).unwrap();
        let parameters = AlsParameters { factors: 4, iterations: 3, ..Default::default() };
        for stop in 1..=6 {
            let mut heard = 0;
            let result = ImplicitAls::fit(&tastes(), &parameters, &threads, |_| {
                heard += 1;
                if heard == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!((result.unwrap_err(), heard), (TrainError::Cancelled, stop));
        }
    }
}
